#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "common/base/err.h"
#include "common/base/queue.h"
#include "common/chunk/codec.h"
#include "common/pack/parity.h"
#include "formats/fmt_parity.h"

#include "tests/unit/formats/bytes.h"

#define MOST	120u
#define SHARD	64u
#define ROWS	2u

/*
 * GF(2^8) as the specification has it and nothing of ISA-L: products by
 * shifting and reducing by x^8 + x^4 + x^3 + x^2 + 1, inverses by trying.
 */
static uint8_t
product(uint8_t a, uint8_t b)
{
	unsigned p = 0, x = a;

	for (; b != 0; b = (uint8_t)(b >> 1)) {
		if (b & 1)
			p ^= x;
		x <<= 1;
		if (x & 0x100)
			x ^= 0x11d;
	}
	return (uint8_t)p;
}

static uint8_t
inverse(uint8_t a)
{
	for (unsigned b = 1; b < 256; b++)
		if (product(a, (uint8_t)b) == 1)
			return (uint8_t)b;
	fail_msg("%u has no inverse", a);
	return 0;
}

/* What pack ${j} is multiplied with for parity pack ${i} of a code with k packs. */
static uint8_t
coefficient(uint32_t k, uint32_t i, uint32_t j)
{
	return inverse((uint8_t)((k + i) ^ j));
}

static uint8_t data[MOST][ROWS][SHARD], want[MOST][ROWS][SHARD];

static void
make_group(struct rng *r, uint32_t k, uint32_t m)
{
	rng_fill(r, data, k * sizeof(data[0]));
	memset(want, 0, sizeof(want));
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t j = 0; j < k; j++) {
			uint8_t c = coefficient(k, i, j), by[256];

			for (unsigned x = 0; x < 256; x++)
				by[x] = product(c, (uint8_t)x);
			for (uint32_t row = 0; row < ROWS; row++)
				for (uint32_t b = 0; b < SHARD; b++)
					want[i][row][b] ^= by[data[j][row][b]];
		}
}

static void
the_code_is_that_of_a_plain_implementation(void **state)
{
	static const struct { uint32_t k, m; } t[] = { { 1, 1 }, { 1, 20 }, { 2, 1 }, { 6, 4 }, { 10, 6 }, { 99, 5 }, { 100, 5 }, { 100, 20 } };
	struct rng r = { 1 };

	(void)state;
	for (size_t n = 0; n < sizeof(t) / sizeof(t[0]); n++) {
		struct parity *p = parity_new(t[n].k, t[n].m, ROWS, SHARD, NULL);

		assert_non_null(p);
		make_group(&r, t[n].k, t[n].m);
		for (uint32_t j = t[n].k; j-- > 0;)	/* in any order */
			for (uint32_t row = 0; row < ROWS; row++)
				parity_add(p, j, row, data[j][row], SHARD);
		for (uint32_t i = 0; i < t[n].m; i++) {
			assert_memory_equal(parity_shards(p, i), want[i], sizeof(want[i]));
			assert_memory_equal(parity_shard(p, i, 1), want[i][1], SHARD);
		}
		parity_free(p);
	}
}

static void
a_shard_that_ends_early_counts_as_if_zeros_followed(void **state)
{
	static uint8_t zeros[3][4 * SHARD], *exact;
	struct rng r = { 2 };

	(void)state;
	for (uint32_t len = 0; len <= 4 * SHARD; len++) {
		struct parity *a = parity_new(3, 2, 1, 4 * SHARD, NULL), *b = parity_new(3, 2, 1, 4 * SHARD, NULL);

		assert_true(a != NULL && b != NULL);
		for (uint32_t j = 0; j < 3; j++) {
			memset(zeros[j], 0, sizeof(zeros[j]));
			rng_fill(&r, zeros[j], len);
			exact = bytes_copy(zeros[j], len);
			parity_add(a, j, 0, exact, len);
			parity_add(b, j, 0, zeros[j], 4 * SHARD);
			free(exact);
		}
		for (uint32_t i = 0; i < 2; i++)
			assert_memory_equal(parity_shards(a, i), parity_shards(b, i), 4 * SHARD);
		parity_free(a);
		parity_free(b);
	}
}

