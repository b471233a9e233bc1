#include "common/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/base/text.h"

#define LOOK_MS		20	/* between two looks at whether it has ended */

extern char **environ;

/* Whether ${more} says something else of a variable. */
static bool
is_replaced(const char *ours, const char *const more[])
{
	size_t name = strcspn(ours, "=") + 1;

	for (size_t i = 0; more != NULL && more[i] != NULL; i++)
		if (strncmp(ours, more[i], name) == 0)
			return true;
	return false;
}

/* ${more}, and what it leaves of our environment. */
static char **
environment(const char *const more[])
{
	size_t ours = 0, n = 0;
	char **env;

	while (environ != NULL && environ[ours] != NULL)
		ours++;
	while (more != NULL && more[n] != NULL)
		n++;
	if ((env = calloc(ours + n + 1, sizeof(char *))) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		memcpy(&env[i], &more[i], sizeof(char *));
	for (size_t i = 0; i < ours; i++)
		if (!is_replaced(environ[i], more))
			env[n++] = environ[i];
	return env;
}

/* A child begins with the signals that any program expects. */
static int
attributes_set(posix_spawnattr_t *a)
{
	sigset_t none, usual;

	(void)sigemptyset(&none);
	(void)sigemptyset(&usual);
	(void)sigaddset(&usual, SIGPIPE);
	(void)sigaddset(&usual, SIGHUP);
	(void)sigaddset(&usual, SIGUSR1);
	if (posix_spawnattr_init(a) != 0)
		return -1;
	(void)posix_spawnattr_setsigmask(a, &none);
	(void)posix_spawnattr_setsigdefault(a, &usual);
	(void)posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return 0;
}

static int
start(const char *const argv[], char **env, int in, int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char *const *words;
	int rc;

	memcpy(&words, &argv, sizeof(words));	/* posix_spawn leaves them as they are */
	if (attributes_set(&attr) != 0)
		return ENOMEM;
	if ((rc = posix_spawn_file_actions_init(&actions)) == 0) {
		rc = in == -1 ? posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) :
		    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
		if (rc == 0)
			rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
		if (rc == 0)
			rc = posix_spawnp(pid, argv[0], &actions, &attr, words, env);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attr);
	return rc;
}

/* What the child prints: 0 at its end. */
static int
take_output(int fd, char *out, size_t n, size_t *at)
{
	char waste[512];
	ssize_t got;

	/* All is read, so that it does not wait for us; what has no room is dropped. */
	got = *at + 1 < n ? read(fd, out + *at, n - 1 - *at) : read(fd, waste, sizeof(waste));
	if (got > 0 && *at + 1 < n)
		*at += (size_t)got;
	return got > 0 || (got == -1 && errno == EINTR);
}

/*
 * Until the child has ended (and its output, where that is wanted).  Who is
 * asked to stop meanwhile asks the child too; one that is started to clean up
 * after a stop (${stopped}, before it began) runs to its end.
 */
static int
wait_for(pid_t pid, bool stopped, int fd, char *out, size_t n)
{
	int status = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t at = 0;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0 || (got == -1 && errno == EINTR)) {
		if (!stopped && stop_asked()) {
			stopped = true;
			(void)kill(pid, SIGTERM);
		}
		if (poll(&p, p.fd == -1 ? 0 : 1, LOOK_MS) > 0 && !take_output(p.fd, out, n, &at))
			p.fd = -1;
	}
	/* What it left in the pipe; whoever else holds that open is not waited for. */
	while (p.fd != -1 && poll(&p, 1, 0) > 0 && take_output(p.fd, out, n, &at))
		;
	if (out != NULL)
		out[at] = '\0';
	return status;
}

static int
run(const char *const argv[], const char *const more[], int in, char *out, size_t n, struct err *e)
{
	char safe[512], **env = environment(more);
	int pipefd[2] = { -1, -1 }, status, rc;
	bool stopped;
	pid_t pid;

	(void)text_safe(safe, sizeof(safe), argv[0], strlen(argv[0]));
	if (env == NULL || (out != NULL && pipe2(pipefd, O_CLOEXEC) != 0)) {
		(void)err_errno(e, "run %s", safe);
		free(env);
		return -1;
	}
	stopped = stop_asked();
	rc = start(argv, env, in, out != NULL ? pipefd[1] : STDERR_FILENO, &pid);
	free(env);
	if (out != NULL)
		(void)io->close(pipefd[1]);
	status = rc == 0 ? wait_for(pid, stopped, pipefd[0], out, n) : 0;
	if (out != NULL)
		(void)io->close(pipefd[0]);
	if (rc != 0)
		return err_set(e, ERR_PROGRAM, "%s cannot be run: %s", safe, strerror(rc));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
child_run(const char *const argv[], const char *const more[], char *out, size_t n, struct err *e)
{
	return run(argv, more, -1, out, n, e);
}

/* 0 for an end with status 0; any other is an error in words. */
static int
judge(const char *program, int rc, struct err *e)
{
	char safe[512];

	if (rc <= 0)
		return rc;
	(void)text_safe(safe, sizeof(safe), program, strlen(program));
	if (rc >= 128)
		return err_set(e, ERR_PROGRAM, "%s was ended by signal %d", safe, rc - 128);
	return err_set(e, ERR_PROGRAM, "%s ended with status %d", safe, rc);
}

int
child_must(const char *const argv[], const char *const more[], char *out, size_t n, struct err *e)
{
	return judge(argv[0], run(argv, more, -1, out, n, e), e);
}

int
child_feed(const char *const argv[], const char *const more[], const void *in, size_t len, struct err *e)
{
	int fd = memfd_create("samara", MFD_CLOEXEC), rc;

	if (fd == -1 || io_write_full(fd, in, len, 0) != 0) {
		(void)err_errno(e, "run %s", argv[0]);
		if (fd != -1)
			(void)io->close(fd);
		return -1;
	}
	(void)io->lseek(fd, 0, SEEK_SET);
	rc = judge(argv[0], run(argv, more, fd, NULL, 0, e), e);
	(void)io->close(fd);
	return rc;
}
