#ifndef SAMARA_FLOW_VAULT_KEYS_H
#define SAMARA_FLOW_VAULT_KEYS_H

/* A vault's own key: made, read, copied. */

#include "common/flow/vault.h"

/**
 * vault_key_make(local, vault_id, e), vault_key_load(local, d, e):
 * The key of a new vault (one that an unfinished create left in ${local} is
 * taken, and its id with it); the key in ${local} that belongs to the
 * description ${d}, asking for a passphrase if it is wrapped.  In secret
 * memory, free with secret_free.  NULL with ${e}: ERR_VAULT_KEY.
 */
struct vault_key *vault_key_make(int local, struct err *e);
struct vault_key *vault_key_load(int local, const struct vault_desc *d, struct err *e);

/**
 * vault_key_copy(v, file, pass, len, e):
 * Write a copy of the key to the new file ${file} (0600), wrapped by a
 * passphrase where ${pass} is not NULL, read it back, and record that there is one.
 */
int vault_key_copy(struct vault *v, const char *file, const char *pass, size_t len, struct err *e);

#endif
