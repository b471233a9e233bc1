#ifndef SAMARA_FLOW_PACK_REREAD_H
#define SAMARA_FLOW_PACK_REREAD_H

/* What the catalog calls held, read once more from where it lies in the vault. */

#include <stdint.h>

#include "common/flow/vault.h"
#include "common/pack/pack_view.h"

struct err;

/**
 * pack_reread(v, t, table, foot, e):
 * Read every copy of the pack with the table ${t} (its bytes: ${table}, ${foot}) that
 * the catalog calls good and check each frame by its digest.  What is bad is recorded
 * as damage and does not count as held from then on; a copy that is gone, or whose own
 * table cannot be read, goes to quarantine as a whole.  Outside a transaction.
 * Return 0, whatever was found, or -1 with ${e}.  A power cut leaves the damage
 * recorded or not found yet.
 */
int pack_reread(struct vault *v, const struct pack_view *t, const uint8_t *table, const uint8_t *foot, struct err *e);

#endif
