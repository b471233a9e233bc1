#ifndef SAMARA_CRYPTO_SLOTS_H
#define SAMARA_CRYPTO_SLOTS_H

/*
 * Key slots: ways to the master key (FORMATS: keys of a machine).  Each slot
 * wraps it with XChaCha20-Poly1305 under a key-encryption key and carries a
 * commitment to that key, so that a slot cannot be made to open under two.
 * The whole header is authenticated under the unwrapped key.
 */

#include <stdint.h>

#include "formats/fmt_machine.h"

struct buf;
struct err;

/**
 * slot_make_passphrase(s, master, pass, len, label):
 * A slot that the passphrase opens: Argon2id at libsodium's MODERATE cost, new
 * salt.  Return 0, or -1 with ${e} (ERR_MEMORY).
 */
int slot_make_passphrase(struct slot *s, const uint8_t master[KEY_LEN], const char *pass, size_t len, const char *label, struct err *e);

/* A slot of ${type} that the 256-bit ${key} opens (recovery key, local slot). */
void slot_make_key(struct slot *s, unsigned type, const uint8_t master[KEY_LEN], const uint8_t key[KEY_LEN], const char *label);

/**
 * slots_make(slots, n, generation, domain_id, header_key, out, e):
 * The encoded header of ${n} slots, authenticated, appended to ${out}.
 * Return 0 or -1 with ${e}.
 */
int slots_make(const struct slot *slots, size_t n, uint32_t generation, const uint8_t domain_id[DIGEST_LEN],
    const uint8_t header_key[KEY_LEN], struct buf *out, struct err *e);

/* One way in: a passphrase, or a 256-bit key for a slot of ${type}. */
struct slot_secret {
	unsigned type;
	const char *pass;
	size_t pass_len;
	const uint8_t *key;
};

/**
 * slots_open(in, len, domain_id, how, master, generation, e):
 * Try ${how} on the slots in the ${len} untrusted bytes.  Parameters out of
 * bounds are refused before any work (ERR_SLOTS).  The master key found is
 * believed only if the commitment, the header's authenticator and the domain
 * id (of the key; and ${domain_id} where not NULL) agree.  Return 0 with
 * ${master} and ${generation}; -1 with ${e}: ERR_PASSPHRASE, ERR_SLOTS,
 * ERR_MEMORY; then ${master} is zero.
 */
int slots_open(const uint8_t *in, size_t len, const uint8_t *domain_id, const struct slot_secret *how,
    uint8_t master[KEY_LEN], uint32_t *generation, struct err *e) __attribute__((warn_unused_result));

#endif
