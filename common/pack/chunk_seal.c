#include <string.h>

#include "common/chunk/codec.h"
#include "common/crypto/hash.h"
#include "common/crypto/random.h"
#include "common/crypto/seal.h"
#include "common/pack/chunk_seal.h"

#define AD_LEN		(FRAME_HEAD_LEN + DIGEST_LEN)	/* head | id: associated data, and how a frame begins */
#define NONCE_IN_LEN	(32 + AD_LEN + DIGEST_LEN)	/* random | head | id | BLAKE3(inner) */

_Static_assert(AD_LEN + NONCE_LEN + 8 == FRAME_OVERHEAD, "the parts of a frame around the sealed part");

void
chunk_id(const struct domain_keys *k, unsigned kind, const void *plain, size_t len, uint8_t id[DIGEST_LEN])
{
	hash_keyed(k->id[kind], plain, len, id);
}

size_t
chunk_inner_bound(size_t len)
{
	return (size_t)padme(INNER_HEAD_LEN + len);
}

size_t
chunk_inner(struct codec *c, const uint8_t *plain, size_t len, uint8_t *out)
{
	uint8_t codec;
	size_t packed = codec_pack(c, plain, len, out + INNER_HEAD_LEN, &codec);
	size_t used = INNER_HEAD_LEN + packed, whole = (size_t)padme(used);

	le32_put(out, (uint32_t)len);
	le32_put(out + 4, (uint32_t)packed);
	out[8] = codec;
	memset(out + used, 0, whole - used);
	return whole;
}

size_t
chunk_frame_len(size_t inner_len)
{
	return FRAME_OVERHEAD + inner_len + SEAL_TAG_LEN;
}

/* A nonce that repeats only if random bytes, head, id and content all do. */
static void
chunk_nonce(const struct domain_keys *k, const uint8_t ad[AD_LEN], const uint8_t *inner, size_t inner_len,
    uint8_t nonce[NONCE_LEN])
{
	uint8_t in[NONCE_IN_LEN];

	random_take(in, 32);
	memcpy(in + 32, ad, AD_LEN);
	hash_once(inner, inner_len, in + 32 + AD_LEN);
	seal_nonce(k->nonce, in, sizeof(in), nonce);
}

void
chunk_frame(const struct domain_keys *k, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *inner,
    size_t inner_len, uint8_t *out, struct pack_row *row)
{
	size_t len = chunk_frame_len(inner_len);
	uint8_t *nonce = out + AD_LEN, *sealed = nonce + NONCE_LEN;

	memset(row, 0, sizeof(*row));
	frame_head_encode(out, (uint16_t)kind, EPOCH_1, k->domain_id, (uint32_t)(inner_len + SEAL_TAG_LEN));
	memcpy(out + FRAME_HEAD_LEN, id, DIGEST_LEN);
	chunk_nonce(k, out, inner, inner_len, nonce);
	seal_make(k->seal, nonce, out, AD_LEN, inner, inner_len, sealed);
	row->xxh = checksum(out, len - 8);
	le64_put(out + len - 8, row->xxh);
	memcpy(row->id, id, DIGEST_LEN);
	row->kind = (uint16_t)kind;
	row->len = (uint32_t)len;
	hash_once(out, len, row->digest);
}
