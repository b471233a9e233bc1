#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"

#define TMP_TRIES	16
#define TMP_STEM_MAX	200	/* so that a name of 255 bytes has a temporary one */

/* Read on from ${fd} until its end; ${size} is what fstat promised. */
static int
read_all(int fd, size_t size, size_t max, uint8_t **out, size_t *len)
{
	size_t cap = size, used = 0;
	uint8_t *buf = NULL;

	for (;;) {
		uint8_t *more = realloc(buf, cap + 2);
		ssize_t got;

		if (more == NULL)
			goto fail;
		buf = more;
		if ((got = io_read_full(fd, buf + used, cap + 1 - used, -1)) == -1)
			goto fail;
		used += (size_t)got;
		if (used <= cap)
			break;
		if (used > max) {
			errno = EFBIG;
			goto fail;
		}
		cap = cap > max / 2 ? max : cap * 2 + 4096 < max ? cap * 2 + 4096 : max;
	}
	buf[used] = 0;
	*out = buf;
	*len = used;
	return 0;
fail:
	free(buf);
	return -1;
}

int
file_read(int dirfd, const char *path, size_t max, uint8_t **out, size_t *len, struct err *e)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int fd, rc = -1;

	*out = NULL;
	*len = 0;
	if ((fd = io->open(dirfd, path, flags, 0)) == -1) {
		if (errno == ELOOP)
			return err_set(e, ERR_FORMAT, "read %s: it is not a regular file", path);
		return err_errno(e, "read %s", path);
	}
	if (io->fstat(fd, &st) != 0) {
		(void)err_errno(e, "read %s", path);
		goto close;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)err_set(e, ERR_FORMAT, "read %s: it is not a regular file", path);
		goto close;
	}
	if (st.st_size < 0 || (uintmax_t)st.st_size > max) {
		(void)err_set(e, ERR_FORMAT, "read %s: it has %jd bytes, at most %zu can be right",
		    path, (intmax_t)st.st_size, max);
		goto close;
	}
	if ((rc = read_all(fd, (size_t)st.st_size, max, out, len)) != 0) {
		if (errno == EFBIG)
			(void)err_set(e, ERR_FORMAT, "read %s: it has more than %zu bytes",
			    path, max);
		else
			(void)err_errno(e, "read %s", path);
	}
close:
	(void)io->close(fd);
	return rc;
}

/*
 * Open the directory that ${path} lies in; ${name} points at the last part.
 * Everything then happens by single names below one descriptor.
 */
static int
parent_open(int dirfd, const char *path, const char **name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *above;
	int fd;

	*name = slash == NULL ? path : slash + 1;
	if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return err_set(e, ERR_INTERNAL, "%s is not the name of a file", path);
	if (slash == NULL)
		return dir_open(dirfd, ".", e);
	if ((above = strndup(path, slash == path ? 1 : (size_t)(slash - path))) == NULL)
		return err_errno(e, "open the directory of %s", path);
	fd = dir_open(dirfd, above, e);
	free(above);
	return fd;
}

/* Create ".NAME.tmp-PID-RANDOM"; only this process knows the name. */
static int
tmp_create(int dirfd, const char *name, unsigned mode, char tmp[256], struct err *e)
{
	for (int i = 0; i < TMP_TRIES; i++) {
		uint64_t r;
		int fd;

		io_random(&r, sizeof(r));
		(void)snprintf(tmp, 256, ".%.*s.tmp-%ld-%016" PRIx64, TMP_STEM_MAX, name,
		    (long)getpid(), r);
		fd = io->open(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    (mode_t)(mode & 07777));
		if (fd != -1)
			return fd;
		if (errno != EEXIST)	/* EEXIST: not ours; leave it and take another name */
			return err_errno(e, "create %s", tmp);
	}
	return err_errno(e, "create a temporary file for %s", name);
}

/*
 * Write a synced temporary file.  Return 0, or -1 with ${e}; what was created
 * is removed again: O_EXCL has shown that it is ours.
 */
