#ifndef SAMARA_FLOW_VAULT_LOST_H
#define SAMARA_FLOW_VAULT_LOST_H

/* How many files machines lost with the chunks that they gave up.  Their names no vault learns. */

#include <stddef.h>
#include <stdint.h>

#include "common/flow/vault.h"
#include "formats/fmt_pledge.h"

/**
 * vault_files_lost_take(v, machine, bytes, len, e):
 * Take the signed statement of ${machine}.  0; 1 it was known; -1 with ${e}: ERR_FORMAT,
 * ERR_SIGNATURE, ERR_WRONG_VAULT.
 */
int vault_files_lost_take(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct err *e);

/* Files of the machine's snapshot ${seq} that are lost, of all lists together.  0 or -1 with ${e}. */
int vault_files_lost(struct vault *v, const uint8_t machine[ID_LEN], int64_t seq, uint64_t *files, struct err *e);

/**
 * vault_files_lost_each(v, machine, fn, arg, e):
 * Each of the machine's snapshots that lost some, by rising number; non-zero from ${fn} ends it and is returned.
 */
typedef int (*files_lost_fn)(void *arg, const struct files_lost_row *row, struct err *e);
int vault_files_lost_each(struct vault *v, const uint8_t machine[ID_LEN], files_lost_fn fn, void *arg, struct err *e);

#endif
