/*
 * What each record says, as rows of the catalog.  The same function serves the
 * decision as it is made and a rebuild years later, so both give the same
 * answers; nothing here may look at a clock, at the store or at anything but
 * the record and the rows of those before it.
 */

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_disk.h"
#include "formats/fmt_line_machine.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_snapshot.h"

int
apply_body(const struct record *r, const struct fmt_schema *s, void *value, struct err *e)
{
	enum fmt_status st = schema_decode(s, value, r->body.p, r->body.len);

	return st == FMT_OK ? 0 : err_set(e, ERR_FORMAT, "its %s: %s", s->name, fmt_status_text(st));
}

/* Does issuing ${fresh} put an end to ${old}? */
static int
supersedes(const struct cat_credential *fresh, const struct cat_credential *old)
{
	return old->state == CREDENTIAL_ISSUED && old->record < fresh->record &&
	    (fresh->machine_name[0] == '\0' || strcmp(fresh->machine_name, old->machine_name) == 0);
}

struct superseding {
	struct catalog *c;
	const struct cat_credential *fresh;
};

static int
supersede(void *arg, const void *row, struct err *e)
{
	struct superseding *s = arg;
	struct cat_credential old = *(const struct cat_credential *)row;

	if (!supersedes(s->fresh, &old))
		return 0;
	old.state = CREDENTIAL_SUPERSEDED;
	return catalog_put(s->c, &cat_credentials, &old, e);
}

static int
apply_credential(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_credential row = { .state = CREDENTIAL_ISSUED, .record = (int64_t)r->number };
	struct superseding s = { v->catalog, &row };
	struct credential c;

	if (apply_body(r, &credential_schema, &c, e) != 0)
		return -1;
	memcpy(row.id, c.credential_id, ID_LEN);
	row.purpose = c.purpose;
	memcpy(row.machine_name, c.machine_name, sizeof(row.machine_name));
	memcpy(row.machine_id, c.machine_id, ID_LEN);
	row.issued = c.issued;
	row.use_by = c.use_by;
	row.arrive_by = c.arrive_by;
	if (catalog_each(v->catalog, &cat_credentials, 0, NULL, supersede, &s, e) != 0)
		return -1;
	return catalog_put(v->catalog, &cat_credentials, &row, e);
}

static int
credential_used(struct vault *v, const struct registration *g, int64_t when, struct err *e)
{
	struct cat_credential row;
	int rc;

	memcpy(row.id, g->credential_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_credentials, &row, e)) != 0)
		return rc == 1 ? 0 : -1;	/* claimed by hand: the credential may be unknown */
	row.state = CREDENTIAL_USED;
	memcpy(row.used_by, g->machine_id, ID_LEN);
	row.used = when;
	return catalog_put(v->catalog, &cat_credentials, &row, e);
}

/* A machine comes in, or one that was there before comes with a new key. */
static int
machine_admit(struct vault *v, const uint8_t *bytes, size_t len, int64_t when, struct err *e)
{
	struct cat_machine m = { .state = MACHINE_LIVE };
	struct cat_machine_key k = { .since = when };
	struct registration g;
	struct domain_desc d;
	struct membership member;
	int known;

	if (schema_decode(&registration_schema, &g, bytes, len) != FMT_OK ||
	    schema_decode(&domain_desc_schema, &d, g.domain_desc.p, g.domain_desc.len) != FMT_OK ||
	    schema_decode(&membership_schema, &member, g.membership.p, g.membership.len) != FMT_OK)
		return err_set(e, ERR_FORMAT, "its registration cannot be read");
	memcpy(m.id, g.machine_id, ID_LEN);
	if ((known = catalog_get(v->catalog, &cat_machines, &m, e)) < 0)	/* quota and subscription stay whoever takes its place */
		return -1;
	if (known == 0 && memcmp(m.pub, g.machine_pub, SIGN_PUB_LEN) != 0)
		m.slots_changed = when;	/* a new machine brings slots of its own */
	m.state = MACHINE_LIVE;
	m.registered = when;
	if (m.subscription == 0)
		m.subscription = SUBSCRIPTION_ACTIVE;
	memcpy(m.name, g.machine_name, sizeof(m.name));
	memcpy(m.pub, g.machine_pub, SIGN_PUB_LEN);
	hash_once(d.domain_pub, SIGN_PUB_LEN, m.domain_id);
	m.chunk_avg = d.chunk_avg;
	m.from_seq = member.from_seq > INT64_MAX ? INT64_MAX : (int64_t)member.from_seq;
	memcpy(m.credential_id, g.credential_id, ID_LEN);
	hash_once(bytes, len, m.registration);
	memcpy(k.machine_id, m.id, ID_LEN);
	memcpy(k.pub, m.pub, SIGN_PUB_LEN);
	k.from_seq = m.from_seq;
	if (catalog_put(v->catalog, &cat_machines, &m, e) != 0 ||
	    catalog_put(v->catalog, &cat_machine_keys, &k, e) != 0)
		return -1;
	return credential_used(v, &g, when, e);
}

