/*
 * What somebody was stopped over: packs in the store that no row of the catalog speaks
 * of, and tables in origins/ that no re-packed pack names.
 *
 * A pack without a row may be on its way into the catalog just now.  The first run marks
 * its number as used up, so that nobody relies on finding it there from then on; a later one
 * writes down, in a transaction, that it goes, and deletes the bytes behind it.  Whoever put
 * it and comes to write its rows after that finds this (pack_is_kept), and puts it anew.
 *
 * A catalog that is older than its vault (put back from somewhere) does not know what came
 * since: such a pack has chunks that snapshots need and nobody else holds.  It stays, and so does
 * every table, until the catalog was made anew.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/collect_job.h"
#include "common/flow/epoch.h"
#include "common/pack/pack_view.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define TOGETHER	256u	/* objects in one transaction */
#define SWEPT		"origins swept"	/* the epoch that had begun when origins/ was looked through last */

/* --- packs without rows --- */

struct stray {
	uint8_t id[DIGEST_LEN];
	uint32_t copy;
	uint64_t len;
};

struct straying {
	struct collect *c;
	struct stray *at;	/* those that go now */
	size_t n, cap;
};

/* Does the catalog know of it, or of its end?  1, 0, -1. */
static int
is_known(struct collect *c, const struct stray *s, struct err *e)
{
	struct cat_pack p = { .copy = s->copy };
	struct cat_removal gone = { .copy = s->copy };
	int rc;

	memcpy(p.id, s->id, DIGEST_LEN);
	if ((rc = catalog_get(c->v->catalog, &cat_packs, &p, e)) != 1)
		return rc < 0 ? -1 : 1;
	memcpy(gone.id, s->id, DIGEST_LEN);
	gone.copy = s->copy;
	return (rc = catalog_get(c->v->catalog, &cat_removals, &gone, e)) < 0 ? -1 : !rc;
}

static int
stray_keep(struct straying *k, const struct stray *s, struct err *e)
{
	struct stray *more;

	if (k->n == k->cap) {
		size_t cap = k->cap == 0 ? 64 : k->cap * 2;

		if ((more = realloc(k->at, cap * sizeof(*more))) == NULL)
			return err_errno(e, "packs that no catalog names");
		k->at = more;
		k->cap = cap;
	}
	k->at[k->n++] = *s;
	return 0;
}

static int
pack_look(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct straying *k = arg;
	struct stray s = { .len = len };
	int rc;

	if (vault_name_parse_pack(name, s.id, &s.copy) != 0)
		return 0;
	if ((rc = is_known(k->c, &s, e)) != 0)
		return rc < 0 ? -1 : stop_check(e);
	k->c->strays_left++;
	if ((rc = pack_is_announced(k->c, s.id, s.copy, e)) == 1 || (rc == 0 && k->c->o->dry_run))
		return stray_keep(k, &s, e);
	return rc < 0 ? -1 : pack_announce(k->c, s.id, s.copy, e) < 0 ? -1 : 0;
}

/* --- what is needed --- */

/* Who says that he made it, for pack_table_read.  0, 1 it cannot be read (told). */
static int
maker_read(struct collect *c, const struct stray *s, struct cat_pack *p)
{
	struct store *store = c->v->store;
	uint8_t foot[PACK_FOOT_LEN];
	char name[VAULT_NAME_MAX];
	struct pack_foot f;
	size_t got;

	vault_name_pack(name, s->id, s->copy);
	if (s->len < sizeof(foot) || store->ops->get(store, name, s->len - sizeof(foot), foot, sizeof(foot), &got, NULL) != 0 ||
	    got != sizeof(foot) || pack_foot_decode(&f, foot, sizeof(foot)) != FMT_OK) {
		say_warn("%s is not collected, verify it: its footer cannot be read", name);
		return 1;
	}
	memset(p, 0, sizeof(*p));
	memcpy(p->id, s->id, DIGEST_LEN);
	memcpy(p->maker, f.maker, ID_LEN);
	p->copy = s->copy;
	p->len = (int64_t)s->len;
	return 0;
}

