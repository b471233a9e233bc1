/*
 * Ids that are held, promised or missing, counted for many snapshots in one
 * reading of their lists and of the lists that say what travels.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_doubt.h"
#include "common/crypto/hash.h"
#include "common/flow/container.h"
#include "common/flow/gaps.h"
#include "common/flow/id_list.h"
#include "common/flow/refs_merge.h"
#include "common/flow/refs_read.h"
#include "common/flow/vault_count.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define BATCH		65536u

/* An image of which something is still to come. */
struct pledge {
	uint8_t image[ID_LEN];
	uint8_t *manifest;
	struct fmt_view leans_on;	/* into it */
	int again;			/* it has no snapshots, and says by a list what it carries */
	uint8_t carried[DIGEST_LEN];	/* digest of that */
	uint8_t domain[DIGEST_LEN];
};

/* A list that is read: a snapshot's, or what an image without snapshots carries. */
struct part {
	struct cat_snapshot *row;	/* that is counted, or NULL */
	unsigned bit;			/* its position among those that are counted together */
	uint64_t own, leant;		/* pledges that it belongs to; whose image leans on its image */
	uint64_t again;			/* pledge whose image brings these ids once more */
};

struct count {
	struct vault *v;
	struct container *store;
	const uint8_t *machine;
	struct pledge pledges[PLEDGES_MOST];
	size_t npledges;
	struct promising promising;	/* the same, for unstored_find */
	struct cat_snapshot *all;	/* of the machine */
	size_t nall;
	struct refs_merge *merge;
	struct part *parts;
	size_t nparts;
	uint8_t domain[DIGEST_LEN];	/* of the lists */
	/* The ids in hand. */
	size_t n;
	uint8_t *ids, *held, *gone, *doubted;
	uint64_t *promised;		/* by which pledges, a bit each */
	uint64_t *again;		/* the same, of those that bring it once more */
	uint64_t *lost;			/* from whose disks */
	uint32_t *needed;		/* by which of the snapshots */
	vault_missing_fn fn;		/* is told what is missing; may be NULL */
	void *arg;
	int gone_too;			/* and what was given up */
};

static int
disk_is_out(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;

	(void)e;
	if (d->state == DISK_EXPECTED || d->state == DISK_RECEIVED)
		(*(uint32_t *)arg)++;
	return 0;
}

int
vault_disks_out(struct vault *v, const uint8_t image[ID_LEN], uint32_t *n, struct err *e)
{
	struct cat_disk like;

	*n = 0;
	memcpy(like.image_id, image, ID_LEN);
	return catalog_each(v->catalog, &cat_disks, 1, &like, disk_is_out, n, e);
}

int
vault_manifest(struct vault *v, const struct cat_image *i, uint8_t **bytes, struct manifest *m, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct err mine;
	size_t len;

	*bytes = NULL;
	if (i->generation == 0)
		return 1;
	err_clear(&mine);
	vault_name_image(name, i->id, "manif", i->generation);
	if (store_read(v->store, name, STATEMENT_MAX, bytes, &len, &mine) != 0) {
		*bytes = NULL;
		if (mine.code != ERR_MEMORY)
			return 1;
		if (e != NULL)
			*e = mine;
		return -1;
	}
	return schema_decode(&manifest_schema, m, *bytes, len) == FMT_OK ? 0 : 1;
}

/* It brings again what was lost. */
static void
pledge_again(struct count *c, struct pledge *p, const struct manifest *m)
{
	p->again = 1;
	memcpy(p->carried, m->carried, DIGEST_LEN);
	memcpy(p->domain, m->domain_id, DIGEST_LEN);
	c->promising.again |= UINT64_C(1) << c->npledges;
}

