#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/flow/job.h"
#include "common/flow/job_status.h"
#include "common/flow/state.h"

#define JOB_NAME_MAX	48
#define JOB_TRIES	1000

struct job {
	int dirfd;		/* of jobs/ */
	int fd;			/* of the warnings, locked */
	uint64_t number;
	int64_t start;
	char *kind, *what;
	pthread_mutex_t lock;
	uint64_t warnings, lost;	/* lost: could not be written */
	struct job_status *status;
};

static struct {
	void (*fn)(void *arg, uint64_t number, int jobsfd);
	void *arg;
} announce;

void
job_announce(void (*fn)(void *arg, uint64_t number, int jobsfd), void *arg)
{
	announce.fn = fn;
	announce.arg = arg;
}

static void
job_name(char out[JOB_NAME_MAX], uint64_t number, const char *end)
{
	(void)snprintf(out, JOB_NAME_MAX, "%08" PRIu64 ".%s", number, end);
}

/* Take the first free number from ${number} on, by making and locking its file of warnings. */
static int
number_take(struct job *j, uint64_t number, struct err *e)
{
	char name[JOB_NAME_MAX];

	for (int i = 0; i < JOB_TRIES; i++, number++) {
		job_name(name, number, "warn");
		j->fd = io->open(j->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_APPEND, 0600);
		if (j->fd == -1 && errno == EEXIST)
			continue;
		if (j->fd == -1 || io->flock(j->fd, LOCK_EX | LOCK_NB) != 0)
			return err_errno(e, "make %s", name);
		j->number = number;
		return 0;
	}
	return err_set(e, ERR_BUSY, "no number is free for a job");
}

/* The record as it stands now, as JSON in a new ${text}. */
static int
record_make(const struct job *j, const int *exit, const char *result, char **text, size_t *len, struct err *e)
{
	struct doc *d = doc_object();
	int rc;

	doc_put_u64(d, "number", j->number);
	doc_put_str(d, "kind", j->kind);
	doc_put_name(d, "what", j->what, strlen(j->what));
	doc_put_i64(d, "start", j->start);
	if (exit != NULL) {
		doc_put_i64(d, "end", io_now());
		doc_put_i64(d, "exit", *exit);
		doc_put_name(d, "result", result, strlen(result));
		doc_put_u64(d, "warnings", j->warnings);
		doc_put_u64(d, "warnings_lost", j->lost);
	}
	rc = doc_write(d, text, len, e);
	doc_free(d);
	return rc;
}

static void
job_free(struct job *j)
{
	if (j->fd != -1)
		(void)io->close(j->fd);
	if (j->dirfd != -1)
		(void)io->close(j->dirfd);
	(void)pthread_mutex_destroy(&j->lock);
	free(j->kind);
	free(j->what);
	free(j);
}

struct job *
job_start(struct state *s, const char *kind, const char *what, struct err *e)
{
	struct job *j = calloc(1, sizeof(*j));
	uint64_t *numbers = NULL;
	char name[JOB_NAME_MAX], *text = NULL;
	size_t n, len;

	if (j == NULL) {
		(void)err_errno(e, "start a job");
		return NULL;
	}
	j->dirfd = j->fd = -1;
	j->start = io_now();
	(void)pthread_mutex_init(&j->lock, NULL);
	if ((j->kind = strdup(kind)) == NULL || (j->what = strdup(what)) == NULL) {
		(void)err_errno(e, "start a job");
		goto fail;
	}
	if (dir_make(s->fd, "jobs", 0700, e) != 0 || (j->dirfd = dir_open(s->fd, "jobs", e)) == -1 ||
	    job_list(s, &numbers, &n, e) != 0 || number_take(j, n == 0 ? 1 : numbers[n - 1] + 1, e) != 0 ||
	    record_make(j, NULL, NULL, &text, &len, e) != 0)
		goto fail;
	job_name(name, j->number, "json");
	if (file_replace(j->dirfd, name, text, len, 0600, e) != 0)
		goto fail;
	free(numbers);
	free(text);
	if (announce.fn != NULL)
		announce.fn(announce.arg, j->number, j->dirfd);
	announce.fn = NULL;
	j->status = job_status_start(j->dirfd, j->number);
	return j;
fail:
	(void)err_during(e, "start a job");
	free(numbers);
	free(text);
	job_free(j);
	return NULL;
}

uint64_t
job_number(const struct job *j)
{
	return j->number;
}

/* One whole line, so that nothing comes between its parts. */
static int
line_write(int fd, const char *raw, size_t len)
{
	char *line = malloc(len * 4 + 8);
	int rc;

	if (line == NULL)
		return -1;
	(void)text_line(line, len * 4 + 4, raw);
	len = strlen(line);
	line[len] = '\n';
	rc = io_write_full(fd, line, len + 1, -1);
	free(line);
	return rc;
}

void
job_warn(struct job *j, const char *fmt, ...)
{
	char *raw;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&raw, fmt, ap);
	va_end(ap);
	(void)pthread_mutex_lock(&j->lock);
	j->warnings++;
	if (n == -1 || line_write(j->fd, raw, (size_t)n) != 0)
		j->lost++;
	(void)pthread_mutex_unlock(&j->lock);
	if (n != -1)
		free(raw);
}

uint64_t
job_warnings(const struct job *j)
{
	return j->warnings;
}

void
job_end(struct job *j, int exit, const char *result)
{
	char name[JOB_NAME_MAX], *text = NULL;
	struct err e;
	size_t len;

	if (j == NULL)
		return;
	err_clear(&e);
	job_status_stop(j->status);
	if (j->warnings > 0 && io->fsync(j->fd) != 0)
		(void)err_errno(&e, "its warnings");
	job_name(name, j->number, "json");
	if (record_make(j, &exit, result, &text, &len, &e) == 0 &&
	    file_replace(j->dirfd, name, text, len, 0600, &e) == 0 && j->warnings == 0) {
		job_name(name, j->number, "warn");
		(void)io->unlinkat(j->dirfd, name, 0);
	}
	if (e.code != ERR_NONE)
		say_warn("the end of job %" PRIu64 " is not on record: %s", j->number, e.msg);
	free(text);
	job_free(j);
}
