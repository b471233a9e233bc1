#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_doubt.h"
#include "common/catalog/catalog_runs.h"

#define LASTING	(COPY_GOOD | COPY_DAMAGED | COPY_DISPUTED)

uint32_t
copy_lasting(uint32_t state)
{
	if (!(state & COPY_CONDEMNED))
		return state & LASTING;
	return (state & LASTING) == 0 ? COPY_GOOD : state & LASTING;
}

uint32_t
copy_suspected(uint32_t state)
{
	return state | COPY_SUSPECT;
}

uint32_t
copy_condemned(uint32_t state)
{
	return (state & (COPY_DAMAGED | COPY_DISPUTED)) | COPY_CONDEMNED;
}

/* Every run with what it takes to look into it; freed by the caller.  0, 1 the domain is not known, -1. */
static int
runs_of(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t *d, struct runs **all, struct err *e)
{
	int rc;

	*all = NULL;
	if ((rc = party_find(c, domain, DIGEST_LEN, d, e)) != 0)
		return rc;
	if ((*all = malloc(sizeof(**all))) == NULL)
		return err_set(e, ERR_MEMORY, "the catalog");
	if (runs_list(c, *all, e) == 0)
		return 0;
	free(*all);
	*all = NULL;
	return -1;
}

/* ${doubt}: what is taken back, COPY_SUSPECT or COPY_CONDEMNED too. */
static int
revive_in(struct catalog *c, int64_t slot, int64_t d, int64_t writer, uint32_t doubt, const uint8_t *ids, size_t n,
    struct err *e)
{
	static const char *const sql[2][2] = { {
		"UPDATE copies_%lld SET " DOUBT_ENDS " AND state & 16 = 0 AND domain=?1 AND id=?2",
		"UPDATE copies_%lld SET " DOUBT_ENDS " AND state & 16 = 0 AND domain=?1 AND id=?2 AND writer=?3",
	}, {
		"UPDATE copies_%lld SET " DOUBT_ENDS " AND domain=?1 AND id=?2",
		"UPDATE copies_%lld SET " DOUBT_ENDS " AND domain=?1 AND id=?2 AND writer=?3",
	} };
	struct statement *s = run_statement(c, sql[(doubt & COPY_CONDEMNED) != 0][writer != -1], slot, e);

	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		db_bind_i64(s, 1, d);
		db_bind_bytes(s, 2, ids + i * DIGEST_LEN, DIGEST_LEN);
		if (writer != -1)
			db_bind_i64(s, 3, writer);
		if (db_run(c, s, e) != 0)
			return -1;
	}
	return 0;
}

static int
revive_all(struct catalog *c, const struct runs *all, int64_t d, int64_t writer, uint32_t doubt, const uint8_t *ids, size_t n,
    struct err *e)
{
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < all->n; k++)
		rc = revive_in(c, all->run[k].slot, d, writer, doubt, ids, n, e);
	return rc;
}

/* What is condemned comes back only where its writer has no good copy: one that was written anew elsewhere may go. */
static int
revive_condemned(struct catalog *c, const uint8_t *domain, const uint8_t *writer, const struct runs *all, int64_t d, int64_t w,
    const uint8_t *ids, size_t n, struct err *e)
{
	uint8_t *found = malloc(n + 1);
	int rc = found == NULL ? err_set(e, ERR_MEMORY, "the catalog") : chunks_find(c, domain, writer, ids, n, found, e);

	for (size_t i = 0; i < n && rc == 0; i++)
		if ((found[i] & COPY_CONDEMNED) && !(found[i] & COPY_GOOD))
			rc = revive_all(c, all, d, w, COPY_CONDEMNED, ids + i * DIGEST_LEN, 1, e);
	free(found);
	return rc;
}

int
chunks_revive(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *writer, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e)
{
	struct runs *all = NULL;
	int64_t d, w = -1;
	int rc;

	if (writer != NULL && (rc = party_find(c, writer, ID_LEN, &w, e)) < 0)
		return -1;
	if ((writer == NULL || rc == 0) && (rc = runs_of(c, domain, &d, &all, e)) == 0) {
		rc = revive_all(c, all, d, w, writer == NULL ? COPY_CONDEMNED : COPY_SUSPECT, ids, n, e);
		if (rc == 0 && writer != NULL)
			rc = revive_condemned(c, domain, writer, all, d, w, ids, n, e);
	}
	free(all);
	if (rc < 0)
		return -1;
	return states == NULL ? 0 : chunks_find(c, domain, writer, ids, n, states, e);
}

static int
turn_in(struct catalog *c, const struct run *run, int64_t d, const struct cat_place *p, const uint8_t *to, size_t n,
    struct err *e)
{
	struct statement *s = run_statement(c, "UPDATE copies_%lld SET state=?4 WHERE domain=?1 AND id=?2 AND pack=?3 AND state=?5",
	    run->slot, e);

	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (p[i].pack > run->top_pack)
			continue;
		db_bind_i64(s, 1, d);
		db_bind_bytes(s, 2, p[i].id, DIGEST_LEN);
		db_bind_i64(s, 3, p[i].pack);
		db_bind_i64(s, 4, to[i]);
		db_bind_i64(s, 5, p[i].state);
		if (db_run(c, s, e) != 0)
			return -1;
	}
	return 0;
}

int
chunks_turn(struct catalog *c, const uint8_t domain[DIGEST_LEN], const struct cat_place *places, const uint8_t *to,
    size_t n, struct err *e)
{
	struct runs *all;
	int64_t d;
	int rc = runs_of(c, domain, &d, &all, e);

	for (size_t k = 0; rc == 0 && k < all->n; k++)
		rc = turn_in(c, &all->run[k], d, places, to, n, e);
	free(all);
	return rc < 0 ? -1 : 0;
}

int
chunks_in_pack(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e)
{
	struct runs *all;
	int64_t d;
	int rc = runs_of(c, domain, &d, &all, e), got;

	memset(states, 0, n);
	for (size_t k = 0; rc == 0 && k < all->n; k++) {
		struct statement *s;

		if (all->run[k].top_pack < pack)
			continue;
		if ((s = run_statement(c, "SELECT state FROM copies_%lld WHERE domain=?1 AND id=?2 AND pack=?3", all->run[k].slot, e))
		    == NULL)
			rc = -1;
		for (size_t i = 0; rc == 0 && i < n; i++) {
			db_bind_i64(s, 1, d);
			db_bind_bytes(s, 2, ids + i * DIGEST_LEN, DIGEST_LEN);
			db_bind_i64(s, 3, pack);
			if ((got = db_step(c, s, e)) < 0)
				rc = -1;
			else if (got == 1)
				states[i] = (uint8_t)db_i64(s, 0);
			db_reset(s);
		}
	}
	free(all);
	return rc < 0 ? -1 : 0;
}
