#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/epoch.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_apply.h"
#include "common/flow/vault_custody.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

/* In a transaction: this disk is here, and is being taken in.  Recorded once. */
static int
record_received(struct ingest *g, struct err *e)
{
	struct cat_disk d = { .number = g->st.disk };
	struct cat_image i;
	int here, known;

	memcpy(d.image_id, g->st.image_id, ID_LEN);
	memcpy(i.id, g->st.image_id, ID_LEN);
	if ((here = catalog_get(g->v->catalog, &cat_disks, &d, e)) < 0 ||
	    (known = catalog_get(g->v->catalog, &cat_images, &i, e)) < 0)
		return -1;
	here = here == 0 && d.state != DISK_EXPECTED;
	if (here && known == 0 && !apply_image_waits(&i))
		return 0;
	if (vault_record_bytes(g->v, REC_IMAGE_RECEIVED, g->label, g->label_len, e) != 0)
		return -1;
	return here ? 0 : vault_custody(g->v, g->st.image_id, CUSTODY_RECEIVED, g->st.disk, "", e);
}

static int
object_put(struct ingest *g, const char *what, const uint8_t *bytes, size_t len, struct err *e)
{
	char name[VAULT_NAME_MAX];

	vault_name_image(name, g->st.image_id, what, g->st.disk);
	return g->v->store->ops->put_new(g->v->store, name, bytes, len, e) < 0 ? -1 : 0;
}

static int
receive(struct ingest *g, struct err *e)
{
	if (object_put(g, "label", g->label, g->label_len, e) != 0 ||
	    object_put(g, "stmt", g->statement, g->statement_len, e) != 0)
		return -1;
	if (g->slots != NULL && vault_keys_put(g->v, g->st.machine_id, "slots", g->slots, g->slots_len, e) != 0)
		return -1;
	if (vault_begin(g->v, e) != 0)
		return -1;
	if (record_received(g, e) != 0 || vault_custody_take(g->v, g->dir.fd, &g->dir.label, e) != 0) {
		vault_rollback(g->v);
		return -1;
	}
	return vault_commit(g->v, e);
}

/* In a transaction: the disk was read; unless nothing came of it that was not known. */
static int
record_ingested(struct ingest *g, struct err *e)
{
	const struct ingest_result *r = g->r;
	struct rec_disk k = { .disk = g->st.disk, .packs_whole = r->packs_whole, .packs_repacked = r->packs_repacked,
	    .chunks_new = r->chunks_new, .chunks_held = r->chunks_held, .chunks_bad = r->chunks_bad,
	    .bytes_stored = r->bytes_stored, .complete = r->chunks_bad == 0 && r->damage == 0 };
	struct cat_disk d = { .number = g->st.disk };
	char note[128];
	int n, rc;

	memcpy(d.image_id, g->st.image_id, ID_LEN);
	if ((rc = catalog_get(g->v->catalog, &cat_disks, &d, e)) < 0)
		return -1;
	if (rc == 0 && d.state == DISK_INGESTED && memcmp(d.statement, g->st_digest, DIGEST_LEN) == 0 &&
	    d.complete == k.complete && r->bytes_stored == 0)
		return 0;
	memcpy(k.image_id, g->st.image_id, ID_LEN);
	memcpy(k.statement, g->st_digest, DIGEST_LEN);
	if (vault_record(g->v, REC_DISK_INGESTED, &rec_disk_schema, &k, e) != 0)
		return -1;
	n = snprintf(note, sizeof(note), "%llu chunks new, %llu held before", (unsigned long long)r->chunks_new,
	    (unsigned long long)r->chunks_held);
	if (r->packs_repaired > 0)
		(void)snprintf(note + n, sizeof(note) - (size_t)n, ", %u packs repaired from parity", r->packs_repaired);
	if (vault_custody(g->v, g->st.image_id, CUSTODY_INGESTED, g->st.disk, note, e) != 0)
		return -1;
	if (r->chunks_bad == 0)
		return 0;
	(void)snprintf(note, sizeof(note), "%llu chunks could not be taken", (unsigned long long)r->chunks_bad);
	return vault_custody(g->v, g->st.image_id, CUSTODY_GAP, g->st.disk, note, e);
}

static int
conclude(struct ingest *g, struct err *e)
{
	if (vault_begin(g->v, e) != 0)
		return -1;
	if (record_ingested(g, e) != 0) {
		vault_rollback(g->v);
		return -1;
	}
	return vault_commit(g->v, e);
}

static int
count_snapshot(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct ingest_result *r = arg;

	(void)e;
	if (memcmp(s->image_id, r->image_id, ID_LEN) != 0)
		return 0;
	r->whole += s->state == SNAPSHOT_WHOLE;
	r->pending += s->state == SNAPSHOT_PENDING;
	r->gap += s->state == SNAPSHOT_GAP;
	return 0;
}

static int
count_disk(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;
	struct ingest_result *r = arg;

	(void)e;
	r->disks += d->state != DISK_REPLACED;
	r->disks_in += d->state == DISK_INGESTED;
	return 0;
}

