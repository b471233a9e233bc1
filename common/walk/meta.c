#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/meta.h"
#include "common/walk/owner.h"

static const mode_t file_types[ENTRY_TYPE_MAX + 1] = {
	[ENTRY_FILE] = S_IFREG, [ENTRY_DIR] = S_IFDIR, [ENTRY_SYMLINK] = S_IFLNK,
	[ENTRY_FIFO] = S_IFIFO, [ENTRY_CHAR] = S_IFCHR, [ENTRY_BLOCK] = S_IFBLK,
};

mode_t
meta_file_type(uint8_t type)
{
	return type <= ENTRY_TYPE_MAX ? file_types[type] : 0;
}

int
meta_from_stat(const struct stat *st, struct entry *e)
{
	memset(e, 0, sizeof(*e));
	for (uint8_t t = 1; t <= ENTRY_TYPE_MAX; t++)
		if (file_types[t] == (st->st_mode & S_IFMT))
			e->type = t;
	if (e->type == 0)
		return -1;
	e->mode = st->st_mode & 07777;
	e->uid = st->st_uid;
	e->gid = st->st_gid;
	e->mtime_s = st->st_mtim.tv_sec;
	e->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	e->ctime_s = st->st_ctim.tv_sec;
	e->ctime_ns = (uint32_t)st->st_ctim.tv_nsec;
	e->size = e->type == ENTRY_FILE ? (uint64_t)st->st_size : 0;
	e->inode = st->st_ino;
	e->nlink = st->st_nlink > UINT32_MAX ? UINT32_MAX : (uint32_t)st->st_nlink;
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK) {
		e->major = major(st->st_rdev);
		e->minor = minor(st->st_rdev);
	}
	return 0;
}

const char *
meta_part_text(enum meta_part part)
{
	static const char *const text[META_PARTS] = {
		"owner", "mode", "extended attributes", "access control list", "times"
	};

	return part < META_PARTS ? text[part] : "";
}

void
meta_report_add(struct meta_report *r, const struct meta_report *more)
{
	for (size_t i = 0; i < META_PARTS; i++) {
		if (r->missed[i] == 0)
			r->sys[i] = more->sys[i];
		r->missed[i] += more->missed[i];
	}
	if (r->xattr[0] == '\0')
		memcpy(r->xattr, more->xattr, sizeof(r->xattr));
}

/* One object while it is being given its attributes. */
struct target {
	int fd;
	bool is_path;			/* ${fd} is O_PATH: attributes go through /proc */
	char proc[40];
	struct stat st;
	const struct entry *en;
	struct meta_report *report;
	int missed;			/* mask of parts */
};

static void
miss(struct target *t, enum meta_part part, const char *xattr)
{
	if ((t->missed & 1 << part) == 0) {
		if (t->report->missed[part]++ == 0)
			t->report->sys[part] = errno;
		t->missed |= 1 << part;
	}
	if (part == META_XATTR && xattr != NULL && t->report->xattr[0] == '\0')
		(void)snprintf(t->report->xattr, sizeof(t->report->xattr), "%s", xattr);
}

static int
target_chmod(const struct target *t, mode_t mode)
{
	return t->is_path ? io->fchmodat(AT_FDCWD, t->proc, mode, 0) : io->fchmod(t->fd, mode);
}