/* Does this image promise anything now?  Its manifest is known, a disk of it is to come, its lease runs. */
static int
pledge_take(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct count *c = arg;
	struct pledge *p = &c->pledges[c->npledges];
	struct manifest m;
	uint32_t out;
	int rc;

	if (memcmp(i->machine_id, c->machine, ID_LEN) != 0 || i->generation == 0 || i->state == IMAGE_UNCLAIMED ||
	    i->state == IMAGE_CANCELLED || i->state == IMAGE_LOST || c->v->slow > i->pledge_until)
		return 0;
	if (vault_disks_out(c->v, i->id, &out, e) != 0)
		return -1;
	if (out == 0)
		return 0;
	if (c->npledges == PLEDGES_MOST) {
		say_warn("more than %u images of one machine are in the mail; what %s carries is not counted as promised",
		    PLEDGES_MOST, i->short_name);
		return 0;
	}
	if ((rc = vault_manifest(c->v, i, &p->manifest, &m, e)) < 0)
		return -1;
	memcpy(p->image, i->id, ID_LEN);
	p->leans_on = rc == 0 ? m.leans_on : (struct fmt_view){ NULL, 0 };
	if (rc == 0 && m.envelopes.len == 0)
		pledge_again(c, p, &m);
	memcpy(c->promising.images + c->npledges * ID_LEN, i->id, ID_LEN);
	c->promising.n = ++c->npledges;
	return 0;
}

static int
snapshot_note(void *arg, const void *row, struct err *e)
{
	struct count *c = arg;
	struct cat_snapshot *more = realloc(c->all, (c->nall + 1) * sizeof(*more));

	if (more == NULL)
		return err_errno(e, "snapshots");
	c->all = more;
	c->all[c->nall++] = *(const struct cat_snapshot *)row;
	return 0;
}

static int
image_leans(const struct pledge *p, const uint8_t image[ID_LEN])
{
	for (size_t i = 0; i < list_count(p->leans_on, ID_LEN); i++)
		if (memcmp(p->leans_on.p + i * ID_LEN, image, ID_LEN) == 0)
			return 1;
	return 0;
}

/* What the list of ${s} says about the images in the mail. */
static void
part_pledges(const struct count *c, const struct cat_snapshot *s, struct part *t)
{
	for (size_t i = 0; i < c->npledges; i++) {
		if (memcmp(c->pledges[i].image, s->image_id, ID_LEN) == 0)
			t->own |= UINT64_C(1) << i;
		else if (image_leans(&c->pledges[i], s->image_id))
			t->leant |= UINT64_C(1) << i;
	}
}

