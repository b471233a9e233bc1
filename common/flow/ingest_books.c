#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/epoch.h"
#include "common/flow/ingest_books.h"
#include "common/flow/ingest_repack.h"
#include "common/flow/pack_rows.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define FLUSH_PACKS	64u
#define FLUSH_COPIES	16384u
#define BAD_KEPT	(1u << 20)

/* A pack of the disk of which something could not be taken. */
struct loss {
	uint8_t pack_id[DIGEST_LEN];
	char why[TEXT_MAX_LEN + 1];
	uint8_t *ids;
	size_t n;
};

struct books {
	struct ingest *g;
	struct pack_rows entries[FLUSH_PACKS + 1];	/* durable in the store, not yet in the catalog */
	size_t nentries, ncopies;
	struct loss losses[FLUSH_PACKS];
	size_t nlosses;
	struct repack *repack;
	uint8_t *ids, *states;		/* of one pack, sorted */
	uint32_t *order;
	uint8_t *bad;			/* ids that were bad and not held when they came */
	size_t nbad;
	uint64_t bad_more;		/* beyond those kept */
};

struct books *
books_new(struct ingest *g, struct err *e)
{
	struct books *b = calloc(1, sizeof(*b));

	if (b == NULL || (b->ids = malloc((size_t)PACK_FRAMES_MAX * DIGEST_LEN)) == NULL ||
	    (b->states = malloc(PACK_FRAMES_MAX)) == NULL ||
	    (b->order = malloc(PACK_FRAMES_MAX * sizeof(*b->order))) == NULL ||
	    (b->repack = repack_new(g, e)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to take in a disk");
		books_free(b);
		return NULL;
	}
	b->g = g;
	return b;
}

static void
entries_clear(struct books *b)
{
	for (size_t i = 0; i < b->nentries; i++)
		pack_rows_release(&b->entries[i]);
	for (size_t i = 0; i < b->nlosses; i++)
		free(b->losses[i].ids);
	b->nentries = b->ncopies = b->nlosses = 0;
}

void
books_free(struct books *b)
{
	if (b == NULL)
		return;
	entries_clear(b);
	repack_free(b->repack);
	free(b->ids);
	free(b->states);
	free(b->order);
	free(b->bad);
	free(b);
}

/* Of a disk that another has taken the place of, and that came late, nothing is lost: the other brings it. */
static int
is_replaced(struct books *b, struct err *e)
{
	struct cat_disk d;
	int rc;

	memcpy(d.image_id, b->g->st.image_id, ID_LEN);
	d.number = b->g->st.disk;
	return (rc = catalog_get(b->g->v->catalog, &cat_disks, &d, e)) < 0 ? -1 : rc == 0 && d.replaced != 0;
}

/* A loss is recorded once: not again where all its ids are known as lost from this very disk. */
static int
loss_record(struct books *b, const struct loss *l, struct err *e)
{
	struct rec_loss d = { .disk = b->g->st.disk, .chunk_ids = { l->ids, (uint32_t)(l->n * DIGEST_LEN) } };
	struct cat_unstored u;
	size_t known = 0;
	int rc = is_replaced(b, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	memcpy(u.machine_id, b->g->st.machine_id, ID_LEN);
	memcpy(u.image_id, b->g->st.image_id, ID_LEN);
	for (size_t i = 0; i < l->n && known == i; i++) {
		memcpy(u.id, l->ids + i * DIGEST_LEN, DIGEST_LEN);
		if ((rc = catalog_get(b->g->v->catalog, &cat_unstored, &u, e)) < 0)
			return -1;
		known += rc == 0 && u.disk == d.disk;
	}
	if (known == l->n)
		return 0;
	memcpy(d.machine_id, b->g->st.machine_id, ID_LEN);
	memcpy(d.image_id, b->g->st.image_id, ID_LEN);
	memcpy(d.pack_id, l->pack_id, DIGEST_LEN);
	memcpy(d.why, l->why, sizeof(d.why));
	return vault_record(b->g->v, REC_LOSS, &rec_loss_schema, &d, e);
}

static int
books_flush(struct books *b, struct err *e)
{
	struct vault *v = b->g->v;

	if (b->nentries == 0 && b->nlosses == 0)
		return 0;
	if (vault_begin(v, e) != 0)
		return -1;
	if (session_stay(v, &b->g->session, e) != 0)
		goto rollback;
	for (size_t i = 0; i < b->nentries; i++)
		if (pack_rows_write(v, &b->entries[i], e) != 0)
			goto rollback;
	for (size_t i = 0; i < b->nlosses; i++)
		if (loss_record(b, &b->losses[i], e) != 0)
			goto rollback;
	if (vault_commit(v, e) != 0)
		return -1;
	for (size_t i = 0; i < b->nentries; i++)
		if (pack_rows_condemn(v, &b->entries[i], e) != 0)
			return -1;
	entries_clear(b);
	return 0;
rollback:
	vault_rollback(v);
	return -1;
}

/* Write down a pack that stands in the store: ${v} is its table. */
static int
entry_add(struct books *b, const struct pack_view *v, const struct pack_put *put, struct err *e)
{
	if (pack_rows_make(&b->entries[b->nentries], v, put, e) != 0)
		return err_during(e, "%s", b->g->name);
	b->nentries++;
	b->ncopies += v->table.count;
	if (put->made)
		b->g->r->bytes_stored += v->file_len;
	if (b->nentries == FLUSH_PACKS || b->ncopies >= FLUSH_COPIES)
		return books_flush(b, e);
	return 0;
}

/* The frames that were gathered become a pack of the vault's own. */
static int
repack_put(struct books *b, struct err *e)
{
	const struct pack_view *view;
	struct pack_put put;

	if (repack_finish(b->repack, &view, &put, e) != 0)
		return -1;
	if (view == NULL)
		return 0;
	b->g->r->packs_repacked++;
	return entry_add(b, view, &put, e);
}

static int
order_by_id(const void *a, const void *b, void *arg)
{
	const struct pack_table *t = arg;
	struct pack_row x, y;

	pack_table_row(t, *(const uint32_t *)a, &x);
	pack_table_row(t, *(const uint32_t *)b, &y);
	return memcmp(x.id, y.id, DIGEST_LEN);
}

/* States of all frames of the table, in b->states by b->order. */
static int
look_up(struct books *b, const struct pack_slot *s, struct err *e)
{
	struct pack_table t = s->view.table;

	for (uint32_t i = 0; i < t.count; i++)
		b->order[i] = i;
	qsort_r(b->order, t.count, sizeof(*b->order), order_by_id, &t);
	for (uint32_t i = 0; i < t.count; i++) {
		struct pack_row row;

		pack_table_row(&t, b->order[i], &row);
		memcpy(b->ids + (size_t)i * DIGEST_LEN, row.id, DIGEST_LEN);
	}
	return chunks_find(b->g->v->catalog, b->g->st.domain_id, b->g->st.machine_id, b->ids, t.count, b->states, e);
}

/* Keep what failed for a person to look at; a vault that is full has no room for it. */
static void
quarantine(struct books *b, const struct pack_slot *s)
{
	const struct ingest *g = b->g;
	char name[VAULT_NAME_MAX];
	struct err mine;

	g->r->packs_bad++;
	say_warn("%s: pack %08u: %s", g->name, s->number, s->why);
	if (s->len == 0)
		return;
	err_clear(&mine);
	vault_name_bad_disk_pack(name, g->st.image_id, g->st.disk, s->number, 1);
	if (g->v->store->ops->put_new(g->v->store, name, s->pack, s->len, &mine) < 0)
		say_warn("it cannot be kept in quarantine: %s", mine.msg);
}

/* Remember ids that could not be taken, to see at the end whether they came in another pack. */
static int
bad_keep(struct books *b, const uint8_t *ids, size_t n, struct err *e)
{
	uint8_t *more;

	if (b->nbad + n > BAD_KEPT) {
		b->bad_more += n;
		return 0;
	}
	if ((more = realloc(b->bad, (b->nbad + n) * DIGEST_LEN)) == NULL)
		return err_errno(e, "%s", b->g->name);
	b->bad = more;
	memcpy(b->bad + b->nbad * DIGEST_LEN, ids, n * DIGEST_LEN);
	b->nbad += n;
	return 0;
}

/* The bad frames that the vault does not hold; b->order and b->states are set. */
static int
losses_add(struct books *b, const struct pack_slot *s, struct err *e)
{
	struct loss *l = &b->losses[b->nlosses];

	memset(l, 0, sizeof(*l));
	if ((l->ids = malloc((size_t)s->nbad * DIGEST_LEN)) == NULL)
		return err_errno(e, "%s", b->g->name);
	for (uint32_t i = 0; i < s->view.table.count; i++)
		if (!s->good[b->order[i]] && !(b->states[i] & COPY_GOOD))
			memcpy(l->ids + l->n++ * DIGEST_LEN, b->ids + (size_t)i * DIGEST_LEN, DIGEST_LEN);
	if (l->n == 0) {
		free(l->ids);
		return 0;
	}
	memcpy(l->pack_id, s->view.foot.pack_id, DIGEST_LEN);
	(void)snprintf(l->why, sizeof(l->why), "%s, pack %08u: %s", b->g->name, s->number, s->why);
	b->nlosses++;
	if (bad_keep(b, l->ids, l->n, e) != 0)
		return -1;
	return b->nlosses == FLUSH_PACKS ? books_flush(b, e) : 0;
}

/* A pack that was not stored as it is: its good, new frames. */
static int
take_parts(struct books *b, struct pack_slot *s, struct err *e)
{
	if (look_up(b, s, e) != 0)
		return -1;
	/* In the pack's own order: positions follow from it. */
	if (repack_source(b->repack, s, e) != 0)
		return -1;
	for (uint32_t i = 0; i < s->view.table.count; i++) {
		uint32_t k = b->order[i];

		if (!s->good[k] || (b->states[i] & COPY_GOOD))
			continue;
		if (!repack_fits(b->repack, s, k) && repack_put(b, e) != 0)
			return -1;
		if (repack_add(b->repack, s, k, e) != 0)
			return -1;
	}
	return s->nbad > 0 ? losses_add(b, s, e) : 0;
}

int
books_slot(struct books *b, struct pack_slot *s, struct err *e)
{
	if (s->failed) {
		if (e != NULL)
			*e = s->err;
		return -1;
	}
	b->g->r->packs_read++;
	b->g->r->bytes_read += s->len;
	if (s->why[0] != '\0')
		quarantine(b, s);
	if (!s->believed) {
		b->bad_more++;		/* how many chunks it had, nobody can say */
		return 0;
	}
	if (!s->stored)
		return take_parts(b, s, e);
	b->g->r->packs_whole++;
	return entry_add(b, &s->view, &s->put, e);
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* How many of the chunks that were bad are not held after all. */
static int
bad_count(struct books *b, struct err *e)
{
	size_t unique = 0;
	uint8_t *states;

	b->g->r->chunks_bad += b->bad_more;
	if (b->nbad == 0)
		return 0;
	qsort(b->bad, b->nbad, DIGEST_LEN, id_order);
	for (size_t i = 0; i < b->nbad; i++)
		if (i == 0 || memcmp(b->bad + i * DIGEST_LEN, b->bad + (unique - 1) * DIGEST_LEN, DIGEST_LEN) != 0)
			memmove(b->bad + unique++ * DIGEST_LEN, b->bad + i * DIGEST_LEN, DIGEST_LEN);
	if ((states = malloc(unique)) == NULL)
		return err_errno(e, "%s", b->g->name);
	if (chunks_find(b->g->v->catalog, b->g->st.domain_id, b->g->st.machine_id, b->bad, unique, states, e) != 0) {
		free(states);
		return -1;
	}
	for (size_t i = 0; i < unique; i++)
		b->g->r->chunks_bad += !(states[i] & COPY_GOOD);
	free(states);
	return 0;
}

int
books_end(struct books *b, struct err *e)
{
	if (repack_put(b, e) != 0 || books_flush(b, e) != 0)
		return -1;
	return bad_count(b, e);
}