int
apply_image_row(struct vault *v, const uint8_t id[ID_LEN], const uint8_t machine[ID_LEN], const char *short_name,
    int64_t when, struct cat_image *row, struct err *e)
{
	int rc;

	memset(row, 0, sizeof(*row));
	memcpy(row->id, id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, row, e)) < 0)
		return -1;
	if (rc == 0 && (row->state != IMAGE_UNCLAIMED || memcmp(row->machine_id, machine, ID_LEN) == 0))
		return 0;
	memset(row, 0, sizeof(*row));
	memcpy(row->id, id, ID_LEN);
	memcpy(row->machine_id, machine, ID_LEN);
	(void)snprintf(row->short_name, sizeof(row->short_name), "%s", short_name);
	row->state = IMAGE_RECEIVED;
	row->seen = when;
	return 0;
}

static int
apply_unclaimed(struct vault *v, const struct record *r, struct err *e)
{
	struct rec_image i;
	struct cat_image row;

	if (apply_body(r, &rec_image_schema, &i, e) != 0 ||
	    apply_image_row(v, i.image_id, i.machine_id, i.short_name, r->time, &row, e) != 0)
		return -1;
	row.state = IMAGE_UNCLAIMED;
	memcpy(row.why, i.why, sizeof(row.why));
	return catalog_put(v->catalog, &cat_images, &row, e);
}

static int
apply_claimed(struct vault *v, const struct record *r, struct err *e)
{
	struct rec_image i;
	struct cat_image row;

	if (apply_body(r, &rec_image_schema, &i, e) != 0 ||
	    apply_image_row(v, i.image_id, i.machine_id, i.short_name, r->time, &row, e) != 0)
		return -1;
	row.state = IMAGE_CLAIMED;
	memset(row.why, 0, sizeof(row.why));
	if (i.registration.len > 0 && machine_admit(v, i.registration.p, i.registration.len, r->time, e) != 0)
		return -1;
	return catalog_put(v->catalog, &cat_images, &row, e);
}

/* More is needed than a collection that is under way has seen. */
static int
apply_filed(struct vault *v, struct err *e)
{
	int64_t n;

	if (catalog_number(v->catalog, "filed", &n, e) < 0)
		return -1;
	return catalog_number_set(v->catalog, "filed", n + 1, e);
}

static int
apply_received(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_disk d = { .state = DISK_RECEIVED, .time = r->time };
	struct cat_image row;
	struct label l;
	int rc;

	if (apply_body(r, &label_schema, &l, e) != 0 ||
	    apply_image_row(v, l.image_id, l.machine_id, l.short_name, r->time, &row, e) != 0)
		return -1;
	memcpy(row.machine_name, l.machine_name, sizeof(row.machine_name));
	if (row.state == IMAGE_CLAIMED || apply_image_waits(&row))
		row.state = IMAGE_INGESTING;
	/* What came with it is kept for so long, however long its manifest takes. */
	if (row.generation == 0)
		row.pledge_until = r->slow_clock + PLEDGE_LEASE;
	memcpy(d.image_id, l.image_id, ID_LEN);
	d.number = l.disk;
	if ((rc = catalog_get(v->catalog, &cat_disks, &d, e)) < 0)
		return -1;
	d.time = r->time;
	if (d.state != DISK_INGESTED)
		d.state = DISK_RECEIVED;
	if (catalog_put(v->catalog, &cat_disks, &d, e) != 0 || apply_filed(v, e) != 0)
		return -1;
	return catalog_put(v->catalog, &cat_images, &row, e);
}

