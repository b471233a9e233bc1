#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/desk.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_fate.h"

struct receiving {
	struct ingest g;
	struct ingest_result seen;	/* what the parts of an ingest say */
	const struct receive_options *o;
	struct receive_result *r;
};

static int __attribute__((format(printf, 3, 4)))
refuse(struct receiving *d, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	d->r->refused = (int)code;
	va_start(ap, fmt);
	(void)vsnprintf(d->r->why, sizeof(d->r->why), fmt, ap);
	va_end(ap);
	return 1;
}

/* Words of ${e} in place of an error: damage on the disk refuses it; all else is a failure. */
static int
refuse_or_fail(struct receiving *d, const struct err *mine, struct err *e)
{
	if (mine->code == ERR_DAMAGE || mine->code == ERR_FORMAT || mine->code == ERR_SIGNATURE ||
	    mine->code == ERR_VERSION || mine->code == ERR_WRONG_DISK)
		return refuse(d, mine->code, "%.250s", mine->msg);
	if (e != NULL)
		*e = *mine;
	return -1;
}

/* What the disk says of itself: 0, 1 refused, -1. */
static int
look(struct receiving *d, struct err *e)
{
	const struct label *l = &d->g.dir.label;
	char safe[NAME_MAX_LEN * 4 + 4];
	struct err mine;
	int rc = 0;

	if (memcmp(l->vault_id, d->g.v->desc.vault_id, ID_LEN) != 0)
		return refuse(d, ERR_WRONG_VAULT, "it was made for vault %s, not for %s",
		    text_safe(safe, sizeof(safe), l->vault_name, strlen(l->vault_name)), d->g.v->desc.name);
	err_clear(&mine);
	if (ingest_look_head(&d->g, &mine) != 0)
		rc = refuse_or_fail(d, &mine, e);
	memcpy(d->r->manifest, d->seen.manifest, sizeof(d->r->manifest));
	return rc;
}

/* Is there something to write down that the books do not have?  ${d} is the disk's row, ${rc} what asking for it gave. */
static int
is_news(const struct receiving *d, const struct cat_disk *row, int rc)
{
	if (rc == 1 || row->state == DISK_EXPECTED || row->state == DISK_WIPED || row->state == DISK_RETURNED)
		return 1;
	return d->o->tracking != NULL;
}

static int
record_received(struct receiving *d, int here, struct err *e)
{
	struct rec_received k = { .label = { d->g.label, (uint32_t)d->g.label_len } };
	char note[TEXT_MAX_LEN + 1] = "";

	memcpy(k.statement, d->g.st_digest, DIGEST_LEN);
	if (d->o->tracking != NULL) {
		(void)snprintf(k.tracking, sizeof(k.tracking), "%s", d->o->tracking);
		(void)snprintf(note, sizeof(note), "parcel %.200s", d->o->tracking);
	}
	if (vault_record(d->g.v, REC_DISK_RECEIVED, &rec_received_schema, &k, e) != 0)
		return -1;
	/* One event a disk, and one more for each parcel that somebody names. */
	return here && d->o->tracking == NULL ? 0 :
	    vault_custody(d->g.v, d->g.st.image_id, CUSTODY_RECEIVED, d->g.st.disk, note, e);
}

/* Is there a word of the parcel that this image should come in? */
static int
parcel_compare(struct receiving *d, struct err *e)
{
	struct cat_parcel p;
	int rc;

	memcpy(p.image_id, d->g.st.image_id, ID_LEN);
	if ((rc = catalog_get(d->g.v->catalog, &cat_parcels, &p, e)) != 0)
		return rc < 0 ? -1 : 0;
	(void)snprintf(d->r->announced, sizeof(d->r->announced), "%s %s", p.carrier, p.tracking);
	d->r->other_parcel = d->o->tracking != NULL && strcmp(d->o->tracking, p.tracking) != 0;
	return 0;
}

/* In the transaction: 0 received, 1 refused, -1. */
static int
decide(struct receiving *d, struct err *e)
{
	struct cat_disk row = { .number = d->g.st.disk };
	struct err mine;
	int rc;

	err_clear(&mine);
	if ((rc = ingest_decide(&d->g, &mine)) < 0)
		return refuse_or_fail(d, &mine, e);
	if (rc == 1) {
		d->r->unclaimed = d->seen.unclaimed;
		return refuse(d, d->seen.unclaimed ? ERR_UNCLAIMED : ERR_RULE, "%s", d->seen.why);
	}
	if (d->o->tracking != NULL && vault_tracking_check(d->g.v, d->g.st.image_id, d->o->tracking, e) != 0)
		return -1;
	d->r->registers = d->g.registers;
	memcpy(row.image_id, d->g.st.image_id, ID_LEN);
	if ((rc = catalog_get(d->g.v->catalog, &cat_disks, &row, e)) < 0)
		return -1;
	d->r->again = rc == 0 && (row.state == DISK_RECEIVED || row.state == DISK_INGESTED);
	d->r->complete = d->r->again && row.state == DISK_INGESTED && row.complete &&
	    memcmp(row.statement, d->g.st_digest, DIGEST_LEN) == 0;
	if (parcel_compare(d, e) != 0)
		return -1;
	if (!d->o->dry_run && is_news(d, &row, rc) && record_received(d, d->r->again, e) != 0)
		return -1;
	return 0;
}

/* One of the image's disks, in this state by the books. */
static void
disk_count(struct receive_result *r, uint32_t number, unsigned state)
{
	if (state == DISK_REPLACED)
		return;
	r->disks++;
	if (state == DISK_INGESTED)
		r->disks_in++;
	else if (state == DISK_RECEIVED || number == r->disk)
		r->disks_here++;
	else if (r->disks_missing++ < RECEIVE_MISSING_MAX)
		r->missing[r->disks_missing - 1] = number;
}

