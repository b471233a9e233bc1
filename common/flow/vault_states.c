/*
 * States of snapshots and images, from sets alone: held, promised, missing.
 * Lists are streamed outside any transaction; a short one writes what was found
 * if nothing was taken away meanwhile.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/crypto/sign.h"
#include "common/flow/container.h"
#include "common/flow/ingest_job.h"
#include "common/flow/refs_read.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define BATCH	65536u
#define TRIES	100

struct states {
	struct vault *v;
	uint8_t machine[ID_LEN];
	struct container *store;
	int pledged;			/* an image of this machine is on its way */
	uint8_t *ids, *held, *lost;
	struct cat_snapshot *rows;	/* of the machine, not whole */
	size_t n;
};

/* Disks of an image that have not been ingested. */
static int
disk_is_out(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;

	(void)e;
	if (d->state == DISK_EXPECTED || d->state == DISK_RECEIVED)
		(*(uint32_t *)arg)++;
	return 0;
}

static int
disks_out(struct vault *v, const uint8_t image[ID_LEN], uint32_t *n, struct err *e)
{
	struct cat_disk like;

	*n = 0;
	memcpy(like.image_id, image, ID_LEN);
	return catalog_each(v->catalog, &cat_disks, 1, &like, disk_is_out, n, e);
}

/* Does this image promise anything now?  Its manifest is known, a disk of it is to come, its lease runs. */
static int
image_pledges(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct states *s = arg;
	uint32_t out;

	if (memcmp(i->machine_id, s->machine, ID_LEN) != 0 || i->generation == 0 || i->state == IMAGE_UNCLAIMED ||
	    s->v->slow > i->pledge_until)
		return 0;
	if (disks_out(s->v, i->id, &out, e) != 0)
		return -1;
	s->pledged |= out > 0;
	return 0;
}

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

