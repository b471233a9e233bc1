#ifndef SAMARA_CRYPTO_LETTER_H
#define SAMARA_CRYPTO_LETTER_H

/* Letters sealed to a vault's X25519 key (libsodium's sealed box), and the vault's own key at rest. */

#include <stdint.h>

#include "formats/fmt_vault.h"

struct buf;
struct err;

/* The X25519 key pair that belongs to ${seed}. */
void letter_keys(const uint8_t seed[KEY_LEN], uint8_t pub[BOX_PUB_LEN], uint8_t secret[KEY_LEN]);

/* Append to ${out} the ${len} bytes sealed to ${pub}: only the holder of its secret opens them. */
int letter_seal(const uint8_t pub[BOX_PUB_LEN], const void *in, size_t len, struct buf *out, struct err *e);

/* Append to ${out} what is in the letter; -1 with ERR_DAMAGE if it is not for this key or was changed. */
int letter_open(const uint8_t seed[KEY_LEN], const void *in, size_t len, struct buf *out, struct err *e);

/**
 * vault_key_wrap(k, pass, len, out, e):
 * Append to ${out} the vault's keys wrapped under an operator's passphrase:
 * Argon2id at libsodium's MODERATE cost, then XChaCha20-Poly1305 (libsodium's
 * secret box, which leaves the program without the opener of chunks) under
 * BLAKE2b-256 keyed (stretched passphrase; "samara vault key v1" zero-filled to
 * 32 | vault id | passes u64 | memory u64).  Return 0, or -1 with ${e} (ERR_MEMORY).
 *
 * vault_key_unwrap(in, n, pass, len, k, e):
 * Undo it.  -1 with ${e}: ERR_VAULT_KEY (not such a file), ERR_PASSPHRASE,
 * ERR_MEMORY; then ${k} is all zero.
 */
int vault_key_wrap(const struct vault_key *k, const char *pass, size_t len, struct buf *out, struct err *e);
int vault_key_unwrap(const void *in, size_t n, const char *pass, size_t len, struct vault_key *k, struct err *e);

#endif
