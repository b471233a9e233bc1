#ifndef SAMARA_FLOW_VAULT_DISPUTE_H
#define SAMARA_FLOW_VAULT_DISPUTE_H

/* Copies that their own machine fetched and found wrong. */

#include <stddef.h>
#include <stdint.h>

#include "common/flow/vault.h"

/**
 * vault_dispute_take(v, machine, bytes, len, copies, e):
 * Take the signed dispute of ${machine}: the copies that it names, as far as it wrote
 * them itself, count as held no more; states fall.  0 with how many ${copies} that
 * were good are disputed now; 1 none: all were so before, or are not its own; -1 with
 * ${e}: ERR_FORMAT, ERR_SIGNATURE, ERR_WRONG_VAULT.
 */
int vault_dispute_take(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, uint64_t *copies,
    struct err *e);

/**
 * vault_copy_state(v, domain, id, pack, writer, state, e):
 * The state of the copy of chunk ${id} in pack number ${pack}, if ${writer} wrote it: 0
 * with ${state} (COPY_…); 1 there is none by it; -1.
 */
int vault_copy_state(struct vault *v, const uint8_t domain[DIGEST_LEN], const uint8_t id[DIGEST_LEN], int64_t pack,
    const uint8_t writer[ID_LEN], uint32_t *state, struct err *e);

#endif
