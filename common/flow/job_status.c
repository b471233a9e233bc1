#include "common/flow/job_status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/job.h"
#include "common/flow/state.h"

#define JOB_FILE_MAX	48
#define STATUS_MAX	(64u << 10)

struct job_status {
	int jobsfd;
	uint64_t number, started;
	sem_t end;
	pthread_t writer;
};

static int allowed;

void
job_status_allow(int allow)
{
	allowed = allow;
}

/* When a process began, in the system's ticks since it booted; 0 where it is not there. */
static uint64_t
process_started(int64_t pid)
{
	char path[64], text[1024], *p;
	uint64_t started = 0;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	if ((fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)) == -1)
		return 0;
	n = io_read_full(fd, text, sizeof(text) - 1, -1);
	(void)io->close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* The name in brackets may hold anything; it is field 2, the time field 22. */
	p = strrchr(text, ')');
	for (int field = 2; p != NULL && field < 22; field++)
		if ((p = strchr(p, ' ')) != NULL)
			p++;
	if (p != NULL)
		started = strtoull(p, NULL, 10);
	return started;
}

static void
status_write(const struct job_status *s)
{
	struct doc *d = doc_object();
	struct progress_copy c;
	char name[JOB_FILE_MAX], tmp[JOB_FILE_MAX], *text;
	size_t len;
	int fd;

	progress_copy(&c);
	doc_put_i64(d, "pid", getpid());
	doc_put_u64(d, "started", s->started);
	doc_put_str(d, "title", c.title);
	doc_put_str(d, "item", c.item);
	doc_put_str(d, "note", c.note);
	doc_put_u64(d, "total", c.total);
	doc_put_u64(d, "bytes", c.bytes);
	doc_put_u64(d, "items", c.items);
	doc_put_i64(d, "elapsed_ns", c.elapsed_ns);
	doc_put_bool(d, "running", c.running);
	(void)snprintf(name, sizeof(name), "%08" PRIu64 ".now", s->number);
	(void)snprintf(tmp, sizeof(tmp), "%08" PRIu64 ".now~", s->number);
	if (doc_write(d, &text, &len, NULL) == 0) {
		if ((fd = io->open(s->jobsfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) != -1) {
			if (io_write_full(fd, text, len, -1) == 0)
				(void)io->renameat2(s->jobsfd, tmp, s->jobsfd, name, 0);
			(void)io->close(fd);
		}
		free(text);
	}
	doc_free(d);
}

static void *
writer(void *arg)
{
	struct job_status *s = arg;
	struct timespec until;
	int rc;

	do {
		status_write(s);
		(void)clock_gettime(CLOCK_MONOTONIC, &until);	/* as the semaphore does */
		until.tv_sec++;
		while ((rc = sem_clockwait(&s->end, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR)
			;
	} while (rc != 0);
	return NULL;
}

struct job_status *
job_status_start(int jobsfd, uint64_t number)
{
	struct job_status *s;
	sigset_t all, before;
	int rc;

	if (!allowed || (s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->jobsfd = jobsfd;
	s->number = number;
	s->started = process_started(getpid());
	if (sem_init(&s->end, 0, 0) != 0) {
		free(s);
		return NULL;
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->writer, NULL, writer, s);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return s;
	(void)sem_destroy(&s->end);
	free(s);
	return NULL;
}

void
job_status_stop(struct job_status *s)
{
	char name[JOB_FILE_MAX];

	if (s == NULL)
		return;
	(void)sem_post(&s->end);
	(void)pthread_join(s->writer, NULL);
	(void)sem_destroy(&s->end);
	(void)snprintf(name, sizeof(name), "%08" PRIu64 ".now", s->number);
	(void)io->unlinkat(s->jobsfd, name, 0);
	free(s);
}

static void
text_get(const struct doc *d, const char *key, char *out, size_t n)
{
	const char *s = doc_get_str(d, key);

	(void)snprintf(out, n, "%s", s == NULL ? "" : s);
}

int
job_status_read(struct state *s, uint64_t number, struct job_now *now, struct err *e)
{
	char path[JOB_FILE_MAX];
	struct doc *d;
	uint8_t *bytes;
	size_t len;
	int rc = 0;

	memset(now, 0, sizeof(*now));
	(void)snprintf(path, sizeof(path), "jobs/%08" PRIu64 ".now", number);
	if (file_read(s->fd, path, STATUS_MAX, &bytes, &len, e) != 0) {
		if (e == NULL || e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 1;
	}
	d = doc_read(bytes, len, path, e);
	free(bytes);
	if (d == NULL)
		return -1;
	if (doc_get_i64(d, "pid", &now->pid) != 0 || now->pid <= 1 || doc_get_u64(d, "started", &now->started) != 0 ||
	    doc_get_u64(d, "total", &now->progress.total) != 0 || doc_get_u64(d, "bytes", &now->progress.bytes) != 0 ||
	    doc_get_u64(d, "items", &now->progress.items) != 0 ||
	    doc_get_i64(d, "elapsed_ns", &now->progress.elapsed_ns) != 0 ||
	    doc_get_bool(d, "running", &now->progress.running) != 0)
		rc = err_set(e, ERR_STATE, "%s does not say what it should", path);
	text_get(d, "title", now->progress.title, sizeof(now->progress.title));
	text_get(d, "item", now->progress.item, sizeof(now->progress.item));
	text_get(d, "note", now->progress.note, sizeof(now->progress.note));
	doc_free(d);
	return rc;
}

int
job_cancel(struct state *s, uint64_t number, struct err *e)
{
	struct job_info info;
	struct job_now now;
	bool running;
	int fd, rc;

	if ((rc = job_read(s, number, &info, e)) != 0)
		return rc;
	running = info.running;
	job_info_release(&info);
	if (!running)
		return 1;
	if ((rc = job_status_read(s, number, &now, e)) == -1)
		return -1;
	/* The descriptor means one process for good; only then is it looked at who that is. */
	fd = rc == 1 ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)now.pid, 0);
	if (fd == -1 || now.started == 0 || process_started(now.pid) != now.started) {
		if (fd != -1)
			(void)io->close(fd);
		return err_set(e, ERR_BUSY, "job %" PRIu64 " runs, but it cannot be told which process that is", number);
	}
	if ((rc = (int)syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0)) != 0)
		(void)err_errno(e, "ask process %" PRId64 " to stop", now.pid);
	(void)io->close(fd);
	return rc == 0 ? 0 : -1;
}
