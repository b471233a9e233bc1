#include "common/flow/image_root.h"

#include "common/crypto/hash.h"

void
image_root(const uint8_t vault[ID_LEN], const uint8_t image[ID_LEN], struct fmt_view envelopes,
    const uint8_t carried[DIGEST_LEN], uint8_t root[DIGEST_LEN])
{
	static const char magic[32] = "samara root v1";
	struct hash h;
	uint8_t n[4];

	le32_put(n, (uint32_t)list_count(envelopes, DIGEST_LEN));
	hash_init(&h);
	hash_update(&h, magic, sizeof(magic));
	hash_update(&h, vault, ID_LEN);
	hash_update(&h, image, ID_LEN);
	hash_update(&h, n, sizeof(n));
	hash_update(&h, envelopes.p, envelopes.len);
	hash_update(&h, carried, DIGEST_LEN);
	hash_final(&h, root);
}
