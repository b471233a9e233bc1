/*
 * Packs that go.  First their numbers are marked as used up in the store, so that who
 * puts such a pack from now on does not rely on finding it there; when every session
 * that may have found it before has ended, rows go in a transaction, and bytes behind it.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_doubt.h"
#include "common/flow/collect_job.h"
#include "common/flow/epoch.h"
#include "common/pack/pack_view.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define TOGETHER	16u	/* packs in one transaction */

static const char announced[] = "This copy of the pack is being collected: nothing needs it.\n";

/* --- tables --- */

struct any_key {
	struct pack_view *v;
	const uint8_t *table;
	size_t table_len;
	int found;
};

static int
key_fits(void *arg, const void *row, struct err *e)
{
	const struct cat_machine_key *k = row;
	struct any_key *a = arg;

	(void)e;
	if (!a->found && pack_view_open(a->v, a->table, a->table_len, a->table + a->table_len, k->machine_id, k->pub, NULL) == 0)
		a->found = 1;
	return 0;
}

/* Is the table signed by the vault, or by a key that its machine has or had?  0, or -1 with ${e}. */
static int
table_believe(struct vault *v, const struct cat_pack *p, const uint8_t *table, size_t table_len, struct pack_view *view,
    struct err *e)
{
	struct any_key a = { view, table, table_len, 0 };
	struct cat_machine_key like;

	if (memcmp(p->maker, v->desc.vault_id, ID_LEN) == 0)
		return pack_view_open(view, table, table_len, table + table_len, v->desc.vault_id, v->desc.sign_pub, e);
	memcpy(like.machine_id, p->maker, ID_LEN);
	if (catalog_each(v->catalog, &cat_machine_keys, 1, &like, key_fits, &a, e) != 0)
		return -1;
	return a.found ? 0 : err_set(e, ERR_SIGNATURE, "it is not signed by a machine of this vault");
}

/* Table and footer into new memory: 0, or -1 with ${e}. */
static int
end_read(struct store *s, const char *name, const struct cat_pack *p, uint8_t **end, size_t *table_len, struct err *e)
{
	uint8_t foot[PACK_FOOT_LEN];
	struct pack_foot f;
	size_t got, n;

	*end = NULL;
	if (p->len < (int64_t)(2 * PACK_HEAD_LEN + PACK_FOOT_LEN) || p->len > (int64_t)PACK_LEN_MAX ||
	    s->ops->get(s, name, (uint64_t)p->len - PACK_FOOT_LEN, foot, sizeof(foot), &got, e) != 0)
		return -1;
	if (got != sizeof(foot) || pack_foot_decode(&f, foot, sizeof(foot)) != FMT_OK ||
	    (int64_t)f.table_len + (int64_t)PACK_FOOT_LEN > p->len)
		return err_set(e, ERR_FORMAT, "its footer cannot be read");
	n = (size_t)f.table_len + PACK_FOOT_LEN;
	*table_len = f.table_len;
	if ((*end = malloc(n)) == NULL)
		return err_errno(e, "%s", name);
	if (s->ops->get(s, name, (uint64_t)p->len - n, *end, n, &got, e) == 0 && got == n)
		return 0;
	free(*end);
	*end = NULL;
	return err_set(e, ERR_DAMAGE, "it is cut short");
}

int
pack_table_read(struct vault *v, const struct cat_pack *p, struct pack_view *view, uint8_t **end, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct err mine;
	size_t table_len = 0;

	err_clear(&mine);
	vault_name_pack(name, p->id, p->copy);
	if (end_read(v->store, name, p, end, &table_len, &mine) == 0) {
		if (table_believe(v, p, *end, table_len, view, &mine) == 0 && memcmp(view->foot.pack_id, p->id, DIGEST_LEN) == 0)
			return 0;
		free(*end);
		*end = NULL;
	}
	if (mine.code == ERR_MEMORY || mine.code == ERR_PERMISSION) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	say_warn("%s is not collected, verify it: %s", name, mine.code == ERR_NONE ? "it is another pack than its name says" : mine.msg);
	return 1;
}

/* --- what goes --- */

/* Ids of the table, rising, in new memory. */
static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

static uint8_t *
table_ids(const struct pack_view *view, struct err *e)
{
	uint8_t *ids = malloc((size_t)view->table.count * DIGEST_LEN + 1);

	if (ids == NULL) {
		(void)err_errno(e, "the table of a pack");
		return NULL;
	}
	for (uint32_t i = 0; i < view->table.count; i++) {
		struct pack_row row;

		pack_table_row(&view->table, i, &row);
		memcpy(ids + (size_t)i * DIGEST_LEN, row.id, DIGEST_LEN);
	}
	qsort(ids, view->table.count, DIGEST_LEN, id_order);
	return ids;
}

/* A pack in hand. */
struct going {
	struct cat_pack pack;
	uint8_t *ids;
	uint32_t n;
};

