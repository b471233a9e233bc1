#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"

int
dir_open(int dirfd, const char *path, struct err *e)
{
	int fd = io->open(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	return fd != -1 ? fd : err_errno(e, "open the directory %s", path);
}

static int
sync_fd(int fd, const char *what, struct err *e)
{
	if (io->fsync(fd) == 0)
		return 0;
	(void)err_errno(e, "fsync the directory %s", what);
	if (e != NULL)
		e->code = ERR_FSYNC;
	return -1;
}

int
dir_sync(int dirfd, const char *path, struct err *e)
{
	int fd, rc;

	if (path == NULL && dirfd != AT_FDCWD)
		return sync_fd(dirfd, "itself", e);
	if (path == NULL)
		path = ".";
	if ((fd = dir_open(dirfd, path, e)) == -1)
		return -1;
	rc = sync_fd(fd, path, e);
	(void)io->close(fd);
	return rc;
}

/* Sync what lies above the part of ${path} that ends before ${end}. */
static int
sync_above(int dirfd, char *path, char *end, struct err *e)
{
	char *cut = end, keep;
	int rc;

	while (cut > path && cut[-1] != '/')
		cut--;
	if (cut == path)
		return dir_sync(dirfd, ".", e);
	keep = *cut;
	*cut = '\0';
	rc = dir_sync(dirfd, path, e);
	*cut = keep;
	return rc;
}

/*
 * As sync_above, for a part that was there before: a directory above it that
 * this user may not read was not made by samara under this user.
 */
static int
sync_above_there(int dirfd, char *path, char *end, struct err *e)
{
	if (end == NULL || sync_above(dirfd, path, end, e) == 0)
		return 0;
	if (errno != EACCES)
		return -1;
	err_clear(e);
	return 0;
}

/*
 * Make ${path} up to ${end}.  ${there} is the end of the deepest part known to
 * be there already and not yet synced, or NULL: a run that was stopped leaves
 * at most that one unsynced, since each is synced before the next is made.
 */
static int
make_part(int dirfd, char *path, char *end, char **there, unsigned mode, struct err *e)
{
	char keep = *end;
	int made;

	*end = '\0';
	made = io->mkdirat(dirfd, path, (mode_t)mode);
	if (made != 0 && errno != EEXIST) {
		(void)err_errno(e, "make the directory %s", path);
		*end = keep;
		return -1;
	}
	*end = keep;
	if (made != 0) {
		*there = end;
		return 0;
	}
	if (sync_above_there(dirfd, path, *there, e) != 0)
		return -1;
	*there = NULL;
	return sync_above(dirfd, path, end, e);
}

int
dir_make(int dirfd, const char *path, unsigned mode, struct err *e)
{
	char *copy, *end, *there = NULL;
	struct stat st;
	int rc = -1;

	if ((copy = strdup(path)) == NULL)
		return err_errno(e, "make the directory %s", path);
	for (end = copy;;) {
		end += strspn(end, "/");
		if (*end == '\0')
			break;
		end += strcspn(end, "/");
		if (make_part(dirfd, copy, end, &there, mode, e) != 0)
			goto done;
	}
	if (sync_above_there(dirfd, copy, there, e) != 0)
		goto done;
	if (io->fstatat(dirfd, path, &st, 0) != 0)
		(void)err_errno(e, "make the directory %s", path);
	else if (!S_ISDIR(st.st_mode))
		(void)err_set(e, ERR_NOT_FOUND, "%s is there, but is no directory", path);
	else
		rc = 0;
done:
	free(copy);
	return rc;
}

static int
name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Add a copy of ${name} to the array. */
static int
name_add(char ***names, size_t *n, size_t *cap, const char *name)
{
	if (*n == *cap) {
		size_t more = *cap == 0 ? 32 : *cap * 2;
		char **grown = reallocarray(*names, more, sizeof(**names));

		if (grown == NULL)
			return -1;
		*names = grown;
		*cap = more;
	}
	if (((*names)[*n] = strdup(name)) == NULL)
		return -1;
	(*n)++;
	return 0;
}

int
dir_list(int dirfd, const char *path, char ***names, size_t *n, struct err *e)
{
	struct dirent *entry;
	size_t cap = 0;
	DIR *d;
	int fd;

	*names = NULL;
	*n = 0;
	if ((fd = dir_open(dirfd, path, e)) == -1)
		return -1;
	if ((d = io->fdopendir(fd)) == NULL) {
		(void)err_errno(e, "list %s", path);
		(void)io->close(fd);
		return -1;
	}
	while ((errno = 0, entry = io->readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (name_add(names, n, &cap, entry->d_name) != 0)
			goto fail;
	}
	if (errno != 0)
		goto fail;
	(void)io->closedir(d);
	if (*n > 1)
		qsort(*names, *n, sizeof(**names), name_order);
	return 0;
fail:
	(void)err_errno(e, "list %s", path);
	(void)io->closedir(d);
	dir_list_free(*names, *n);
	*names = NULL;
	*n = 0;
	return -1;
}

void
dir_list_free(char **names, size_t n)
{
	for (size_t i = 0; names != NULL && i < n; i++)
		free(names[i]);
	free(names);
}
