#ifndef SAMARA_CRYPTO_SIGN_H
#define SAMARA_CRYPTO_SIGN_H

/*
 * Ed25519 (RFC 8032) over context, zero-filled to 32 bytes | BLAKE3(statement),
 * and statements described by a schema, signed and opened in one step.
 */

#include <stdint.h>

#include "formats/schema.h"

struct buf;
struct err;

#define SIGN_SECRET_LEN	64

/* The key pair that belongs to ${seed}. */
void sign_keys(const uint8_t seed[KEY_LEN], uint8_t pub[SIGN_PUB_LEN], uint8_t secret[SIGN_SECRET_LEN]);

/* Sign the ${len} bytes at ${in} under ${context} (at most 32 characters). */
void sign_make(uint8_t sig[SIGN_LEN], const uint8_t secret[SIGN_SECRET_LEN], const char *context, const void *in, size_t len);

/* 1 if ${sig} is ${pub}'s signature of these bytes under ${context}, else 0. */
int sign_check(const uint8_t sig[SIGN_LEN], const uint8_t pub[SIGN_PUB_LEN], const char *context, const void *in, size_t len)
    __attribute__((warn_unused_result));

/**
 * statement_make(s, value, secret, out, e):
 * Encode ${value}, sign it where ${s} has a context (its sig field is filled
 * in; ${secret} may be NULL where not), and append the bytes to ${out}.
 * Return 0, or -1 with ${e} (ERR_INTERNAL: not encodable).
 */
int statement_make(const struct fmt_schema *s, void *value, const uint8_t secret[SIGN_SECRET_LEN], struct buf *out, struct err *e);

/**
 * statement_open(s, value, in, len, pub, e):
 * Decode untrusted bytes and check the signature by ${pub}; with ${pub} NULL
 * the signature is not checked (the caller must find the key inside and call
 * statement_check).  Return 0, or -1 with ${e}: ERR_VERSION, ERR_FORMAT,
 * ERR_SIGNATURE.  Views in ${value} point into ${in}.
 */
int statement_open(const struct fmt_schema *s, void *value, const void *in, size_t len, const uint8_t *pub, struct err *e)
    __attribute__((warn_unused_result));

/* 1 if the signature at the end of the encoded statement is by ${pub}, else 0. */
int statement_check(const struct fmt_schema *s, const void *in, size_t len, const uint8_t pub[SIGN_PUB_LEN])
    __attribute__((warn_unused_result));

/* BLAKE3 of an encoded statement without its signature. */
void statement_digest(const struct fmt_schema *s, const void *in, size_t len, uint8_t out[DIGEST_LEN]);

#endif
