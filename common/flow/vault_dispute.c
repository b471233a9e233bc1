#include "common/flow/vault_dispute.h"

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/crypto/sign.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_machine.h"
#include "formats/fmt_pledge.h"

#define COPIES	64u	/* of one chunk that are looked at; nobody has so many */

/* The id just below ${id}: a walk from there begins with ${id}.  0, or 1 where there is none. */
static int
id_before(const uint8_t id[DIGEST_LEN], uint8_t out[DIGEST_LEN])
{
	memcpy(out, id, DIGEST_LEN);
	for (size_t i = DIGEST_LEN; i-- > 0;)
		if (out[i]-- != 0)
			return 0;
	return 1;
}

int
vault_copy_state(struct vault *v, const uint8_t domain[DIGEST_LEN], const uint8_t id[DIGEST_LEN], int64_t pack,
    const uint8_t writer[ID_LEN], uint32_t *state, struct err *e)
{
	struct cat_place at[COPIES];
	uint8_t above[DIGEST_LEN];
	size_t n;

	if (chunks_walk(v->catalog, domain, id_before(id, above) == 0 ? above : NULL, at, COPIES, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && memcmp(at[i].id, id, DIGEST_LEN) == 0; i++)
		if (at[i].pack == pack && memcmp(at[i].writer, writer, ID_LEN) == 0) {
			*state = at[i].state;
			return 0;
		}
	return 1;
}

static int
dispute_believe(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct dispute *d, struct err *e)
{
	int rc;

	if (statement_open(&dispute_schema, d, bytes, len, NULL, e) != 0)
		return -1;
	if (memcmp(d->vault_id, v->desc.vault_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_VAULT, "the dispute is for another vault than %s", v->desc.name);
	if (memcmp(d->machine_id, machine, ID_LEN) != 0 ||
	    (rc = vault_machine_signed(v, machine, &dispute_schema, bytes, len, e)) == 0)
		return err_set(e, ERR_SIGNATURE, "the dispute is not signed by the machine that sends it");
	return rc < 0 ? -1 : 0;
}

/* Is it a good copy of this machine's? */
static int
row_count(struct vault *v, const struct dispute *d, const struct dispute_row *row, uint64_t *copies, struct err *e)
{
	struct cat_pack p = { .copy = row->copy };
	uint32_t state;
	int rc;

	memcpy(p.id, row->pack_id, DIGEST_LEN);
	if ((rc = catalog_get(v->catalog, &cat_packs, &p, e)) != 0 ||
	    (rc = vault_copy_state(v, p.domain_id, row->id, p.n, d->machine_id, &state, e)) != 0)
		return rc == 1 ? 0 : -1;
	*copies += (state & COPY_GOOD) != 0;
	return 0;
}

int
vault_dispute_take(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, uint64_t *copies,
    struct err *e)
{
	struct dispute_row row;
	struct dispute d;
	int rc = 0;

	*copies = 0;
	if (dispute_believe(v, machine, bytes, len, &d, e) != 0 || vault_begin(v, e) != 0)
		return -1;
	for (size_t i = 0; i < list_count(d.rows, DISPUTE_ROW_LEN) && rc == 0; i++)
		if (element_get(dispute_row_fields, dispute_row_nfields, d.rows, i, &row) == FMT_OK)
			rc = row_count(v, &d, &row, copies, e);
	if (rc == 0 && *copies > 0)
		rc = vault_record_bytes(v, REC_DISPUTE, bytes, len, e);
	if (rc != 0 || *copies == 0) {
		vault_rollback(v);
		return rc != 0 ? -1 : 1;
	}
	if (vault_commit(v, e) != 0)
		return -1;
	return vault_states(v, machine, e);
}