/* Count ${n} ids of a list. */
static int
batch_count(struct states *s, const uint8_t domain[DIGEST_LEN], size_t n, struct cat_snapshot *row, struct err *e)
{
	size_t open = 0;

	if (chunks_find(s->v->catalog, domain, s->machine, s->ids, n, s->held, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (!(s->held[i] & COPY_GOOD))
			memmove(s->ids + open++ * DIGEST_LEN, s->ids + i * DIGEST_LEN, DIGEST_LEN);
	if (open > 0 && unstored_find(s->v->catalog, s->machine, s->ids, open, s->lost, e) != 0)
		return -1;
	for (size_t i = 0; i < open; i++) {
		if (s->pledged && !s->lost[i])
			row->promised++;
		else
			row->missing++;
	}
	return stop_check(e);
}

static int
list_count_ids(struct states *s, struct refs_reader *r, const uint8_t domain[DIGEST_LEN], struct cat_snapshot *row,
    struct err *e)
{
	size_t n = 0;
	int rc;

	row->missing = row->promised = 0;
	while ((rc = refs_reader_next(r, s->ids + n * DIGEST_LEN, e)) == 1)
		if (++n == BATCH) {
			if (batch_count(s, domain, n, row, e) != 0)
				return -1;
			n = 0;
		}
	return rc == 0 && n > 0 ? batch_count(s, domain, n, row, e) : rc;
}

/* The state of one snapshot as it is now, in ${row}. */
static int
snapshot_compute(struct states *s, struct cat_snapshot *row, struct err *e)
{
	struct snap_place p = { .seq = (uint64_t)row->seq };
	char name[VAULT_NAME_MAX];
	struct refs_reader *r = NULL;
	struct envelope env;
	uint8_t *bytes;
	size_t len;
	int rc;

	memcpy(p.machine, row->machine_id, ID_LEN);
	vault_name_envelope(name, row->machine_id, (uint64_t)row->seq);
	if (store_read(s->v->store, name, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
		return -1;
	rc = schema_decode(&envelope_schema, &env, bytes, len) == FMT_OK ? 0 : err_set(e, ERR_FORMAT, "%s", name);
	if (rc == 0 && (r = refs_reader_new(s->store, &p, &env, e)) == NULL)
		rc = -1;
	if (rc == 0)
		rc = list_count_ids(s, r, env.domain_id, row, e);
	refs_reader_free(r);
	free(bytes);
	if (rc == 0)
		row->state = row->missing > 0 ? SNAPSHOT_GAP : row->promised > 0 ? SNAPSHOT_PENDING : SNAPSHOT_WHOLE;
	return rc;
}

struct tally {
	const uint8_t *image;
	struct fmt_view named;		/* digests of the envelopes that its manifest names */
	uint32_t all, whole, pending, gap;
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
	t->pending += r->state == SNAPSHOT_PENDING;
	t->gap += r->state == SNAPSHOT_GAP;
	return 0;
}

/* The manifest that the image's row stands on: 0, 1 there is none that can be read, -1. */
static int
manifest_of(struct states *s, const struct cat_image *i, uint8_t **bytes, struct manifest *m, struct err *e)
{
	char name[VAULT_NAME_MAX];
	struct err mine;
	size_t len;

	*bytes = NULL;
	if (i->generation == 0)
		return 1;
	err_clear(&mine);
	vault_name_image(name, i->id, "manif", i->generation);
	if (store_read(s->v->store, name, STATEMENT_MAX, bytes, &len, &mine) != 0) {
		if (mine.code != ERR_MEMORY)
			return 1;
		if (e != NULL)
			*e = mine;
		return -1;
	}
	return schema_decode(&manifest_schema, m, *bytes, len) == FMT_OK ? 0 : 1;
}

/*
 * By its disks and by what is known of its snapshots; whole only if each one
 * that the manifest names was filed, and is.
 */
static uint32_t
image_state_of(const struct cat_image *i, const struct tally *t, int named, uint32_t out)
{
	if (t->gap > 0 || (named && out == 0 && t->filed < list_count(t->named, DIGEST_LEN)))
		return IMAGE_GAP;
	return named && i->generation > 0 && out == 0 && t->whole == t->all ? IMAGE_WHOLE : IMAGE_INGESTING;
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
	int rc;

	if (memcmp(i.machine_id, s->machine, ID_LEN) != 0 || i.state == IMAGE_UNCLAIMED || i.state == IMAGE_CLAIMED)
		return 0;
	if ((rc = manifest_of(s, &i, &bytes, &m, e)) < 0)
		return -1;
	if (rc == 0)
		t.named = m.envelopes;
	memcpy(like.machine_id, s->machine, ID_LEN);
	if (disks_out(s->v, i.id, &out, e) != 0 ||
	    catalog_each(s->v->catalog, &cat_snapshots, 1, &like, tally_snapshot, &t, e) != 0) {
		free(bytes);
		return -1;
	}
	state = image_state_of(&i, &t, rc == 0, out);
	free(bytes);
	if (state == i.state)
		return 0;
	i.state = state;
	return catalog_put(s->v->catalog, &cat_images, &i, e);
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
		rc = catalog_put(s->v->catalog, &cat_snapshots, &s->rows[i], e);
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
	s->pledged = 0;
	memcpy(like.machine_id, s->machine, ID_LEN);
	if (catalog_number(s->v->catalog, "removals", &removals, e) < 0 ||
	    catalog_each(s->v->catalog, &cat_images, 0, NULL, image_pledges, s, e) != 0 ||
	    catalog_each(s->v->catalog, &cat_snapshots, 1, &like, snapshot_take, s, e) != 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (snapshot_compute(s, &s->rows[i], e) != 0)
			return err_during(e, "snapshot %lld", (long long)s->rows[i].seq);
	return states_write(s, removals, e);
}

int
vault_states(struct vault *v, const uint8_t machine[ID_LEN], struct err *e)
{
	struct states s = { .v = v };
	int rc = -1;

	memcpy(s.machine, machine, ID_LEN);
	s.ids = malloc((size_t)BATCH * DIGEST_LEN);
	s.held = malloc(BATCH);
	s.lost = malloc(BATCH);
	if (s.ids == NULL || s.held == NULL || s.lost == NULL) {
		(void)err_errno(e, "states of snapshots");
		goto free;
	}
	if ((s.store = container_vault(v->path, machine, e)) == NULL)
		goto free;
	rc = 1;
	for (int i = 0; i < TRIES && rc == 1; i++)
		rc = states_once(&s, e);
	if (rc == 1)
		rc = err_set(e, ERR_BUSY, "things are taken away from the vault faster than states can be computed");
free:
	container_free(s.store);
	free(s.rows);
	free(s.ids);
	free(s.held);
	free(s.lost);
	return rc;
}
