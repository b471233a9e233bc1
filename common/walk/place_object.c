#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/walk/place_object.h"

int
object_name(const struct entry *en, char name[NAME_LEN_MAX + 1], struct err *e)
{
	char safe[600];

	if (!name_is_valid(en->name))
		return err_set(e, ERR_FORMAT, "the listing holds a name that cannot be: %s",
		    text_safe(safe, sizeof(safe), en->name.p, en->name.len));
	memcpy(name, en->name.p, en->name.len);
	name[en->name.len] = '\0';
	return 0;
}

void
object_temp(const struct place_dir *d, const char *name, char temp[TEMP_NAME_LEN])
{
	uint64_t h = 0xcbf29ce484222325u;	/* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	(void)snprintf(temp, TEMP_NAME_LEN, ".samara-%016llx-%016llx", (unsigned long long)d->opt->tag,
	    (unsigned long long)h);
}

static bool
is_same(const struct place_dir *d, const char *name, const struct entry *en, const struct stat *st)
{
	char target[LINK_LEN_MAX + 1];
	ssize_t n;

	if ((st->st_mode & S_IFMT) != meta_file_type(en->type))
		return false;
	if (en->type == ENTRY_SYMLINK) {
		n = io->readlinkat(d->fd, name, target, sizeof(target));
		return n == (ssize_t)en->target.len && memcmp(target, en->target.p, en->target.len) == 0;
	}
	if ((en->type == ENTRY_CHAR || en->type == ENTRY_BLOCK) && st->st_rdev != makedev(en->major, en->minor))
		return false;
	if (en->type == ENTRY_FILE && (uint64_t)st->st_size != en->size)
		return false;
	return st->st_mtim.tv_sec == en->mtime_s && st->st_mtim.tv_nsec == (long)en->mtime_ns;
}

int
object_there(const struct place_dir *d, const char *name, const struct entry *en,
    enum place_result *res, struct stat *st, struct err *e)
{
	char safe[600];

	*res = PLACE_DONE;
	if (d->fresh)
		return 0;
	(void)text_safe(safe, sizeof(safe), name, strlen(name));
	if (io->fstatat(d->fd, name, st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_errno(e, "look at %s", safe);
	if (d->opt->overwrite == PLACE_NEVER)
		*res = PLACE_LEFT;
	else if (S_ISDIR(st->st_mode))
		return err_set(e, ERR_NOT_EMPTY, "a directory is in the way of %s", safe);
	else if (d->opt->overwrite == PLACE_IF_DIFFERENT && is_same(d, name, en, st))
		*res = PLACE_SAME;
	return 0;
}

/* Rename without replacing, also where the file system has no such call. */
static int
rename_new(int fd, const char *temp, const char *name)
{
	struct stat st;

	if (io->renameat2(fd, temp, fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return -1;
	if (io->fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? io->renameat2(fd, temp, fd, name, 0) : -1;
}

int
object_publish(const struct place_dir *d, const char *temp, const char *name,
    enum place_result *res, struct err *e)
{
	char safe[600];
	int rc, sys;

	rc = d->opt->overwrite == PLACE_NEVER ? rename_new(d->fd, temp, name) :
	    io->renameat2(d->fd, temp, d->fd, name, 0);
	if (rc == 0)
		return 0;
	sys = errno;
	(void)io->unlinkat(d->fd, temp, 0);
	if (sys == EEXIST && d->opt->overwrite == PLACE_NEVER) {
		*res = PLACE_LEFT;
		return 0;
	}
	(void)text_safe(safe, sizeof(safe), name, strlen(name));
	if (sys == EISDIR || sys == EEXIST || sys == ENOTEMPTY)
		return err_set(e, ERR_NOT_EMPTY, "a directory is in the way of %s", safe);
	errno = sys;
	return err_errno(e, "give %s its name", safe);
}

/* Make the object under ${name}; what a run that was stopped left under a temporary name goes first. */
static int
object_make(const struct place_dir *d, const char *name, const struct entry *en, const char *target)
{
	mode_t type = meta_file_type(en->type);
	int rc = -1;

	for (unsigned try = 0; try < 2 && rc != 0; try++) {
		rc = en->type == ENTRY_SYMLINK ? io->symlinkat(target, d->fd, name) :
		    io->mknodat(d->fd, name, type | 0600, type == S_IFIFO ? 0 : makedev(en->major, en->minor));
		if (rc == 0 || errno != EEXIST || io->unlinkat(d->fd, name, 0) != 0)
			break;
	}
	return rc;
}

/* Any object without content: made under a temporary name, completed, named. */
static int
object_place(const struct place_dir *d, const struct entry *en, const char *target,
    struct meta_report *report, enum place_result *res, struct err *e)
{
	char name[NAME_LEN_MAX + 1], temp[TEMP_NAME_LEN], safe[600];
	struct stat st;
	int missed;

	if (object_name(en, name, e) != 0 || object_there(d, name, en, res, &st, e) != 0)
		return -1;
	if (*res == PLACE_LEFT)
		return 0;
	if (*res == PLACE_SAME)
		return meta_apply(-1, d->fd, name, en, &d->opt->meta, report, e);
	object_temp(d, name, temp);
	if (object_make(d, temp, en, target) != 0)
		return err_errno(e, "make %s", text_safe(safe, sizeof(safe), name, strlen(name)));
	missed = meta_apply(-1, d->fd, temp, en, &d->opt->meta, report, e);
	if (missed == -1) {
		(void)io->unlinkat(d->fd, temp, 0);
		return -1;
	}
	return object_publish(d, temp, name, res, e) == 0 ? missed : -1;
}

int
place_special(struct place_dir *d, const struct entry *en, struct meta_report *report,
    enum place_result *res, struct err *e)
{
	if (en->type != ENTRY_FIFO && en->type != ENTRY_CHAR && en->type != ENTRY_BLOCK)
		return err_set(e, ERR_INTERNAL, "that is no FIFO and no device");
	return object_place(d, en, NULL, report, res, e);
}

int
object_symlink(const struct place_dir *d, const struct entry *en, struct meta_report *report,
    enum place_result *res, struct err *e)
{
	char target[LINK_LEN_MAX + 1];

	if (en->target.len == 0 || en->target.len > LINK_LEN_MAX || memchr(en->target.p, 0, en->target.len) != NULL)
		return err_set(e, ERR_FORMAT, "the listing holds a symlink that leads nowhere");
	memcpy(target, en->target.p, en->target.len);
	target[en->target.len] = '\0';
	return object_place(d, en, target, report, res, e);
}
