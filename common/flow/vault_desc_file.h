#ifndef SAMARA_FLOW_VAULT_DESC_FILE_H
#define SAMARA_FLOW_VAULT_DESC_FILE_H

/*
 * vault/N.json: one JSON object.  "statement" is the hex of the signed vault
 * descriptor and alone counts; the other members repeat it for people.
 */

#include "formats/fmt_vault.h"

struct buf;
struct err;

/* The text of the file for the encoded, signed descriptor ${bytes}, appended to ${out}. */
int vault_desc_text(const struct vault_desc *d, const void *bytes, size_t len, struct buf *out, struct err *e);

/* Read it: untrusted.  0, or -1 with ${e}: ERR_FORMAT, ERR_VERSION, ERR_SIGNATURE. */
int vault_desc_read(const void *text, size_t len, struct vault_desc *d, struct err *e);

#endif
