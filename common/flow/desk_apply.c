/* What the records of the receiving desk say, as rows of the catalog. */

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_disk.h"

int
apply_image_waits(const struct cat_image *row)
{
	return row->state == IMAGE_RECEIVED || row->state == IMAGE_SHIPPED || row->state == IMAGE_SEALED ||
	    row->state == IMAGE_LOST || row->state == IMAGE_EXPIRED;
}

int
apply_disk_received(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_refusal refused;
	struct rec_received k;
	struct cat_image row;
	struct cat_disk d;
	struct label l;
	int rc;

	if (apply_body(r, &rec_received_schema, &k, e) != 0)
		return -1;
	if (schema_decode(&label_schema, &l, k.label.p, k.label.len) != FMT_OK)
		return err_set(e, ERR_FORMAT, "its label");
	if (apply_image_row(v, l.image_id, l.machine_id, l.short_name, r->time, &row, e) != 0)
		return -1;
	memcpy(row.machine_name, l.machine_name, sizeof(row.machine_name));
	if (apply_image_waits(&row))
		row.state = IMAGE_RECEIVED;
	memset(&d, 0, sizeof(d));
	memcpy(d.image_id, l.image_id, ID_LEN);
	d.number = l.disk;
	if ((rc = catalog_get(v->catalog, &cat_disks, &d, e)) < 0)
		return -1;
	if (d.state != DISK_INGESTED) {
		d.state = DISK_RECEIVED;
		memcpy(d.statement, k.statement, DIGEST_LEN);
	}
	d.time = r->time;
	memset(&refused, 0, sizeof(refused));
	memcpy(refused.image_id, l.image_id, ID_LEN);
	refused.number = l.disk;
	if (catalog_put(v->catalog, &cat_disks, &d, e) != 0 || catalog_drop(v->catalog, &cat_refusals, &refused, e) != 0)
		return -1;
	return catalog_put(v->catalog, &cat_images, &row, e);
}

int
apply_disk_refused(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_refusal row = { .time = r->time };
	struct rec_refused k;

	if (apply_body(r, &rec_refused_schema, &k, e) != 0)
		return -1;
	memcpy(row.image_id, k.image_id, ID_LEN);
	row.number = k.disk;
	memcpy(row.machine_id, k.machine_id, ID_LEN);
	memcpy(row.short_name, k.short_name, sizeof(row.short_name));
	memcpy(row.label, k.label, DIGEST_LEN);
	memcpy(row.why, k.why, sizeof(row.why));
	return catalog_put(v->catalog, &cat_refusals, &row, e);
}
