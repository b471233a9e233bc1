#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/disk/image_file.h"

#define PATH_PARTS_LEN	255

static int
open_error(const char *path, struct err *e)
{
	if (errno == ELOOP || errno == ENXIO)
		return err_set(e, ERR_FORMAT, "%s is not a regular file", path);
	if (errno == ENOTDIR)
		return err_set(e, ERR_FORMAT, "%s: what should be a directory above it is none", path);
	return err_errno(e, "open %s", path);
}

/* Part by part, each without following a link; ${flags} for the last. */
static int
parts_open(int dirfd, const char *path, int flags, struct err *e)
{
	char part[PATH_PARTS_LEN + 1];
	int at = dirfd, fd;

	for (const char *p = path;; ) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > PATH_PARTS_LEN || (n <= 2 && strspn(p, ".") >= n)) {
			(void)err_set(e, ERR_INTERNAL, "%s is not a name on a disk", path);
			fd = -1;
		} else {
			memcpy(part, p, n);
			part[n] = '\0';
			fd = io->open(at, part, O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK |
			    (p[n] == '/' ? O_RDONLY | O_DIRECTORY : flags), 0);
			if (fd == -1)
				(void)open_error(path, e);
		}
		if (at != dirfd)
			(void)io->close(at);
		if (fd == -1 || p[n] == '\0')
			return fd;
		at = fd;
		p += n + 1;
	}
}

int
image_file_open(int dirfd, const char *path, uint64_t *len, struct err *e)
{
	int fd = parts_open(dirfd, path, O_RDONLY, e);
	struct stat st;

	*len = 0;
	if (fd == -1)
		return -1;
	if (io->fstat(fd, &st) != 0) {
		(void)err_errno(e, "open %s", path);
		goto close;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)err_set(e, ERR_FORMAT, "%s is not a regular file", path);
		goto close;
	}
	*len = (uint64_t)st.st_size;
	return fd;
close:
	(void)io->close(fd);
	return -1;
}

int
image_file_read(int dirfd, const char *path, size_t max, uint8_t **out, size_t *len, struct err *e)
{
	uint64_t size;
	ssize_t got;
	int fd = image_file_open(dirfd, path, &size, e), rc = -1;

	*out = NULL;
	*len = 0;
	if (fd == -1)
		return -1;
	if (size > max) {
		(void)err_set(e, ERR_FORMAT, "%s has %llu bytes, at most %zu can be right", path, (unsigned long long)size, max);
		goto close;
	}
	if ((*out = malloc((size_t)size + 1)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "read %s: no memory for %llu bytes", path, (unsigned long long)size);
		goto close;
	}
	if ((got = io_read_full(fd, *out, (size_t)size, 0)) == -1) {
		(void)err_errno(e, "read %s", path);
		free(*out);
		*out = NULL;
		goto close;
	}
	(*out)[got] = 0;
	*len = (size_t)got;
	rc = 0;
close:
	(void)io->close(fd);
	return rc;
}

int
image_subdir_open(int dirfd, const char *path, struct err *e)
{
	return parts_open(dirfd, path, O_RDONLY | O_DIRECTORY, e);
}