/* Lose the shards of the k + m that ${mask} names, and see that all come back, or that none does. */
static void
lose(struct parity *p, uint32_t k, uint32_t m, uint64_t mask)
{
	uint32_t lost[MOST], n = 0, gone = 0;
	uint8_t good[MOST];
	struct err e;
	int rc;

	err_clear(&e);
	assert_int_equal(parity_reset(p, k, m, ROWS, &e), 0);
	for (uint32_t j = 0; j < k; j++) {
		if (mask >> j & 1)
			lost[n++] = j;
		else
			for (uint32_t row = 0; row < ROWS; row++)
				parity_add(p, j, row, data[j][row], SHARD);
	}
	for (uint32_t i = 0; i < m; i++) {
		good[i] = !(mask >> (k + i) & 1);
		gone += !good[i];
		for (uint32_t row = 0; row < ROWS && good[i]; row++)
			parity_take(p, i, row, want[i][row]);
	}
	for (uint32_t row = 0; row < ROWS; row++) {
		rc = parity_solve(p, row, lost, n, good, &e);
		assert_int_equal(rc, n + gone <= m || n == 0 ? 0 : 1);
		for (uint32_t j = 0; j < n && rc == 0; j++)
			assert_memory_equal(parity_shard(p, j, row), data[lost[j]][row], SHARD);
	}
}

/* All patterns of a code: every set of missing shards, too many of them included. */
static void
every_pattern_of_small_codes_comes_back_or_is_refused(void **state)
{
	struct parity *p = parity_new(6, 4, ROWS, SHARD, NULL);
	struct rng r = { 3 };

	(void)state;
	assert_non_null(p);
	for (uint32_t k = 1; k <= 6; k++)
		for (uint32_t m = 1; m <= 4; m++) {
			make_group(&r, k, m);
			for (uint64_t mask = 0; mask < UINT64_C(1) << (k + m); mask++)
				lose(p, k, m, mask);
		}
	parity_free(p);
}

static uint32_t
bits(uint64_t v)
{
	uint32_t n = 0;

	for (; v != 0; v &= v - 1)
		n++;
	return n;
}

static void
all_8008_patterns_of_ten_and_six_come_back(void **state)
{
	struct parity *p = parity_new(10, 6, ROWS, SHARD, NULL);
	struct rng r = { 4 };
	uint32_t n = 0;

	(void)state;
	assert_non_null(p);
	make_group(&r, 10, 6);
	for (uint64_t mask = 0; mask < 1u << 16; mask++) {
		if (bits(mask) != 6 && (bits(mask) != 7 || rng_next(&r) % 16 != 0))
			continue;
		lose(p, 10, 6, mask);
		n += bits(mask) == 6;
	}
	assert_int_equal(n, 8008);
	parity_free(p);
}

static void
random_patterns_of_the_largest_code_come_back(void **state)
{
	struct parity *p = parity_new(44, 20, ROWS, SHARD, NULL);
	struct rng r = { 5 };

	(void)state;
	assert_non_null(p);
	make_group(&r, 44, 20);
	for (int i = 0; i < 300; i++) {
		uint64_t mask = 0, most = rng_from(&r, 1, 21);

		while (bits(mask) < most)
			mask |= UINT64_C(1) << rng_next(&r) % 64;
		lose(p, 44, 20, mask);
	}
	parity_free(p);
}

/* Each row has its own missing shards. */
static void
rows_lose_different_shards(void **state)
{
	static const uint32_t lost[ROWS][2] = { { 0, 3 }, { 1, 4 } };
	static const uint8_t good[2] = { 1, 1 };
	struct parity *p = parity_new(5, 2, ROWS, SHARD, NULL);
	struct rng r = { 6 };

	(void)state;
	assert_non_null(p);
	make_group(&r, 5, 2);
	for (uint32_t row = 0; row < ROWS; row++) {
		for (uint32_t j = 0; j < 5; j++)
			if (j != lost[row][0] && j != lost[row][1])
				parity_add(p, j, row, data[j][row], SHARD);
		for (uint32_t i = 0; i < 2; i++)
			parity_take(p, i, row, want[i][row]);
	}
	for (uint32_t row = 0; row < ROWS; row++) {
		assert_int_equal(parity_solve(p, row, lost[row], 2, good, NULL), 0);
		for (uint32_t j = 0; j < 2; j++)
			assert_memory_equal(parity_shard(p, j, row), data[lost[row][j]][row], SHARD);
	}
	parity_free(p);
}