static int
target_chown(const struct target *t, uid_t uid, gid_t gid)
{
	return io->fchownat(t->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

/* Owner and group, each on its own where both together are refused.  True: both are as wanted. */
static bool
apply_owner(struct target *t, const struct meta_options *opt)
{
	uid_t uid = t->en->uid;
	gid_t gid = t->en->gid;

	if (opt != NULL && opt->by_name != NULL) {
		uid = owner_uid(opt->by_name, t->en->user, uid);
		gid = owner_gid(opt->by_name, t->en->group, gid);
	}
	if (uid == t->st.st_uid && gid == t->st.st_gid)
		return true;
	if (target_chown(t, uid, gid) == 0)
		return true;
	miss(t, META_OWNER, NULL);
	if (gid != t->st.st_gid)
		(void)target_chown(t, (uid_t)-1, gid);	/* one's own other groups are allowed */
	return false;
}

static ssize_t
target_list(const struct target *t, char *list, size_t n)
{
	return t->is_path ? io->listxattr(t->proc, list, n, 0) : io->flistxattr(t->fd, list, n);
}

static int
target_setxattr(const struct target *t, const char *name, const void *v, size_t n)
{
	return t->is_path ? io->setxattr(t->proc, name, v, n, 0) : io->fsetxattr(t->fd, name, v, n);
}

static bool
is_acl(const char *name)
{
	return strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

static bool
has_xattr(const struct entry *en, const char *name)
{
	struct rd r = { .p = en->xattrs.p, .left = en->xattrs.len };
	struct fmt_view row, value;

	while (r.left > 0 && xattr_next(&r, &row, &value) == FMT_OK)
		if (row.len == strlen(name) && memcmp(row.p, name, row.len) == 0)
			return true;
	return false;
}

/* Take away what was inherited or left over: user.* and ACLs that the entry does not have. */
static void
remove_others(struct target *t)
{
	static const uint8_t no_acl[4] = { 2, 0, 0, 0 };	/* an ACL of version 2 without rows: none */
	char first[1024], *list = first;
	ssize_t len = target_list(t, first, sizeof(first));

	if (len == -1 && errno == ERANGE && (list = malloc(65536)) != NULL)
		len = target_list(t, list, 65536);
	for (const char *p = list; len > 0 && p < list + len; p += strlen(p) + 1) {
		int rc = 0;

		if ((!is_acl(p) && strncmp(p, "user.", 5) != 0) || has_xattr(t->en, p))
			continue;
		if (!t->is_path)
			rc = io->fremovexattr(t->fd, p);
		else if (is_acl(p))
			rc = target_setxattr(t, p, no_acl, sizeof(no_acl));
		if (rc != 0 && errno != ENODATA)
			miss(t, is_acl(p) ? META_ACL : META_XATTR, p);
	}
	if (list != first)
		free(list);
}

static void
apply_xattrs(struct target *t, const struct meta_options *opt)
{
	struct rd r = { .p = t->en->xattrs.p, .left = t->en->xattrs.len };
	char text[XATTR_NAME_MAX_LEN + 1];
	struct fmt_view name, value;

	if (t->en->type != ENTRY_SYMLINK && (opt == NULL || !opt->bare))
		remove_others(t);
	while (r.left > 0 && xattr_next(&r, &name, &value) == FMT_OK) {
		memcpy(text, name.p, name.len);
		text[name.len] = '\0';
		if (target_setxattr(t, text, value.p, value.len) != 0)
			miss(t, is_acl(text) ? META_ACL : META_XATTR, text);
	}
}

static void
apply_mode(struct target *t, bool owned)
{
	mode_t mode = t->en->mode & 07777;

	if (t->en->type == ENTRY_SYMLINK)
		return;
	if (!owned && t->en->type != ENTRY_DIR && (mode & (S_ISUID | S_ISGID)) != 0) {
		mode &= (mode_t)~(S_ISUID | S_ISGID);
		errno = EPERM;
		miss(t, META_MODE, NULL);
	}
	if (target_chmod(t, mode) != 0)
		miss(t, META_MODE, NULL);
}

static void
apply_times(struct target *t, int dirfd, const char *name)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = (time_t)t->en->mtime_s, .tv_nsec = (long)t->en->mtime_ns },
	};

	if (io->utimensat(t->fd, "", times, AT_EMPTY_PATH) == 0)
		return;
	/* Kernels before 5.8 do not know AT_EMPTY_PATH here. */
	if (errno == EINVAL && io->utimensat(AT_FDCWD, t->proc, times, 0) == 0)
		return;
	if (errno == ENOENT && t->en->type == ENTRY_SYMLINK && name != NULL &&
	    io->utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	miss(t, META_TIMES, NULL);
}

/* Open what is to be changed, and see that it is of the right type. */
static int
target_open(struct target *t, int fd, int dirfd, const char *name, struct err *e)
{
	char safe[600] = "a file";

	if (name != NULL)
		(void)text_safe(safe, sizeof(safe), name, strlen(name));
	t->fd = fd;
	if (fd == -1) {
		t->is_path = true;
		t->fd = io->open(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
		if (t->fd == -1)
			return err_errno(e, "open %s to set its attributes", safe);
	}
	if (io->fstat(t->fd, &t->st) != 0) {
		(void)err_errno(e, "look at %s", safe);
		goto fail;
	}
	if ((t->st.st_mode & S_IFMT) != meta_file_type(t->en->type)) {
		(void)err_set(e, ERR_IO, "set the attributes of %s: something else took its place", safe);
		goto fail;
	}
	(void)snprintf(t->proc, sizeof(t->proc), "/proc/self/fd/%d", t->fd);
	return 0;
fail:
	if (t->is_path)
		(void)io->close(t->fd);
	return -1;
}

int
meta_apply(int fd, int dirfd, const char *name, const struct entry *en,
    const struct meta_options *opt, struct meta_report *report, struct err *e)
{
	struct target t = { .en = en, .report = report };
	mode_t need = en->type == ENTRY_DIR ? S_IRWXU : S_IRUSR | S_IWUSR;
	bool owned;

	if (target_open(&t, fd, dirfd, name, e) != 0)
		return -1;
	/* An owner without the right to write could not set user.* attributes. */
	if (en->xattrs.len > 0 && en->type != ENTRY_SYMLINK && (t.st.st_mode & need) != need)
		(void)target_chmod(&t, (t.st.st_mode & 0777) | need);
	owned = apply_owner(&t, opt);
	apply_xattrs(&t, opt);
	apply_mode(&t, owned);
	apply_times(&t, dirfd, name);
	if (t.is_path)
		(void)io->close(t.fd);
	return t.missed;
}
