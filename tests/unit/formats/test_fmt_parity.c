#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/fmt_parity.h"

#include "tests/unit/formats/bytes.h"

#define TABLE_MOST	(512u << 10)

static uint8_t code[TABLE_MOST];

/* A table of random members that follows the rules; its length. */
static size_t
make_table(struct rng *r, uint16_t k, uint16_t m, uint32_t rows, uint8_t *out)
{
	struct parity_table t = { .k = k, .m = m, .index = (uint16_t)rng_from(r, 0, m - 1u), .disk = 3, .groups = 7,
		.group = (uint32_t)rng_from(r, 0, 6), .rows = rows };
	static struct parity_member p[PARITY_GROUP_MAX];
	static uint64_t sums[PARITY_ROWS_MAX * (PARITY_GROUP_MAX + PARITY_PACKS_MAX)];
	uint32_t number = 0;

	rng_fill(r, t.image_id, ID_LEN);
	for (uint32_t i = 0; i < k; i++) {
		number += (uint32_t)rng_from(r, 1, 100);
		p[i].number = number;
		p[i].file_len = (uint32_t)rng_from(r, 1, rows * PARITY_SHARD_LEN);
		rng_fill(r, p[i].id, DIGEST_LEN);
	}
	p[rng_from(r, 0, k - 1u)].file_len = rows * PARITY_SHARD_LEN;
	for (size_t i = 0; i < (size_t)rows * (k + m); i++)
		sums[i] = rng_next(r);
	parity_table_encode(&t, p, sums, out);
	le64_put(out + t.summed, rng_next(r));
	return parity_table_len(k, m, rows);
}

/* Encode what was decoded again: the same bytes. */
static void
encodes_again(const struct parity_table *t, const uint8_t *in, size_t len)
{
	struct parity_member *p = calloc(t->k, sizeof(*p));
	uint64_t *sums = calloc((size_t)t->rows * (t->k + t->m), sizeof(*sums));
	uint8_t *again = calloc(1, len);
	struct parity_table copy = *t;

	assert_true(p != NULL && sums != NULL && again != NULL);
	for (uint32_t i = 0; i < t->k; i++)
		parity_member_get(t, i, &p[i]);
	for (uint32_t row = 0; row < t->rows; row++)
		for (uint32_t i = 0; i < (uint32_t)t->k + t->m; i++)
			sums[(size_t)row * (t->k + t->m) + i] = parity_sum_get(t, row, i);
	parity_table_encode(&copy, p, sums, again);
	le64_put(again + copy.summed, t->xxh);
	assert_int_equal(copy.summed, t->summed);
	assert_memory_equal(again, in, len);
	free(p);
	free(sums);
	free(again);
}

static enum fmt_status
table_read(const uint8_t *b, size_t len)
{
	static const struct parity_table none;
	uint8_t *exact = bytes_copy(b, len);
	struct parity_table t;
	enum fmt_status st = parity_table_decode(&t, exact, len);

	if (st == FMT_OK)
		encodes_again(&t, exact, parity_table_len(t.k, t.m, t.rows));
	else
		assert_memory_equal(&t, &none, sizeof(t));
	free(exact);
	return st;
}

static void
a_table_is_read_as_it_was_written(void **state)
{
	struct rng r = { 1 };

	(void)state;
	for (int n = 0; n < 200; n++) {
		uint16_t k = (uint16_t)rng_from(&r, 1, PARITY_GROUP_MAX), m = (uint16_t)rng_from(&r, 1, PARITY_PACKS_MAX);
		size_t len = make_table(&r, k, m, (uint32_t)rng_from(&r, 1, 9), code);

		assert_int_equal(len % PARITY_ALIGN, 0);
		assert_int_equal(table_read(code, len), FMT_OK);
		assert_int_equal(table_read(code, len + 100), FMT_OK);
	}
	assert_true(make_table(&r, PARITY_GROUP_MAX, PARITY_PACKS_MAX, PARITY_ROWS_MAX, code) <= TABLE_MOST);
}

static void
every_truncation_is_short(void **state)
{
	struct rng r = { 2 };
	size_t len = make_table(&r, 5, 2, 3, code);

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(table_read(code, n), FMT_SHORT);
}

