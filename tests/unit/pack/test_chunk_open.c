#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/err.h"
#include "common/pack/chunk_open.h"
#include "formats/bytes.h"
#include "pack/sealed.h"

#define PLAIN	"samara carries seeds on the wind; samara carries seeds on the wind"
#define N	(sizeof(PLAIN) - 1)

static struct domain_keys *k, *other;
static struct opener *opener;
static struct err e;
static uint8_t *out;

static int
setup(void **state)
{
	uint8_t master[KEY_LEN] = { 1 };

	(void)state;
	k = keys_make();
	other = domain_keys_new(master);
	opener = opener_new(k);
	out = malloc(CHUNK_PLAIN_MAX);
	return opener == NULL || out == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	free(out);
	opener_free(opener);
	opener_free(NULL);
	domain_keys_free(k);
	domain_keys_free(other);
	return 0;
}

/* It does not open, says ${code}, and leaves nothing of the plaintext. */
static void
refused(const uint8_t *frame, size_t len, const uint8_t *id, unsigned kind, size_t cap, enum err_code code)
{
	size_t n = 77;

	memset(out, 0, cap);
	err_clear(&e);
	assert_int_equal(chunk_open(opener, frame, len, id, kind, out, cap, &n, &e), -1);
	assert_int_equal(e.code, code);
	assert_int_equal(n, 0);
	for (size_t i = 0; i < cap; i++)
		assert_int_equal(out[i], 0);
}

static void
opens(const uint8_t *frame, size_t len, const uint8_t *id, unsigned kind, const void *plain, size_t plain_len)
{
	size_t n = 0;

	err_clear(&e);
	assert_int_equal(chunk_open(opener, frame, len, id, kind, out, plain_len, &n, &e), 0);
	assert_int_equal(n, plain_len);
	assert_memory_equal(out, plain, plain_len);
}

static void
what_was_sealed_opens_whatever_kind_and_size(void **state)
{
	static const size_t lens[] = { 1, 2, 33, 1000, 65536, 300000, CHUNK_PLAIN_MAX };
	uint8_t *plain = malloc(CHUNK_PLAIN_MAX), *frame;
	struct rng r = { .at = 1 };
	struct pack_row row;

	(void)state;
	assert_non_null(plain);
	for (int random = 0; random < 2; random++) {
		memset(plain, 'y', CHUNK_PLAIN_MAX);
		if (random)
			rng_fill(&r, plain, CHUNK_PLAIN_MAX);
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			unsigned kind = 1 + (unsigned)i % KIND_MAX;

			frame = frame_of(k, kind, plain, lens[i], &row);
			opens(frame, row.len, row.id, kind, plain, lens[i]);
			opens(frame, row.len, row.id, 0, plain, lens[i]);
			free(frame);
		}
	}
	free(plain);
}