static int
apply_ingested(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_disk d = { .number = 0 };
	struct rec_disk k;

	if (apply_body(r, &rec_disk_schema, &k, e) != 0)
		return -1;
	memcpy(d.image_id, k.image_id, ID_LEN);
	d.number = k.disk;
	if (catalog_get(v->catalog, &cat_disks, &d, e) < 0)
		return -1;
	d.state = DISK_INGESTED;
	memcpy(d.statement, k.statement, DIGEST_LEN);
	d.complete = k.complete;
	d.chunks_new += (int64_t)k.chunks_new;
	d.chunks_held = (int64_t)k.chunks_held;
	d.chunks_bad = (int64_t)k.chunks_bad;
	d.bytes_stored += (int64_t)k.bytes_stored;
	d.time = r->time;
	return catalog_put(v->catalog, &cat_disks, &d, e);
}

/* Another disk takes the place of this one: it promises what this one lost. */
static int
disk_replaced(struct vault *v, const struct manifest *m, uint32_t disk, uint32_t by, struct err *e)
{
	struct cat_disk d = { .number = disk };
	int rc;

	memcpy(d.image_id, m->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_disks, &d, e)) != 0 || d.replaced == by)
		return rc < 0 ? -1 : 0;
	d.replaced = by;
	if (d.state == DISK_EXPECTED || d.state == DISK_RECEIVED)
		d.state = DISK_REPLACED;
	return catalog_put(v->catalog, &cat_disks, &d, e) != 0 ? -1 :
	    unstored_forget(v->catalog, m->machine_id, m->image_id, disk, e);
}

/* The disks that the manifest names, those among them that have not come yet, and those that others replace. */
static int
manifest_disks(struct vault *v, const struct manifest *m, int64_t when, struct err *e)
{
	for (size_t i = 0; i < list_count(m->disks, MANIFEST_DISK_LEN); i++) {
		struct cat_disk d = { .number = 0 };
		struct manifest_disk md;
		int rc;

		if (element_get(manifest_disk_fields, manifest_disk_nfields, m->disks, i, &md) != FMT_OK)
			return err_set(e, ERR_FORMAT, "its list of disks");
		memcpy(d.image_id, m->image_id, ID_LEN);
		d.number = md.disk;
		if ((rc = catalog_get(v->catalog, &cat_disks, &d, e)) < 0)
			return -1;
		if (rc == 1) {
			d.state = DISK_EXPECTED;
			d.time = when;
			memcpy(d.statement, md.statement, DIGEST_LEN);
			if (catalog_put(v->catalog, &cat_disks, &d, e) != 0)
				return -1;
		}
		if (md.replaces == 0)
			continue;
		if (disk_replaced(v, m, md.replaces, md.disk, e) != 0)
			return -1;
	}
	return 0;
}

/* Of an image that nothing has come of: its pledge is the first that the vault hears of it. */
static int
pledge_image(struct vault *v, struct cat_image *row, struct err *e)
{
	struct cat_machine m;
	int rc;

	row->state = IMAGE_SEALED;
	memcpy(m.id, row->machine_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_machines, &m, e)) == 0)
		memcpy(row->machine_name, m.name, sizeof(row->machine_name));
	return rc < 0 ? -1 : 0;
}

static int
apply_manifest(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_image row;
	struct manifest m;
	int fresh, first;

	if (apply_body(r, &manifest_schema, &m, e) != 0)
		return -1;
	memcpy(row.id, m.image_id, ID_LEN);
	if ((fresh = catalog_get(v->catalog, &cat_images, &row, e)) < 0 ||
	    apply_image_row(v, m.image_id, m.machine_id, m.short_name, r->time, &row, e) != 0)
		return -1;
	if (m.generation <= row.generation)
		return 0;
	first = row.generation == 0;
	if (fresh == 1 && pledge_image(v, &row, e) != 0)
		return -1;
	row.generation = m.generation;
	statement_digest(&manifest_schema, r->body.p, r->body.len, row.manifest);
	memcpy(row.root, m.root, DIGEST_LEN);
	row.disks = (uint32_t)list_count(m.disks, MANIFEST_DISK_LEN);
	if (first)
		row.pledge_until = r->slow_clock + PLEDGE_LEASE;
	if (manifest_disks(v, &m, r->time, e) != 0)
		return -1;
	return catalog_put(v->catalog, &cat_images, &row, e);
}

