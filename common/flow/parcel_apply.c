/* What the records of parcels and of an image's fate say, as rows of the catalog. */

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_parcel.h"

/* Whether a machine of the vault has, or had, this key: 1, 0, -1. */
static int
key_known(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t pub[SIGN_PUB_LEN], struct err *e)
{
	struct cat_machine_key k;
	int rc;

	memcpy(k.machine_id, machine, ID_LEN);
	memcpy(k.pub, pub, SIGN_PUB_LEN);
	if ((rc = catalog_get(v->catalog, &cat_machine_keys, &k, e)) < 0)
		return -1;
	return rc == 0;
}

/*
 * An image that nobody has seen is a row of its own only where a machine of this
 * vault signed the announcement: anybody can name another's image.
 */
static int
parcel_image(struct vault *v, const struct parcel *p, int64_t when, struct err *e)
{
	struct cat_image row;
	int rc = key_known(v, p->machine_id, p->machine_pub, e);

	if (rc != 1)
		return rc;
	memcpy(row.id, p->image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &row, e)) < 0)
		return -1;
	if (rc == 0 && (row.state != IMAGE_SEALED || memcmp(row.machine_id, p->machine_id, ID_LEN) != 0))
		return 0;
	if (apply_image_row(v, p->image_id, p->machine_id, p->short_name, when, &row, e) != 0)
		return -1;
	memcpy(row.machine_name, p->machine_name, sizeof(row.machine_name));
	row.state = IMAGE_SHIPPED;
	return catalog_put(v->catalog, &cat_images, &row, e);
}

int
apply_parcel(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_parcel row;
	struct rec_parcel k;
	struct parcel p;

	if (apply_body(r, &rec_parcel_schema, &k, e) != 0)
		return -1;
	memset(&row, 0, sizeof(row));
	memcpy(row.image_id, k.image_id, ID_LEN);
	if (catalog_get(v->catalog, &cat_parcels, &row, e) < 0)
		return -1;
	memcpy(row.image_id, k.image_id, ID_LEN);
	memcpy(row.machine_id, k.machine_id, ID_LEN);
	memcpy(row.short_name, k.short_name, sizeof(row.short_name));
	memcpy(row.machine_name, k.machine_name, sizeof(row.machine_name));
	memcpy(row.carrier, k.carrier, sizeof(row.carrier));
	memcpy(row.tracking, k.tracking, sizeof(row.tracking));
	row.arrives = k.arrives;
	row.time = r->time;
	if (k.announcement.len > 0) {
		if (schema_decode(&parcel_schema, &p, k.announcement.p, k.announcement.len) != FMT_OK)
			return err_set(e, ERR_FORMAT, "its announcement");
		row.generation = p.generation;
		row.shipped = p.shipped;
		if (parcel_image(v, &p, r->time, e) != 0)
			return -1;
	}
	return catalog_put(v->catalog, &cat_parcels, &row, e);
}

/* States that are being computed meanwhile are not written. */
static int
removed(struct vault *v, struct err *e)
{
	int64_t n;

	if (catalog_number(v->catalog, "removals", &n, e) < 0)
		return -1;
	return catalog_number_set(v->catalog, "removals", n + 1, e);
}

/* Where the machine itself said so, with what number. */
static void
fate_number(struct cat_image *row, const struct rec_image *i)
{
	struct fate_statement f;

	if (i->registration.len > 0 && schema_decode(&fate_schema, &f, i->registration.p, i->registration.len) == FMT_OK &&
	    f.number > row->fate)
		row->fate = f.number;
}