static int
tmp_write(int dirfd, const char *name, const void *data, size_t len, unsigned mode,
    char tmp[256], struct err *e)
{
	int fd;

	if ((fd = tmp_create(dirfd, name, mode, tmp, e)) == -1)
		return -1;
	if (io_write_full(fd, data, len, -1) != 0) {
		(void)err_errno(e, "write %s", name);
		goto remove;
	}
	if (io->fsync(fd) != 0) {
		(void)err_errno(e, "fsync %s", name);
		if (e != NULL)
			e->code = ERR_FSYNC;
		goto remove;
	}
	if (io->close(fd) != 0) {
		fd = -1;
		(void)err_errno(e, "close %s", name);
		goto remove;
	}
	return 0;
remove:
	if (fd != -1)
		(void)io->close(fd);
	(void)io->unlinkat(dirfd, tmp, 0);
	return -1;
}

static int
not_supported(int sys)
{
	return sys == EINVAL || sys == ENOSYS || sys == EOPNOTSUPP || sys == EPERM ||
	    sys == EMLINK;
}

/* The last step of the ladder, for file systems with neither of the others. */
static int
publish_plain(int dirfd, const char *tmp, const char *path, struct err *e)
{
	struct stat st;

	if (io->fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno != ENOENT)
		return err_errno(e, "look for %s", path);
	if (io->renameat2(dirfd, tmp, dirfd, path, 0) != 0)
		return err_errno(e, "rename %s to %s", tmp, path);
	return 0;
}

int
file_publish(int dirfd, const char *tmp, const char *path, unsigned flags, struct err *e)
{
	if (io->renameat2(dirfd, tmp, dirfd, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return 1;
	if (errno == EPERM || !not_supported(errno))
		return err_errno(e, "rename %s to %s", tmp, path);

	if (io->linkat(dirfd, tmp, dirfd, path, 0) == 0) {
		if (io->unlinkat(dirfd, tmp, 0) != 0)
			return err_errno(e, "remove %s", tmp);
		return 0;
	}
	if (errno == EEXIST)
		return 1;
	if (!not_supported(errno))
		return err_errno(e, "link %s to %s", tmp, path);

	if (flags & FILE_PLAIN_RENAME)
		return publish_plain(dirfd, tmp, path, e);
	return err_set(e, ERR_FILE_SYSTEM,
	    "name %s: this file system can neither rename without replacing nor link", path);
}

int
file_put_new(int dirfd, const char *path, const void *data, size_t len, unsigned mode,
    struct err *e)
{
	const char *name;
	struct stat st;
	char tmp[256];
	int d, rc = -1;

	if ((d = parent_open(dirfd, path, &name, e)) == -1)
		return -1;
	if (io->fstatat(d, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		rc = 1;
	} else {
		if (tmp_write(d, name, data, len, mode, tmp, e) != 0)
			goto close;
		if ((rc = file_publish(d, tmp, name, mode & FILE_PLAIN_RENAME, e)) != 0)
			(void)io->unlinkat(d, tmp, 0);
	}
	/* Also for a name that was there: whoever made it may have been stopped before this. */
	if (rc != -1 && dir_sync(d, NULL, e) != 0)
		rc = err_during(e, "%s", path);
close:
	(void)io->close(d);
	return rc;
}

int
file_replace(int dirfd, const char *path, const void *data, size_t len, unsigned mode,
    struct err *e)
{
	const char *name;
	char tmp[256];
	int d, rc = -1;

	if ((d = parent_open(dirfd, path, &name, e)) == -1)
		return -1;
	if (tmp_write(d, name, data, len, mode, tmp, e) != 0)
		goto close;
	if (io->renameat2(d, tmp, d, name, 0) != 0) {
		(void)err_errno(e, "rename %s to %s", tmp, path);
		(void)io->unlinkat(d, tmp, 0);
		goto close;
	}
	if ((rc = dir_sync(d, NULL, e)) != 0)
		(void)err_during(e, "%s", path);
close:
	(void)io->close(d);
	return rc;
}

int
lock_take(int dirfd, const char *path, int shared, struct err *e)
{
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	int fd, rc;

	fd = io->open(dirfd, path, O_RDWR | O_CREAT | flags, 0644);
	if (fd == -1 && shared && (errno == EROFS || errno == EACCES))
		fd = io->open(dirfd, path, O_RDONLY | flags, 0);
	if (fd == -1)
		return err_errno(e, "open the lock %s", path);
	do {
		rc = io->flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return fd;
	if (errno == EWOULDBLOCK)
		(void)err_set(e, ERR_BUSY, "%s is locked by another process", path);
	else
		(void)err_errno(e, "lock %s", path);
	(void)io->close(fd);
	return -1;
}
