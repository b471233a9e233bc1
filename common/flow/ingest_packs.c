/*
 * The packs of a disk: one thread reads them in order, each in one piece; the
 * checkers (ingest_check.h) check them and store what can be stored as it is;
 * this one keeps the books.  What is in hand at once is bounded by the number
 * of slots.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/flow/ingest_books.h"
#include "common/flow/ingest_check.h"
#include "common/flow/ingest_mend.h"
#include "common/flow/ingest_rows.h"

struct line {
	struct ingest *g;
	struct checkers *checkers;
	struct ingest_mend *mend;	/* damaged packs; NULL: the disk has no parity */
	struct queue *idle, *done;
	struct pack_slot **slots;
	unsigned nslots;
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
		if (l->g->o->watch != NULL)
			(void)atomic_fetch_add(&l->g->o->watch->read, s->file_len);
		if (checkers_put(l->checkers, s) != 0)
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
	(void)queue_put(l->done, &l->last);
}

/* A checked pack: aside where parity may make it again, else into the books. */
static int
books_take(struct line *l, struct books *b, struct pack_slot *s, struct err *e)
{
	if (!ingest_mend_takes(l->mend, s))
		return books_slot(b, s, e);
	return ingest_mend_is_full(l->mend) ? ingest_mend_run(l->mend, b, e) : 0;
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
		if (rc == 0 && (rc = books_take(l, b, s, e)) != 0) {
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
	struct pool *one;
	int rc;

	if ((one = pool_start(1, reader, l, e)) == NULL)
		return -1;
	rc = keep_books(l, b, e);
	pool_wait(one);
	if (rc == 0 && l->reader_failed) {
		if (e != NULL)
			*e = l->reader_err;
		rc = -1;
	}
	return rc;
}

static int
line_make(struct line *l, struct ingest *g, struct checkers *c, struct err *e)
{
	unsigned n = checkers_slots(c);

	l->g = g;
	l->checkers = c;
	if ((l->slots = calloc(n, sizeof(struct pack_slot *))) == NULL)
		return err_errno(e, "%s", g->name);
	if ((l->idle = queue_new(n, e)) == NULL || (l->done = queue_new(n + 1, e)) == NULL)
		return -1;
	for (; l->nslots < n; l->nslots++) {
		struct pack_slot *s = pack_slot_new(e);

		if (s == NULL)
			return -1;
		s->g = g;
		s->done = l->done;
		l->slots[l->nslots] = s;
		(void)queue_put(l->idle, s);
	}
	return 0;
}

static void
line_end(struct line *l)
{
	for (unsigned i = 0; i < l->nslots; i++)
		pack_slot_free(l->slots[i]);
	free(l->slots);
	queue_free(l->idle);
	queue_free(l->done);
}

static int
line_through(struct ingest *g, struct checkers *c, struct err *e)
{
	struct line l = { .g = g };
	struct books *b = NULL;
	int rc = -1;

	l.mend = ingest_mend_new(g);
	if (line_make(&l, g, c, e) == 0 && (b = books_new(g, e)) != NULL && line_run(&l, b, e) == 0 &&
	    ingest_mend_run(l.mend, b, e) == 0)
		rc = books_end(b, e);
	else if (b != NULL)
		(void)books_end(b, NULL);	/* what is stored stays; the books had better know it */
	books_free(b);
	ingest_mend_free(l.mend);
	line_end(&l);
	return rc;
}

int
ingest_packs(struct ingest *g, struct err *e)
{
	const struct ingest_options *o = g->o;
	struct checkers *own = NULL;
	int rc;

	if (g->to_read == 0)
		return 0;
	if (o->watch != NULL)
		(void)atomic_fetch_add(&o->watch->total, g->to_read);
	else
		progress_start(g->name, g->to_read);
	if (o->checkers == NULL && (own = checkers_new(o->jobs, o->memory, 1, e)) == NULL)
		rc = -1;
	else
		rc = line_through(g, own != NULL ? own : o->checkers, e);
	checkers_free(own);
	if (o->watch == NULL)
		progress_end();
	return rc;
}
