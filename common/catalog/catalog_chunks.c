#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_rows.h"

/* A short number for a domain or machine: 0 found, 1 there is none, -1. */
static int
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
	int64_t n;

	if (s == NULL || db_step(c, s, e) != 1)
		return -1;
	n = db_i64(s, 0);
	db_reset(s);
	return n;
}

static int
copy_order(const void *a, const void *b)
{
	return memcmp(((const struct cat_copy *)a)->id, ((const struct cat_copy *)b)->id, DIGEST_LEN);
}

int
chunks_add(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, struct cat_copy *copies, size_t n,
    struct err *e)
{
	struct statement *s;
	int64_t d, w = 0;
	const uint8_t *writer = NULL;

	if (party_make(c, domain, DIGEST_LEN, &d, e) != 0)
		return -1;
	qsort(copies, n, sizeof(*copies), copy_order);
	for (size_t i = 0; i < n; i++) {
		if (writer == NULL || memcmp(writer, copies[i].writer, ID_LEN) != 0) {
			writer = copies[i].writer;
			if (party_make(c, writer, ID_LEN, &w, e) != 0)
				return -1;
		}
		if ((s = db_statement(c, "INSERT OR IGNORE INTO copies VALUES(?1, ?2, ?3, ?4, ?5)", e)) == NULL)
			return -1;
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

/* One id's copies, by one writer (or by all, ${w} == -1). */
static int
find_one(struct catalog *c, struct statement *s, int64_t d, int64_t w, const uint8_t *id, uint8_t *states, struct err *e)
{
	int rc;

	db_bind_i64(s, 1, d);
	db_bind_bytes(s, 2, id, DIGEST_LEN);
	if (w != -1)
		db_bind_i64(s, 3, w);
	while ((rc = db_step(c, s, e)) == 1)
		*states |= (uint8_t)db_i64(s, 0);
	return rc;
}

int
chunks_find(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *writer, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e)
{
	struct statement *s;
	int64_t d, w = -1;
	int rc;

	memset(states, 0, n);
	if ((rc = party_find(c, domain, DIGEST_LEN, &d, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (writer != NULL && (rc = party_find(c, writer, ID_LEN, &w, e)) != 0)
		return rc == 1 ? 0 : -1;
	s = db_statement(c, writer == NULL ? "SELECT state FROM copies WHERE domain=?1 AND id=?2" :
	    "SELECT state FROM copies WHERE domain=?1 AND id=?2 AND writer=?3", e);
	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (find_one(c, s, d, w, ids + i * DIGEST_LEN, &states[i], e) != 0)
			return -1;
	return 0;
}

int
chunks_mark(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, const uint8_t *ids, size_t n,
    unsigned state, struct err *e)
{
	struct statement *s;
	int64_t d;
	int rc;

	if ((rc = party_find(c, domain, DIGEST_LEN, &d, e)) != 0)
		return rc == 1 ? 0 : -1;
	s = db_statement(c, state == 0 ? "DELETE FROM copies WHERE domain=?1 AND id=?2 AND pack=?3" :
	    "UPDATE copies SET state=?4 WHERE domain=?1 AND id=?2 AND pack=?3", e);
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

int
chunks_walk(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *above, struct cat_place *out,
    size_t cap, size_t *n, struct err *e)
{
	static const uint8_t lowest[1];
	struct statement *s;
	size_t got = 0, keep;
	int64_t d;
	int rc;

	*n = 0;
	if ((rc = party_find(c, domain, DIGEST_LEN, &d, e)) != 0)
		return rc == 1 ? 0 : -1;
	s = db_statement(c, "SELECT id, writer, pack, state FROM copies WHERE domain=?1 AND id>?2"
	    " ORDER BY id, writer, pack LIMIT ?3", e);
	if (s == NULL)
		return -1;
	db_bind_i64(s, 1, d);
	db_bind_bytes(s, 2, above == NULL ? lowest : above, above == NULL ? 0 : DIGEST_LEN);
	db_bind_i64(s, 3, (int64_t)cap);
	while ((rc = db_step(c, s, e)) == 1 && got < cap) {
		int64_t w = db_i64(s, 1);

		db_bytes(s, 0, out[got].id, DIGEST_LEN);
		memset(out[got].writer, 0, ID_LEN);
		memcpy(out[got].writer, &w, sizeof(w));
		out[got].pack = db_i64(s, 2);
		out[got++].state = (uint32_t)db_i64(s, 3);
	}
	if (rc < 0)
		return -1;
	db_reset(s);
	/* The last id may have copies that had no room: leave it for the next call. */
	for (keep = got; got == cap && keep > 0 && memcmp(out[keep - 1].id, out[got - 1].id, DIGEST_LEN) == 0; keep--)
		;
	*n = keep == 0 ? got : keep;
	return writers_fill(c, out, *n, e);
}

int
chunks_count(struct catalog *c, uint64_t *n, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT count(*) FROM copies", e);

	*n = 0;
	if (s == NULL || db_step(c, s, e) != 1)
		return -1;
	*n = (uint64_t)db_i64(s, 0);
	db_reset(s);
	return 0;
}

/* Both tables have the same two columns. */
_Static_assert(sizeof(struct cat_unstored) == sizeof(struct cat_given_up), "machine and id");

static int
rows_find(struct catalog *c, const struct cat_table *t, const uint8_t machine[ID_LEN], const uint8_t *ids, size_t n,
    uint8_t *found, struct err *e)
{
	struct cat_unstored row;

	memset(found, 0, n);
	memcpy(row.machine_id, machine, ID_LEN);
	for (size_t i = 0; i < n; i++) {
		int rc;

		memcpy(row.id, ids + i * DIGEST_LEN, DIGEST_LEN);
		if ((rc = catalog_get(c, t, &row, e)) < 0)
			return -1;
		found[i] = rc == 0;
	}
	return 0;
}

int
unstored_find(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *ids, size_t n, uint8_t *found,
    struct err *e)
{
	return rows_find(c, &cat_unstored, machine, ids, n, found, e);
}

int
given_up_find(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *ids, size_t n, uint8_t *found,
    struct err *e)
{
	return rows_find(c, &cat_given_up, machine, ids, n, found, e);
}
