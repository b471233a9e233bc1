#include "common/flow/awake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/io.h"
#include "common/base/text.h"

extern char **environ;

struct awake {
	int fd;			/* cat reads its other end, until we close it or are gone */
	pid_t pid;
};

/* Start systemd-inhibit with ${in} as its input; it is in a group of its own, so that Ctrl-C is for us alone. */
static int
inhibit_start(char *why, int in, pid_t *pid)
{
	static char program[] = "systemd-inhibit", what[] = "--what=sleep", mode[] = "--mode=block", who[] = "--who=samara", cat[] = "cat";
	char *const argv[] = { program, what, mode, who, why, cat, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	(void)sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -1;
	if (posix_spawnattr_init(&attr) != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return -1;
	}
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO) != 0 ||
	    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) != 0 ||
	    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) != 0 ||
	    posix_spawnp(pid, program, &actions, &attr, argv, environ) != 0 ? -1 : 0;
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return rc;
}

struct awake *
awake_begin(const char *why)
{
	struct awake *a = NULL;
	struct stat st;
	char text[256], safe[200];
	int fds[2];

	if (io->fstatat(AT_FDCWD, "/run/systemd/system", &st, 0) != 0 || pipe2(fds, O_CLOEXEC) != 0)
		return NULL;
	(void)snprintf(text, sizeof(text), "--why=%s", text_safe(safe, sizeof(safe), why, strlen(why)));
	if ((a = calloc(1, sizeof(*a))) != NULL && inhibit_start(text, fds[0], &a->pid) == 0) {
		a->fd = fds[1];
	} else {
		(void)io->close(fds[1]);
		free(a);
		a = NULL;
	}
	(void)io->close(fds[0]);
	return a;
}

void
awake_end(struct awake *a)
{
	if (a == NULL)
		return;
	(void)io->close(a->fd);
	while (waitpid(a->pid, NULL, 0) == -1 && errno == EINTR)
		;
	free(a);
}
