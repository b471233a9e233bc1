#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_doubt.h"
#include "common/catalog/catalog_rows.h"
#include "common/catalog/catalog_runs.h"

int
party_find(struct catalog *c, const uint8_t *id, size_t len, int64_t *n, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT n FROM parties WHERE id=?1", e);
	int rc;

	if (s == NULL)
		return -1;
	db_bind_bytes(s, 1, id, len);
	if ((rc = db_step(c, s, e)) == 1) {
		*n = db_i64(s, 0);
		db_reset(s);
	}
	return rc < 0 ? -1 : !rc;
}

static int
party_make(struct catalog *c, const uint8_t *id, size_t len, int64_t *n, struct err *e)
{
	struct statement *s;
	int rc = party_find(c, id, len, n, e);

	if (rc != 1)
		return rc;
	if ((s = db_statement(c, "INSERT INTO parties SELECT ?1, coalesce(max(n), 0) + 1 FROM parties", e)) == NULL)
		return -1;
	db_bind_bytes(s, 1, id, len);
	if (db_run(c, s, e) != 0)
		return -1;
	return party_find(c, id, len, n, e);
}

int64_t
catalog_pack_number(struct catalog *c, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT coalesce(max(n), 0) + 1 FROM packs", e);
	int64_t n, dropped;

	if (s == NULL || db_step(c, s, e) != 1)
		return -1;
	n = db_i64(s, 0);
	db_reset(s);
	/* Not one that a pack had which was collected: somebody may still have it in hand. */
	if (catalog_number(c, "pack numbers", &dropped, e) < 0)
		return -1;
	return n > dropped ? n : dropped + 1;
}

int
catalog_pack(struct catalog *c, int64_t n, struct cat_pack *p, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT id, copy FROM packs WHERE n=?1", e);
	int rc;

	if (s == NULL)
		return -1;
	db_bind_i64(s, 1, n);
	if ((rc = db_step(c, s, e)) != 1)
		return rc < 0 ? -1 : 1;
	db_bytes(s, 0, p->id, sizeof(p->id));
	p->copy = (uint32_t)db_i64(s, 1);
	db_reset(s);
	return catalog_get(c, &cat_packs, p, e);
}

int
catalog_used(struct catalog *c, const uint8_t owner[ID_LEN], uint64_t *bytes, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT coalesce(max(bytes), 0) FROM used WHERE owner=?1", e);

	*bytes = 0;
	if (s == NULL)
		return -1;
	db_bind_bytes(s, 1, owner, ID_LEN);
	if (db_step(c, s, e) != 1)
		return -1;
	*bytes = (uint64_t)db_i64(s, 0);
	db_reset(s);
	return 0;
}

static int
copy_order(const void *a, const void *b)
{
	return memcmp(((const struct cat_copy *)a)->id, ((const struct cat_copy *)b)->id, DIGEST_LEN);
}

/* A collection does not take this copy any more. */
static int
doubt_end(struct catalog *c, int64_t slot, int64_t d, const uint8_t id[DIGEST_LEN], int64_t pack, struct err *e)
{
	struct statement *s = run_statement(c, "UPDATE copies_%lld SET " DOUBT_ENDS " AND domain=?1 AND id=?2 AND pack=?3", slot, e);

	if (s == NULL)
		return -1;
	db_bind_i64(s, 1, d);
	db_bind_bytes(s, 2, id, DIGEST_LEN);
	db_bind_i64(s, 3, pack);
	return db_run(c, s, e);
}

/* Do any of the runs have these copies of pack ${pack} already?  Only packs that a run may have are asked for. */
static int
copies_drop_known(struct catalog *c, const struct runs *all, int64_t d, int64_t pack, struct cat_copy *copies, size_t *n,
    struct err *e)
{
	for (size_t k = 1; k < all->n; k++) {
		struct statement *s;
		size_t left = 0;
		int rc = 0;

		if (all->run[k].top_pack < pack)
			continue;
		if ((s = run_statement(c, "SELECT 1 FROM copies_%lld WHERE domain=?1 AND id=?2 AND pack=?3", all->run[k].slot,
		    e)) == NULL)
			return -1;
		for (size_t i = 0; i < *n; i++) {
			db_bind_i64(s, 1, d);
			db_bind_bytes(s, 2, copies[i].id, DIGEST_LEN);
			db_bind_i64(s, 3, pack);
			if ((rc = db_step(c, s, e)) < 0)
				return -1;
			db_reset(s);
			if (rc == 0)
				copies[left++] = copies[i];
			else if (doubt_end(c, all->run[k].slot, d, copies[i].id, pack, e) != 0)
				return -1;
		}
		*n = left;
	}
	return 0;
}