static void
each_bad_field_has_its_own_status(void **state)
{
	static const struct { size_t off, n; uint64_t v; enum fmt_status want; } t[] = {
		{ 0, 1, 'X', FMT_MAGIC }, { 7, 1, 0, FMT_MAGIC }, { 8, 2, 2, FMT_VERSION }, { 8, 2, 0, FMT_VERSION },
		{ 10, 2, 0, FMT_RANGE }, { 10, 2, PARITY_GROUP_MAX + 1, FMT_RANGE }, { 10, 2, 0xffff, FMT_RANGE },
		{ 12, 2, 0, FMT_RANGE }, { 12, 2, PARITY_PACKS_MAX + 1, FMT_RANGE }, { 14, 2, 2, FMT_RANGE },
		{ 14, 2, 0xffff, FMT_RANGE }, { 32, 4, 0, FMT_RANGE }, { 32, 4, DISKS_MAX, FMT_OK },
		{ 32, 4, DISKS_MAX + 1, FMT_RANGE }, { 36, 4, 7, FMT_RANGE }, { 36, 4, 6, FMT_OK },
		{ 40, 4, 0, FMT_RANGE }, { 40, 4, PACKS_PER_DISK_MAX, FMT_OK }, { 40, 4, PACKS_PER_DISK_MAX + 1, FMT_RANGE },
		{ 44, 4, 0, FMT_RANGE }, { 44, 4, PARITY_ROWS_MAX + 1, FMT_RANGE }, { 44, 4, 0xffffffff, FMT_RANGE },
		{ 44, 4, 4, FMT_CONTRADICTION }, { 44, 4, 2, FMT_RANGE },
		{ 48, 4, PARITY_SHARD_LEN - 1, FMT_RANGE }, { 48, 4, 0, FMT_RANGE }, { 52, 4, 1, FMT_RANGE },
		{ 56, 4, 0xffffffff, FMT_RANGE }, { 56, 4, PACKS_PER_DISK_MAX - 1, FMT_ORDER },
		{ 60, 4, 0, FMT_RANGE }, { 60, 4, 3 * PARITY_SHARD_LEN + 1, FMT_RANGE }, { 4095, 1, 1, FMT_RANGE },
	};
	uint8_t v[8];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct rng r = { 3 };
		size_t len = make_table(&r, 5, 2, 3, code);

		assert_int_equal(len, PARITY_ALIGN);
		le64_put(v, t[i].v);
		memcpy(code + t[i].off, v, t[i].n);
		assert_int_equal(table_read(code, len), t[i].want);
	}
}

static void
members_that_need_fewer_rows_contradict_the_table(void **state)
{
	struct rng r = { 4 };
	size_t len = make_table(&r, 5, 2, 3, code);

	(void)state;
	for (size_t i = 0; i < 5; i++)
		le32_put(code + PARITY_HEAD_LEN + i * PARITY_MEMBER_LEN + 4, 2 * PARITY_SHARD_LEN);
	assert_int_equal(table_read(code, len), FMT_CONTRADICTION);
}

static void
spoilt_tables_never_do_harm(void **state)
{
	struct rng r = { 5 };

	(void)state;
	for (int n = 0; n < 5000; n++) {
		size_t len = make_table(&r, (uint16_t)rng_from(&r, 1, 12), 3, (uint32_t)rng_from(&r, 1, 4), code);

		bytes_mutate(&r, code, PARITY_HEAD_LEN + PARITY_MEMBER_LEN);
		(void)table_read(code, len);
	}
}

static void
every_pack_is_in_one_group_and_every_parity_pack_has_its_number(void **state)
{
	static const uint32_t percents[] = { 1, 5, 7, 20 };

	(void)state;
	assert_int_equal(parity_groups(1000, 0), 0);
	assert_int_equal(parity_groups(0, 5), 0);
	assert_int_equal(parity_room(1000, PACK_LEN_MAX, 0), 0);
	for (size_t c = 0; c < 4; c++) {
		for (uint32_t n = 1; n < 1200; n += n < 220 ? 1 : 37) {
			uint32_t groups = parity_groups(n, percents[c]), packs = 0, next = 0;

			assert_int_equal(groups, (n + 99) / 100);
			for (uint32_t g = 0; g < groups; g++) {
				uint32_t k = parity_group_packs(n, groups, g), m = parity_group_parity(k, percents[c]), own = 0;

				for (uint32_t j = 0; j < n; j++)
					own += j % groups == g;
				assert_int_equal(k, own);
				assert_true(k >= 1 && k <= PARITY_GROUP_MAX && m >= 1 && m <= PARITY_PACKS_MAX);
				assert_true(m * 100 >= k * percents[c] && (m - 1) * 100 < k * percents[c]);
				assert_int_equal(parity_number(n, groups, percents[c], g), next);
				packs += k;
				next += m;
			}
			assert_int_equal(packs, n);
			assert_int_equal(parity_number(n, groups, percents[c], groups), next);
			assert_true(parity_room(n, PACK_LEN_MAX, percents[c]) >= next * (uint64_t)PACK_LEN_MAX);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_read_as_it_was_written),
		cmocka_unit_test(every_truncation_is_short),
		cmocka_unit_test(each_bad_field_has_its_own_status),
		cmocka_unit_test(members_that_need_fewer_rows_contradict_the_table),
		cmocka_unit_test(spoilt_tables_never_do_harm),
		cmocka_unit_test(every_pack_is_in_one_group_and_every_parity_pack_has_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