/* Does somebody need this chunk, and have it nowhere else?  1, 0, -1. */
static int
row_is_needed(struct collect *c, const uint8_t domain[DIGEST_LEN], const struct pack_row *row, struct err *e)
{
	uint8_t state = 0;

	if (!collect_is_held_back(c, row->writer) && !id_filter_has(c->needed, row->id))
		return 0;
	if (chunks_find(c->v->catalog, domain, row->writer, row->id, 1, &state, e) != 0)
		return -1;
	return (state & COPY_GOOD) == 0;
}

/* Does the pack hold what is needed and nowhere else?  1, 0, 2 it cannot be read now (told), -1. */
static int
is_needed(struct collect *c, const struct stray *s, struct err *e)
{
	struct pack_view view;
	struct pack_row row;
	struct cat_pack p;
	uint8_t *end;
	int rc;

	if (c->needed == NULL)
		return 1;
	if (maker_read(c, s, &p) != 0)
		return 2;
	if ((rc = pack_table_read(c->v, &p, &view, &end, e)) != 0)
		return rc < 0 ? -1 : 2;
	for (uint32_t i = 0; i < view.table.count && rc == 0; i++) {
		pack_table_row(&view.table, i, &row);
		rc = row_is_needed(c, view.foot.domain_id, &row, e);
	}
	free(end);
	return rc;
}

/* Of those that would go: which are needed?  They are left out. */
static int
needed_keep(struct straying *k, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++) {
		int rc = is_needed(k->c, &k->at[i], e);

		if (rc < 0)
			return -1;
		if (rc == 0)
			k->at[n++] = k->at[i];
		k->c->r->strays_needed += rc == 1;
	}
	k->n = n;
	if (k->c->r->strays_needed > 0)
		say_warn("%llu packs are in the store, not in the catalog, and snapshots need what is in them; the catalog is "
		    "older than the vault: samara-import rebuild %s", (unsigned long long)k->c->r->strays_needed, k->c->v->path);
	return 0;
}