static int
copies_insert(struct catalog *c, int64_t d, int64_t pack, const struct cat_copy *copies, size_t n, struct err *e)
{
	const uint8_t *writer = NULL;
	struct statement *s;
	int64_t w = 0;

	if ((s = db_statement(c, "INSERT INTO copies_0 VALUES(?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT DO UPDATE SET " DOUBT_ENDS, e)) == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (writer == NULL || memcmp(writer, copies[i].writer, ID_LEN) != 0) {
			writer = copies[i].writer;
			if (party_make(c, writer, ID_LEN, &w, e) != 0)
				return -1;
		}
		db_bind_i64(s, 1, d);
		db_bind_bytes(s, 2, copies[i].id, DIGEST_LEN);
		db_bind_i64(s, 3, w);
		db_bind_i64(s, 4, pack);
		db_bind_i64(s, 5, COPY_GOOD);
		if (db_run(c, s, e) != 0)
			return -1;
	}
	return 0;
}

int
chunks_add(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, struct cat_copy *copies, size_t n,
    struct err *e)
{
	struct runs *all = malloc(sizeof(*all));
	int64_t d;
	int rc = -1;

	if (all == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	if (party_make(c, domain, DIGEST_LEN, &d, e) == 0 && runs_list(c, all, e) == 0) {
		qsort(copies, n, sizeof(*copies), copy_order);
		if (copies_drop_known(c, all, d, pack, copies, &n, e) == 0 && copies_insert(c, d, pack, copies, n, e) == 0)
			rc = runs_added(c, n, pack, e);
	}
	free(all);
	return rc;
}

/* What is looked for. */
struct looking {
	int64_t domain, writer;		/* -1: of anybody */
	const uint8_t *ids;
	size_t n;
	uint8_t *states;
	int64_t *packs;			/* not NULL: the lowest pack with a good copy, too */
};

/* A copy of id ${i} was found. */
static void
find_note(const struct looking *l, size_t i, int64_t state, int64_t pack)
{
	l->states[i] |= (uint8_t)state;
	if (l->packs != NULL && state == COPY_GOOD && (l->packs[i] == 0 || pack < l->packs[i]))
		l->packs[i] = pack;
}

/* Bind what all statements of a search have. */
static void
find_bind(struct statement *s, const struct looking *l, size_t i)
{
	db_bind_i64(s, 1, l->domain);
	db_bind_bytes(s, 2, l->ids + i * DIGEST_LEN, DIGEST_LEN);
	if (l->writer != -1)
		db_bind_i64(s, 4, l->writer);
}

/* Each id by itself. */
static int
find_each(struct catalog *c, const struct looking *l, int64_t slot, struct err *e)
{
	struct statement *s = run_statement(c, l->writer == -1 ?
	    "SELECT state, pack FROM copies_%lld WHERE domain=?1 AND id=?2" :
	    "SELECT state, pack FROM copies_%lld WHERE domain=?1 AND id=?2 AND writer=?4", slot, e);
	int rc = s == NULL ? -1 : 0;

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		find_bind(s, l, i);
		while ((rc = db_step(c, s, e)) == 1)
			find_note(l, i, db_i64(s, 0), db_i64(s, 1));
	}
	return rc;
}

