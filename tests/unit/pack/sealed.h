#ifndef SAMARA_TESTS_PACK_SEALED_H
#define SAMARA_TESTS_PACK_SEALED_H

/* What tests of chunks and packs share: keys, a fixed generator, frames made by hand.  After cmocka.h. */

#include <stdlib.h>

#include "common/base/io.h"
#include "common/chunk/codec.h"
#include "common/crypto/domain_keys.h"
#include "common/crypto/random.h"
#include "common/crypto/sign.h"
#include "common/pack/chunk_seal.h"
#include "crypto/hex.h"

/* The keys of docs/formats/vectors.md: master key 00 01 … 1f. */
static inline struct domain_keys *
keys_make(void)
{
	uint8_t master[KEY_LEN];

	count_up(master, sizeof(master), 0);
	return domain_keys_new(master);
}

/* The maker of docs/formats/vectors.md: seed 40 41 … 5f, id 10 11 … 1f. */
static inline void
maker_make(uint8_t id[ID_LEN], uint8_t pub[SIGN_PUB_LEN], uint8_t secret[SIGN_SECRET_LEN])
{
	uint8_t seed[KEY_LEN];

	count_up(id, ID_LEN, 0x10);
	count_up(seed, sizeof(seed), 0x40);
	sign_keys(seed, pub, secret);
}

/* A generator that says a0 a1 a2 … bf again and again. */
static inline int
random_fixed(void *buf, size_t n)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(0xa0 + i % 32);
	return 0;
}

/* Use it, from its first byte on; give back what was in force. */
static inline const struct io_ops *
random_fix(void)
{
	static struct io_ops fixed;
	const struct io_ops *before;
	uint8_t one;

	fixed = *io_real();
	fixed.random = random_fixed;
	before = io_use(io_real());
	random_take(&one, 1);		/* so that the pool is filled anew */
	(void)io_use(&fixed);
	return before;
}

/* The frame of any inner bytes, in new memory. */
static inline uint8_t *
frame_of_inner(const struct domain_keys *k, unsigned kind, const uint8_t *id, const uint8_t *inner, size_t inner_len,
    struct pack_row *row)
{
	uint8_t *out = malloc(chunk_frame_len(inner_len));

	assert_non_null(out);
	chunk_frame(k, kind, id, inner, inner_len, out, row);
	assert_int_equal(row->len, chunk_frame_len(inner_len));
	return out;
}

/* The frame of ${len} plain bytes, in new memory. */
static inline uint8_t *
frame_of(const struct domain_keys *k, unsigned kind, const void *plain, size_t len, struct pack_row *row)
{
	struct codec *c = codec_new(1);
	uint8_t *inner = malloc(chunk_inner_bound(len)), id[DIGEST_LEN], *out;
	size_t n;

	assert_non_null(c);
	assert_non_null(inner);
	chunk_id(k, kind, plain, len, id);
	n = chunk_inner(c, plain, len, inner);
	assert_true(n <= chunk_inner_bound(len));
	out = frame_of_inner(k, kind, id, inner, n, row);
	free(inner);
	codec_free(c);
	return out;
}

#endif