/* A reader of the list of ${s}, or NULL with ${e}. */
static struct refs_reader *
list_open(struct count *c, const struct cat_snapshot *s, struct err *e)
{
	struct snap_place p = { .seq = (uint64_t)s->seq };
	char name[VAULT_NAME_MAX];
	struct refs_reader *r = NULL;
	struct envelope env;
	uint8_t *bytes;
	size_t len;

	memcpy(p.machine, s->machine_id, ID_LEN);
	vault_name_envelope(name, s->machine_id, p.seq);
	if (store_read(c->v->store, name, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
		return NULL;
	if (schema_decode(&envelope_schema, &env, bytes, len) != FMT_OK)
		(void)err_set(e, ERR_FORMAT, "%s", name);
	else if (c->nparts > 0 && memcmp(c->domain, env.domain_id, DIGEST_LEN) != 0)
		(void)err_set(e, ERR_DAMAGE, "%s is of another key domain than its machine", name);
	else
		r = refs_reader_new(c->store, &p, &env, e);
	if (r != NULL)
		memcpy(c->domain, env.domain_id, DIGEST_LEN);
	free(bytes);
	return r;
}

/* Open the list of ${s}, if it has a part in this. */
static int
part_add(struct count *c, const struct cat_snapshot *s, struct cat_snapshot *rows, size_t n, struct err *e)
{
	struct part t = { .row = NULL }, *more;
	struct refs_reader *r;
	struct err mine;

	for (size_t i = 0; i < n; i++)
		if (rows[i].seq == s->seq) {
			t.row = &rows[i];
			t.bit = (unsigned)i;
		}
	part_pledges(c, s, &t);
	if (t.row == NULL && t.own == 0 && t.leant == 0)
		return 0;
	err_clear(&mine);
	if ((r = list_open(c, s, &mine)) == NULL) {
		if (t.row == NULL && mine.code != ERR_MEMORY)
			return 0;	/* what it would have said is not known */
		if (e != NULL)
			*e = mine;
		return err_during(e, "snapshot %lld", (long long)s->seq);
	}
	if ((more = realloc(c->parts, (c->nparts + 1) * sizeof(*more))) == NULL) {
		refs_reader_free(r);
		return err_errno(e, "reference lists");
	}
	c->parts = more;
	c->parts[c->nparts++] = t;
	return refs_merge_take(c->merge, r, e) != 0 ? err_during(e, "snapshot %lld", (long long)s->seq) : 0;
}

static int
carried_next(void *arg, uint8_t id[DIGEST_LEN], struct err *e)
{
	return id_list_next(carried_list(arg), id, e);
}

static void
carried_free(void *arg)
{
	carried_close(arg);
}

/* Open the list of what ${p} brings once more, where it is here and is the one that its manifest names. */
static int
again_add(struct count *c, size_t place, struct err *e)
{
	const struct pledge *p = &c->pledges[place];
	struct part t = { .again = UINT64_C(1) << place }, *more;
	struct carried *list;
	struct err mine;

	err_clear(&mine);
	if ((list = carried_open(c->v, p->image, NULL, &mine)) == NULL)
		return mine.code == ERR_MEMORY ? err_set(e, ERR_MEMORY, "%s", mine.msg) : 0;
	if (memcmp(id_list_about(carried_list(list))->digest, p->carried, DIGEST_LEN) != 0 ||
	    (c->nparts > 0 && memcmp(c->domain, p->domain, DIGEST_LEN) != 0)) {
		carried_close(list);
		return 0;
	}
	if ((more = realloc(c->parts, (c->nparts + 1) * sizeof(*more))) == NULL) {
		carried_close(list);
		return err_errno(e, "lists of ids");
	}
	c->parts = more;
	c->parts[c->nparts++] = t;
	memcpy(c->domain, p->domain, DIGEST_LEN);
	return refs_merge_take_ids(c->merge, carried_next, carried_free, list, e);
}

/* All lists that have a part in counting ${rows}. */
static int
parts_open(struct count *c, struct cat_snapshot *rows, size_t n, struct err *e)
{
	int rc = 0;

	c->nparts = c->n = 0;
	if ((c->merge = refs_merge_new(e)) == NULL)
		return -1;
	for (size_t i = 0; i < c->nall && rc == 0; i++)
		rc = part_add(c, &c->all[i], rows, n, e);
	for (size_t i = 0; i < c->npledges && rc == 0; i++)
		if (c->pledges[i].again)
			rc = again_add(c, i, e);
	return rc;
}

/* Ids that no good copy is held of, moved together. */
static size_t
batch_open(struct count *c)
{
	size_t open = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (c->held[i] & COPY_GOOD)
			continue;
		memmove(c->ids + open * DIGEST_LEN, c->ids + i * DIGEST_LEN, DIGEST_LEN);
		/* It was here and went bad: the disk that it came on has been taken in. */
		c->promised[open] = c->held[i] == 0 ? c->promised[i] : 0;
		c->again[open] = c->again[i];
		c->needed[open++] = c->needed[i];
	}
	return open;
}

/*
 * What a collection has in view is needed after all.  Where that cannot be written
 * down (a user who only looks), what is condemned counts as not held.
 */
static int
batch_revive(struct count *c, struct err *e)
{
	struct err mine;
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->held[i] & (COPY_SUSPECT | COPY_CONDEMNED))
			memcpy(c->doubted + n++ * DIGEST_LEN, c->ids + i * DIGEST_LEN, DIGEST_LEN);
	if (n == 0)
		return 0;
	err_clear(&mine);
	if (catalog_begin(c->v->catalog, 1, &mine) == 0) {
		if (chunks_revive(c->v->catalog, c->domain, c->machine, c->doubted, n, NULL, &mine) == 0 &&
		    catalog_commit(c->v->catalog, &mine) == 0)
			return chunks_find(c->v->catalog, c->domain, c->machine, c->ids, c->n, c->held, e);
		catalog_rollback(c->v->catalog);
	}
	if (mine.code == ERR_PERMISSION)
		return 0;
	if (e != NULL)
		*e = mine;
	return -1;
}