/* All rows from the first id to the last, beside the ids. */
static int
find_along(struct catalog *c, const struct looking *l, int64_t slot, struct err *e)
{
	struct statement *s = run_statement(c, l->writer == -1 ?
	    "SELECT state, id, pack FROM copies_%lld WHERE domain=?1 AND id>=?2 AND id<=?3 ORDER BY id" :
	    "SELECT state, id, pack FROM copies_%lld WHERE domain=?1 AND id>=?2 AND id<=?3 AND writer=?4 ORDER BY id", slot, e);
	uint8_t id[DIGEST_LEN];
	size_t i = 0;
	int rc, order = -1;

	if (s == NULL)
		return -1;
	find_bind(s, l, 0);
	db_bind_bytes(s, 3, l->ids + (l->n - 1) * DIGEST_LEN, DIGEST_LEN);
	while ((rc = db_step(c, s, e)) == 1) {
		db_bytes(s, 1, id, DIGEST_LEN);
		while (i < l->n && (order = memcmp(l->ids + i * DIGEST_LEN, id, DIGEST_LEN)) < 0)
			i++;
		/* An id may have been asked for twice. */
		for (size_t k = i; k < l->n && memcmp(l->ids + k * DIGEST_LEN, id, DIGEST_LEN) == 0; k++)
			find_note(l, k, db_i64(s, 0), db_i64(s, 2));
	}
	return rc;
}

/* About how many rows of a run lie between the ids: ids are as good as random. */
static uint64_t
rows_between(const struct looking *l, int64_t rows)
{
	const uint8_t *last = l->ids + (l->n - 1) * DIGEST_LEN;
	uint64_t from = 0, to = 0;

	for (unsigned i = 0; i < 8; i++) {
		from = from << 8 | l->ids[i];
		to = to << 8 | last[i];
	}
	return (uint64_t)((double)rows * (double)(to - from) / 18446744073709551616.0);
}

#define FORGET_BATCH	16384u	/* rows that are dropped at a time */
#define ALONG	8u	/* rows that are read over as fast as one is found */