static void
one_changed_bit_anywhere_is_refused(void **state)
{
	struct pack_row row;
	uint8_t *frame = frame_of(k, KIND_DATA, PLAIN, N, &row);

	(void)state;
	for (size_t i = 0; i < (size_t)row.len * 8; i++) {
		int version = i / 8 == 4 || i / 8 == 5 || (i / 8 >= 8 && i / 8 < 12);

		frame[i / 8] ^= (uint8_t)(1u << (i % 8));
		refused(frame, row.len, row.id, KIND_DATA, N, version ? ERR_VERSION : ERR_DAMAGE);
		frame[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	opens(frame, row.len, row.id, KIND_DATA, PLAIN, N);
	free(frame);
}

/* An adversary puts the checksum right. */
static void
one_changed_bit_under_a_right_checksum_is_refused(void **state)
{
	struct pack_row row;
	uint8_t *frame = frame_of(k, KIND_DATA, PLAIN, N, &row);

	(void)state;
	for (size_t i = 0; i < (size_t)(row.len - 8) * 8; i++) {
		int version = i / 8 == 4 || i / 8 == 5 || (i / 8 >= 8 && i / 8 < 12);

		frame[i / 8] ^= (uint8_t)(1u << (i % 8));
		le64_put(frame + row.len - 8, checksum(frame, row.len - 8));
		refused(frame, row.len, row.id, 0, N, version ? ERR_VERSION : ERR_DAMAGE);
		/* The id in front may be what one asks for: it is bound all the same. */
		refused(frame, row.len, frame + FRAME_HEAD_LEN, 0, N, version ? ERR_VERSION : ERR_DAMAGE);
		frame[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	free(frame);
}

static void
cut_short_or_with_more_behind_it_is_refused(void **state)
{
	struct pack_row row;
	uint8_t *frame = frame_of(k, KIND_DATA, PLAIN, N, &row), *own;

	(void)state;
	for (size_t len = 0; len <= row.len; len++) {
		own = bytes_copy(frame, len);
		if (len < row.len)
			refused(own, len, row.id, KIND_DATA, N, ERR_DAMAGE);
		free(own);
	}
	own = malloc((size_t)row.len + 1);
	assert_non_null(own);
	memcpy(own, frame, row.len);
	own[row.len] = 0;
	refused(own, (size_t)row.len + 1, row.id, KIND_DATA, N, ERR_DAMAGE);
	free(own);
	free(frame);
}

static void
another_id_kind_or_domain_is_refused(void **state)
{
	struct pack_row row, theirs;
	uint8_t *frame = frame_of(k, KIND_DATA, PLAIN, N, &row), *foreign = frame_of(other, KIND_DATA, PLAIN, N, &theirs);
	uint8_t id[DIGEST_LEN];

	(void)state;
	memcpy(id, row.id, DIGEST_LEN);
	id[31] ^= 1;
	refused(frame, row.len, id, KIND_DATA, N, ERR_DAMAGE);
	refused(frame, row.len, row.id, KIND_BUNDLE, N, ERR_DAMAGE);
	refused(foreign, theirs.len, theirs.id, KIND_DATA, N, ERR_DAMAGE);
	free(frame);
	free(foreign);
}

/* A frame of another domain with our domain's name on it. */
static void
a_chunk_sealed_under_another_key_is_refused(void **state)
{
	struct domain_keys *forged = domain_keys_new(other->master);
	struct pack_row row;
	uint8_t *frame;

	(void)state;
	memcpy(forged->domain_id, k->domain_id, DIGEST_LEN);
	frame = frame_of(forged, KIND_DATA, PLAIN, N, &row);
	refused(frame, row.len, row.id, KIND_DATA, N, ERR_DAMAGE);
	free(frame);
	domain_keys_free(forged);
}

/* Whoever holds the key may still lie about the id. */
static void
content_that_is_not_that_of_its_id_is_refused_and_wiped(void **state)
{
	struct codec *c = codec_new(1);
	uint8_t inner[128], id[DIGEST_LEN], *frame;
	struct pack_row row;
	size_t n = chunk_inner(c, (const uint8_t *)PLAIN, N, inner);

	(void)state;
	chunk_id(k, KIND_DATA, PLAIN, N - 1, id);
	frame = frame_of_inner(k, KIND_DATA, id, inner, n, &row);
	refused(frame, row.len, id, KIND_DATA, N, ERR_DAMAGE);
	free(frame);
	chunk_id(k, KIND_BUNDLE, PLAIN, N, id);		/* right content, another kind's id */
	frame = frame_of_inner(k, KIND_DATA, id, inner, n, &row);
	refused(frame, row.len, id, KIND_DATA, N, ERR_DAMAGE);
	free(frame);
	codec_free(c);
}

/* Inner bytes written by hand: plain length, packed length, codec, packed, then up to the whole length. */
static void
inner_refused(uint32_t plain_len, uint32_t packed_len, uint8_t codec, size_t whole, size_t dirty)
{
	static uint8_t inner[4096];
	struct pack_row row;
	uint8_t id[DIGEST_LEN], *frame;
	size_t n;

	memset(inner, 0, sizeof(inner));
	le32_put(inner, plain_len);
	le32_put(inner + 4, packed_len);
	inner[8] = codec;
	memcpy(inner + 9, PLAIN, N);
	if (dirty != 0)
		inner[dirty] = 1;
	chunk_id(k, KIND_DATA, PLAIN, N, id);
	frame = frame_of_inner(k, KIND_DATA, id, inner, whole, &row);
	if (plain_len == N && packed_len == N && codec == CODEC_STORED && whole == padme(9 + N) && dirty == 0) {
		err_clear(&e);
		assert_int_equal(chunk_open(opener, frame, row.len, id, 0, out, N, &n, &e), 0);
	} else
		refused(frame, row.len, id, 0, N, ERR_DAMAGE);
	free(frame);
}

static void
authentic_nonsense_inside_is_refused(void **state)
{
	size_t whole = (size_t)padme(9 + N);

	(void)state;
	assert_true(whole > 9 + N + 1);
	inner_refused(N, N, CODEC_STORED, whole, 0);		/* this one is right, and opens */
	inner_refused(0, N, CODEC_STORED, whole, 0);
	inner_refused(N + 1, N, CODEC_STORED, whole, 0);
	inner_refused(N - 1, N, CODEC_STORED, whole, 0);
	inner_refused(CHUNK_PLAIN_MAX + 1, N, CODEC_STORED, whole, 0);
	inner_refused(UINT32_MAX, N, CODEC_STORED, whole, 0);
	inner_refused(UINT32_MAX, N, CODEC_ZSTD, whole, 0);
	inner_refused(N, UINT32_MAX, CODEC_STORED, whole, 0);
	inner_refused(N, (uint32_t)whole, CODEC_STORED, whole, 0);
	inner_refused(N, N, CODEC_ZSTD, whole, 0);
	inner_refused(N, N, 2, whole, 0);
	inner_refused(N, N, 255, whole, 0);
	inner_refused(N, N, CODEC_STORED, whole + 4, 0);	/* padded to another length */
	inner_refused(N, N, CODEC_STORED, 9 + N, 0);
	for (size_t at = 9 + N; at < whole; at++)
		inner_refused(N, N, CODEC_STORED, whole, at);	/* padding that is not zero */
}

static void
a_small_frame_that_unpacks_to_far_more_is_refused_at_the_callers_length(void **state)
{
	struct pack_row row;
	uint8_t *plain = calloc(1, CHUNK_PLAIN_MAX), *frame;

	(void)state;
	assert_non_null(plain);
	frame = frame_of(k, KIND_DATA, plain, CHUNK_PLAIN_MAX, &row);
	assert_true(row.len < 4096);
	for (size_t cap = 1; cap < CHUNK_PLAIN_MAX; cap *= 16) {
		uint8_t *small = malloc(cap);	/* writing past it is caught */
		size_t n;

		err_clear(&e);
		assert_non_null(small);
		assert_int_equal(chunk_open(opener, frame, row.len, row.id, 0, small, cap, &n, &e), -1);
		assert_int_equal(e.code, ERR_DAMAGE);
		free(small);
	}
	opens(frame, row.len, row.id, 0, plain, CHUNK_PLAIN_MAX);
	free(frame);
	free(plain);
}

static void
random_damage_is_refused_without_harm(void **state)
{
	struct rng r = { .at = 11 };
	struct pack_row row;
	uint8_t *frame = frame_of(k, KIND_DATA, PLAIN, N, &row), *bad;
	size_t n;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		bad = bytes_copy(frame, row.len);
		bytes_mutate(&r, bad, row.len);
		if (memcmp(bad, frame, row.len) != 0)
			assert_int_equal(chunk_open(opener, bad, row.len, row.id, 0, out, N, &n, NULL), -1);
		free(bad);
	}
	free(frame);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens_whatever_kind_and_size),
		cmocka_unit_test(one_changed_bit_anywhere_is_refused),
		cmocka_unit_test(one_changed_bit_under_a_right_checksum_is_refused),
		cmocka_unit_test(cut_short_or_with_more_behind_it_is_refused),
		cmocka_unit_test(another_id_kind_or_domain_is_refused),
		cmocka_unit_test(a_chunk_sealed_under_another_key_is_refused),
		cmocka_unit_test(content_that_is_not_that_of_its_id_is_refused_and_wiped),
		cmocka_unit_test(authentic_nonsense_inside_is_refused),
		cmocka_unit_test(a_small_frame_that_unpacks_to_far_more_is_refused_at_the_callers_length),
		cmocka_unit_test(random_damage_is_refused_without_harm),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