static int
count_row(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *k = row;

	(void)e;
	disk_count(arg, k->number, k->state);
	return 0;
}

/* By the manifest on this disk: the disks that it names and that no other replaces. */
static int
count_named(struct receiving *d, struct err *e)
{
	const struct fmt_view disks = d->g.m.disks;
	struct manifest_disk md, by;

	for (size_t i = 0; i < list_count(disks, MANIFEST_DISK_LEN); i++) {
		struct cat_disk row = { .state = 0 };
		int replaced = 0;

		if (element_get(manifest_disk_fields, manifest_disk_nfields, disks, i, &md) != FMT_OK)
			return err_set(e, ERR_FORMAT, "%s: manifest", d->g.name);
		for (size_t k = 0; k < list_count(disks, MANIFEST_DISK_LEN); k++)
			replaced |= element_get(manifest_disk_fields, manifest_disk_nfields, disks, k, &by) == FMT_OK &&
			    by.replaces == md.disk;
		if (replaced)
			continue;
		memcpy(row.image_id, d->g.st.image_id, ID_LEN);
		row.number = md.disk;
		if (catalog_get(d->g.v->catalog, &cat_disks, &row, e) < 0)
			return -1;
		disk_count(d->r, md.disk, row.state);
	}
	return 0;
}

/* What of the image is here and what is to come. */
static int
count(struct receiving *d, struct err *e)
{
	struct cat_disk like = { .number = d->g.dir.label.disk };
	struct cat_image i = { .generation = 0 };
	int rc;

	memcpy(i.id, d->r->image_id, ID_LEN);
	memcpy(like.image_id, d->r->image_id, ID_LEN);
	if ((rc = catalog_get(d->g.v->catalog, &cat_images, &i, e)) < 0)
		return -1;
	d->r->image_state = rc == 0 ? i.state : 0;
	if ((rc = catalog_get(d->g.v->catalog, &cat_disks, &like, e)) < 0)
		return -1;
	d->r->disk_state = rc == 0 ? like.state : 0;
	if (d->r->refused)
		return 0;
	if (d->g.manifest != NULL && d->g.m.generation >= i.generation)
		return count_named(d, e);
	if (i.generation > 0)
		return catalog_each(d->g.v->catalog, &cat_disks, 1, &like, count_row, d->r, e);
	return 0;
}

/* In the transaction: all of it. */
static int
settle(struct receiving *d, int refused, struct err *e)
{
	int rc = refused;

	if (rc == 0 && (rc = decide(d, e)) < 0)
		return -1;
	/* Unclaimed and cancelled are recorded where they are decided. */
	if (rc == 1 && !d->o->dry_run && d->r->refused != ERR_UNCLAIMED && d->r->refused != ERR_RULE &&
	    ingest_record_refused(&d->g, d->r->why, e) != 0)
		return -1;
	return count(d, e);
}

static int
receive_image(struct receiving *d, struct err *e)
{
	int rc = look(d, e);

	if (rc < 0 || vault_begin(d->g.v, e) != 0)
		return -1;
	if (settle(d, rc, e) != 0) {
		vault_rollback(d->g.v);
		return -1;
	}
	return vault_commit(d->g.v, e);
}

/* 1: it is passed over. */
static int
receive_one(struct vault *v, int diskfd, const char *path, const char *short_name, const struct receive_options *o,
    struct receive_result *r, struct err *e)
{
	const struct ingest_options io_ = { .dry_run = o->dry_run };
	struct receiving d = { .g = { .v = v, .o = &io_, .path = path, .diskfd = diskfd, .dir = { .fd = -1 },
	    .only_receive = 1 }, .o = o, .r = r };
	const struct label *l = &d.g.dir.label;
	int rc;

	d.g.r = &d.seen;
	memset(r, 0, sizeof(*r));
	if (image_dir_open(diskfd, short_name, &d.g.dir, e) != 0)
		return -1;
	(void)snprintf(d.g.name, sizeof(d.g.name), "%s-%u", l->short_name, l->disk);
	memcpy(r->short_name, l->short_name, sizeof(r->short_name));
	memcpy(r->machine_name, l->machine_name, sizeof(r->machine_name));
	memcpy(r->vault_name, l->vault_name, sizeof(r->vault_name));
	memcpy(r->image_id, l->image_id, ID_LEN);
	memcpy(r->machine_id, l->machine_id, ID_LEN);
	r->disk = l->disk;
	rc = o->only_own && memcmp(l->vault_id, v->desc.vault_id, ID_LEN) != 0 ? 1 : receive_image(&d, e);
	ingest_forget(&d.g);
	return rc;
}

int
receive_disk(struct vault *v, const char *path, const struct receive_options *o, receive_done_fn done, void *arg,
    struct err *e)
{
	struct disk_place p;
	struct receive_result r;
	size_t taken = 0;
	int rc = 0;

	if (disk_place_open(path, &p, e) != 0)
		return -1;
	for (size_t i = 0; i < p.n && rc >= 0; i++) {
		if (o->image != NULL && strcasecmp(p.names[i], o->image) != 0)
			continue;
		if ((rc = receive_one(v, p.fd, path, p.names[i], o, &r, e)) == 0) {
			taken++;
			done(arg, &r);
		}
	}
	(void)disk_place_close(&p, NULL);
	if (rc >= 0)
		rc = 0;
	if (rc == 0 && taken == 0)
		rc = err_set(e, ERR_NO_IMAGE, "there is no image %s on the disk at %s", o->image, path);
	return rc;
}
