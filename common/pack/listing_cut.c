#include <string.h>

#include "common/crypto/hash.h"
#include "common/pack/listing_cut.h"

#define CUT_BITS	8	/* one item in 256: of some 150 bytes each, about 38 KiB */
#define CUT_BITS_LATE	6	/* past the average */

void
listing_place(const uint8_t key[KEY_LEN], struct fmt_view path, uint8_t place[DIGEST_LEN])
{
	hash_keyed(key, path.p, path.len, place);
}

int
listing_cuts(const uint8_t key[KEY_LEN], unsigned level, const uint8_t place[DIGEST_LEN], struct fmt_view name,
    size_t have, size_t more)
{
	uint8_t in[1 + DIGEST_LEN + NAME_LEN_MAX], value[DIGEST_LEN];
	unsigned bits = have < LISTING_AVG ? CUT_BITS : CUT_BITS_LATE;

	if (have < LISTING_MIN)
		return 0;
	if (more > LISTING_MAX - have)
		return 1;
	in[0] = (uint8_t)level;
	memcpy(in + 1, place, DIGEST_LEN);
	if (name.len > 0)
		memcpy(in + 1 + DIGEST_LEN, name.p, name.len);
	hash_keyed(key, in, 1 + DIGEST_LEN + name.len, value);
	return (le64_get(value) & ((UINT64_C(1) << bits) - 1)) == 0;
}
