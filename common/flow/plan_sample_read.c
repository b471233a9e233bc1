/* Reading a sample, piece by piece in the order of the keys. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/flow/plan_guess.h"
#include "common/flow/plan_read.h"
#include "common/flow/plan_unit.h"

#define BATCH		64u
#define CHUNKS_MAX	(4u << 20)
#define LEAST_READ	(UINT64_C(1) << 30)	/* before the range is believed to be narrow enough */
#define LEAST_CLASSES	256u
#define NARROW		1.10			/* high by low */
#define NAME_STEP	2048u			/* of a path, opened at a time */

/* What came of one unit. */
struct unit_result {
	struct plan_chunk *chunk;
	size_t n, cap;
	uint64_t read;
	uint64_t unreadable;
};

/* A batch under way. */
struct batch {
	const struct plan_sample *s;
	struct plan_reader **readers;
	atomic_uint next_reader, next_unit;
	size_t from, n;
	struct unit_result result[BATCH];
	pthread_mutex_t lock;
	struct err err;
};

struct sampling {
	struct plan_sample *s;
	struct plan_reader **readers;
	unsigned workers;
	struct plan_class *class;
	size_t nclasses, class_cap;
	struct plan_chunk *chunk;
	size_t n, cap;
	uint64_t last_key;
};

static int
chunk_note(void *arg, struct plan_reader *r, const uint8_t *data, uint32_t len, struct err *e)
{
	struct unit_result *u = arg;
	struct plan_chunk *grown;

	if (u->n == u->cap) {
		if ((grown = realloc(u->chunk, (u->cap + 64) * sizeof(*grown))) == NULL)
			return err_errno(e, "read a sample");
		u->chunk = grown;
		u->cap += 64;
	}
	u->chunk[u->n].id = plan_chunk_id(r, data, len);
	u->chunk[u->n++].cost = (uint32_t)plan_chunk_cost(r, data, len);
	return 0;
}

/* A directory by its absolute name, of any length, step by step.  Descriptor or -1 with errno. */
static int
dir_by_name(const char *path, size_t len)
{
	int fd = io->open(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0), next;
	char step[NAME_STEP + 1];
	size_t n, sys;

	while (fd != -1 && len > 0) {
		while (len > 0 && *path == '/') {
			path++;
			len--;
		}
		if (len == 0)
			break;
		n = len;
		if (n > NAME_STEP)
			for (n = NAME_STEP; n > 0 && path[n] != '/'; n--)
				;
		memcpy(step, path, n);
		step[n] = '\0';
		next = io->open(fd, step, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
		sys = (size_t)errno;
		(void)io->close(fd);
		errno = (int)sys;
		fd = next;
		path += n;
		len -= n;
	}
	return fd;
}

/* A file by its absolute name. */
static int
file_by_name(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	int dirfd = dir_by_name(path, (size_t)(name - path)), fd = -1;

	if (dirfd != -1) {
		fd = plan_file_open(dirfd, name, strlen(name));
		(void)io->close(dirfd);
	}
	return fd;
}

static int
piece_read(const struct plan_unit *u, struct plan_reader *r, struct unit_result *res, struct err *e)
{
	const struct plan_take take = { chunk_note, res };
	struct plan_piece p = { u->offset, u->sparse ? 0 : u->len };
	uint64_t end = u->offset + u->len, got;
	int fd = file_by_name(u->rows), rc = 0, more = 1;

	if (fd == -1) {
		res->unreadable = 1;
		return 0;
	}
	if (u->sparse)
		more = plan_data_next(fd, u->offset, end, &p);
	while (rc == 0 && more == 1) {
		rc = plan_read_range(r, fd, p.offset, p.len, &take, &got, e);
		res->read += got;
		more = u->sparse ? plan_data_next(fd, p.offset + p.len, end, &p) : 0;
	}
	if (rc == 1 || more == -1)
		res->unreadable = 1;
	(void)io->close(fd);
	return rc == -1 ? -1 : 0;
}

static int
run_read(const struct plan_unit *u, struct plan_reader *r, struct unit_result *res, struct err *e)
{
	const struct plan_take take = { chunk_note, res };
	const char *row = u->rows, *end = u->rows + u->rows_len;
	int dirfd = -1, fd, rc = 0;
	uint64_t got;

	for (; row < end && rc != -1; row += strlen(row) + 1) {
		if (*row == 'D') {
			if (dirfd != -1)
				(void)io->close(dirfd);
			dirfd = dir_by_name(row + 1, strlen(row + 1));
			continue;
		}
		rc = 1;
		got = 0;
		if (dirfd != -1 && (fd = plan_file_open(dirfd, row + 1, strlen(row + 1))) != -1) {
			rc = plan_read_small(r, fd, UINT64_MAX, &take, &got, e);
			(void)io->close(fd);
		}
		res->read += got;
		res->unreadable += rc == 1;
	}
	if (dirfd != -1)
		(void)io->close(dirfd);
	return rc == -1 ? -1 : plan_bundle_end(r, &take, e);
}

static void
batch_work(void *arg)
{
	struct batch *b = arg;
	struct plan_reader *r = b->readers[atomic_fetch_add(&b->next_reader, 1)];
	struct err e;
	unsigned i;
	int rc = 0;

	err_clear(&e);
	while (rc == 0 && !stop_asked() && (i = atomic_fetch_add(&b->next_unit, 1)) < b->n) {
		const struct plan_unit *u = b->s->unit[b->from + i];

		rc = u->small ? run_read(u, r, &b->result[i], &e) : piece_read(u, r, &b->result[i], &e);
	}
	if (rc == 0)
		return;
	(void)pthread_mutex_lock(&b->lock);
	b->err = e;
	(void)pthread_mutex_unlock(&b->lock);
}

/* Add the results of a batch in the order of its units, so that they do not hang on who read what. */
static int
batch_take(struct sampling *g, struct batch *b, struct plan_result *r, struct err *e)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct unit_result *u = &b->result[i];
		uint64_t key = g->s->unit[b->from + i]->key;

		if (g->nclasses == 0 || key != g->last_key) {
			if (g->nclasses == g->class_cap) {
				struct plan_class *grown = realloc(g->class, (g->class_cap + 4096) * sizeof(*grown));

				if (grown == NULL)
					return err_errno(e, "read a sample");
				g->class = grown;
				g->class_cap += 4096;
			}
			g->class[g->nclasses++] = (struct plan_class){ 0 };
			g->last_key = key;
		}
		if (g->n + u->n > g->cap) {
			size_t cap = (g->n + u->n) * 2;
			struct plan_chunk *grown = realloc(g->chunk, cap * sizeof(*grown));

			if (grown == NULL)
				return err_errno(e, "read a sample");
			g->chunk = grown;
			g->cap = cap;
		}
		g->class[g->nclasses - 1].bytes += u->read;
		for (size_t k = 0; k < u->n; k++) {
			g->chunk[g->n] = u->chunk[k];
			g->chunk[g->n++].class = (uint32_t)(g->nclasses - 1);
		}
		r->read_bytes += u->read;
		r->unreadable += u->unreadable;
	}
	return 0;
}

