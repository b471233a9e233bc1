#ifndef SAMARA_TESTS_BASE_SCRATCH_H
#define SAMARA_TESTS_BASE_SCRATCH_H

/* A directory of its own for a test, and its removal with all that is in it. */

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Make it and write its name into ${path} of 64 bytes; return a descriptor. */
static inline int
scratch_make(char *path)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	/* Tests count on short paths. */
	(void)snprintf(path, 64, "%s/samara-test-XXXXXX", dir != NULL && dir[0] == '/' && strlen(dir) <= 8 ? dir : "/tmp");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	return fd;
}

static inline int
scratch_drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline void
scratch_remove(const char *path)
{
	assert_int_equal(nftw(path, scratch_drop, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
