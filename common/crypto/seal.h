#ifndef SAMARA_CRYPTO_SEAL_H
#define SAMARA_CRYPTO_SEAL_H

/*
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) and the nonces for it.
 * seal_open stands in a file of its own: nothing of import/ links it.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

/* BLAKE2b-192 keyed: a nonce that hangs on all of ${in}. */
void seal_nonce(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t nonce[NONCE_LEN]);

/**
 * seal_make(key, nonce, ad, ad_len, in, len, out):
 * Encrypt ${len} bytes into ${out}, ${len} + SEAL_TAG_LEN of them; the ${ad}
 * is authenticated with them.  ${out} may be ${in}.
 */
void seal_make(const uint8_t key[KEY_LEN], const uint8_t nonce[NONCE_LEN], const void *ad, size_t ad_len,
    const void *in, size_t len, uint8_t *out);

/**
 * seal_open(key, nonce, ad, ad_len, in, len, out):
 * Undo it: ${len} - SEAL_TAG_LEN bytes into ${out}.  Return 0, or -1 when any
 * bit of key, nonce, associated data or sealed text is another (or ${len} is
 * too short); then ${out} is untouched or zero.
 */
int seal_open(const uint8_t key[KEY_LEN], const uint8_t nonce[NONCE_LEN], const void *ad, size_t ad_len,
    const void *in, size_t len, uint8_t *out) __attribute__((warn_unused_result));

#endif