static int
batch_run(struct sampling *g, size_t from, size_t n, struct plan_result *r, struct err *e)
{
	struct batch *b = calloc(1, sizeof(*b));
	int rc = -1;

	if (b == NULL)
		return err_errno(e, "read a sample");
	b->s = g->s;
	b->readers = g->readers;
	b->from = from;
	b->n = n;
	err_clear(&b->err);
	(void)pthread_mutex_init(&b->lock, NULL);
	if (pool_run(g->workers, batch_work, b, e) == 0) {
		if (stop_check(e) == 0 && b->err.code != ERR_NONE)
			*e = b->err;
		else if (!stop_asked())
			rc = batch_take(g, b, r, e);
	}
	for (size_t i = 0; i < n; i++)
		free(b->result[i].chunk);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
	return rc;
}

/* The range as it is now. */
static int
guess(struct sampling *g, struct plan_result *r, bool all, struct err *e)
{
	if (g->nclasses == 0) {
		r->stored = (struct plan_range){ 0, r->bytes };
		return 0;
	}
	if (plan_guess(g->class, g->nclasses, g->chunk, g->n, r->bytes, all, &r->stored) != 0)
		return err_errno(e, "read a sample");
	return 0;
}

static bool
is_narrow(const struct sampling *g, const struct plan_result *r)
{
	return r->read_bytes >= LEAST_READ && g->nclasses >= LEAST_CLASSES &&
	    (double)r->stored.high <= (double)r->stored.low * NARROW;
}

static int
read_on(struct sampling *g, int64_t until_ns, struct plan_result *r, struct err *e)
{
	uint64_t most = g->s->o->sample != 0 ? g->s->o->sample : UINT64_MAX, look = LEAST_READ;
	size_t at = 0, n;

	while (at < g->s->n && r->read_bytes < most && g->n < CHUNKS_MAX && io_mono_ns() < until_ns) {
		uint64_t ahead = r->read_bytes;

		/* No more than what is allowed, but at least one. */
		for (n = 0; at + n < g->s->n && n < BATCH && (n == 0 || ahead + g->s->unit[at + n]->bytes <= most); n++)
			ahead += g->s->unit[at + n]->bytes;
		if (batch_run(g, at, n, r, e) != 0)
			return -1;
		at += n;
		if (r->read_bytes < look)
			continue;
		look = r->read_bytes + r->read_bytes / 4;
		if (guess(g, r, false, e) != 0)
			return -1;
		if (is_narrow(g, r))
			return 0;
	}
	r->whole = at == g->s->n && !g->s->limited;
	return guess(g, r, r->whole, e);
}

int
plan_sample_read(struct plan_sample *s, const struct plan_keys *k, int64_t until_ns, struct plan_result *r,
    struct err *e)
{
	struct sampling g = { .s = s };
	int rc = -1;

	if (plan_sample_settle(s, e) != 0)
		return -1;
	g.workers = s->o->workers != 0 ? s->o->workers : pool_processors();
	if ((g.readers = calloc(g.workers, sizeof(struct plan_reader *))) == NULL)
		return err_errno(e, "read a sample");
	for (unsigned i = 0; i < g.workers; i++)
		if ((g.readers[i] = plan_reader_new(k, s->o->level)) == NULL)
			goto out;
	rc = read_on(&g, until_ns, r, e);
out:
	if (rc != 0 && e != NULL && e->code == ERR_NONE)
		(void)err_set(e, ERR_MEMORY, "no memory to read with");
	for (unsigned i = 0; i < g.workers; i++)
		plan_reader_free(g.readers[i]);
	free(g.readers);
	free(g.class);
	free(g.chunk);
	return rc;
}
