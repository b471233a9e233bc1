#ifndef SAMARA_FLOW_LINE_CREDENTIAL_H
#define SAMARA_FLOW_LINE_CREDENTIAL_H

/* A token for what a credential alone allows: reading one machine's snapshots (LIFE: registration). */

#include "formats/fmt_line_machine.h"

struct err;
struct line;

/**
 * line_credential_token(c, proxy, pub, grant, e):
 * Ask the vault that issued ${c} (restore-only, or replace: then it is good for a
 * day and the credential is not used up) for a token.  ${grant} has no descriptor; wipe
 * its token.  A restore-only credential is used up when this returns 0, so the
 * caller keeps the token.  0 or -1 with ${e}: ERR_CRED_EXPIRED, ERR_CRED_INVALID, ERR_PIN, ERR_LINE, …
 */
int line_credential_token(const struct credential *c, const char *proxy, struct token_grant *grant, struct err *e);

/**
 * line_open_reading(file, proxy, e):
 * The line for who has the restore-only credential in ${file} and no state.  Its
 * token is got once and kept beside it in ${file}.token (0600), so that later
 * commands go on with it as long as it is good.  NULL with ${e}; errors of
 * credential_file_read too.  Close with line_close.
 */
struct line *line_open_reading(const char *file, const char *proxy, struct err *e);

#endif
