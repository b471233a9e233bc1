#include "common/flow/plan_exact.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/flow/plan_distinct.h"
#include "common/flow/plan_names.h"
#include "common/flow/plan_read.h"

#define TASKS_MAX	16u

/* A bundle, or a big file that is open. */
struct exact_task {
	int fd;			/* -1: a bundle */
	uint64_t size;
	bool sparse;
	uint32_t len;
	uint8_t data[];
};

struct exact {
	const struct plan_options *o;
	const struct plan_keys *k;
	struct plan_distinct *distinct;
	struct queue *tasks;
	struct plan_reader *bundler;	/* the walk's own */
	bool in_large;
	uint64_t avg;
	atomic_uint_fast64_t read, unreadable;
	pthread_mutex_t lock;
	struct err err;			/* of a worker */
};

/* A worker's chunk: compressed only the first time. */
static int
chunk_count(void *arg, struct plan_reader *r, const uint8_t *data, uint32_t len, struct err *e)
{
	struct exact *x = arg;
	uint64_t id = plan_chunk_id(r, data, len);

	if (stop_check(e) != 0)
		return -1;
	if (plan_distinct_claim(x->distinct, id))
		plan_distinct_cost(x->distinct, id, (uint32_t)plan_chunk_cost(r, data, len));
	return 0;
}

static int
file_count(struct exact *x, struct plan_reader *r, const struct exact_task *t, struct err *e)
{
	const struct plan_take take = { chunk_count, x };
	struct plan_piece p = { 0, t->sparse ? 0 : t->size };
	uint64_t got;
	int rc = 0, more = t->sparse ? plan_data_next(t->fd, 0, t->size, &p) : 1;

	while (rc == 0 && more == 1) {
		rc = plan_read_range(r, t->fd, p.offset, p.len, &take, &got, e);
		atomic_fetch_add(&x->read, got);
		more = !t->sparse ? 0 : plan_data_next(t->fd, p.offset + p.len, t->size, &p);
	}
	if (rc == 1 || more == -1)
		atomic_fetch_add(&x->unreadable, 1);
	return rc == -1 ? -1 : 0;
}

static void
work(void *arg)
{
	struct exact *x = arg;
	struct plan_reader *r = plan_reader_new(x->k, x->o->level);
	struct exact_task *t;
	struct err e;

	err_clear(&e);
	if (r == NULL)
		(void)err_set(&e, ERR_MEMORY, "no memory to read with");
	while ((t = queue_get(x->tasks)) != NULL) {
		if (e.code != ERR_NONE)
			;	/* only empties the queue, so that the walk does not wait for ever */
		else if (t->fd == -1)
			(void)chunk_count(x, r, t->data, t->len, &e);
		else
			(void)file_count(x, r, t, &e);
		if (t->fd != -1)
			(void)io->close(t->fd);
		free(t);
	}
	if (e.code != ERR_NONE) {
		(void)pthread_mutex_lock(&x->lock);
		if (x->err.code == ERR_NONE)
			x->err = e;
		(void)pthread_mutex_unlock(&x->lock);
	}
	plan_reader_free(r);
}

static int
task_put(struct exact *x, struct exact_task *t, struct err *e)
{
	if (t == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read with");
	if (queue_put(x->tasks, t) == 0)
		return 0;
	free(t);
	return err_set(e, ERR_INTERNAL, "nobody reads");
}

/* A bundle of the walk's: handed to the workers. */
static int
bundle_hand_on(void *arg, struct plan_reader *r, const uint8_t *data, uint32_t len, struct err *e)
{
	struct exact_task *t = malloc(sizeof(*t) + len);

	(void)r;
	if (t != NULL) {
		t->fd = -1;
		t->len = len;
		memcpy(t->data, data, len);
	}
	return task_put(arg, t, e);
}

static int
exact_dir(void *arg, const struct walk_item *it, struct err *e)
{
	const struct plan_take take = { bundle_hand_on, arg };
	struct exact *x = arg;
	bool large = it->small_bytes > x->avg, end = large || x->in_large;

	x->in_large = large;
	return end ? plan_bundle_end(x->bundler, &take, e) : 0;
}

static int
exact_file(void *arg, const struct walk_item *it, uint64_t data, bool sparse, struct err *e)
{
	const struct plan_take take = { bundle_hand_on, arg };
	struct exact *x = arg;
	int fd = plan_file_open(walk_dir_fd(it->dir), (const char *)it->entry.name.p, it->entry.name.len), rc;
	struct exact_task *t;
	uint64_t got;

	(void)data;
	if (fd == -1) {
		atomic_fetch_add(&x->unreadable, 1);
		return 0;
	}
	if (it->entry.size >= plan_small_below(x->k)) {
		if ((t = malloc(sizeof(*t))) != NULL)
			*t = (struct exact_task){ .fd = fd, .size = it->entry.size, .sparse = sparse };
		if ((rc = task_put(x, t, e)) != 0)
			(void)io->close(fd);
		return rc;
	}
	rc = plan_read_small(x->bundler, fd, it->entry.size, &take, &got, e);
	atomic_fetch_add(&x->read, got);
	if (rc == 1)
		atomic_fetch_add(&x->unreadable, 1);
	(void)io->close(fd);
	return rc == -1 ? -1 : 0;
}

static int
exact_run(struct exact *x, struct err *e)
{
	const struct plan_visit visit = { x, plan_small_below(x->k), x->avg + 1, exact_dir, exact_file };
	const struct plan_take take = { bundle_hand_on, x };
	struct pool *pool = pool_start(x->o->workers != 0 ? x->o->workers : pool_processors(), work, x, e);
	int rc;

	if (pool == NULL)
		return -1;
	if ((rc = plan_names(x->o, &visit, NULL, e)) == 0)
		rc = plan_bundle_end(x->bundler, &take, e);
	queue_close(x->tasks);
	pool_wait(pool);
	if (rc == 0 && x->err.code != ERR_NONE) {
		*e = x->err;
		rc = -1;
	}
	return rc;
}

int
plan_exact(const struct plan_options *o, const struct plan_keys *k, struct plan_result *r, struct err *e)
{
	struct exact x = { .o = o, .k = k, .avg = (uint64_t)plan_small_below(k) * 4, .lock = PTHREAD_MUTEX_INITIALIZER };
	double error = 0;
	uint64_t sum;
	int rc = -1;

	x.distinct = plan_distinct_new(o->memory / 2);
	x.bundler = plan_reader_new(k, o->level);
	if (x.distinct == NULL || x.bundler == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory to read with");
	else if ((x.tasks = queue_new(TASKS_MAX, e)) != NULL)
		rc = exact_run(&x, e);
	if (rc == 0) {
		sum = plan_distinct_sum(x.distinct, &error);
		r->stored.low = (uint64_t)((double)sum * (1 - 2 * error));
		r->stored.high = (uint64_t)((double)sum * (1 + 2 * error));
		r->read_bytes = atomic_load(&x.read);
		r->unreadable = atomic_load(&x.unreadable);
		r->whole = true;
	}
	queue_free(x.tasks);
	plan_reader_free(x.bundler);
	plan_distinct_free(x.distinct);
	(void)pthread_mutex_destroy(&x.lock);
	return rc;
}
