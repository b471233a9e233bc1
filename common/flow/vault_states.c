/*
 * States of snapshots and images, from sets alone: held, promised, missing.
 * They are counted outside any transaction; a short one writes what was found
 * if nothing was taken away meanwhile.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/container.h"
#include "common/flow/gaps.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_count.h"

#define TRIES	100

struct states {
	struct vault *v;
	uint8_t machine[ID_LEN];
	struct container *store;
	struct cat_snapshot *rows;	/* of the machine, not whole */
	size_t n;
};

static int
snapshot_take(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *r = row;
	struct states *s = arg;
	struct cat_snapshot *more;

	if (r->state == SNAPSHOT_WHOLE)
		return 0;
	if ((more = realloc(s->rows, (s->n + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "snapshots");
	s->rows = more;
	s->rows[s->n++] = *r;
	return 0;
}

struct tally {
	const uint8_t *image;
	struct fmt_view named;		/* digests of the envelopes that its manifest names */
	uint32_t all, whole, partial, pending, gap;
	uint32_t filed;			/* of those named */
};

static int
tally_snapshot(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *r = row;
	struct tally *t = arg;

	(void)e;
	if (memcmp(r->image_id, t->image, ID_LEN) != 0)
		return 0;
	for (size_t i = 0; i < list_count(t->named, DIGEST_LEN); i++)
		t->filed += memcmp(t->named.p + i * DIGEST_LEN, r->digest, DIGEST_LEN) == 0;
	t->all++;
	t->whole += r->state == SNAPSHOT_WHOLE;
	t->partial += r->state == SNAPSHOT_PARTIAL;
	t->pending += r->state == SNAPSHOT_PENDING;
	t->gap += r->state == SNAPSHOT_GAP;
	return 0;
}

/* Is it in a state that a person's decision put it into, or in which nothing of it has been taken in? */
static int
image_state_stays(const struct cat_image *i)
{
	switch (i->state) {
	case IMAGE_RECEIVED:
	case IMAGE_UNCLAIMED:
	case IMAGE_CLAIMED:
	case IMAGE_SHIPPED:
	case IMAGE_SEALED:
	case IMAGE_LOST:
	case IMAGE_CANCELLED:
	case IMAGE_HANDED_OFF:
	case IMAGE_RELEASED:
		return 1;
	default:
		return 0;
	}
}

/* Has its lease run out, and is that something new?  Nobody counts on what was lost, cancelled or has come. */
static int
image_lease_is_over(const struct vault *v, const struct cat_image *i)
{
	return i->generation > 0 && v->slow > i->pledge_until && i->state != IMAGE_EXPIRED && (!image_state_stays(i) ||
	    i->state == IMAGE_RECEIVED || i->state == IMAGE_SHIPPED || i->state == IMAGE_SEALED);
}

/*
 * By its disks and by what is known of its snapshots; whole only if each one
 * that the manifest names was filed, and is.
 */
static uint32_t
image_state_of(const struct vault *v, const struct cat_image *i, const struct tally *t, int named, uint32_t out)
{
	if (i->generation > 0 && out > 0 && v->slow > i->pledge_until)
		return IMAGE_EXPIRED;
	if (t->gap > 0 || (named && out == 0 && t->filed < list_count(t->named, DIGEST_LEN)))
		return IMAGE_GAP;
	if (!named || i->generation == 0 || out > 0 || t->whole + t->partial < t->all)
		return IMAGE_INGESTING;
	return t->partial > 0 ? IMAGE_PARTIAL : IMAGE_WHOLE;
}

/* One that waits for its disks, or for the rest of them: has its lease run out? */
static int
image_expire(struct vault *v, struct cat_image *i, struct err *e)
{
	uint32_t out;

	if (!image_lease_is_over(v, i))
		return 0;
	if (vault_disks_out(v, i->id, &out, e) != 0)
		return -1;
	if (out == 0)
		return 0;
	i->state = IMAGE_EXPIRED;
	return catalog_put(v->catalog, &cat_images, i, e);
}

/* An image's state: by its disks and the snapshots that came with it. */
static int
image_update(void *arg, const void *row, struct err *e)
{
	struct cat_image i = *(const struct cat_image *)row;
	struct states *s = arg;
	struct tally t = { .image = i.id };
	struct cat_snapshot like;
	struct manifest m;
	uint8_t *bytes;
	uint32_t out, state;
	uint64_t lacks = 0;
	int rc;

	if (memcmp(i.machine_id, s->machine, ID_LEN) != 0)
		return 0;
	if (image_state_stays(&i))
		return image_expire(s->v, &i, e);
	if ((rc = vault_manifest(s->v, &i, &bytes, &m, e)) < 0)
		return -1;
	if (rc == 0)
		t.named = m.envelopes;
	memcpy(like.machine_id, s->machine, ID_LEN);
	if (vault_disks_out(s->v, i.id, &out, e) != 0 ||
	    catalog_each(s->v->catalog, &cat_snapshots, 1, &like, tally_snapshot, &t, e) != 0 ||
	    (rc == 0 && t.named.len == 0 && out == 0 && carried_lacks(s->v, &i, &m, &lacks, e) != 0)) {
		free(bytes);
		return -1;
	}
	t.gap += lacks > 0;	/* it has no snapshots, and not all that it carries is held */
	state = image_state_of(s->v, &i, &t, rc == 0, out);
	free(bytes);
	if (state == i.state)
		return 0;
	i.state = state;
	return catalog_put(s->v->catalog, &cat_images, &i, e);
}

/* The state alone: what else the row says may have been decided meanwhile, or it may be gone. */
static int
state_write(struct states *s, const struct cat_snapshot *found, struct err *e)
{
	struct cat_snapshot row = *found;
	int rc;

	if ((rc = catalog_get(s->v->catalog, &cat_snapshots, &row, e)) != 0)
		return rc == 1 ? 0 : -1;
	memcpy(row.pending_on, found->pending_on, ID_LEN);
	row.state = found->state;
	row.missing = found->missing;
	row.promised = found->promised;
	row.given_up = found->given_up;
	return catalog_put(s->v->catalog, &cat_snapshots, &row, e);
}

/* Write what was found, unless something was taken away since ${removals}: 0, 1 compute again, -1. */
static int
states_write(struct states *s, int64_t removals, struct err *e)
{
	int64_t now;
	int rc = 0;

	if (vault_begin(s->v, e) != 0)
		return -1;
	if (catalog_number(s->v->catalog, "removals", &now, e) < 0)
		goto rollback;
	if (now != removals)
		rc = 1;
	for (size_t i = 0; i < s->n && rc == 0; i++)
		rc = state_write(s, &s->rows[i], e);
	if (rc == 0)
		rc = catalog_each(s->v->catalog, &cat_images, 0, NULL, image_update, s, e);
	if (rc >= 0)
		return vault_commit(s->v, e) != 0 ? -1 : rc;
rollback:
	vault_rollback(s->v);
	return -1;
}

/* One attempt: 0, 1 something was taken away meanwhile, -1. */
static int
states_once(struct states *s, struct err *e)
{
	struct cat_snapshot like;
	int64_t removals;

	s->n = 0;
	memcpy(like.machine_id, s->machine, ID_LEN);
	if (catalog_number(s->v->catalog, "removals", &removals, e) < 0 ||
	    catalog_each(s->v->catalog, &cat_snapshots, 1, &like, snapshot_take, s, e) != 0 ||
	    vault_count(s->v, s->store, s->machine, s->rows, s->n, e) != 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		s->rows[i].state = s->rows[i].missing > 0 ? SNAPSHOT_GAP : s->rows[i].promised > 0 ? SNAPSHOT_PENDING :
		    s->rows[i].given_up > 0 ? SNAPSHOT_PARTIAL : SNAPSHOT_WHOLE;
	return states_write(s, removals, e);
}

int
vault_states(struct vault *v, const uint8_t machine[ID_LEN], struct err *e)
{
	struct states s = { .v = v };
	int rc = -1, turn;

	memcpy(s.machine, machine, ID_LEN);
	if ((s.store = container_vault(v->path, machine, e)) == NULL)
		goto free;
	/* One at a time: whoever writes last has seen all that was taken in before. */
	if ((turn = vault_turn(v, "states.lock", e)) == -1)
		goto free;
	rc = 1;
	for (int i = 0; i < TRIES && rc == 1; i++)
		rc = states_once(&s, e);
	if (rc == 1)
		rc = err_set(e, ERR_BUSY, "things are taken away from the vault faster than states can be computed");
	(void)io->close(turn);
free:
	container_free(s.store);
	free(s.rows);
	return rc;
}

/* An image that still counts on disks, and whose lease has run out. */
static int
lease_look(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct vault *v = arg;
	uint32_t out;

	if (!image_lease_is_over(v, i))
		return 0;
	if (vault_disks_out(v, i->id, &out, e) != 0)
		return -1;
	return out > 0 ? vault_states(v, i->machine_id, e) : 0;
}

int
vault_leases(struct vault *v, struct err *e)
{
	return catalog_each(v->catalog, &cat_images, 0, NULL, lease_look, v, e);
}