int
apply_pledge_end(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_image row;
	struct rec_image i;

	if (apply_body(r, &rec_image_schema, &i, e) != 0 ||
	    apply_image_row(v, i.image_id, i.machine_id, i.short_name, r->time, &row, e) != 0)
		return -1;
	row.state = r->type == REC_LOST ? IMAGE_LOST : IMAGE_CANCELLED;
	memcpy(row.why, i.why, sizeof(row.why));
	fate_number(&row, &i);
	/* What it promised is over, also for disks of it that turn up. */
	if (row.pledge_until >= r->slow_clock)
		row.pledge_until = r->slow_clock - 1;
	if (catalog_put(v->catalog, &cat_images, &row, e) != 0)
		return -1;
	return removed(v, e);
}

struct seen {
	int here;	/* disks that have come */
	struct catalog *c;
};

static int
disk_here(void *arg, const void *row, struct err *e)
{
	const struct cat_disk *d = row;

	(void)e;
	((struct seen *)arg)->here += d->state == DISK_RECEIVED || d->state == DISK_INGESTED || d->state == DISK_WIPED;
	return 0;
}

int
apply_reopened(struct vault *v, const struct record *r, struct err *e)
{
	struct seen seen = { 0, v->catalog };
	struct cat_parcel parcel;
	struct cat_image row;
	struct rec_image i;
	struct cat_disk like;
	int rc;

	if (apply_body(r, &rec_image_schema, &i, e) != 0 ||
	    apply_image_row(v, i.image_id, i.machine_id, i.short_name, r->time, &row, e) != 0)
		return -1;
	memcpy(like.image_id, i.image_id, ID_LEN);
	memcpy(parcel.image_id, i.image_id, ID_LEN);
	if (catalog_each(v->catalog, &cat_disks, 1, &like, disk_here, &seen, e) != 0 ||
	    (rc = catalog_get(v->catalog, &cat_parcels, &parcel, e)) < 0)
		return -1;
	fate_number(&row, &i);
	row.state = seen.here > 0 ? IMAGE_INGESTING : rc == 0 ? IMAGE_SHIPPED : row.generation > 0 ? IMAGE_SEALED :
	    IMAGE_RECEIVED;
	memset(row.why, 0, sizeof(row.why));
	if (row.generation > 0)
		row.pledge_until = r->slow_clock + PLEDGE_LEASE;
	return catalog_put(v->catalog, &cat_images, &row, e);
}

static int
disk_return(void *arg, const void *row, struct err *e)
{
	struct cat_disk d = *(const struct cat_disk *)row;
	struct seen *s = arg;

	if (d.state != DISK_RECEIVED && d.state != DISK_INGESTED && d.state != DISK_WIPED)
		return 0;
	d.state = DISK_RETURNED;
	return catalog_put(s->c, &cat_disks, &d, e);
}

int
apply_released(struct vault *v, const struct record *r, struct err *e)
{
	struct seen seen = { 0, v->catalog };
	struct cat_image row;
	struct rec_parcel k;
	struct cat_disk like;

	if (apply_body(r, &rec_parcel_schema, &k, e) != 0 ||
	    apply_image_row(v, k.image_id, k.machine_id, k.short_name, r->time, &row, e) != 0)
		return -1;
	row.state = IMAGE_RELEASED;
	memcpy(like.image_id, k.image_id, ID_LEN);
	if (catalog_each(v->catalog, &cat_disks, 1, &like, disk_return, &seen, e) != 0 ||
	    catalog_put(v->catalog, &cat_images, &row, e) != 0)
		return -1;
	return removed(v, e);
}

int
apply_wiped(struct vault *v, const struct record *r, struct err *e)
{
	struct rec_wiped k;
	struct cat_disk d;

	if (apply_body(r, &rec_wiped_schema, &k, e) != 0)
		return -1;
	memset(&d, 0, sizeof(d));
	memcpy(d.image_id, k.image_id, ID_LEN);
	d.number = k.disk;
	if (catalog_get(v->catalog, &cat_disks, &d, e) < 0)
		return -1;
	if (d.state != DISK_RETURNED)
		d.state = DISK_WIPED;
	d.time = r->time;
	if (catalog_put(v->catalog, &cat_disks, &d, e) != 0)
		return -1;
	return removed(v, e);
}
