#include <sodium.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/crypto/slot_wrap.h"

static const char commitment_text[] = "samara slot v1";

void
slot_ad(const struct slot *s, const uint8_t domain_id[DIGEST_LEN], uint8_t out[SLOT_AD_LEN])
{
	out[0] = s->type;
	memcpy(out + 1, s->slot_id, sizeof(s->slot_id));
	memcpy(out + 1 + sizeof(s->slot_id), domain_id, DIGEST_LEN);
}

void
slot_commitment(const struct slot *s, const uint8_t kek[KEY_LEN], uint8_t out[DIGEST_LEN])
{
	struct hash h;

	hash_init_keyed(&h, kek);
	hash_update(&h, commitment_text, sizeof(commitment_text) - 1);
	hash_update(&h, s->slot_id, sizeof(s->slot_id));
	hash_final(&h, out);
	secret_wipe(&h, sizeof(h));
}

int
passphrase_stretch(const char *pass, size_t len, const uint8_t salt[16], uint64_t ops, uint64_t mem,
    uint8_t key[KEY_LEN], struct err *e)
{
	if (crypto_pwhash(key, KEY_LEN, pass, len, salt, ops, (size_t)mem, crypto_pwhash_ALG_ARGON2ID13) == 0)
		return 0;
	return err_set(e, ERR_MEMORY, "stretch the passphrase: that takes %llu MiB of memory",
	    (unsigned long long)(mem >> 20));
}
