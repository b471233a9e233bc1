#ifndef SAMARA_FLOW_VAULT_CUSTODY_H
#define SAMARA_FLOW_VAULT_CUSTODY_H

/* The machine's half of a custody log, kept by the vault too. */

#include "common/flow/vault.h"
#include "formats/fmt_disk.h"

/**
 * vault_custody_take(v, imagefd, l, e):
 * In a transaction: the records that machine ${l} left in custody/ of the image's
 * directory ${imagefd} and that the vault does not have yet become records of the
 * vault, in order.  What does not fit behind the last one is told and left; it
 * never stops an ingest.  0, or -1 with ${e} where a record cannot be put.
 */
int vault_custody_take(struct vault *v, int imagefd, const struct label *l, struct err *e);

/**
 * vault_custody_post(v, machine, bytes, len, e):
 * The next record of the half of ${machine}, sent over the line.  0; 1 the vault has
 * it or a later one; -1 with ${e}: ERR_SIGNATURE, ERR_NO_IMAGE, ERR_RULE where it is not the next.
 */
int vault_custody_post(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct err *e);

#endif
