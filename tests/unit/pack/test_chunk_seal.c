#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "formats/bytes.h"
#include "pack/sealed.h"

/* docs/formats/vectors.md: a chunk, line by line; made by another implementation. */
#define PLAIN	"samara carries seeds on the wind"
#define ID	"252fdc732711ab06824e255c09f7a1fe955fa530e35ce318666c30c8536bb71e"
#define INNER	"20000000200000000073616d6172612063617272696573207365656473206f6e207468652077696e64000000"
#define HEAD	"534d434b01010100010000003bb9129d2af0faee2516abbd8ca38f60c19ae929afa0da28aaf476cbbbdb665c3c000000"
#define NONCE	"8fd3b89ac31ec177bb444162145e12b086bea859b244ca1e"
#define SEALED	"d4d4f413f2a0ce23598c88de848c00a8cbfab1e38343110b41a62c38816a63710304051970424bf6" \
	"4ef414394f8b993c754d3b2c1fc9babc6c604a97"
#define XXH	"0b0ee8ca8dd8ff66"
#define DIGEST	"cf10dca3fc2a1d1d5958773d7132148487e080df4d0f336801141ad2bc70d8a6"

static struct domain_keys *k;

static int
setup(void **state)
{
	(void)state;
	k = keys_make();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	domain_keys_free(k);
	return 0;
}

static void
every_line_of_a_chunk_is_the_one_written_down(void **state)
{
	static const char *const ids[] = { ID,
		"4b92e9e2f00f18491050fa42097c0a2c800ae13d28c21c698dcf901f967d5053",
		"eaac20e291b5d86b8aba54af478e264be9e85b5651273a20d11ae24ea2021f1e",
		"ca1f56f4a6679820f2e7543e3bcd58a0d60100636955d33b7de23dac579a74a6",
		"9ed8db60d2149831847eb9b50d62bdb463e27f16aadf40b9a672461c696a1487",
		"94e17a2f40ede9f110aed9868ba3c1af0a3a7cff661c4574a26eff64cdb74d0c",
	};
	uint8_t id[DIGEST_LEN], inner[64], frame[256];
	struct codec *c = codec_new(1);
	const struct io_ops *before;
	struct pack_row row;
	size_t n;

	(void)state;
	for (unsigned kind = KIND_MAX; kind >= 1; kind--) {
		chunk_id(k, kind, PLAIN, strlen(PLAIN), id);
		assert_hex(id, DIGEST_LEN, ids[kind - 1]);
	}
	n = chunk_inner(c, (const uint8_t *)PLAIN, strlen(PLAIN), inner);
	assert_hex(inner, n, INNER);
	before = random_fix();
	chunk_frame(k, KIND_DATA, id, inner, n, frame, &row);
	(void)io_use(before);
	assert_hex(frame, row.len, HEAD ID NONCE SEALED XXH);
	assert_hex(row.digest, DIGEST_LEN, DIGEST);
	assert_hex(row.id, DIGEST_LEN, ID);
	assert_int_equal(row.kind, KIND_DATA);
	assert_true(row.xxh == UINT64_C(0x66ffd88dcae80e0b));
	codec_free(c);
}

static void
inner_bytes_are_as_long_as_padme_says_and_end_in_zeros(void **state)
{
	static const size_t lens[] = { 1, 2, 100, 1000, 4096, 65536, 262144, 1u << 20, CHUNK_PLAIN_MAX };
	uint8_t *plain = malloc(CHUNK_PLAIN_MAX), *inner = malloc(chunk_inner_bound(CHUNK_PLAIN_MAX));
	struct codec *c = codec_new(1);
	struct rng r = { .at = 5 };

	(void)state;
	assert_true(chunk_inner_bound(CHUNK_PLAIN_MAX) + SEAL_TAG_LEN <= FRAME_SEALED_MAX);
	for (int random = 0; random < 2; random++) {
		memset(plain, 'x', CHUNK_PLAIN_MAX);
		if (random)
			rng_fill(&r, plain, CHUNK_PLAIN_MAX);
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			size_t n = chunk_inner(c, plain, lens[i], inner), packed = le32_get(inner + 4);

			assert_int_equal(le32_get(inner), lens[i]);
			assert_true(packed <= lens[i]);
			assert_int_equal(n, padme(9 + packed));
			for (size_t at = 9 + packed; at < n; at++)
				assert_int_equal(inner[at], 0);
		}
	}
	codec_free(c);
	free(plain);
	free(inner);
}

static void
padme_rounds_as_written_down(void **state)
{
	static const struct { uint64_t len, want; } t[] = {
		{ 1, 1 }, { 2, 2 }, { 9, 10 }, { 10, 10 }, { 41, 44 }, { 100, 104 }, { 127, 128 }, { 128, 128 },
		{ 1000, 1024 }, { 4105, 4352 }, { 65545, 67584 }, { 262153, 270336 }, { 1048585, 1081344 },
		{ 8388617, 8650752 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_true(padme(t[i].len) == t[i].want);
}

static void
nonce_of(unsigned kind, const uint8_t *id, const uint8_t *inner, size_t n, uint8_t nonce[NONCE_LEN])
{
	const struct io_ops *before = random_fix();
	struct pack_row row;
	uint8_t *frame = frame_of_inner(k, kind, id, inner, n, &row);

	memcpy(nonce, frame + FRAME_HEAD_LEN + DIGEST_LEN, NONCE_LEN);
	(void)io_use(before);
	free(frame);
}

/* A cloned machine draws the same numbers: a nonce still comes back only with all that it protects. */
static void
with_the_same_random_numbers_a_nonce_repeats_for_the_same_message_alone(void **state)
{
	uint8_t id[DIGEST_LEN] = { 1 }, inner[64] = { 32 }, n[5][NONCE_LEN], again[NONCE_LEN];

	(void)state;
	nonce_of(KIND_DATA, id, inner, 44, n[0]);
	nonce_of(KIND_DATA, id, inner, 44, again);
	assert_memory_equal(n[0], again, NONCE_LEN);
	nonce_of(KIND_BUNDLE, id, inner, 44, n[1]);
	nonce_of(KIND_DATA, id, inner, 48, n[2]);
	inner[43] = 1;		/* another zstd, another padding */
	nonce_of(KIND_DATA, id, inner, 44, n[3]);
	inner[43] = 0;
	id[31] = 1;
	nonce_of(KIND_DATA, id, inner, 44, n[4]);
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(n[i], n[j], NONCE_LEN);
}

static void
the_same_chunk_sealed_twice_has_two_nonces(void **state)
{
	struct pack_row a, b;
	uint8_t *x = frame_of(k, KIND_DATA, "wind", 4, &a), *y = frame_of(k, KIND_DATA, "wind", 4, &b);

	(void)state;
	assert_memory_equal(x, y, FRAME_HEAD_LEN + DIGEST_LEN);
	assert_memory_not_equal(x + 80, y + 80, NONCE_LEN);
	assert_memory_not_equal(x + 104, y + 104, a.len - 104);
	assert_memory_not_equal(a.digest, b.digest, DIGEST_LEN);
	free(x);
	free(y);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_of_a_chunk_is_the_one_written_down),
		cmocka_unit_test(inner_bytes_are_as_long_as_padme_says_and_end_in_zeros),
		cmocka_unit_test(padme_rounds_as_written_down),
		cmocka_unit_test(with_the_same_random_numbers_a_nonce_repeats_for_the_same_message_alone),
		cmocka_unit_test(the_same_chunk_sealed_twice_has_two_nonces),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
