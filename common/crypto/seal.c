#include <sodium.h>

#include "common/crypto/seal.h"

_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == NONCE_LEN &&
    crypto_aead_xchacha20poly1305_ietf_ABYTES == SEAL_TAG_LEN &&
    crypto_aead_xchacha20poly1305_ietf_KEYBYTES == KEY_LEN, "lengths of XChaCha20-Poly1305");

void
seal_nonce(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t nonce[NONCE_LEN])
{
	/* Fails for lengths out of range alone. */
	(void)crypto_generichash(nonce, NONCE_LEN, in, len, key, KEY_LEN);
}

void
seal_make(const uint8_t key[KEY_LEN], const uint8_t nonce[NONCE_LEN], const void *ad, size_t ad_len, const void *in,
    size_t len, uint8_t *out)
{
	/* Cannot fail below 256 GiB. */
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, ad_len, NULL, nonce, key);
}
