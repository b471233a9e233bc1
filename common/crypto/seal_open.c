#include <sodium.h>

#include "common/crypto/seal.h"

/* The only place in samara that opens what seal_make sealed. */
int
seal_open(const uint8_t key[KEY_LEN], const uint8_t nonce[NONCE_LEN], const void *ad, size_t ad_len, const void *in,
    size_t len, uint8_t *out)
{
	if (len < SEAL_TAG_LEN)
		return -1;
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len, nonce, key);
}
