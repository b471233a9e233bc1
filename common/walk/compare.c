#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/beneath.h"
#include "common/walk/compare.h"
#include "common/walk/meta.h"

/* Attributes of one kind, one after the other: ACLs, or all others. */
static enum fmt_status
next_of_kind(struct rd *r, bool acl, struct fmt_view *name, struct fmt_view *value)
{
	enum fmt_status st;

	do {
		if (r->left == 0)
			return FMT_SHORT;
		if ((st = xattr_next(r, name, value)) != FMT_OK)
			return st;
	} while ((name->len > 17 && memcmp(name->p, "system.posix_acl_", 17) == 0) != acl);
	return FMT_OK;
}

static bool
same_view(struct fmt_view a, struct fmt_view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Both are sorted by name. */
static bool
same_xattrs(struct fmt_view a, struct fmt_view b, bool acl)
{
	struct rd x = { .p = a.p, .left = a.len }, y = { .p = b.p, .left = b.len };
	struct fmt_view xn, xv, yn, yv;

	for (;;) {
		enum fmt_status s = next_of_kind(&x, acl, &xn, &xv), t = next_of_kind(&y, acl, &yn, &yv);

		if (s != FMT_OK || t != FMT_OK)
			return s == t;
		if (!same_view(xn, yn) || !same_view(xv, yv))
			return false;
	}
}

static unsigned
differs_in_stat(const struct entry *live, const struct entry *en, unsigned skip)
{
	unsigned d = 0;

	if (live->size != en->size)
		d |= DIFFERS_SIZE;
	if ((skip & COMPARE_NO_MODE) == 0 && en->type != ENTRY_SYMLINK && live->mode != en->mode)
		d |= DIFFERS_MODE;
	if ((skip & COMPARE_NO_OWNER) == 0 && (live->uid != en->uid || live->gid != en->gid))
		d |= DIFFERS_OWNER;
	if ((skip & COMPARE_NO_MTIME) == 0 && (live->mtime_s != en->mtime_s || live->mtime_ns != en->mtime_ns))
		d |= DIFFERS_MTIME;
	if (live->major != en->major || live->minor != en->minor)
		d |= DIFFERS_DEVICE;
	return d;
}

static bool
same_target(int dirfd, const char *name, const struct entry *en)
{
	char target[LINK_LEN_MAX + 1];
	ssize_t n = io->readlinkat(dirfd, name, target, sizeof(target));

	return n >= 0 && same_view(view_of(target, (size_t)n), en->target);
}

/*
 * The object's stat, and for a regular file a descriptor, so that content and
 * attributes are those of one object.  1; 0 where nothing is there; -1.
 */
static int
object_look(int dirfd, const char *name, bool open, struct stat *st, int *fd)
{
	*fd = -1;
	if (io->fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -1;
	if (!open || !S_ISREG(st->st_mode))
		return 1;
	*fd = beneath_open(dirfd, name, O_RDONLY | O_NONBLOCK, 0);
	return *fd != -1 && io->fstat(*fd, st) == 0 ? 1 : -1;
}

int
compare_object(int dirfd, const char *name, const struct entry *en, unsigned skip, unsigned *differs,
    int *fd, struct err *e)
{
	struct xattr_rows rows = { 0 };
	struct entry live;
	struct stat st;
	char safe[600];
	int own = -1, there, rc = -1;

	if (fd != NULL)
		*fd = -1;
	there = object_look(dirfd, name, fd != NULL && en->type == ENTRY_FILE, &st, &own);
	if (there == -1) {
		(void)err_errno(e, "look at %s", text_safe(safe, sizeof(safe), name, strlen(name)));
		goto done;
	}
	rc = 0;
	*differs = there == 0 ? DIFFERS_MISSING : DIFFERS_TYPE;
	if (there == 0 || meta_from_stat(&st, &live) != 0 || live.type != en->type)
		goto done;
	*differs = differs_in_stat(&live, en, skip);
	if (en->type == ENTRY_SYMLINK && !same_target(dirfd, name, en))
		*differs |= DIFFERS_TARGET;
	if ((skip & COMPARE_NO_XATTRS) == 0) {
		if ((rc = meta_xattrs_read(own, dirfd, name, &rows, e)) != 0)
			goto done;
		*differs |= same_xattrs(xattr_rows_view(&rows), en->xattrs, false) ? 0 : DIFFERS_XATTR;
		*differs |= same_xattrs(xattr_rows_view(&rows), en->xattrs, true) ? 0 : DIFFERS_ACL;
	}
	if (fd != NULL && live.type == ENTRY_FILE) {
		*fd = own;
		own = -1;
	}
done:
	if (own != -1)
		(void)io->close(own);
	xattr_rows_release(&rows);
	return rc;
}

char *
compare_text(unsigned differs, char *buf, size_t n)
{
	static const char *const text[] = {
		"missing", "type", "size", "mode", "owner", "mtime", "target", "device", "extended attributes", "ACL",
		"content",
	};
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if ((differs & 1u << i) != 0 && used < n)
			used += (size_t)snprintf(buf + used, n - used, "%s%s", used > 0 ? ", " : "", text[i]);
	return buf;
}
