#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/chunk/codec.h"
#include "formats/bytes.h"

#define LEN	(256u << 10)

static struct codec *codec;
static uint8_t plain[LEN], packed[LEN], again[LEN];

static int
codec_make(void **state)
{
	(void)state;
	codec = codec_new(1);
	return codec == NULL;
}

static int
codec_drop(void **state)
{
	(void)state;
	codec_free(codec);
	codec_free(NULL);
	return 0;
}

/* Bytes of which about one in ${part} is random. */
static void
fill(size_t len, unsigned part)
{
	struct rng r = { .at = len + part };

	for (size_t i = 0; i < len; i++)
		plain[i] = i % part == 0 ? (uint8_t)rng_next(&r) : (uint8_t)(i >> 6);
}

static void
what_was_packed_comes_back(void **state)
{
	static const size_t lens[] = { 1, 2, 31, 32, 33, 100, 4096, 65536, LEN };
	static const unsigned parts[] = { 1, 2, 3, 8, 1000 };
	uint8_t how;

	(void)state;
	for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++)
		for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
			size_t n;

			fill(lens[l], parts[p]);
			n = codec_pack(codec, plain, lens[l], packed, &how);
			assert_true(n >= 1 && n <= lens[l]);
			memset(again, 0xee, lens[l]);
			assert_int_equal(codec_unpack(codec, how, packed, n, again, lens[l]), 0);
			assert_memory_equal(again, plain, lens[l]);
		}
}

static void
what_does_not_save_a_thirtysecond_is_stored(void **state)
{
	uint8_t how;
	unsigned stored = 0, zstd = 0;

	(void)state;
	/* More and more of it zeros: at some share zstd begins to pay. */
	for (size_t zeros = 0; zeros < 8192; zeros += 64) {
		size_t n;

		fill(LEN / 4, 1);
		memset(plain, 0, zeros);
		n = codec_pack(codec, plain, LEN / 4, packed, &how);
		if (how == CODEC_STORED) {
			assert_int_equal(n, LEN / 4);
			assert_memory_equal(packed, plain, n);
			stored++;
		} else {
			assert_int_equal(how, CODEC_ZSTD);
			assert_true(n <= LEN / 4 - LEN / 4 / 32);
			zstd++;
		}
	}
	assert_true(stored > 20 && zstd > 20);
	fill(5, 1000);
	assert_int_equal(codec_pack(codec, plain, 1, packed, &how), 1);
	assert_int_equal(how, CODEC_STORED);
}

static void
another_length_than_the_true_one_is_refused(void **state)
{
	uint8_t how;
	size_t n;

	(void)state;
	fill(4096, 8);
	n = codec_pack(codec, plain, 4096, packed, &how);
	assert_int_equal(how, CODEC_ZSTD);
	for (size_t len = 4000; len < 4200; len++)
		assert_int_equal(codec_unpack(codec, how, packed, n, again, len), len == 4096 ? 0 : -1);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(codec_unpack(codec, how, packed, cut, again, 4096), -1);
	assert_int_equal(codec_unpack(codec, CODEC_STORED, packed, n, again, n + 1), -1);
	assert_int_equal(codec_unpack(codec, CODEC_STORED, packed, n, again, n - 1), -1);
	assert_int_equal(codec_unpack(codec, 2, packed, n, again, n), -1);
	assert_int_equal(codec_unpack(codec, 255, packed, n, again, n), -1);
}

static void
nothing_is_written_past_the_length_asked_for(void **state)
{
	struct rng r = { .at = 1 };
	uint8_t how;
	size_t n;

	(void)state;
	fill(4096, 8);
	n = codec_pack(codec, plain, 4096, packed, &how);
	for (int i = 0; i < 20000; i++) {
		size_t want = 1 + rng_next(&r) % 5000;
		uint8_t *bad = bytes_copy(packed, n), *out = malloc(want);	/* as large as allowed: more is caught */

		assert_non_null(out);
		bytes_mutate(&r, bad, n);
		if (codec_unpack(codec, (uint8_t)(i % 3), bad, n, out, want) == 0 && i % 3 == CODEC_STORED)
			assert_int_equal(want, n);
		free(bad);
		free(out);
	}
}

static void
two_contexts_do_not_touch_each_other(void **state)
{
	struct codec *other = codec_new(3);
	uint8_t how, how_other;
	static uint8_t packed_other[LEN];
	size_t n, n_other;

	(void)state;
	fill(LEN, 4);
	n = codec_pack(codec, plain, LEN, packed, &how);
	n_other = codec_pack(other, plain, LEN, packed_other, &how_other);
	assert_int_equal(codec_unpack(other, how, packed, n, again, LEN), 0);
	assert_int_equal(codec_unpack(codec, how_other, packed_other, n_other, again, LEN), 0);
	codec_free(other);
}

/* xxHash's own sanity checks (xsum_sanity_check.c): its generator, lengths, seed 0 and 0x9E3779B185EBCA8D. */
static void
checksums_are_those_of_xxhash_itself(void **state)
{
	static const struct { size_t len; uint64_t plain, seeded; } t[] = {
		{ 0, UINT64_C(0x2d06800538d394c2), UINT64_C(0xa8a6b918b2f0364a) },
		{ 1, UINT64_C(0xc44bdff4074eecdb), UINT64_C(0x032be332dd766ef8) },
		{ 6, UINT64_C(0x27b56a84cd2d7325), UINT64_C(0x84589c116ab59ab9) },
		{ 12, UINT64_C(0xa713daf0dfbb77e7), UINT64_C(0xe7303e1b2336de0e) },
		{ 24, UINT64_C(0xa3fe70bf9d3510eb), UINT64_C(0x850e80fc35bdd690) },
		{ 48, UINT64_C(0x397da259ecba1f11), UINT64_C(0xadc2cbaa44acc616) },
		{ 80, UINT64_C(0xbcdefbbb2c47c90a), UINT64_C(0xc6dd0cb699532e73) },
		{ 195, UINT64_C(0xcd94217ee362ec3a), UINT64_C(0xba68003d370cb3d9) },
		{ 403, UINT64_C(0xcdeb804d65c6dea4), UINT64_C(0x6259f6ecfd6443fd) },
		{ 512, UINT64_C(0x617e49599013cb6b), UINT64_C(0x3ce457de14c27708) },
		{ 2048, UINT64_C(0xdd59e2c3a5f038e0), UINT64_C(0x66f81670669ababc) },
	};
	uint64_t v = UINT64_C(2654435761);
	uint8_t in[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++) {
		in[i] = (uint8_t)(v >> 56);
		v *= UINT64_C(11400714785074694797);
	}
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_true(checksum(in, t[i].len) == t[i].plain);
		assert_true(checksum_seeded(in, t[i].len, UINT64_C(0x9e3779b185ebca8d)) == t[i].seeded);
		assert_true(checksum_seeded(in, t[i].len, 0) == t[i].plain);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(what_does_not_save_a_thirtysecond_is_stored),
		cmocka_unit_test(another_length_than_the_true_one_is_refused),
		cmocka_unit_test(nothing_is_written_past_the_length_asked_for),
		cmocka_unit_test(two_contexts_do_not_touch_each_other),
		cmocka_unit_test(checksums_are_those_of_xxhash_itself),
	};

	return cmocka_run_group_tests(tests, codec_make, codec_drop);
}
