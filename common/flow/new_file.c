#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/new_file.h"

int
new_file_dir(const char *path, const char **name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char above[4096];
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	*name = slash == NULL ? path : slash + 1;
	if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0 || n >= sizeof(above))
		return err_set(e, ERR_USAGE, "\"%s\" is not the name of a file", path);
	if (slash == path)
		n = 1;
	memcpy(above, path, n);
	above[n] = '\0';
	return dir_open(AT_FDCWD, n == 0 ? "." : above, e);
}

static int
already_there(const char *path, struct err *e)
{
	return err_set(e, ERR_EXISTS, "%s is already there, and samara writes over nothing", path);
}

int
new_file_check(const char *path, struct err *e)
{
	const char *name;
	struct stat st;
	int rc, fd = new_file_dir(path, &name, e);

	if (fd == -1)
		return err_during(e, "write %s", path);
	if (io->fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		rc = already_there(path, e);
	else
		rc = errno == ENOENT ? 0 : err_errno(e, "write %s", path);
	(void)io->close(fd);
	return rc;
}

int
new_file_put(const char *path, const void *data, size_t len, struct err *e)
{
	const char *name;
	int rc, fd = new_file_dir(path, &name, e);

	if (fd == -1)
		return err_during(e, "write %s", path);
	rc = file_put_new(fd, name, data, len, 0600 | FILE_PLAIN_RENAME, e);
	(void)io->close(fd);
	if (rc == 1)
		return already_there(path, e);
	return rc == 0 ? 0 : err_during(e, "write %s", path);
}