static void
going_release(struct going *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(g[i].ids);
}

/* Are all copies in it condemned?  1, 0, -1. */
static int
is_condemned(struct collect *c, const struct going *g, struct err *e)
{
	uint8_t *states = malloc(g->n + 1);
	int all = 1;

	if (states == NULL)
		return err_errno(e, "the table of a pack");
	if (chunks_in_pack(c->v->catalog, g->pack.domain_id, g->pack.n, g->ids, g->n, states, e) != 0)
		all = -1;
	for (uint32_t i = 0; i < g->n && all == 1; i++)
		all = states[i] == 0 || (states[i] & COPY_CONDEMNED) != 0;
	free(states);
	return all;
}

/* Take the pack with this number in hand if it goes: 1, 0, -1. */
static int
going_take(struct collect *c, const struct pack_tally *t, struct going *g, struct err *e)
{
	struct pack_view view;
	uint8_t *end;
	int rc;

	if ((rc = catalog_pack(c->v->catalog, t->pack, &g->pack, e)) != 0)
		return rc < 0 ? -1 : 0;
	/* The same id twice in one table is one copy. */
	if (t->condemned * 2 < g->pack.count)
		return 0;
	if ((rc = pack_table_read(c->v, &g->pack, &view, &end, e)) != 0)
		return rc < 0 ? -1 : 0;
	g->n = view.table.count;
	g->ids = table_ids(&view, e);
	free(end);
	if (g->ids == NULL)
		return -1;
	if ((rc = c->o->dry_run ? t->condemned >= g->n : is_condemned(c, g, e)) == 1)
		return 1;
	free(g->ids);
	return rc;
}

int
pack_is_announced(struct collect *c, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint64_t len;
	int rc;

	vault_name_bad_pack(name, id, copy);
	rc = c->v->store->ops->stat(c->v->store, name, &len, e);
	return rc < 0 ? -1 : !rc;
}

int
pack_announce(struct collect *c, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	char name[VAULT_NAME_MAX];

	vault_name_bad_pack(name, id, copy);
	return c->v->store->ops->put_new(c->v->store, name, announced, sizeof(announced) - 1, e);
}

static int
epoch_announce(struct collect *c, struct err *e)
{
	int64_t epoch;

	if (vault_begin(c->v, e) != 0)
		return -1;
	if (catalog_number(c->v->catalog, "epoch", &epoch, e) >= 0 &&
	    catalog_number_set(c->v->catalog, "epoch", epoch + 1, e) == 0 &&
	    catalog_number_set(c->v->catalog, "condemned", epoch + 1, e) == 0)
		return vault_commit(c->v, e);
	vault_rollback(c->v);
	return -1;
}

int
packs_announce(struct collect *c, struct err *e)
{
	int rc = 0, any = 0;

	for (size_t i = 0; i < c->ntally && rc >= 0; i++) {
		struct going g;

		if ((rc = going_take(c, &c->tally[i], &g, e)) != 1)
			continue;
		if (c->o->dry_run) {
			c->r->packs++;
			c->r->bytes += (uint64_t)g.pack.len;
			c->r->chunks_deleted += g.n;
		} else {
			any = 1;	/* also where it stood there: whoever left it may not have come to the epoch */
			rc = pack_announce(c, g.pack.id, g.pack.copy, e);
		}
		free(g.ids);
		if (rc >= 0 && stop_check(e) != 0)
			rc = -1;
	}
	if (rc < 0)
		return -1;
	return any ? epoch_announce(c, e) : 0;
}

/* --- rows --- */

static int
removals_raise(struct vault *v, struct err *e)
{
	int64_t n;

	if (catalog_number(v->catalog, "removals", &n, e) < 0)
		return -1;
	return catalog_number_set(v->catalog, "removals", n + 1, e);
}

/* In a transaction: the rows of one pack, if it is as it was.  1 gone, 0 not, -1. */
static int
rows_drop(struct collect *c, struct going *g, struct err *e)
{
	struct catalog *cat = c->v->catalog;
	struct cat_removal gone = { .copy = g->pack.copy, .used = g->pack.state != PACK_GOOD, .len = g->pack.len };
	struct cat_pack there = g->pack;
	int64_t top;
	int rc;

	if ((rc = catalog_get(cat, &cat_packs, &there, e)) != 0 || there.n != g->pack.n)
		return rc < 0 ? -1 : 0;
	gone.used = there.state != PACK_GOOD;
	if ((rc = is_condemned(c, g, e)) != 1)
		return rc;
	memcpy(gone.id, g->pack.id, DIGEST_LEN);
	if (chunks_mark(cat, there.domain_id, there.n, g->ids, g->n, 0, e) != 0 || catalog_drop(cat, &cat_packs, &there, e) != 0 ||
	    catalog_put(cat, &cat_removals, &gone, e) != 0 || catalog_number(cat, "pack numbers", &top, e) < 0 ||
	    (there.n > top && catalog_number_set(cat, "pack numbers", there.n, e) != 0))
		return -1;
	c->r->packs++;
	c->r->bytes += (uint64_t)there.len;
	c->r->chunks_deleted += g->n;
	return 1;
}

