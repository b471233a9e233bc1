/* What is on record of jobs. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/buf.h"
#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/flow/job.h"
#include "common/flow/state.h"

#define JOB_NAME_MAX	48
#define JOB_RECORD_MAX	(256u << 10)
#define READ_LEN	(64u << 10)
#define LINE_MAX_LEN	(1u << 20)	/* a longer one was not written by job_warn */

/* The number in "NNNNNNNN.json" or ".warn", or 0. */
static uint64_t
number_of(const char *name)
{
	char again[JOB_NAME_MAX];
	uint64_t number = strtoull(name, NULL, 10);

	(void)snprintf(again, sizeof(again), "%08" PRIu64 ".json", number);
	if (strcmp(name, again) == 0)
		return number;
	(void)snprintf(again, sizeof(again), "%08" PRIu64 ".warn", number);
	return strcmp(name, again) == 0 ? number : 0;
}

static int
number_order(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int
job_list(struct state *s, uint64_t **numbers, size_t *n, struct err *e)
{
	size_t count, kept = 0;
	char **names;

	*numbers = NULL;
	*n = 0;
	if (dir_list(s->fd, "jobs", &names, &count, e) != 0) {
		if (e == NULL || e->code != ERR_NOT_FOUND)
			return err_during(e, "state %s", s->path);
		err_clear(e);
		return 0;
	}
	if ((*numbers = calloc(count + 1, sizeof(**numbers))) == NULL) {
		dir_list_free(names, count);
		return err_errno(e, "list jobs");
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t number = number_of(names[i]);

		if (number != 0)
			(*numbers)[kept++] = number;
	}
	dir_list_free(names, count);
	qsort(*numbers, kept, sizeof(**numbers), number_order);
	for (size_t i = 0; i < kept; i++)	/* a job has two files */
		if (*n == 0 || (*numbers)[*n - 1] != (*numbers)[i])
			(*numbers)[(*n)++] = (*numbers)[i];
	return 0;
}

/* Whether a process holds the lock on the warnings of a job. */
static bool
is_running(struct state *s, uint64_t number)
{
	char path[JOB_NAME_MAX];
	bool held;
	int fd;

	(void)snprintf(path, sizeof(path), "jobs/%08" PRIu64 ".warn", number);
	if ((fd = io->open(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0)) == -1)
		return false;
	held = io->flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	(void)io->close(fd);
	return held;
}

static void
warning_count(void *arg, const char *text)
{
	uint64_t *n = arg;

	(void)text;
	(*n)++;
}

static int
info_fill(struct job_info *info, const struct doc *d, struct err *e)
{
	const char *kind = doc_get_str(d, "kind"), *what = doc_get_str(d, "what"), *result = doc_get_str(d, "result");
	int64_t status = 0;

	if (kind == NULL || what == NULL || doc_get_i64(d, "start", &info->start) != 0)
		return err_set(e, ERR_STATE, "fields are missing");
	if (doc_get_i64(d, "end", &info->end) == 0 &&
	    (result == NULL || doc_get_i64(d, "exit", &status) != 0 || status < 0 || status > 255 ||
	    doc_get_u64(d, "warnings", &info->warnings) != 0))
		return err_set(e, ERR_STATE, "fields are missing");
	info->exit = (int)status;
	if ((info->kind = strdup(kind)) == NULL || (info->what = strdup(what)) == NULL ||
	    (result != NULL && (info->result = strdup(result)) == NULL))
		return err_errno(e, "read it");
	return 0;
}

int
job_read(struct state *s, uint64_t number, struct job_info *info, struct err *e)
{
	char path[JOB_NAME_MAX];
	struct doc *d = NULL;
	uint8_t *bytes;
	size_t len;
	int rc = -1;

	*info = (struct job_info){ .number = number };
	(void)snprintf(path, sizeof(path), "jobs/%08" PRIu64 ".json", number);
	if (file_read(s->fd, path, JOB_RECORD_MAX, &bytes, &len, e) != 0) {
		if (e == NULL || e->code != ERR_NOT_FOUND)
			return err_during(e, "job %" PRIu64, number);
		err_clear(e);
		return 1;
	}
	if ((d = doc_read(bytes, len, path, e)) != NULL && info_fill(info, d, e) == 0)
		rc = 0;
	doc_free(d);
	free(bytes);
	if (rc == 0 && info->result == NULL) {
		info->running = is_running(s, number);
		rc = job_each_warning(s, number, warning_count, &info->warnings, e);
	}
	if (rc == 0)
		return 0;
	job_info_release(info);
	return err_during(e, "job %" PRIu64, number);
}

void
job_info_release(struct job_info *info)
{
	free(info->kind);
	free(info->what);
	free(info->result);
	*info = (struct job_info){ .number = info->number };
}

/* Hand out the whole lines of ${b} and keep the rest in it. */
static int
lines_give(struct buf *b, void (*fn)(void *arg, const char *text), void *arg, struct err *e)
{
	size_t at = 0;
	uint8_t *nl;

	while ((nl = memchr(b->p + at, '\n', b->len - at)) != NULL) {
		const char *line = (const char *)b->p + at;

		*nl = '\0';
		if (text_is_printable(line, strlen(line)))
			fn(arg, line);
		else
			fn(arg, "(a damaged line)");
		at = (size_t)(nl - b->p) + 1;
	}
	memmove(b->p, b->p + at, b->len - at);
	b->len -= at;
	if (b->len > LINE_MAX_LEN)
		return err_set(e, ERR_STATE, "a warning has no end");
	return 0;
}

int
job_each_warning(struct state *s, uint64_t number, void (*fn)(void *arg, const char *text), void *arg, struct err *e)
{
	char path[JOB_NAME_MAX];
	struct buf b;
	ssize_t got = 0;
	int fd, rc = 0;

	(void)snprintf(path, sizeof(path), "jobs/%08" PRIu64 ".warn", number);
	if ((fd = io->open(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0)) == -1)
		return errno == ENOENT ? 0 : err_errno(e, "read %s", path);
	buf_init(&b);
	while (rc == 0) {
		uint8_t *room = buf_room(&b, READ_LEN);

		if (room == NULL) {
			rc = buf_check(&b, e);
			break;
		}
		if ((got = io_read_full(fd, room, READ_LEN, -1)) <= 0)
			break;
		buf_grew(&b, (size_t)got);
		rc = lines_give(&b, fn, arg, e);
	}
	if (got == -1)
		rc = err_errno(e, "read %s", path);
	buf_release(&b);
	(void)io->close(fd);
	return rc;
}