/* By which pledge: its place from 1; 0: none.  What one image lost another may still bring. */
static unsigned
promised_by(const struct count *c, size_t i)
{
	uint64_t by = c->promised[i] & ~c->lost[i];

	if (by == 0)
		by = c->again[i] & ~c->lost[i];
	return by == 0 ? 0 : (unsigned)__builtin_ctzll(by) + 1;
}

static int
batch_count(struct count *c, struct cat_snapshot *rows, struct err *e)
{
	size_t open;

	if (c->n == 0)
		return 0;
	if (chunks_find(c->v->catalog, c->domain, c->machine, c->ids, c->n, c->held, e) != 0 || batch_revive(c, e) != 0)
		return -1;
	open = batch_open(c);
	if (open > 0 && c->npledges > 0 && unstored_find(c->v->catalog, c->machine, c->promising.images, c->npledges, c->ids, open,
	    c->lost, e) != 0)
		return -1;
	if (open > 0 && given_up_find(c->v->catalog, c->machine, c->ids, open, c->gone, e) != 0)
		return -1;
	for (size_t i = 0; i < open; i++) {
		unsigned promised = promised_by(c, i);

		for (uint32_t left = c->needed[i]; left != 0; left &= left - 1) {
			struct cat_snapshot *row = &rows[__builtin_ctz(left)];

			if (promised && row->promised++ == 0)
				memcpy(row->pending_on, c->pledges[promised - 1].image, ID_LEN);
			row->given_up += !promised && c->gone[i];
			row->missing += !promised && !c->gone[i];
		}
		if (!promised && (!c->gone[i] || c->gone_too) && c->fn != NULL && c->fn(c->arg, c->ids + i * DIGEST_LEN, e) != 0)
			return -1;
	}
	c->n = 0;
	return stop_check(e);
}

/* The next id of all lists: who needs it, and whether an image that has it in its lists must carry it itself. */
static void
id_take(struct count *c, const size_t *at, size_t n)
{
	uint64_t own = 0, leant = 0, again = 0;
	uint32_t needed = 0;

	for (size_t i = 0; i < n; i++) {
		const struct part *t = &c->parts[at[i]];

		own |= t->own;
		leant |= t->leant;
		again |= t->again;
		if (t->row != NULL)
			needed |= UINT32_C(1) << t->bit;
	}
	if (needed == 0)
		return;
	c->promised[c->n] = own & ~leant;
	c->again[c->n] = again;
	c->needed[c->n++] = needed;
}

/* At most COUNT_TOGETHER snapshots. */
static int
group_count(struct count *c, struct cat_snapshot *rows, size_t n, struct err *e)
{
	const size_t *at;
	size_t nat;
	int rc;

	for (size_t i = 0; i < n; i++) {
		rows[i].missing = rows[i].promised = rows[i].given_up = 0;
		memset(rows[i].pending_on, 0, ID_LEN);
	}
	rc = parts_open(c, rows, n, e);
	while (rc == 0 && (rc = refs_merge_next(c->merge, c->ids + c->n * DIGEST_LEN, &at, &nat, e)) == 1) {
		id_take(c, at, nat);
		rc = c->n == BATCH ? batch_count(c, rows, e) : 0;
	}
	if (rc == 0)
		rc = batch_count(c, rows, e);
	refs_merge_free(c->merge);
	return rc;
}

/* What images are in the mail, and what snapshots there are. */
static int
count_look(struct count *c, struct err *e)
{
	struct cat_snapshot like;

	memcpy(like.machine_id, c->machine, ID_LEN);
	if (vault_clock_look(c->v, e) != 0 || catalog_each(c->v->catalog, &cat_images, 0, NULL, pledge_take, c, e) != 0)
		return -1;
	return catalog_each(c->v->catalog, &cat_snapshots, 1, &like, snapshot_note, c, e);
}

static int
count_begin(struct count *c, struct err *e)
{
	c->ids = malloc((size_t)BATCH * DIGEST_LEN);
	c->held = malloc(BATCH);
	c->lost = calloc(BATCH, sizeof(*c->lost));
	c->promised = malloc(BATCH * sizeof(*c->promised));
	c->again = malloc(BATCH * sizeof(*c->again));
	c->gone = malloc(BATCH);
	c->doubted = malloc((size_t)BATCH * DIGEST_LEN);
	c->needed = malloc(BATCH * sizeof(*c->needed));
	if (c->ids == NULL || c->held == NULL || c->lost == NULL || c->promised == NULL || c->again == NULL || c->gone == NULL ||
	    c->doubted == NULL || c->needed == NULL)
		return err_errno(e, "states of snapshots");
	return count_look(c, e);
}

