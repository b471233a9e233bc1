#ifndef SAMARA_CRYPTO_HASH_H
#define SAMARA_CRYPTO_HASH_H

/* BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020): every digest and every chunk id. */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

/* A hash under way, in the caller's memory; no clean-up needed unless keyed. */
struct hash {
	_Alignas(16) uint8_t state[1920];
};

/* Begin, without a key or with one, and add ${len} bytes of ${in}.  They cannot fail. */
void hash_init(struct hash *h);
void hash_init_keyed(struct hash *h, const uint8_t key[KEY_LEN]);
void hash_update(struct hash *h, const void *in, size_t len);
/* The digest so far; ${h} can go on. */
void hash_final(const struct hash *h, uint8_t out[DIGEST_LEN]);

/* In one call. */
void hash_once(const void *in, size_t len, uint8_t out[DIGEST_LEN]);
void hash_keyed(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t out[DIGEST_LEN]);

/* BLAKE2b-256 keyed: authenticators in slots, trust state, registration, credential secret. */
void mac_once(const uint8_t key[KEY_LEN], const void *in, size_t len, uint8_t out[DIGEST_LEN]);

#endif
