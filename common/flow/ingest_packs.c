/*
 * The packs of a disk: one thread reads them in order, each in one piece; some
 * check them and store what can be stored as it is; this one keeps the books.
 * What is in hand at once is bounded by the number of slots.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/flow/ingest_books.h"
#include "common/flow/ingest_rows.h"

#define SLOTS_MOST	64u
#define MEMORY_DEFAULT	UINT64_C(400000000)

struct line {
	struct ingest *g;
	struct queue *idle, *read, *done;
	struct pack_slot *slots[SLOTS_MOST];
	unsigned nslots, workers;
	struct pack_slot last;		/* its address says on done: the reader has ended, ${sent} is known */
	uint64_t sent;
	atomic_int halt;		/* something failed: read no more */
	int reader_failed;
	struct err reader_err;
};

static int
pack_slot_fill(struct pack_slot *s, const struct disk_row *row, uint8_t plan, struct err *e)
{
	if (row->table_len > s->table_cap) {
		uint8_t *more = realloc(s->table, row->table_len);

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for packs in hand");
		s->table = more;
		s->table_cap = row->table_len;
	}
	memcpy(s->table, row->table, row->table_len);
	memcpy(s->foot, row->foot, PACK_FOOT_LEN);
	s->table_len = row->table_len;
	s->number = row->number;
	s->file_len = row->file_len;
	s->plan = plan;
	return 0;
}

static int
read_all(struct line *l, struct disk_rows *r, struct err *e)
{
	struct disk_row next;
	int rc;

	for (uint32_t row = 0; (rc = disk_rows_next(r, &next, e)) == 1; row++) {
		struct pack_slot *s;

		if (atomic_load(&l->halt))
			return 0;
		if (row >= l->g->rows)
			return err_set(e, ERR_DAMAGE, "%s: its index changed while it was read", l->g->name);
		if (l->g->plan[row] == PLAN_SKIP)
			continue;
		if (stop_check(e) != 0)
			return -1;
		if ((s = queue_get(l->idle)) == NULL)
			return 0;
		if (pack_slot_fill(s, &next, l->g->plan[row], e) != 0 ||
		    pack_slot_read(l->g, s, e) != 0)
			return -1;
		progress_add(s->len, 1);
		if (queue_put(l->read, s) != 0)
			return 0;
		l->sent++;
	}
	return rc;
}

static void
reader(void *arg)
{
	struct line *l = arg;
	struct disk_rows *r;

	err_clear(&l->reader_err);
	if ((r = disk_rows_new(l->g, &l->reader_err)) == NULL || read_all(l, r, &l->reader_err) != 0)
		l->reader_failed = 1;
	disk_rows_free(r);
	queue_close(l->read);
	(void)queue_put(l->done, &l->last);
}

static void
worker(void *arg)
{
	struct line *l = arg;
	struct pack_slot *s;

	while ((s = queue_get(l->read)) != NULL) {
		pack_slot_check(l->g, s);
		(void)queue_put(l->done, s);
	}
}

/* Until all that was read has come back; after a failure only to empty the line. */
static int
keep_books(struct line *l, struct books *b, struct err *e)
{
	uint64_t got = 0, all = UINT64_MAX;
	int rc = 0;

	while (got < all) {
		struct pack_slot *s = queue_get(l->done);

		if (s == &l->last) {
			all = l->sent;
			continue;
		}
		got++;
		if (rc == 0 && (rc = books_slot(b, s, e)) != 0) {
			atomic_store(&l->halt, 1);
			queue_close(l->idle);
		}
		(void)queue_put(l->idle, s);
	}
	return rc;
}

static int
line_run(struct line *l, struct books *b, struct err *e)
{
	struct pool *one, *many;
	int rc = -1;

	if ((one = pool_start(1, reader, l, e)) == NULL)
		return -1;
	if ((many = pool_start(l->workers, worker, l, e)) == NULL) {
		atomic_store(&l->halt, 1);
		queue_close(l->idle);
		queue_close(l->read);
		pool_wait(one);
		return -1;
	}
	rc = keep_books(l, b, e);
	pool_wait(many);
	pool_wait(one);
	if (rc == 0 && l->reader_failed) {
		if (e != NULL)
			*e = l->reader_err;
		rc = -1;
	}
	return rc;
}

static int
line_make(struct line *l, struct ingest *g, struct err *e)
{
	uint64_t memory = g->o->memory > 0 ? g->o->memory : MEMORY_DEFAULT;

	l->g = g;
	l->workers = g->o->jobs > 0 ? g->o->jobs : pool_processors();
	if (l->workers > SLOTS_MOST / 2)
		l->workers = SLOTS_MOST / 2;
	/* A quarter for what is gathered, looked up and cached. */
	l->nslots = (unsigned)(memory / 4 * 3 / PACK_LEN_MAX);
	if (l->nslots > l->workers + 4)
		l->nslots = l->workers + 4;
	if (l->nslots < 2)
		l->nslots = 2;
	if ((l->idle = queue_new(SLOTS_MOST, e)) == NULL || (l->read = queue_new(SLOTS_MOST, e)) == NULL ||
	    (l->done = queue_new(SLOTS_MOST, e)) == NULL)
		return -1;
	for (unsigned i = 0; i < l->nslots; i++)
		if ((l->slots[i] = pack_slot_new(e)) == NULL || queue_put(l->idle, l->slots[i]) != 0)
			return -1;
	return 0;
}

static void
line_end(struct line *l)
{
	for (unsigned i = 0; i < l->nslots; i++)
		pack_slot_free(l->slots[i]);
	queue_free(l->idle);
	queue_free(l->read);
	queue_free(l->done);
}

int
ingest_packs(struct ingest *g, struct err *e)
{
	struct line l = { .g = g };
	struct books *b = NULL;
	int rc = -1;

	if (g->to_read == 0)
		return 0;
	progress_start(g->name, g->to_read);
	if (line_make(&l, g, e) == 0 && (b = books_new(g, e)) != NULL && line_run(&l, b, e) == 0)
		rc = books_end(b, e);
	else if (b != NULL)
		(void)books_end(b, NULL);	/* what is stored stays; the books had better know it */
	progress_end();
	books_free(b);
	line_end(&l);
	return rc;
}
