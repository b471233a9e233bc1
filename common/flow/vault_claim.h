#ifndef SAMARA_FLOW_VAULT_CLAIM_H
#define SAMARA_FLOW_VAULT_CLAIM_H

/* What the keeper of a vault decides by hand, and what the vault gives out of what it keeps. */

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"

/**
 * vault_claim(v, text, i, e):
 * Admit the image that ${text} names (vault_image_find), which was not admitted
 * by itself: its machine is registered as it asked to be, whatever became of
 * the credential; signatures must hold all the same.  The disk is then
 * ingested again.  Return 0 with ${i} as it was before; 1 it was admitted
 * already; -1 with ${e} (ERR_NO_IMAGE, ERR_RULE: the name is another's).
 */
int vault_claim(struct vault *v, const char *text, struct cat_image *i, struct err *e);

/**
 * vault_kit(v, m, out, e):
 * The recovery kit of machine ${m} as text, appended to ${out}, from the slots
 * that the vault keeps: sealed to it, and openable by nobody here.  The reading
 * is recorded.  Return 0 or -1 with ${e}.
 */
int vault_kit(struct vault *v, const struct cat_machine *m, struct buf *out, struct err *e);

/**
 * vault_keys_newest(v, machine, what, out, len, e):
 * The newest object keys/MACHINE/WHAT ("domain", "member", "regist", "slots"), in a new
 * buffer.  0; 1 there is none; -1 with ${e}.
 */
int vault_keys_newest(struct vault *v, const uint8_t machine[ID_LEN], const char *what, uint8_t **out, size_t *len,
    struct err *e);

/* All such objects before the newest, oldest first: a length u32 and as many bytes each, added to ${out}.  0 or -1 with ${e}. */
int vault_keys_older(struct vault *v, const uint8_t machine[ID_LEN], const char *what, struct buf *out, struct err *e);


#endif
