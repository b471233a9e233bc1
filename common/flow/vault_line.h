#ifndef SAMARA_FLOW_VAULT_LINE_H
#define SAMARA_FLOW_VAULT_LINE_H

/*
 * What of a vault concerns its line: the TLS key in local/tls.key (0600, plain
 * PEM: a stolen one is replaced, and machines believe the vault's own key, not
 * this one) and the address, both named in the vault's description.
 */

#include "common/flow/vault.h"

struct tls_key;

#define VAULT_TLS_KEY	"tls.key"

/**
 * vault_line_key(v, e):
 * The vault's TLS key; made where there is none.  Where the description names
 * another, a new generation of it does not, durably, on return.  NULL with ${e}.
 * Free with tls_key_free.
 */
struct tls_key *vault_line_key(struct vault *v, struct err *e);

/**
 * vault_line_pin(local, name, pin, e):
 * The same for a vault that is being made: only the key and its pin.
 */
int vault_line_pin(int local, const char *name, uint8_t pin[DIGEST_LEN], struct err *e);

/**
 * vault_url(v, url, e):
 * The address by which the vault is reached from now on ("" : none); machines
 * learn it at their next contact, credentials carry it.  0; 1 it was that before;
 * -1 with ${e} (ERR_USAGE).
 */
int vault_url(struct vault *v, const char *url, struct err *e);

/* Is it "https://host[:port][/path]"?  0, or -1 with ERR_USAGE. */
int vault_url_check(const char *url, struct err *e);

#endif
