/* What the records of an image's end say, as rows of the catalog. */

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_receipt.h"

int
apply_receipt(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_receipt row;
	struct receipt p;

	if (apply_body(r, &receipt_schema, &p, e) != 0)
		return -1;
	memset(&row, 0, sizeof(row));
	memcpy(row.image_id, p.image_id, ID_LEN);
	row.number = (int64_t)p.number;
	statement_digest(&receipt_schema, r->body.p, r->body.len, row.digest);
	row.whole = p.whole;
	row.given_up = (int64_t)p.given_up;
	row.time = p.time;
	row.record = (int64_t)r->number;
	if (catalog_put(v->catalog, &cat_receipts, &row, e) != 0)
		return -1;
	return catalog_number_set(v->catalog, "receipts", row.number, e);
}

int
apply_handed_off(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_receipt row;
	struct cat_image image;
	struct handoff h;
	int rc;

	if (apply_body(r, &handoff_schema, &h, e) != 0)
		return -1;
	memcpy(row.image_id, h.image_id, ID_LEN);
	row.number = (int64_t)h.number;
	if ((rc = catalog_get(v->catalog, &cat_receipts, &row, e)) < 0)
		return -1;
	if (rc == 0) {
		row.answered = 1;
		if (catalog_put(v->catalog, &cat_receipts, &row, e) != 0)
			return -1;
	}
	memcpy(image.id, h.image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &image, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (image.state == IMAGE_RELEASED)
		return 0;
	image.state = IMAGE_HANDED_OFF;
	return catalog_put(v->catalog, &cat_images, &image, e);
}

int
apply_given_up(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_given_up row;
	struct id_list l;

	if (apply_body(r, &given_up_schema, &l, e) != 0)
		return -1;
	memcpy(row.machine_id, l.machine_id, ID_LEN);
	for (size_t i = 0; i < list_count(l.ids, DIGEST_LEN); i++) {
		memcpy(row.id, l.ids.p + i * DIGEST_LEN, DIGEST_LEN);
		if (catalog_put(v->catalog, &cat_given_up, &row, e) != 0)
			return -1;
	}
	return 0;
}
