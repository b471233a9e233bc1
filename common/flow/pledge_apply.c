/* What the records of leases and disputes say, as rows of the catalog. */

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/vault_apply.h"
#include "common/flow/vault_dispute.h"

#define NS	INT64_C(1000000000)

int
apply_lease(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_image row;
	struct rec_lease k;
	int rc;

	if (apply_body(r, &rec_lease_schema, &k, e) != 0)
		return -1;
	memcpy(row.id, k.image_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_images, &row, e)) != 0)
		return rc == 1 ? 0 : -1;
	row.pledge_until += (int64_t)k.seconds * NS;
	return catalog_put(v->catalog, &cat_images, &row, e);
}

static int
dispute_one(struct vault *v, const struct dispute *d, const struct dispute_row *row, struct err *e)
{
	struct cat_pack p = { .copy = row->copy };
	uint32_t state;
	int rc;

	memcpy(p.id, row->pack_id, DIGEST_LEN);
	if ((rc = catalog_get(v->catalog, &cat_packs, &p, e)) != 0)
		return rc == 1 ? 0 : -1;	/* a rebuild comes to packs later, and then here again */
	if ((rc = vault_copy_state(v, p.domain_id, row->id, p.n, d->machine_id, &state, e)) != 0)
		return rc == 1 ? 0 : -1;
	return chunks_mark(v->catalog, p.domain_id, p.n, row->id, 1, COPY_DISPUTED, e);
}

int
apply_dispute(struct vault *v, const struct record *r, struct err *e)
{
	struct dispute_row row;
	struct dispute d;

	if (apply_body(r, &dispute_schema, &d, e) != 0)
		return -1;
	for (size_t i = 0; i < list_count(d.rows, DISPUTE_ROW_LEN); i++)
		if (element_get(dispute_row_fields, dispute_row_nfields, d.rows, i, &row) != FMT_OK ||
		    dispute_one(v, &d, &row, e) != 0)
			return -1;
	return apply_removed(v, e);
}
