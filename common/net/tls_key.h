#ifndef SAMARA_NET_TLS_KEY_H
#define SAMARA_NET_TLS_KEY_H

/* A server's TLS key, its certificate, and the pin of it: SHA-256 of the DER SubjectPublicKeyInfo (RFC 7469, 2.4). */

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct tls_key;

/**
 * tls_key_make(out, e):
 * A new P-256 key as PEM (PKCS #8), secret, appended to ${out} (wiped by the
 * caller).  0, or -1 with ${e}.
 */
int tls_key_make(struct buf *out, struct err *e);

/**
 * tls_key_open(pem, len, name, e):
 * The key in ${pem} with a certificate made for it now, by itself, for
 * ${name}: nobody looks at more of it than its key.  NULL with ${e} (ERR_VAULT_KEY).
 * Free with tls_key_free (NULL is allowed).
 */
struct tls_key *tls_key_open(const uint8_t *pem, size_t len, const char *name, struct err *e);
void tls_key_free(struct tls_key *k);

/* The pin of the key (SHA-256 of its SubjectPublicKeyInfo, RFC 7469), and the name it was opened for. */
void tls_key_pin(const struct tls_key *k, uint8_t pin[32]);
const char *tls_key_name(const struct tls_key *k);
/* Certificate and key as PEM, zero-terminated; they live as long as ${k}. */
const char *tls_key_certificate(const struct tls_key *k);
const char *tls_key_secret(const struct tls_key *k);

#endif