int
vault_count(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], struct cat_snapshot *rows, size_t n,
    struct err *e)
{
	return vault_missing(v, store, machine, rows, n, NULL, NULL, e);
}

static void
count_end(struct count *c)
{
	for (size_t i = 0; i < c->npledges; i++)
		free(c->pledges[i].manifest);
	free(c->all);
	free(c->parts);
	free(c->ids);
	free(c->held);
	free(c->lost);
	free(c->promised);
	free(c->again);
	free(c->gone);
	free(c->doubted);
	free(c->needed);
}

int
vault_missing(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], struct cat_snapshot *rows, size_t n,
    vault_missing_fn fn, void *arg, struct err *e)
{
	struct count c = { .v = v, .store = store, .machine = machine, .fn = fn, .arg = arg };
	int rc = n == 0 ? 0 : count_begin(&c, e);

	for (size_t i = 0; i < n && rc == 0; i += COUNT_TOGETHER)
		rc = group_count(&c, rows + i, n - i < COUNT_TOGETHER ? n - i : COUNT_TOGETHER, e);
	count_end(&c);
	return rc;
}

int
vault_lost(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], const struct cat_snapshot *row,
    vault_missing_fn fn, void *arg, struct err *e)
{
	struct count c = { .v = v, .store = store, .machine = machine, .fn = fn, .arg = arg, .gone_too = 1 };
	struct cat_snapshot counted = *row;
	int rc = count_begin(&c, e);

	if (rc == 0)
		rc = group_count(&c, &counted, 1, e);
	count_end(&c);
	return rc;
}

int
vault_promises(struct vault *v, const uint8_t machine[ID_LEN], uint8_t print[DIGEST_LEN], struct promising *p, struct err *e)
{
	struct count c = { .v = v, .machine = machine };
	int rc = count_look(&c, e);
	struct buf b;

	memset(print, 0, DIGEST_LEN);
	buf_init(&b);
	for (size_t i = 0; i < c.npledges; i++) {
		buf_add(&b, c.pledges[i].image, ID_LEN);
		buf_u32(&b, c.pledges[i].leans_on.len);
		buf_add(&b, c.pledges[i].leans_on.p, c.pledges[i].leans_on.len);
		if (c.pledges[i].again)
			buf_add(&b, c.pledges[i].carried, DIGEST_LEN);
	}
	for (size_t i = 0; i < c.nall; i++) {
		struct part t = { .row = NULL };

		part_pledges(&c, &c.all[i], &t);
		if (t.own != 0 || t.leant != 0)
			buf_add(&b, c.all[i].digest, DIGEST_LEN);
	}
	if (rc == 0 && (rc = buf_check(&b, e)) == 0 && c.npledges > 0)
		hash_once(b.p, b.len, print);
	*p = c.promising;
	buf_release(&b);
	count_end(&c);
	return rc;
}

int
vault_promised(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], int again, vault_missing_fn fn,
    void *arg, struct err *e)
{
	struct count c = { .v = v, .store = store, .machine = machine };
	uint8_t id[DIGEST_LEN];
	const size_t *at;
	size_t n;
	int rc = count_look(&c, e);

	if (rc == 0)
		rc = parts_open(&c, NULL, 0, e);
	while (rc == 0 && (rc = refs_merge_next(c.merge, id, &at, &n, e)) == 1) {
		uint64_t own = 0, leant = 0, more = 0;

		for (size_t i = 0; i < n; i++) {
			own |= c.parts[at[i]].own;
			leant |= c.parts[at[i]].leant;
			more |= c.parts[at[i]].again;
		}
		rc = (again ? more : own & ~leant) != 0 ? fn(arg, id, e) : 0;
	}
	refs_merge_free(c.merge);
	count_end(&c);
	return rc;
}