/* In a transaction: it goes, if it is as it was.  0 or -1. */
static int
stray_end(struct collect *c, const struct stray *s, struct err *e)
{
	/* Records may speak of its number. */
	struct cat_removal gone = { .copy = s->copy, .used = 1, .len = (int64_t)s->len };
	int rc = is_known(c, s, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	memcpy(gone.id, s->id, DIGEST_LEN);
	if (catalog_put(c->v->catalog, &cat_removals, &gone, e) != 0)
		return -1;
	c->r->strays++;
	c->r->bytes += s->len;
	c->strays_left--;
	return 0;
}

static int
strays_end(struct straying *k, struct err *e)
{
	struct vault *v = k->c->v;

	for (size_t i = 0; i < k->n;) {
		int rc;

		if (vault_begin(v, e) != 0)
			return -1;
		/* What was filed since the mark may need it: another run. */
		rc = collect_is_stale(k->c, e);
		for (size_t n = 0; rc == 0 && i < k->n && n < TOGETHER; n++, i++)
			rc = stray_end(k->c, &k->at[i], e);
		if (rc != 0) {
			vault_rollback(v);
			if (rc < 0)
				return -1;
			break;
		}
		if (vault_commit(v, e) != 0)
			return -1;
	}
	return packs_finish(k->c, e);
}

int
collect_strays(struct collect *c, struct err *e)
{
	struct straying k = { .c = c };
	int rc = c->v->store->ops->list(c->v->store, "packs/", "", pack_look, &k, e);

	if (rc == 0)
		rc = needed_keep(&k, e);
	if (rc == 0 && c->o->dry_run) {
		c->r->strays = k.n;
		for (size_t i = 0; i < k.n; i++)
			c->r->bytes += k.at[i].len;
	} else if (rc == 0 && k.n > 0) {
		rc = strays_end(&k, e);
	}
	free(k.at);
	return rc;
}

/* --- tables that nobody names --- */

struct origins {
	struct collect *c;
	uint8_t (*ids)[DIGEST_LEN];	/* that lie in the store, rising */
	uint8_t *named;
	size_t n, cap;
	int unread;			/* a table that would have said */
};

static int
origin_note(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct origins *g = arg;
	uint8_t id[DIGEST_LEN], (*more)[DIGEST_LEN];

	(void)len;
	if (vault_name_parse_origin(name, id) != 0)
		return 0;
	if (g->n == g->cap) {
		size_t cap = g->cap == 0 ? 256 : g->cap * 2;

		if ((more = realloc(g->ids, cap * sizeof(*more))) == NULL)
			return err_errno(e, "tables of packs that were written anew");
		g->ids = more;
		g->cap = cap;
	}
	memcpy(g->ids[g->n++], id, DIGEST_LEN);
	return stop_check(e);
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

static void
origin_named(struct origins *g, const uint8_t id[DIGEST_LEN])
{
	uint8_t (*at)[DIGEST_LEN] = bsearch(id, g->ids, g->n, DIGEST_LEN, id_order);

	if (at != NULL)
		g->named[at - g->ids] = 1;
}

static int
pack_names(void *arg, const void *row, struct err *e)
{
	const struct cat_pack *p = row;
	struct origins *g = arg;
	struct pack_view view;
	uint8_t *end;
	int rc;

	if (!(p->flags & PACK_REPACKED) || g->unread)
		return 0;
	if ((rc = pack_table_read(g->c->v, p, &view, &end, e)) != 0) {
		g->unread = 1;
		return rc < 0 ? -1 : 0;
	}
	for (uint32_t i = 0; i < view.table.count; i++) {
		struct pack_row r;

		pack_table_row(&view.table, i, &r);
		origin_named(g, r.origin);
	}
	free(end);
	return stop_check(e);
}

/* Nobody has a session, and no pack came since ${top} was the next number: 1, 0, -1.  In a transaction. */
static int
is_quiet(struct collect *c, int64_t top, struct err *e)
{
	uint64_t sessions;
	int64_t now;

	if (epoch_wait(c->v, INT64_MAX, &sessions, e) != 0 || (now = catalog_pack_number(c->v->catalog, e)) < 0)
		return -1;
	return sessions == 0 && now == top;
}

/* Who writes a table opens a session before, in a transaction: while this one runs nobody does. */
static int
origins_end(struct origins *g, int64_t top, int64_t epoch, struct err *e)
{
	struct vault *v = g->c->v;
	char name[VAULT_NAME_MAX];
	size_t i = 0;
	int rc = 1;

	while (rc == 1 && i < g->n) {
		if (vault_begin(v, e) != 0)
			return -1;
		rc = is_quiet(g->c, top, e);
		for (size_t n = 0; rc == 1 && i < g->n && n < TOGETHER; i++) {
			if (g->named[i])
				continue;
			vault_name_origin(name, g->ids[i]);
			if (v->store->ops->del(v->store, name, e) != 0)
				rc = -1;
			g->c->r->origins++;
			n++;
		}
		if (rc == 1 && i == g->n && catalog_number_set(v->catalog, SWEPT, epoch, e) != 0)
			rc = -1;
		if (rc < 0) {
			vault_rollback(v);
			return -1;
		}
		if (vault_commit(v, e) != 0)
			return -1;
	}
	return 0;
}

int
collect_origins(struct collect *c, struct err *e)
{
	struct origins g = { .c = c };
	int64_t top, epoch, swept;
	int rc = -1;

	if (catalog_number(c->v->catalog, "epoch", &epoch, e) < 0 || catalog_number(c->v->catalog, SWEPT, &swept, e) < 0)
		return -1;
	if (swept == epoch && epoch > 0)
		return 0;	/* nothing was taken away since */
	if (c->strays_left > 0)
		return 0;	/* they may be what names a table */
	if ((top = catalog_pack_number(c->v->catalog, e)) < 0 ||
	    c->v->store->ops->list(c->v->store, "origins/", "", origin_note, &g, e) != 0)
		goto free;
	if ((rc = g.n == 0 ? 0 : -1) == 0)
		goto free;
	qsort(g.ids, g.n, DIGEST_LEN, id_order);
	if ((g.named = calloc(g.n, 1)) == NULL)
		(void)err_errno(e, "tables of packs that were written anew");
	else if ((rc = catalog_each(c->v->catalog, &cat_packs, 0, NULL, pack_names, &g, e)) == 0 && !g.unread)
		rc = origins_end(&g, top, epoch, e);
free:
	free(g.ids);
	free(g.named);
	return rc;
}
