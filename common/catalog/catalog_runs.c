#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_runs.h"

#define RUN_ROWS	262144	/* about 20 MB */
#define RUNS_MERGED	8u
#define RUN_ROWS_MOST	(INT64_C(1) << 24)

#define COLUMNS	"(domain INTEGER NOT NULL, id BLOB NOT NULL, writer INTEGER NOT NULL, pack INTEGER NOT NULL," \
	" state INTEGER NOT NULL, PRIMARY KEY(domain, id, writer, pack)) WITHOUT ROWID"

const char runs_schema[] =
    "CREATE TABLE runs(slot INTEGER PRIMARY KEY, level INTEGER NOT NULL, rows INTEGER NOT NULL, top_pack INTEGER NOT NULL);"
    "INSERT INTO runs VALUES(0, 0, 0, 0);"
    "CREATE TABLE copies_0" COLUMNS;

static int64_t run_rows = RUN_ROWS;
static size_t runs_merged = RUNS_MERGED;

void
runs_resize(int64_t rows, size_t merged)
{
	run_rows = rows == 0 ? RUN_ROWS : rows;
	runs_merged = merged == 0 ? RUNS_MERGED : merged;
}

struct statement *
run_statement(struct catalog *c, const char *sql, int64_t slot, struct err *e)
{
	char text[256];
	const char *at = strstr(sql, "%lld");

	(void)snprintf(text, sizeof(text), "%.*s%lld%s", (int)(at - sql), sql, (long long)slot, at + 4);
	return db_statement(c, text, e);
}

/* SQL without values about the table of a slot. */
static int
run_exec(struct catalog *c, const char *sql, int64_t slot, struct err *e)
{
	char text[512];
	const char *at = strstr(sql, "%lld");

	(void)snprintf(text, sizeof(text), "%.*s%lld%s", (int)(at - sql), sql, (long long)slot, at + 4);
	return db_exec(c, text, e);
}

int
runs_list(struct catalog *c, struct runs *r, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT slot, level, rows, top_pack FROM runs ORDER BY slot", e);
	int rc;

	r->n = 0;
	if (s == NULL)
		return -1;
	while ((rc = db_step(c, s, e)) == 1 && r->n < RUNS_MOST) {
		r->run[r->n++] = (struct run){ db_i64(s, 0), db_i64(s, 1), db_i64(s, 2), db_i64(s, 3) };
	}
	if (rc == 1) {
		db_reset(s);
		return err_set(e, ERR_CATALOG, "the catalog has too many runs");
	}
	if (rc == 0 && (r->n == 0 || r->run[0].slot != 0))
		return err_set(e, ERR_CATALOG, "the catalog has no table for new copies");
	return rc;
}

static int
run_note(struct catalog *c, const struct run *r, struct err *e)
{
	struct statement *s = db_statement(c, "INSERT OR REPLACE INTO runs VALUES(?1, ?2, ?3, ?4)", e);

	if (s == NULL)
		return -1;
	db_bind_i64(s, 1, r->slot);
	db_bind_i64(s, 2, r->level);
	db_bind_i64(s, 3, r->rows);
	db_bind_i64(s, 4, r->top_pack);
	return db_run(c, s, e);
}

static int
run_forget(struct catalog *c, int64_t slot, struct err *e)
{
	struct statement *s = db_statement(c, "DELETE FROM runs WHERE slot=?1", e);

	if (s == NULL)
		return -1;
	db_bind_i64(s, 1, slot);
	return db_run(c, s, e) != 0 ? -1 : run_exec(c, "DROP TABLE copies_%lld", slot, e);
}

/* The lowest slot that no run has; runs come in the order of their slots. */
static int64_t
slot_free(const struct runs *r)
{
	int64_t slot = 0;

	for (size_t i = 0; i < r->n && r->run[i].slot == slot; i++)
		slot++;
	return slot;
}

static int
row_take(struct catalog *c, struct run_source *src, struct err *e)
{
	if ((src->is = db_step(c, src->s, e)) != 1)
		return src->is;
	src->row.domain = db_i64(src->s, 0);
	db_bytes(src->s, 1, src->row.id, DIGEST_LEN);
	src->row.writer = db_i64(src->s, 2);
	src->row.pack = db_i64(src->s, 3);
	src->row.state = db_i64(src->s, 4);
	return 0;
}

int
run_stream_open(struct catalog *c, struct run_stream *st, const struct run *run, size_t n, int64_t domain,
    const uint8_t *id, size_t len, struct err *e)
{
	static const uint8_t lowest[1];

	st->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct run_source *src = &st->src[i];

		if ((src->s = run_statement(c, "SELECT domain, id, writer, pack, state FROM copies_%lld"
		    " WHERE (domain, id) > (?1, ?2) ORDER BY domain, id, writer, pack", run[i].slot, e)) == NULL)
			return -1;
		db_bind_i64(src->s, 1, domain);
		db_bind_bytes(src->s, 2, len == 0 ? lowest : id, len);
		st->n++;
		if (row_take(c, src, e) != 0)
			return -1;
	}
	return 0;
}

