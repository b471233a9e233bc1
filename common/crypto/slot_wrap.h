#ifndef SAMARA_CRYPTO_SLOT_WRAP_H
#define SAMARA_CRYPTO_SLOT_WRAP_H

/* What making and opening key slots share (docs/formats/machine.md). */

#include "formats/fmt_machine.h"

struct err;

#define SLOT_AD_LEN	(1 + 8 + DIGEST_LEN)

/* Associated data of the wrap: type | slot id | domain id. */
void slot_ad(const struct slot *s, const uint8_t domain_id[DIGEST_LEN], uint8_t out[SLOT_AD_LEN]);

/* BLAKE3 keyed (key-encryption key; "samara slot v1" | slot id). */
void slot_commitment(const struct slot *s, const uint8_t kek[KEY_LEN], uint8_t out[DIGEST_LEN]);

/**
 * passphrase_stretch(pass, len, salt, ops, mem, key, e):
 * Argon2id v1.3 (RFC 9106), one lane, ${ops} passes over ${mem} bytes.  Return
 * 0, or -1 with ${e} (ERR_MEMORY).
 */
int passphrase_stretch(const char *pass, size_t len, const uint8_t salt[16], uint64_t ops, uint64_t mem,
    uint8_t key[KEY_LEN], struct err *e);

#endif
