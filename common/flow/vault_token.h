#ifndef SAMARA_FLOW_VAULT_TOKEN_H
#define SAMARA_FLOW_VAULT_TOKEN_H

/* Tokens: who may talk to a vault over the line, and for how long (docs/formats/line.md). */

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "formats/fmt_line_machine.h"

#define TOKEN_READING	(INT64_C(30) * 86400)	/* seconds that a restore-only token is good for */
#define TOKEN_LOOKING	(INT64_C(86400))	/* and one that a replace credential gives before it is used */

/**
 * vault_token_grant(v, bytes, len, pin, grant, e):
 * Answer the token request ${bytes}, which came to a server whose key has ${pin}.
 * A machine that is not known yet, or comes with a new key, is admitted by the
 * rules for a registration on a disk.  0 with ${grant} (its descriptor is
 * empty; wipe its token), after the record of it is durable; -1 with ${e}: ERR_FORMAT,
 * ERR_SIGNATURE, ERR_WRONG_VAULT, ERR_PIN (made for another server),
 * ERR_CRED_EXPIRED, ERR_CRED_INVALID, ERR_TOKEN (revoked, retired, or
 * another has taken its place), ERR_NO_MACHINE.
 */
int vault_token_grant(struct vault *v, const void *bytes, size_t len, const uint8_t pin[DIGEST_LEN],
    struct token_grant *grant, struct err *e);

/**
 * vault_token_find(v, text, t, m, e):
 * Whose token ${text} (hex, as a client showed it) is.  0 with its row and the machine;
 * -1 with ERR_TOKEN where there is none such, it has ended, or its machine
 * may not come any more.  Outside a transaction.
 */
int vault_token_find(struct vault *v, const char *text, struct cat_token *t, struct cat_machine *m, struct err *e);

/**
 * vault_takeover(v, machine, pub, seq, e):
 * Snapshot ${seq} by the key ${pub} was committed: where another key of this
 * machine still has a token, that one ends now, and it is recorded and told.
 * In the transaction of the commit.  0 nothing to do; 1 it was; -1 with ${e}.
 */
int vault_takeover(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t pub[SIGN_PUB_LEN], uint64_t seq,
    struct err *e);

#endif