static int
row_order(const struct run_row *a, const struct run_row *b)
{
	int order;

	if (a->domain != b->domain)
		return a->domain < b->domain ? -1 : 1;
	if ((order = memcmp(a->id, b->id, DIGEST_LEN)) != 0)
		return order;
	if (a->writer != b->writer)
		return a->writer < b->writer ? -1 : 1;
	return a->pack < b->pack ? -1 : a->pack > b->pack;
}

int
run_stream_next(struct catalog *c, struct run_stream *st, struct run_row *row, struct err *e)
{
	struct run_source *first = NULL;

	for (size_t i = 0; i < st->n; i++)
		if (st->src[i].is == 1 && (first == NULL || row_order(&st->src[i].row, &first->row) < 0))
			first = &st->src[i];
	if (first == NULL)
		return 0;
	*row = first->row;
	return row_take(c, first, e) != 0 ? -1 : 1;
}

void
run_stream_close(struct run_stream *st)
{
	for (size_t i = 0; i < st->n; i++)
		db_reset(st->src[i].s);
	st->n = 0;
}

/* Every row of the ${n} runs into the table of ${to}, in order: nothing is written twice, no page is half full. */
static int
runs_copy(struct catalog *c, struct run_stream *st, const struct run *from, size_t n, int64_t to, struct err *e)
{
	struct statement *s = run_statement(c, "INSERT INTO copies_%lld VALUES(?1, ?2, ?3, ?4, ?5)", to, e);
	struct run_row row;
	int rc;

	st->n = 0;
	if (s == NULL || run_stream_open(c, st, from, n, 0, NULL, 0, e) != 0)
		return -1;
	while ((rc = run_stream_next(c, st, &row, e)) == 1) {
		db_bind_i64(s, 1, row.domain);
		db_bind_bytes(s, 2, row.id, DIGEST_LEN);
		db_bind_i64(s, 3, row.writer);
		db_bind_i64(s, 4, row.pack);
		db_bind_i64(s, 5, row.state);
		if (db_run(c, s, e) != 0)
			return -1;
	}
	return rc;
}

/* The ${n} runs become one of the next level. */
static int
runs_merge(struct catalog *c, const struct runs *all, const struct run *from, size_t n, struct err *e)
{
	struct run fresh = { .slot = slot_free(all), .level = from[0].level + 1 };
	struct run_stream *st = calloc(1, sizeof(*st));
	int rc = -1;

	if (st == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	if (run_exec(c, "CREATE TABLE copies_%lld" COLUMNS, fresh.slot, e) == 0)
		rc = runs_copy(c, st, from, n, fresh.slot, e);
	run_stream_close(st);
	free(st);
	for (size_t i = 0; i < n && rc == 0; i++) {
		fresh.rows += from[i].rows;
		fresh.top_pack = from[i].top_pack > fresh.top_pack ? from[i].top_pack : fresh.top_pack;
		rc = run_forget(c, from[i].slot, e);
	}
	return rc == 0 ? run_note(c, &fresh, e) : -1;
}

/* Runs of a level of which there are enough: merged.  1 done, 0 there are none, -1. */
static int
runs_merge_some(struct catalog *c, struct err *e)
{
	struct runs *all = calloc(1, sizeof(*all));
	struct run from[RUNS_MOST];
	int rc = 0;

	if (all == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	if (runs_list(c, all, e) != 0)
		rc = -1;
	for (int64_t level = 1; level < 16 && rc == 0; level++) {
		int64_t rows = 0;
		size_t n = 0;

		for (size_t i = 0; i < all->n && n < runs_merged; i++)
			if (all->run[i].level == level && rows + all->run[i].rows <= RUN_ROWS_MOST) {
				from[n++] = all->run[i];
				rows += all->run[i].rows;
			}
		if (n == runs_merged)
			rc = runs_merge(c, all, from, n, e) != 0 ? -1 : 1;
	}
	free(all);
	return rc;
}

/* What is in copies_0 becomes a run. */
static int
fresh_to_run(struct catalog *c, const struct runs *all, struct err *e)
{
	struct run run = { slot_free(all), 1, all->run[0].rows, all->run[0].top_pack }, none = { 0, 0, 0, 0 };

	if (run_exec(c, "CREATE TABLE copies_%lld" COLUMNS, run.slot, e) != 0 ||
	    run_exec(c, "INSERT INTO copies_%lld SELECT * FROM copies_0", run.slot, e) != 0 ||
	    db_exec(c, "DELETE FROM copies_0", e) != 0 || run_note(c, &run, e) != 0)
		return -1;
	return run_note(c, &none, e);
}

int
runs_added(struct catalog *c, size_t n, int64_t pack, struct err *e)
{
	struct runs *all = calloc(1, sizeof(*all));
	int rc = -1, full;

	if (all == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	if (runs_list(c, all, e) != 0)
		goto free;
	all->run[0].rows += (int64_t)n;
	all->run[0].top_pack = pack > all->run[0].top_pack ? pack : all->run[0].top_pack;
	full = all->run[0].rows >= run_rows && all->n < RUNS_MOST - 1;
	if ((full ? fresh_to_run(c, all, e) : run_note(c, &all->run[0], e)) != 0)
		goto free;
	rc = full;
	while (rc == 1)
		rc = runs_merge_some(c, e);
free:
	free(all);
	return rc;
}
