#include <blake3.h>
#include <sodium.h>

#include "common/base/secret.h"
#include "common/crypto/hash.h"

_Static_assert(sizeof(blake3_hasher) <= sizeof(struct hash), "struct hash holds the library's state");
_Static_assert(BLAKE3_OUT_LEN == DIGEST_LEN && BLAKE3_KEY_LEN == KEY_LEN, "lengths of BLAKE3");

static blake3_hasher *
hasher(struct hash *h)
{
	return (blake3_hasher *)(void *)h->state;
}

void
hash_init(struct hash *h)
{
	blake3_hasher_init(hasher(h));
}

void
hash_init_keyed(struct hash *h, const uint8_t key[KEY_LEN])
{
	blake3_hasher_init_keyed(hasher(h), key);
}

void
hash_update(struct hash *h, const void *in, size_t len)
{
	blake3_hasher_update(hasher(h), in, len);
}

void
hash_final(const struct hash *h, uint8_t out[DIGEST_LEN])
{
	blake3_hasher_finalize((const blake3_hasher *)(const void *)h->state, out, DIGEST_LEN);
}

void
hash_once(const void *in, size_t len, uint8_t out[DIGEST_LEN])
{
	struct hash h;

	hash_init(&h);
	hash_update(&h, in, len);
	hash_final(&h, out);
}

void
hash_keyed(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t out[DIGEST_LEN])
{
	struct hash h;

	hash_init_keyed(&h, key);
	hash_update(&h, in, len);
	hash_final(&h, out);
	secret_wipe(&h, sizeof(h));
}

void
mac_once(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t out[DIGEST_LEN])
{
	/* Fails for lengths out of range alone. */
	(void)crypto_generichash(out, DIGEST_LEN, in, len, key, KEY_LEN);
}
