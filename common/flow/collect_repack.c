/*
 * The rest of packs that are mostly condemned: its frames, checked against the signed
 * table, go into a new pack of the vault's, with who wrote them and where they were
 * signed.  The old pack is condemned then, and goes with the next run.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_doubt.h"
#include "common/flow/collect_job.h"
#include "common/flow/pack_rows.h"
#include "common/pack/pack_build.h"
#include "common/pack/pack_view.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define SOURCES_MOST	64u	/* packs whose rests go into one */
#define PUT_TRIES	3	/* until a number is found that nothing bad stands under */

/* A pack whose rest is in the new one. */
struct source_pack {
	struct cat_pack pack;
	uint8_t *ids;			/* of the live copies, rising once the pack is built */
	uint32_t n;
};

struct repacking {
	struct collect *c;
	uint8_t domain[DIGEST_LEN], owner[ID_LEN];
	uint8_t *bytes, *out;
	struct pack_frame *frames;
	uint32_t count, cap;
	uint64_t len;
	struct source_pack src[SOURCES_MOST];
	size_t nsrc;
};

static void
sources_clear(struct repacking *r)
{
	for (size_t i = 0; i < r->nsrc; i++)
		free(r->src[i].ids);
	r->nsrc = 0;
	r->count = 0;
	r->len = 0;
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* --- locations --- */

/* In a transaction: the old copies are where they were and as good; they are condemned, the new ones are there. */
static int
source_condemn(struct repacking *r, struct source_pack *s, struct err *e)
{
	struct catalog *cat = r->c->v->catalog;
	struct cat_pack there = s->pack;
	uint8_t *states = malloc(s->n + 1), to = COPY_CONDEMNED;
	int rc = states == NULL ? err_errno(e, "re-pack") : catalog_get(cat, &cat_packs, &there, e);

	if (rc == 1 || (rc == 0 && there.n != s->pack.n))
		rc = err_set(e, ERR_BUSY, "a pack was taken away while its rest was written anew");
	if (rc == 0)
		rc = chunks_in_pack(cat, r->domain, s->pack.n, s->ids, s->n, states, e);
	for (uint32_t i = 0; i < s->n && rc == 0; i++) {
		struct cat_place p = { .pack = s->pack.n, .state = states[i] };

		memcpy(p.id, s->ids + (size_t)i * DIGEST_LEN, DIGEST_LEN);
		if (states[i] & COPY_GOOD)
			rc = chunks_turn(cat, r->domain, &p, &to, 1, e);
	}
	free(states);
	return rc < 0 ? -1 : 0;
}

static int
locations_commit(struct repacking *r, struct pack_rows *rows, struct err *e)
{
	struct vault *v = r->c->v;
	int rc;

	if (vault_begin(v, e) != 0)
		return -1;
	rc = pack_rows_write(v, rows, e);
	for (size_t i = 0; i < r->nsrc && rc == 0; i++)
		rc = source_condemn(r, &r->src[i], e);
	if (rc == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return -1;
}

/* Put it, and commit where its frames are now: 0, 1 a copy that counts as bad was in its place: again; -1. */
static int
rest_put(struct repacking *r, const struct pack_view *view, const struct pack_info *info, struct err *e)
{
	struct vault *v = r->c->v;
	struct pack_rows rows;
	struct pack_put put;
	struct err mine;
	int rc;

	err_clear(&mine);
	if (pack_put(v->store, info->id, r->out, info->len, &put, e) != 0 || pack_rows_make(&rows, view, &put, e) != 0)
		return -1;
	if ((rc = locations_commit(r, &rows, &mine)) == 0)
		rc = pack_rows_condemn(v, &rows, e);
	else if (mine.code == ERR_BUSY)
		rc = 1;
	else if (e != NULL)
		*e = mine;
	pack_rows_release(&rows);
	return rc;
}

/* Build the new pack of what was gathered. */
static int
repack_flush(struct repacking *r, struct err *e)
{
	struct vault *v = r->c->v;
	struct pack_view view;
	struct pack_info info;
	int rc = 1;

	if (r->count == 0)
		return 0;
	for (size_t i = 0; i < r->nsrc; i++)
		qsort(r->src[i].ids, r->src[i].n, DIGEST_LEN, id_order);
	pack_rebuild(r->domain, v->desc.vault_id, v->sign_secret, r->frames, r->count, r->out, &info);
	if (pack_view_bytes(&view, r->out, info.len, v->desc.vault_id, NULL, e) != 0)
		rc = -1;
	for (int i = 0; i < PUT_TRIES && rc == 1; i++)
		rc = rest_put(r, &view, &info, e);
	if (rc == 0) {
		r->c->r->repacked += r->nsrc;
		r->c->r->repacked_bytes += info.len;
	}
	sources_clear(r);
	return rc < 0 ? -1 : 0;		/* what could not be put stays where it is */
}

/* --- frames --- */

/* The whole pack, its table believed: 0 with new memory, 1 it stays as it is (told), -1. */
static int
pack_read(struct collect *c, const struct cat_pack *p, struct pack_view *view, uint8_t **end, uint8_t **bytes, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct err mine;
	size_t got;
	int rc;

	*bytes = NULL;
	if ((rc = pack_table_read(c->v, p, view, end, e)) != 0)
		return rc;
	vault_name_pack(name, p->id, p->copy);
	err_clear(&mine);
	if ((*bytes = malloc((size_t)p->len)) == NULL) {
		rc = err_errno(e, "%s", name);
	} else if (c->v->store->ops->get(c->v->store, name, 0, *bytes, (size_t)p->len, &got, &mine) != 0 ||
	    got != (size_t)p->len) {
		say_warn("%s is not written anew, verify it: %s", name, mine.code == ERR_NONE ? "it is cut short" : mine.msg);
		rc = 1;
	}
	if (rc != 0) {
		free(*bytes);
		free(*end);
		*bytes = *end = NULL;
	}
	return rc;
}

/* Table and footer of a machine's own pack: what the signatures of its frames stand on. */
static int
origin_keep(struct collect *c, const struct cat_pack *p, const uint8_t *bytes, const struct pack_view *view, struct err *e)
{
	size_t n = (size_t)view->foot.table_len + PACK_FOOT_LEN;
	char name[VAULT_NAME_MAX];

	if (view->table.head.flags & PACK_REPACKED)
		return 0;	/* its rows name theirs */
	vault_name_origin(name, p->id);
	return c->v->store->ops->put_new(c->v->store, name, bytes + (size_t)p->len - n, n, e) < 0 ? -1 : 0;
}

static int
frame_add(struct repacking *r, const struct pack_view *view, struct pack_row *row, const uint8_t *bytes, struct err *e)
{
	struct pack_frame *f;

	if (r->count == r->cap) {
		uint32_t cap = r->cap == 0 ? 256 : r->cap * 2;

		if ((f = realloc(r->frames, cap * sizeof(*f))) == NULL)
			return err_set(e, ERR_MEMORY, "no memory for re-packing");
		r->frames = f;
		r->cap = cap;
	}
	f = &r->frames[r->count++];
	f->row = *row;
	if (!(view->table.head.flags & PACK_REPACKED)) {
		memcpy(f->row.writer, view->foot.maker, ID_LEN);
		memcpy(f->row.origin, view->foot.pack_id, DIGEST_LEN);
	}
	memcpy(r->bytes + r->len, bytes, row->len);
	f->bytes = r->bytes + r->len;
	r->len += row->len;
	return 0;
}

/* States of the table's rows, in their order, in new memory. */
static uint8_t *
rows_states(struct collect *c, const struct cat_pack *p, const struct pack_view *view, struct err *e)
{
	uint8_t *ids = malloc((size_t)view->table.count * DIGEST_LEN + 1), *states = malloc(view->table.count + 1);

	if (ids == NULL || states == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory for re-packing");
	} else {
		for (uint32_t i = 0; i < view->table.count; i++) {
			struct pack_row row;

			pack_table_row(&view->table, i, &row);
			memcpy(ids + (size_t)i * DIGEST_LEN, row.id, DIGEST_LEN);
		}
		if (chunks_in_pack(c->v->catalog, p->domain_id, p->n, ids, view->table.count, states, e) == 0) {
			free(ids);
			return states;
		}
	}
	free(ids);
	free(states);
	return NULL;
}

/* What is live of it, and is it little enough?  Also: is every live frame good? */
struct rest {
	uint32_t count;
	uint64_t len, all;
	int bad;
};

static void
rest_weigh(const struct cat_pack *p, const struct pack_view *view, const uint8_t *states, const uint8_t *bytes, struct rest *t)
{
	uint32_t off = PACK_HEAD_LEN;

	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; i < view->table.count; i++) {
		struct pack_row row;

		pack_table_row(&view->table, i, &row);
		t->all += row.len;
		if (states[i] & COPY_GOOD) {
			t->count++;
			t->len += row.len;
			t->bad |= pack_frame_check(&row, bytes + off, p->domain_id, PACK_FULL) != NULL;
		} else if (states[i] & (COPY_DAMAGED | COPY_DISPUTED)) {
			t->bad = 1;	/* it is to be looked at, not to be written anew */
		}
		off += row.len;
	}
}

static int
rest_take(struct repacking *r, const struct cat_pack *p, const struct pack_view *view, const uint8_t *states,
    const uint8_t *bytes, const struct rest *t, struct err *e)
{
	struct source_pack *s = &r->src[r->nsrc];
	uint32_t off = PACK_HEAD_LEN;

	s->pack = *p;
	s->n = 0;
	if ((s->ids = malloc((size_t)t->count * DIGEST_LEN + 1)) == NULL)
		return err_set(e, ERR_MEMORY, "no memory for re-packing");
	r->nsrc++;
	for (uint32_t i = 0; i < view->table.count; i++) {
		struct pack_row row;

		pack_table_row(&view->table, i, &row);
		if (states[i] & COPY_GOOD) {
			memcpy(s->ids + (size_t)s->n++ * DIGEST_LEN, row.id, DIGEST_LEN);
			if (frame_add(r, view, &row, bytes + off, e) != 0)
				return -1;
		}
		off += row.len;
	}
	return 0;
}

/* One pack of which something is condemned. */
static int
pack_look(struct repacking *r, const struct cat_pack *p, struct err *e)
{
	uint8_t *end = NULL, *bytes = NULL, *states = NULL;
	struct pack_view view;
	struct rest t;
	int rc;

	if ((rc = pack_read(r->c, p, &view, &end, &bytes, e)) != 0)
		return rc == 1 ? 0 : -1;
	rc = -1;
	if ((states = rows_states(r->c, p, &view, e)) == NULL)
		goto free;
	rest_weigh(p, &view, states, bytes, &t);
	rc = 0;
	if (t.count == 0 || t.bad || t.len * 2 > t.all)
		goto free;
	if (r->nsrc == SOURCES_MOST || (r->count > 0 && (memcmp(r->domain, p->domain_id, DIGEST_LEN) != 0 ||
	    memcmp(r->owner, p->owner, ID_LEN) != 0)) || r->count + t.count > PACK_FRAMES_MAX ||
	    pack_rebuild_len(r->count + t.count, r->len + t.len) > PACK_LEN_MAX)
		rc = repack_flush(r, e);
	memcpy(r->domain, p->domain_id, DIGEST_LEN);
	memcpy(r->owner, p->owner, ID_LEN);
	if (rc == 0 && (rc = origin_keep(r->c, p, bytes, &view, e)) == 0)
		rc = rest_take(r, p, &view, states, bytes, &t, e);
free:
	free(states);
	free(bytes);
	free(end);
	return rc;
}

/* By machine, so that each new pack has the chunks of one. */
struct candidate {
	struct cat_pack pack;
};

static int
candidate_order(const void *a, const void *b)
{
	const struct cat_pack *x = &((const struct candidate *)a)->pack, *y = &((const struct candidate *)b)->pack;
	int c = memcmp(x->domain_id, y->domain_id, DIGEST_LEN);

	if (c == 0)
		c = memcmp(x->owner, y->owner, ID_LEN);
	return c != 0 ? c : x->n < y->n ? -1 : x->n > y->n;
}

/* Packs a good part of whose copies is condemned. */
static int
candidates_find(struct collect *c, struct candidate **out, size_t *n, struct err *e)
{
	struct candidate *all = malloc((c->ntally + 1) * sizeof(*all));
	int rc = all == NULL ? err_errno(e, "collect") : 0;

	*n = 0;
	for (size_t i = 0; i < c->ntally && rc == 0; i++) {
		struct cat_pack p;

		if ((rc = catalog_pack(c->v->catalog, c->tally[i].pack, &p, e)) == 0 && c->tally[i].condemned * 4 >= p.count)
			all[(*n)++].pack = p;
		rc = rc < 0 ? -1 : 0;
	}
	if (rc == 0)
		qsort(all, *n, sizeof(*all), candidate_order);
	*out = all;
	return rc;
}

int
packs_repack(struct collect *c, struct err *e)
{
	struct repacking r = { .c = c };
	struct candidate *all = NULL;
	size_t n;
	int rc = -1;

	if ((r.bytes = malloc(PACK_LEN_MAX)) == NULL || (r.out = aligned_alloc(4096, PACK_LEN_MAX)) == NULL)
		(void)err_set(e, ERR_MEMORY, "no memory for re-packing");
	else
		rc = candidates_find(c, &all, &n, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if ((rc = pack_look(&r, &all[i].pack, e)) == 0)
			rc = stop_check(e);
	if (rc == 0)
		rc = repack_flush(&r, e);
	sources_clear(&r);
	free(all);
	free(r.frames);
	free(r.bytes);
	free(r.out);
	return rc;
}
