#ifndef SAMARA_FLOW_PACK_ROWS_H
#define SAMARA_FLOW_PACK_ROWS_H

/* A pack that stands durably in a vault's store, on its way into the catalog; and the bad copies found when it was put. */

#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/pack_put.h"
#include "common/flow/vault.h"
#include "common/pack/pack_view.h"

struct err;

struct pack_rows {
	struct cat_pack pack;
	struct cat_copy *copies;	/* pack.count of them */
	uint32_t bad[PACK_BAD_COPIES];
	unsigned nbad;
	int found;			/* it was there, and is equal */
};

/* What the table ${view} says of the pack that was put as ${put} says.  0, or -1 with ERR_MEMORY.  Release it. */
int pack_rows_make(struct pack_rows *n, const struct pack_view *view, const struct pack_put *put, struct err *e);
void pack_rows_release(struct pack_rows *n);

/**
 * pack_rows_write(v, n, e):
 * In a transaction: the rows of the pack and its copies, unless somebody was faster;
 * a record for each bad copy.  A copy that a collection had in view is taken out of
 * it.  0, or -1 with ${e}: ERR_BUSY where a collection took the pack away since it was
 * put, or where the pack was there and something in it counts as damaged or disputed, so
 * that its number is used up now (put it again, after the transaction).
 */
int pack_rows_write(struct vault *v, struct pack_rows *n, struct err *e);

/* When that is committed: the bad copies go to quarantine.  0 or -1 with ${e}. */
int pack_rows_condemn(struct vault *v, const struct pack_rows *n, struct err *e);

#endif