static int
chunks_look(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *writer, struct looking *l, struct err *e)
{
	struct runs *all;
	int rc, own;

	memset(l->states, 0, l->n);
	if (l->n == 0)
		return 0;
	if ((all = malloc(sizeof(*all))) == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	/* Which runs there are, and what is in them, by one look. */
	if (db_read_begin(c, &own, e) != 0) {
		free(all);
		return -1;
	}
	l->writer = -1;
	if ((rc = party_find(c, domain, DIGEST_LEN, &l->domain, e)) == 0 &&
	    (writer == NULL || (rc = party_find(c, writer, ID_LEN, &l->writer, e)) == 0))
		rc = runs_list(c, all, e) != 0 ? -1 : 0;
	for (size_t k = 0; rc == 0 && k < all->n; k++) {
		if (all->run[k].rows == 0)
			continue;
		rc = rows_between(l, all->run[k].rows) < ALONG * l->n ? find_along(c, l, all->run[k].slot, e) :
		    find_each(c, l, all->run[k].slot, e);
	}
	free(all);
	db_read_end(c, own);
	return rc < 0 ? -1 : 0;
}

int
chunks_find(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *writer, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e)
{
	struct looking l = { .ids = ids, .n = n, .states = states };

	return chunks_look(c, domain, writer, &l, e);
}

int
chunks_packs(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *ids, size_t n, int64_t *packs,
    struct err *e)
{
	struct looking l = { .ids = ids, .n = n, .packs = packs };
	int rc;

	memset(packs, 0, n * sizeof(*packs));
	if ((l.states = malloc(n + 1)) == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	rc = chunks_look(c, domain, NULL, &l, e);
	free(l.states);
	return rc;
}

/* The same in one run. */
static int
mark_in(struct catalog *c, int64_t slot, int64_t d, int64_t pack, const uint8_t *ids, size_t n, unsigned state,
    struct err *e)
{
	struct statement *s = run_statement(c, state == 0 ? "DELETE FROM copies_%lld WHERE domain=?1 AND id=?2 AND pack=?3" :
	    "UPDATE copies_%lld SET state=?4 WHERE domain=?1 AND id=?2 AND pack=?3", slot, e);

	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		db_bind_i64(s, 1, d);
		db_bind_bytes(s, 2, ids + i * DIGEST_LEN, DIGEST_LEN);
		db_bind_i64(s, 3, pack);
		if (state != 0)
			db_bind_i64(s, 4, state);
		if (db_run(c, s, e) != 0)
			return -1;
	}
	return 0;
}

int
chunks_mark(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, const uint8_t *ids, size_t n,
    unsigned state, struct err *e)
{
	struct runs *all;
	int64_t d;
	int rc;

	if ((rc = party_find(c, domain, DIGEST_LEN, &d, e)) != 0)
		return rc == 1 ? 0 : -1;
	if ((all = malloc(sizeof(*all))) == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	rc = runs_list(c, all, e);
	for (size_t k = 0; rc == 0 && k < all->n; k++)
		if (all->run[k].top_pack >= pack)
			rc = mark_in(c, all->run[k].slot, d, pack, ids, n, state, e);
	free(all);
	return rc;
}

/* The machine that a short number stands for. */
static int
party_name(struct catalog *c, int64_t n, uint8_t id[ID_LEN], struct err *e)
{
	struct statement *s = db_statement(c, "SELECT id FROM parties WHERE n=?1", e);
	int rc;

	if (s == NULL)
		return -1;
	db_bind_i64(s, 1, n);
	if ((rc = db_step(c, s, e)) == 1) {
		db_bytes(s, 0, id, ID_LEN);
		db_reset(s);
		return 0;
	}
	return rc == 0 ? err_set(e, ERR_CATALOG, "the catalog names a writer that it does not know") : -1;
}

/* Fill in the writers of ${out}; their short numbers stand there in ${w}. */
static int
writers_fill(struct catalog *c, struct cat_place *out, size_t n, struct err *e)
{
	int64_t known = -1;
	uint8_t id[ID_LEN] = { 0 };

	for (size_t i = 0; i < n; i++) {
		int64_t w;

		memcpy(&w, out[i].writer, sizeof(w));
		if (w != known && party_name(c, w, id, e) != 0)
			return -1;
		known = w;
		memcpy(out[i].writer, id, ID_LEN);
	}
	return 0;
}

/* At most ${cap} rows of the domain, the writers' short numbers in the place of the writers. */
static int
walk_take(struct catalog *c, struct run_stream *st, int64_t d, struct cat_place *out, size_t cap, size_t *n, struct err *e)
{
	struct run_row row;
	int rc = 0;

	for (*n = 0; *n < cap && (rc = run_stream_next(c, st, &row, e)) == 1 && row.domain == d; ++*n) {
		struct cat_place *p = &out[*n];

		memcpy(p->id, row.id, DIGEST_LEN);
		memset(p->writer, 0, ID_LEN);
		memcpy(p->writer, &row.writer, sizeof(row.writer));
		p->pack = row.pack;
		p->state = (uint32_t)row.state;
	}
	return rc < 0 ? -1 : 0;
}

int
chunks_walk(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *above, struct cat_place *out,
    size_t cap, size_t *n, struct err *e)
{
	/* What is no id at all and still sorts behind ${above}: the same id with a byte more. */
	uint8_t from[DIGEST_LEN + 1] = { 0 };
	struct run_stream *st = calloc(1, sizeof(*st));
	struct runs *all = malloc(sizeof(*all));
	size_t got = 0, keep;
	int64_t d;
	int rc = -1, own;

	*n = 0;
	if (st == NULL || all == NULL) {
		(void)err_set(e, ERR_MEMORY, "the catalog");
		goto free;
	}
	if (db_read_begin(c, &own, e) != 0)
		goto free;
	if (above != NULL)
		memcpy(from, above, DIGEST_LEN);
	if ((rc = party_find(c, domain, DIGEST_LEN, &d, e)) == 0 && (rc = runs_list(c, all, e)) == 0) {
		if ((rc = run_stream_open(c, st, all->run, all->n, d, from, above == NULL ? 0 : sizeof(from), e)) == 0)
			rc = walk_take(c, st, d, out, cap, &got, e);
		run_stream_close(st);
	}
	/* The last id may have copies that had no room: leave it for the next call. */
	for (keep = got; got == cap && keep > 0 && memcmp(out[keep - 1].id, out[got - 1].id, DIGEST_LEN) == 0; keep--)
		;
	*n = keep == 0 ? got : keep;
	if (rc == 0)
		rc = writers_fill(c, out, *n, e);
	db_read_end(c, own);
free:
	free(st);
	free(all);
	return rc < 0 ? -1 : 0;
}

int
chunks_count(struct catalog *c, uint64_t *n, struct err *e)
{
	struct runs *all = malloc(sizeof(*all));
	int rc, own;

	*n = 0;
	if (all == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	if (db_read_begin(c, &own, e) != 0) {
		free(all);
		return -1;
	}
	rc = runs_list(c, all, e);
	for (size_t k = 0; rc == 0 && k < all->n; k++) {
		struct statement *s = run_statement(c, "SELECT count(*) FROM copies_%lld", all->run[k].slot, e);

		if (s == NULL || db_step(c, s, e) != 1) {
			rc = -1;
			break;
		}
		*n += (uint64_t)db_i64(s, 0);
		db_reset(s);
	}
	free(all);
	db_read_end(c, own);
	return rc;
}

/* Of one id. */
struct losing {
	const uint8_t *images;
	size_t n;
	uint64_t lost;
};

static int
lost_from(void *arg, const void *row, struct err *e)
{
	static const uint8_t any[ID_LEN];
	const struct cat_unstored *u = row;
	struct losing *l = arg;

	(void)e;
	for (size_t i = 0; i < l->n; i++)
		if (memcmp(u->image_id, any, ID_LEN) == 0 || memcmp(u->image_id, l->images + i * ID_LEN, ID_LEN) == 0)
			l->lost |= UINT64_C(1) << i;
	return 0;
}

int
unstored_find(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *images, size_t nimages, const uint8_t *ids,
    size_t n, uint64_t *lost, struct err *e)
{
	struct losing l = { images, nimages, 0 };
	struct cat_unstored like;

	memset(lost, 0, n * sizeof(*lost));
	memcpy(like.machine_id, machine, ID_LEN);
	for (size_t i = 0; i < n && nimages > 0; i++) {
		l.lost = 0;
		memcpy(like.id, ids + i * DIGEST_LEN, DIGEST_LEN);
		if (catalog_each(c, &cat_unstored, 2, &like, lost_from, &l, e) != 0)
			return -1;
		lost[i] = l.lost;
	}
	return 0;
}

/* Rows of one disk, a bounded number at a time. */
struct forgetting {
	const uint8_t *image;
	uint32_t disk;
	uint8_t *ids;
	size_t n;
};

static int
forget_note(void *arg, const void *row, struct err *e)
{
	const struct cat_unstored *u = row;
	struct forgetting *f = arg;

	(void)e;
	if (u->disk != f->disk || memcmp(u->image_id, f->image, ID_LEN) != 0)
		return 0;
	memcpy(f->ids + f->n++ * DIGEST_LEN, u->id, DIGEST_LEN);
	return f->n == FORGET_BATCH;
}

int
unstored_forget(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t image[ID_LEN], uint32_t disk, struct err *e)
{
	struct forgetting f = { image, disk, malloc((size_t)FORGET_BATCH * DIGEST_LEN), 0 };
	struct cat_unstored row = { .disk = disk };
	int rc = f.ids == NULL ? err_set(e, ERR_MEMORY, "no memory for ids") : 1;

	memcpy(row.machine_id, machine, ID_LEN);
	memcpy(row.image_id, image, ID_LEN);
	while (rc == 1) {
		f.n = 0;
		rc = catalog_each(c, &cat_unstored, 1, &row, forget_note, &f, e);
		for (size_t i = 0; rc >= 0 && i < f.n; i++) {
			memcpy(row.id, f.ids + i * DIGEST_LEN, DIGEST_LEN);
			if (catalog_drop(c, &cat_unstored, &row, e) != 0)
				rc = -1;
		}
	}
	free(f.ids);
	return rc;
}

int
given_up_find(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *ids, size_t n, uint8_t *found,
    struct err *e)
{
	struct cat_given_up row;

	memset(found, 0, n);
	memcpy(row.machine_id, machine, ID_LEN);
	for (size_t i = 0; i < n; i++) {
		int rc;

		memcpy(row.id, ids + i * DIGEST_LEN, DIGEST_LEN);
		if ((rc = catalog_get(c, &cat_given_up, &row, e)) < 0)
			return -1;
		found[i] = rc == 0;
	}
	return 0;
}
