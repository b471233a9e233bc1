#ifndef SAMARA_CRYPTO_DOMAIN_KEYS_H
#define SAMARA_CRYPTO_DOMAIN_KEYS_H

/*
 * The master key of a key domain and everything derived from it (docs/formats/chunk.md):
 * crypto_kdf with context "samara01": 3 cutting, 4 slot header, 5 trust state, 6 domain
 * signature seed, 256 + kind for ids; with context "samaraEp" and number = epoch the epoch's
 * parent, and of that, context "samara01": 1 sealing, 2 nonce.
 */

#include <stdint.h>

#include "formats/fmt_pack.h"

struct domain_keys {
	uint8_t master[KEY_LEN];
	uint8_t cut[KEY_LEN];
	uint8_t slots[KEY_LEN];
	uint8_t trust[KEY_LEN];
	uint8_t seal[KEY_LEN];
	uint8_t nonce[KEY_LEN];
	uint8_t id[KIND_MAX + 1][KEY_LEN];	/* by kind; [0] unused */
	uint8_t sign_secret[64];
	uint8_t domain_pub[SIGN_PUB_LEN];
	uint8_t domain_id[DIGEST_LEN];		/* BLAKE3(domain_pub) */
};

/* All keys of ${master}, in secret memory; free with domain_keys_free (NULL is allowed). */
struct domain_keys *domain_keys_new(const uint8_t master[KEY_LEN]);
void domain_keys_free(struct domain_keys *k);

#endif