static int
result_count(struct ingest *g, struct err *e)
{
	struct cat_snapshot s;
	struct cat_disk d;

	memcpy(s.machine_id, g->st.machine_id, ID_LEN);
	memcpy(d.image_id, g->st.image_id, ID_LEN);
	g->r->nothing_new = g->r->bytes_stored == 0 && g->r->snapshots_new == 0;
	if (catalog_each(g->v->catalog, &cat_snapshots, 1, &s, count_snapshot, g->r, e) != 0)
		return -1;
	return catalog_each(g->v->catalog, &cat_disks, 1, &d, count_disk, g->r, e);
}

/* All that is done with one image that is admitted. */
static int
image_take(struct ingest *g, struct err *e)
{
	if (ingest_plan(g, e) != 0)
		return -1;
	g->r->to_read = g->to_read;
	g->r->chunks_new = g->st.chunks > g->r->chunks_held ? g->st.chunks - g->r->chunks_held : 0;
	if (g->o->dry_run)
		return 0;
	if (receive(g, e) != 0 || ingest_packs(g, e) != 0)
		return -1;
	g->r->chunks_new = g->r->chunks_new > g->r->chunks_bad ? g->r->chunks_new - g->r->chunks_bad : 0;
	if (ingest_snapshots(g, e) != 0 || conclude(g, e) != 0 || vault_states(g->v, g->st.machine_id, e) != 0)
		return -1;
	return result_count(g, e);
}

/* No collection takes what is found to be held until the snapshots are filed. */
static int
ingest_image(struct ingest *g, struct err *e)
{
	int rc;

	if (ingest_look(g, e) != 0 || (rc = ingest_admit(g, e)) < 0)
		return -1;
	if (rc == 1)
		return 0;
	g->session.kind = SESSION_INGEST;
	memcpy(g->session.machine_id, g->st.machine_id, ID_LEN);
	if (!g->o->dry_run && session_enter_now(g->v, &g->session, e) != 0)
		return -1;
	rc = image_take(g, e);
	if (!g->o->dry_run && session_end_now(g->v, g->session.id, rc == 0 ? e : NULL) != 0)
		rc = -1;
	return rc;
}

/* ${rc} 1: the image is for another vault. */
static int
ingest_one(struct vault *v, int diskfd, const char *path, const char *short_name, const struct ingest_options *o,
    struct ingest_result *r, struct err *e)
{
	struct ingest g = { .v = v, .o = o, .r = r, .path = path, .diskfd = diskfd, .dir = { .fd = -1 } };
	const struct label *l = &g.dir.label;
	int rc;

	memset(r, 0, sizeof(*r));
	if (image_dir_open(diskfd, short_name, &g.dir, e) != 0)
		return -1;
	(void)snprintf(g.name, sizeof(g.name), "%s-%u", l->short_name, l->disk);
	memcpy(r->short_name, l->short_name, sizeof(r->short_name));
	memcpy(r->machine_name, l->machine_name, sizeof(r->machine_name));
	memcpy(r->image_id, l->image_id, ID_LEN);
	r->disk = l->disk;
	if (memcmp(l->vault_id, v->desc.vault_id, ID_LEN) != 0) {
		(void)err_set(e, ERR_WRONG_VAULT, "%s was made for vault %s, not for %s", g.name, l->vault_name, v->desc.name);
		rc = 1;
	} else {
		rc = ingest_image(&g, e);
	}
	ingest_forget(&g);
	return rc;
}

/* Every image on the disk, or the one that was named; those for other vaults are left alone. */
static int
ingest_images(struct vault *v, const struct disk_place *p, const char *path, const struct ingest_options *o,
    ingest_done_fn done, void *arg, struct err *e)
{
	struct ingest_result r;
	size_t taken = 0;
	int rc = 0;

	for (size_t i = 0; i < p->n && rc >= 0; i++) {
		struct err mine;

		if (o->image != NULL && strcasecmp(p->names[i], o->image) != 0)
			continue;
		err_clear(&mine);
		if ((rc = ingest_one(v, p->fd, path, p->names[i], o, &r, &mine)) == 0) {
			taken++;
			done(arg, &r);
		} else {
			if (rc == 1 && p->n > 1)
				say_info("%s", mine.msg);
			if (e != NULL)
				*e = mine;
		}
	}
	if (rc < 0)
		return -1;
	if (taken == 0 && e != NULL && e->code == ERR_NONE)
		return err_set(e, ERR_NO_IMAGE, "there is no image %s on the disk at %s", o->image == NULL ? "" : o->image, path);
	if (taken > 0 && e != NULL)
		err_clear(e);
	return taken > 0 ? 0 : -1;
}

int
ingest_disk(struct vault *v, const char *path, const struct ingest_options *o, ingest_done_fn done, void *arg,
    struct err *e)
{
	struct disk_place p;
	int rc;

	if (disk_place_open(path, &p, e) != 0)
		return -1;
	rc = ingest_images(v, &p, path, o, done, arg, e);
	if (disk_place_close(&p, rc == 0 ? e : NULL) != 0)
		rc = -1;
	return rc;
}

int
ingest_vault_of(const char *path, uint8_t vault_id[ID_LEN], struct err *e)
{
	struct disk_place p;
	struct image_dir d;
	int rc;

	if (disk_place_open(path, &p, e) != 0)
		return -1;
	if ((rc = image_dir_open(p.fd, p.names[0], &d, e)) == 0) {
		memcpy(vault_id, d.label.vault_id, ID_LEN);
		image_dir_close(&d);
	}
	(void)disk_place_close(&p, NULL);
	return rc == 0 ? 0 : err_during(e, "%s", path);
}