static int
apply_snapshot(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_snapshot s = { .received = r->time, .state = SNAPSHOT_UNKNOWN };
	struct cat_passed passed;
	struct cat_gone gone;
	struct envelope n;
	int rc;

	if (apply_body(r, &envelope_schema, &n, e) != 0)
		return -1;
	if (n.seq > INT64_MAX) {
		say_warn("record %llu: snapshot number %llu is higher than any that can be filed; it is passed over",
		    (unsigned long long)r->number, (unsigned long long)n.seq);
		return 0;
	}
	memcpy(s.machine_id, n.machine_id, ID_LEN);
	s.seq = (int64_t)n.seq;
	if ((rc = catalog_get(v->catalog, &cat_snapshots, &s, e)) != 1)
		return rc;	/* filed by its number: the first one stays */
	memcpy(gone.machine_id, n.machine_id, ID_LEN);
	gone.seq = s.seq;
	if ((rc = catalog_get(v->catalog, &cat_gone, &gone, e)) != 1)
		return rc;	/* also where it has gone */
	s = (struct cat_snapshot){ .seq = (int64_t)n.seq, .received = r->time, .state = SNAPSHOT_UNKNOWN };
	memcpy(s.machine_id, n.machine_id, ID_LEN);
	memcpy(s.id, n.snapshot_id, ID_LEN);
	memcpy(s.set_name, n.set_name, sizeof(s.set_name));
	s.kind = n.kind;
	s.begin_ns = n.begin_ns;
	s.end_ns = n.end_ns;
	memcpy(s.image_id, n.image_id, ID_LEN);
	statement_digest(&envelope_schema, r->body.p, r->body.len, s.digest);
	memcpy(s.refs_digest, n.refs_digest, DIGEST_LEN);
	s.refs_count = (int64_t)n.refs_count;
	memcpy(passed.machine_id, n.machine_id, ID_LEN);
	passed.seq = s.seq;
	if (catalog_drop(v->catalog, &cat_passed, &passed, e) != 0)
		return -1;	/* its list has come after all */
	return apply_filed(v, e) != 0 ? -1 : catalog_put(v->catalog, &cat_snapshots, &s, e);
}

/* What could not be taken from a disk is no longer promised by its image. */
static int
unstored_put(struct vault *v, const struct rec_loss *l, struct err *e)
{
	struct cat_unstored u = { .disk = l->disk };

	memcpy(u.machine_id, l->machine_id, ID_LEN);
	memcpy(u.image_id, l->image_id, ID_LEN);
	for (size_t i = 0; i < list_count(l->chunk_ids, DIGEST_LEN); i++) {
		memcpy(u.id, l->chunk_ids.p + i * DIGEST_LEN, DIGEST_LEN);
		if (catalog_put(v->catalog, &cat_unstored, &u, e) != 0)
			return -1;
	}
	return 0;
}

/* As it was recorded before a loss named its image: it counts for all of the machine's. */
static int
damage_on_disk(struct vault *v, const struct rec_damage *d, struct err *e)
{
	struct rec_loss l = { .disk = 0, .chunk_ids = d->chunk_ids };

	memcpy(l.machine_id, d->machine_id, ID_LEN);
	return unstored_put(v, &l, e);
}

static int
apply_loss(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_disk d;
	struct rec_loss l;
	int rc;

	if (apply_body(r, &rec_loss_schema, &l, e) != 0)
		return -1;
	memcpy(d.image_id, l.image_id, ID_LEN);
	d.number = l.disk;
	if ((rc = catalog_get(v->catalog, &cat_disks, &d, e)) < 0)
		return -1;
	/* One that came late, after another had taken its place, says nothing against that. */
	return rc == 0 && d.replaced != 0 ? 0 : unstored_put(v, &l, e);
}

static int
snapshot_doubt(void *arg, const void *row, struct err *e)
{
	struct vault *v = arg;
	struct cat_snapshot s = *(const struct cat_snapshot *)row;

	if (s.state != SNAPSHOT_WHOLE)
		return 0;
	s.state = SNAPSHOT_UNKNOWN;
	return catalog_put(v->catalog, &cat_snapshots, &s, e);
}

int
apply_removed(struct vault *v, struct err *e)
{
	int64_t removals;

	if (catalog_number(v->catalog, "removals", &removals, e) < 0 ||
	    catalog_number_set(v->catalog, "removals", removals + 1, e) != 0)
		return -1;
	return catalog_each(v->catalog, &cat_snapshots, 0, NULL, snapshot_doubt, v, e);
}

