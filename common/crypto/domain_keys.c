#include <sodium.h>
#include <string.h>

#include "common/base/secret.h"
#include "common/crypto/domain_keys.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"

#define SUBKEY_SEAL	1u	/* of an epoch's parent */
#define SUBKEY_NONCE	2u
#define SUBKEY_CUT	3u	/* these of the master key itself */
#define SUBKEY_SLOTS	4u
#define SUBKEY_TRUST	5u
#define SUBKEY_SIGN	6u
#define SUBKEY_ID	256u	/* + kind */

static const char context_key[crypto_kdf_CONTEXTBYTES] = { 's', 'a', 'm', 'a', 'r', 'a', '0', '1' };
static const char context_epoch[crypto_kdf_CONTEXTBYTES] = { 's', 'a', 'm', 'a', 'r', 'a', 'E', 'p' };

static void
subkey(uint8_t out[KEY_LEN], const char context[crypto_kdf_CONTEXTBYTES], uint64_t number, const uint8_t parent[KEY_LEN])
{
	/* Fails for lengths out of range alone. */
	(void)crypto_kdf_derive_from_key(out, KEY_LEN, number, context, parent);
}

struct domain_keys *
domain_keys_new(const uint8_t master[KEY_LEN])
{
	struct domain_keys *k = secret_new(sizeof(*k));
	uint8_t seed[KEY_LEN], epoch[KEY_LEN];

	memcpy(k->master, master, KEY_LEN);
	subkey(k->cut, context_key, SUBKEY_CUT, master);
	subkey(k->slots, context_key, SUBKEY_SLOTS, master);
	subkey(k->trust, context_key, SUBKEY_TRUST, master);
	for (unsigned kind = 1; kind <= KIND_MAX; kind++)
		subkey(k->id[kind], context_key, SUBKEY_ID + kind, master);
	subkey(epoch, context_epoch, EPOCH_1, master);
	subkey(k->seal, context_key, SUBKEY_SEAL, epoch);
	subkey(k->nonce, context_key, SUBKEY_NONCE, epoch);
	subkey(seed, context_key, SUBKEY_SIGN, master);
	sign_keys(seed, k->domain_pub, k->sign_secret);
	hash_once(k->domain_pub, SIGN_PUB_LEN, k->domain_id);
	secret_wipe(seed, sizeof(seed));
	secret_wipe(epoch, sizeof(epoch));
	return k;
}

void
domain_keys_free(struct domain_keys *k)
{
	secret_free(k);
}