static int
bytes_drop(struct collect *c, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e)
{
	char name[VAULT_NAME_MAX];

	vault_name_pack(name, id, copy);
	return c->v->store->ops->del(c->v->store, name, e);
}

/* 0; 1 something was filed, or somebody must be waited for; -1. */
static int
group_drop(struct collect *c, struct going *g, size_t n, struct err *e)
{
	int64_t condemned;
	int rc = 0;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n && (c->o->bugs & COLLECT_BUG_BYTES_FIRST); i++)
		if (bytes_drop(c, g[i].pack.id, g[i].pack.copy, e) != 0)
			return -1;
	if (vault_begin(c->v, e) != 0)
		return -1;
	if ((rc = collect_is_stale(c, e)) != 0)
		goto rollback;
	if ((rc = catalog_number(c->v->catalog, "condemned", &condemned, e)) < 0 ||
	    (rc = epoch_wait(c->v, condemned, &c->r->waits, e)) != 0)
		goto rollback;
	if (c->r->waits > 0 && !(c->o->bugs & COLLECT_BUG_NO_WAIT)) {
		rc = 1;
		goto rollback;
	}
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = rows_drop(c, &g[i], e);
	if (rc >= 0 && (rc = removals_raise(c->v, e)) == 0)
		return vault_commit(c->v, e);
rollback:
	vault_rollback(c->v);
	return rc;
}

static int
announced_delete(struct collect *c, struct err *e)
{
	struct going g[TOGETHER];
	size_t n = 0;
	int rc = 0, is;

	for (size_t i = 0; i < c->ntally && rc == 0; i++) {
		if ((is = going_take(c, &c->tally[i], &g[n], e)) != 1) {
			rc = is;
			continue;
		}
		n++;
		if ((is = pack_is_announced(c, g[n - 1].pack.id, g[n - 1].pack.copy, e)) != 1) {
			free(g[--n].ids);
			rc = is;
			continue;
		}
		if (n < TOGETHER)
			continue;
		rc = group_drop(c, g, n, e);
		going_release(g, n);
		n = 0;
		if (rc == 0)
			rc = packs_finish(c, e);
		if (rc == 0 && stop_check(e) != 0)
			rc = -1;
	}
	if (rc == 0 && (rc = group_drop(c, g, n, e)) == 0)
		rc = packs_finish(c, e);
	going_release(g, n);
	return rc;
}

int
packs_delete(struct collect *c, struct err *e)
{
	struct err mine;
	int lock, rc;

	/* Whoever reads packs for long (a verification, a restore out of the directory) is waited for. */
	err_clear(&mine);
	if ((lock = lock_take(c->v->local, "readers.lock", 0, &mine)) == -1) {
		if (mine.code == ERR_BUSY) {
			c->r->waits++;
			return 0;
		}
		if (e != NULL)
			*e = mine;
		return -1;
	}
	rc = announced_delete(c, e);
	(void)io->close(lock);
	return rc;
}

/* --- bytes --- */

struct finishing {
	struct collect *c;
	struct cat_removal *rows;
	size_t n;
};

/* The bytes are gone before the row is; the mark that the number is used up goes last. */
static int
removal_finish(void *arg, const void *row, struct err *e)
{
	const struct cat_removal *r = row;
	struct finishing *f = arg;
	struct cat_removal *more;

	if (bytes_drop(f->c, r->id, r->copy, e) != 0)
		return -1;
	if ((more = realloc(f->rows, (f->n + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "collect");
	f->rows = more;
	f->rows[f->n++] = *r;
	return 0;
}

static int
rows_forget(struct finishing *f, struct err *e)
{
	struct vault *v = f->c->v;

	if (vault_begin(v, e) != 0)
		return -1;
	for (size_t i = 0; i < f->n; i++)
		if (catalog_drop(v->catalog, &cat_removals, &f->rows[i], e) != 0) {
			vault_rollback(v);
			return -1;
		}
	return vault_commit(v, e);
}

int
packs_finish(struct collect *c, struct err *e)
{
	struct finishing f = { c, NULL, 0 };
	char name[VAULT_NAME_MAX];
	int rc = catalog_each(c->v->catalog, &cat_removals, 0, NULL, removal_finish, &f, e);

	if (rc == 0 && f.n > 0)
		rc = rows_forget(&f, e);
	for (size_t i = 0; i < f.n && rc == 0; i++) {
		if (f.rows[i].used)
			continue;	/* records speak of this copy */
		vault_name_bad_pack(name, f.rows[i].id, f.rows[i].copy);
		rc = c->v->store->ops->del(c->v->store, name, e);
	}
	free(f.rows);
	return rc;
}