/* Copies in the vault are bad, or their pack is gone. */
static int
damage_in_vault(struct vault *v, const struct rec_damage *d, int gone, struct err *e)
{
	struct cat_pack p = { .copy = d->copy };
	int rc;

	memcpy(p.id, d->pack_id, DIGEST_LEN);
	if ((rc = catalog_get(v->catalog, &cat_packs, &p, e)) != 0)
		return rc == 1 ? 0 : -1;	/* a rebuild comes to packs later, and then here again */
	if (chunks_mark(v->catalog, p.domain_id, p.n, d->chunk_ids.p, list_count(d->chunk_ids, DIGEST_LEN),
	    gone ? 0 : COPY_DAMAGED, e) != 0)
		return -1;
	p.state = PACK_DAMAGED;
	if ((gone ? catalog_drop(v->catalog, &cat_packs, &p, e) : catalog_put(v->catalog, &cat_packs, &p, e)) != 0)
		return -1;
	return apply_removed(v, e);
}

static int
apply_damage(struct vault *v, const struct record *r, struct err *e)
{
	struct rec_damage d;

	if (apply_body(r, &rec_damage_schema, &d, e) != 0)
		return -1;
	if (d.copy == 0)
		return damage_on_disk(v, &d, e);
	return damage_in_vault(v, &d, r->type == REC_PACK_QUARANTINED, e);
}

static int
apply_key_copied(struct vault *v, struct err *e)
{
	int64_t n;

	if (catalog_number(v->catalog, "key copies", &n, e) < 0)
		return -1;
	return catalog_number_set(v->catalog, "key copies", n + 1, e);
}

static int
apply_custody(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_image row;
	struct custody c;
	int rc;

	if (apply_body(r, &custody_schema, &c, e) != 0)
		return -1;
	memcpy(row.id, c.image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &row, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (!c.by_vault)
		return apply_machine_custody(v, &c, r, e);
	row.custody = c.number;
	hash_once(r->body.p, r->body.len, row.custody_head);
	return catalog_put(v->catalog, &cat_images, &row, e);
}

int
vault_apply(struct vault *v, const struct record *r, struct err *e)
{
	switch ((enum record_type)r->type) {
	case REC_CREDENTIAL_ISSUED:
		return apply_credential(v, r, e);
	case REC_MACHINE_REGISTERED:
		return machine_admit(v, r->body.p, r->body.len, r->time, e);
	case REC_UNCLAIMED:
		return apply_unclaimed(v, r, e);
	case REC_CLAIMED:
		return apply_claimed(v, r, e);
	case REC_IMAGE_RECEIVED:
		return apply_received(v, r, e);
	case REC_DISK_INGESTED:
		return apply_ingested(v, r, e);
	case REC_MANIFEST:
		return apply_manifest(v, r, e);
	case REC_SNAPSHOT_RECEIVED:
		return apply_snapshot(v, r, e);
	case REC_DAMAGE_FOUND:
	case REC_PACK_QUARANTINED:
		return apply_damage(v, r, e);
	case REC_LOSS:
		return apply_loss(v, r, e);
	case REC_KEY_COPIED:
		return apply_key_copied(v, e);
	case REC_CUSTODY:
		return apply_custody(v, r, e);
	case REC_PARCEL:
		return apply_parcel(v, r, e);
	case REC_LOST:
	case REC_CANCELLED:
		return apply_pledge_end(v, r, e);
	case REC_REOPENED:
		return apply_reopened(v, r, e);
	case REC_RELEASED:
		return apply_released(v, r, e);
	case REC_WIPED:
		return apply_wiped(v, r, e);
	case REC_DISK_RECEIVED:
		return apply_disk_received(v, r, e);
	case REC_DISK_REFUSED:
		return apply_disk_refused(v, r, e);
	case REC_RECEIPT:
		return apply_receipt(v, r, e);
	case REC_HANDED_OFF:
		return apply_handed_off(v, r, e);
	case REC_GIVEN_UP:
		return apply_given_up(v, r, e);
	case REC_FILES_LOST:
		return apply_files_lost(v, r, e);
	case REC_PASSED_OVER:
		return apply_passed(v, r, e);
	case REC_FORK:
		return apply_fork(v, r, e);
	case REC_DELETED:
	case REC_UNDELETED:
	case REC_PROTECTED:
	case REC_UNPROTECTED:
	case REC_GONE:
		return apply_retention(v, r, e);
	case REC_COLLECTED:
		return apply_collected(v, r, e);
	case REC_LEASE:
		return apply_lease(v, r, e);
	case REC_DISPUTE:
		return apply_dispute(v, r, e);
	case REC_TOKEN:
		return apply_token(v, r, e);
	case REC_MACHINE_FATE:
		return apply_machine_fate(v, r, e);
	case REC_TAKEOVER:
		return apply_takeover(v, r, e);
	default:	/* a type of a later samara, or one that only has to be kept */
		return 0;
	}
}