struct many {
	struct parity *p;
	uint32_t next;
};

static void
add_some(void *arg)
{
	struct many *a = arg;
	uint32_t j;

	while ((j = __atomic_fetch_add(&a->next, 1, __ATOMIC_RELAXED)) < 100)
		for (uint32_t row = 0; row < ROWS; row++)
			parity_add(a->p, j, row, data[j][row], SHARD);
}

static void
several_threads_code_what_one_does(void **state)
{
	struct many a = { parity_new(100, 5, ROWS, SHARD, NULL), 0 };
	struct rng r = { 7 };

	(void)state;
	assert_non_null(a.p);
	make_group(&r, 100, 5);
	assert_int_equal(pool_run(4, add_some, &a, NULL), 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_memory_equal(parity_shards(a.p, i), want[i], sizeof(want[i]));
	parity_free(a.p);
}

static size_t
golden(const char *name, uint8_t *out, size_t cap)
{
	char path[512];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/1/%s", SAMARA_GOLDEN, name);
	assert_non_null(f = fopen(path, "rb"));
	n = fread(out, 1, cap, f);
	(void)fclose(f);
	return n;
}

/* Frozen, and made by another program: pack.bin alone in a group, the second of two parity packs. */
static void
the_golden_parity_pack_is_the_one_that_is_made_today(void **state)
{
	static uint8_t pack[PARITY_SHARD_LEN], file[PARITY_SHARD_LEN + 2 * PARITY_ALIGN + 1], again[PARITY_ALIGN];
	size_t len = golden("pack.bin", pack, sizeof(pack)), n = golden("parity.bin", file, sizeof(file));
	struct parity *p = parity_new(1, 2, 1, PARITY_SHARD_LEN, NULL);
	struct parity_member member;
	struct parity_table t;
	uint64_t sums[3];

	(void)state;
	assert_non_null(p);
	assert_int_equal(parity_table_decode(&t, file, n), FMT_OK);
	assert_int_equal(n, parity_pack_len(1, 2, 1));
	assert_memory_equal(file, file + n - PARITY_ALIGN, PARITY_ALIGN);
	assert_int_equal(checksum(file, t.summed), t.xxh);
	parity_member_get(&t, 0, &member);
	assert_int_equal(member.file_len, len);
	assert_memory_equal(member.id, pack + len - PACK_FOOT_LEN + 72, DIGEST_LEN);
	parity_add(p, 0, 0, pack, (uint32_t)len);
	assert_memory_equal(parity_shard(p, 1, 0), file + PARITY_ALIGN, PARITY_SHARD_LEN);
	sums[0] = checksum(pack, sizeof(pack));
	sums[1] = checksum(parity_shard(p, 0, 0), PARITY_SHARD_LEN);
	sums[2] = checksum(parity_shard(p, 1, 0), PARITY_SHARD_LEN);
	parity_table_encode(&t, &member, sums, again);
	le64_put(again + t.summed, checksum(again, t.summed));
	assert_memory_equal(again, file, PARITY_ALIGN);
	parity_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_code_is_that_of_a_plain_implementation),
		cmocka_unit_test(a_shard_that_ends_early_counts_as_if_zeros_followed),
		cmocka_unit_test(every_pattern_of_small_codes_comes_back_or_is_refused),
		cmocka_unit_test(all_8008_patterns_of_ten_and_six_come_back),
		cmocka_unit_test(random_patterns_of_the_largest_code_come_back),
		cmocka_unit_test(rows_lose_different_shards),
		cmocka_unit_test(several_threads_code_what_one_does),
		cmocka_unit_test(the_golden_parity_pack_is_the_one_that_is_made_today),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
