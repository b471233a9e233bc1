#include "seed/seed_background.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/base/progress.h"
#include "common/flow/job.h"
#include "seed/seed_commands.h"

static int report_fd = -1;

/* In the new process: the job stands on record; nothing is left to say to a person here. */
static void
terminal_leave(void *arg, uint64_t number, int jobsfd)
{
	char name[48];
	int null = io->open(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0), out;

	(void)arg;
	(void)snprintf(name, sizeof(name), "%08" PRIu64 ".out", number);
	out = io->open(jobsfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	(void)setsid();
	(void)io_write_full(report_fd, &number, sizeof(number), -1);
	(void)io->close(report_fd);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(out != -1 ? out : null, STDOUT_FILENO);
	(void)dup2(out != -1 ? out : null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		(void)io->close(null);
	if (out > STDERR_FILENO)
		(void)io->close(out);
}

/* In the first process: what came of it. */
static int
wait_for(int fd, pid_t pid)
{
	uint64_t number;
	struct out *o;
	struct err e;
	int status;

	if (io_read_full(fd, &number, sizeof(number), -1) == (ssize_t)sizeof(number)) {
		out_text("job %" PRIu64 " goes on in the background. See it: samara-seed jobs watch %" PRIu64 "\n", number, number);
		o = out_object("summary");
		out_u64(o, "job", number);
		out_bool(o, "background", 1);
		out_emit(o);
		err_clear(&e);
		return out_finish(&e) == 0 ? 0 : 1;
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int
seed_background(struct err *e)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_errno(e, "go to the background");
	if ((pid = fork()) == -1) {
		(void)err_errno(e, "go to the background");
		(void)io->close(fds[0]);
		(void)io->close(fds[1]);
		return -1;
	}
	if (pid != 0) {
		(void)io->close(fds[1]);
		_exit(wait_for(fds[0], pid));
	}
	(void)io->close(fds[0]);
	report_fd = fds[1];
	progress_allow(0);
	job_announce(terminal_leave, NULL);
	return 0;
}
