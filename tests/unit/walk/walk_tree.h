#ifndef SAMARA_TESTS_WALK_TREE_H
#define SAMARA_TESTS_WALK_TREE_H

/* A directory of its own for a test, and quick ways to fill it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct tree {
	char path[128];		/* absolute, without symlinks */
	int fd;
};

static inline void
tree_make(struct tree *t)
{
	const char *top = getenv("TMPDIR");
	char raw[128], *real;

	(void)snprintf(raw, sizeof(raw), "%s/samara-walk-XXXXXX", top != NULL && strlen(top) < 64 ? top : "/tmp");
	assert_non_null(mkdtemp(raw));
	assert_non_null(real = realpath(raw, NULL));
	(void)snprintf(t->path, sizeof(t->path), "%s", real);
	free(real);
	assert_int_equal(chmod(t->path, 0755), 0);
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->fd >= 0);
}

static inline void
tree_run(const char *program, const char *options, const char *more, const char *path)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execlp(program, program, options, more, path, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* rm knows how to take trees apart that are deeper than any path, but not closed ones of a user's own. */
static inline void
tree_remove(struct tree *t)
{
	(void)close(t->fd);
	if (geteuid() != 0)
		tree_run("chmod", "-R", "u+rwX", t->path);
	tree_run("rm", "-rf", "--", t->path);
}

static inline void
tree_dir(const struct tree *t, const char *name)
{
	assert_int_equal(mkdirat(t->fd, name, 0755), 0);
}

static inline void
tree_file(const struct tree *t, const char *name, const char *text)
{
	int fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static inline char *
tree_join(const struct tree *t, const char *name)
{
	static char out[8][512];
	static unsigned at;
	char *p = out[at++ % 8];

	(void)snprintf(p, sizeof(out[0]), "%s/%s", t->path, name);
	return p;
}

/* Be another user for a while; stay open to the leak checker, which a change of user would shut out. */
static inline void
tree_user(uid_t uid)
{
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
}

#endif
