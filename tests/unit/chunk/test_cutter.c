#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/chunk/cutter.h"
#include "formats/bytes.h"
#include "formats/fmt.h"

#define LEN	(3u << 20)

static uint8_t key[32], bytes[LEN];

/* --- the definition, as plainly as it can be said --- */

struct plain {
	uint64_t gear[256];
	uint32_t avg;
	unsigned bits;
};

static void
plain_init(struct plain *p, const struct cutter *c)
{
	for (unsigned b = 0; b < 256; b++)
		p->gear[b] = cutter_gear(c, (uint8_t)b);
	p->avg = cutter_avg(c);
	for (p->bits = 0; (1u << p->bits) < p->avg; p->bits++)
		;
}

static int
plain_cuts_at(const struct plain *p, const uint8_t *in, size_t len)
{
	unsigned zeros = len < p->avg ? p->bits + 2 : p->bits - 2;
	uint64_t h = 0;

	for (unsigned j = 0; j < 64; j++)
		h += p->gear[in[len - 1 - j]] << j;
	return h >> (64 - zeros) == 0;
}

static size_t
plain_next(const struct plain *p, const uint8_t *in, size_t len)
{
	for (size_t at = p->avg / 4; at <= len && at < 4 * p->avg; at++)
		if (plain_cuts_at(p, in, at))
			return at;
	return len < 4 * p->avg ? len : 4 * p->avg;
}

/* --- data --- */

static void
fill_random(void)
{
	struct rng r = { .at = 42 };

	rng_fill(&r, bytes, LEN);
}

static void
fill_zeros(void)
{
	memset(bytes, 0, LEN);
}

static void
fill_text(void)
{
	static const char *const words[] = { "winged ", "seed ", "of ", "the ", "maple, ", "carried\n", "by ", "wind " };
	struct rng r = { .at = 7 };
	size_t at = 0;

	while (at < LEN) {
		const char *w = words[rng_next(&r) % 8];
		size_t n = strlen(w) < LEN - at ? strlen(w) : LEN - at;

		memcpy(bytes + at, w, n);
		at += n;
	}
}

static void
fill_period(void)
{
	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i % 1021 * 31 + (i % 1021 >> 3));
}

static void (*const fills[])(void) = { fill_random, fill_zeros, fill_text, fill_period };
#define FILLS	(sizeof(fills) / sizeof(fills[0]))

static void
the_fast_scan_cuts_where_the_definition_does(void **state)
{
	static const uint32_t sizes[] = { 1u << 10, 4u << 10, 64u << 10, 256u << 10 };
	struct plain p;
	struct cutter *c;

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		c = cutter_new(key, sizes[s]);
		plain_init(&p, c);
		for (size_t f = 0; f < FILLS; f++) {
			/* The definition is slow: smaller stretches for smaller chunks. */
			size_t len = sizes[s] * 40 < LEN ? sizes[s] * 40 : LEN;

			fills[f]();
			for (size_t at = 0, n; at < len; at += n) {
				n = plain_next(&p, bytes + at, len - at);
				assert_int_equal(cutter_next(c, bytes + at, len - at, 1), n);
			}
		}
		cutter_free(c);
	}
}

static void
every_cut_lies_between_minimum_and_maximum(void **state)
{
	struct cutter *c = cutter_new(key, 16u << 10);

	(void)state;
	assert_int_equal(cutter_min(c), 4u << 10);
	assert_int_equal(cutter_avg(c), 16u << 10);
	assert_int_equal(cutter_max(c), 64u << 10);
	for (size_t f = 0; f < FILLS; f++) {
		fills[f]();
		for (size_t at = 0, n; at < LEN; at += n) {
			n = cutter_next(c, bytes + at, LEN - at, 1);
			assert_true(n > 0 && n <= cutter_max(c));
			assert_true(n >= cutter_min(c) || at + n == LEN);
		}
	}
	cutter_free(c);
}

static void
chunks_of_random_bytes_are_about_the_average(void **state)
{
	struct cutter *c = cutter_new(key, 4u << 10);
	size_t chunks = 0, longest = 0;

	(void)state;
	fill_random();
	for (size_t at = 0, n; at < LEN; at += n, chunks++) {
		n = cutter_next(c, bytes + at, LEN - at, 1);
		if (n == cutter_max(c))
			longest++;
	}
	/* 768 times the average: 1.14 of it is expected, so some 670; hardly any reaches the maximum. */
	assert_true(chunks > 580 && chunks < 800);
	assert_true(longest < chunks / 50);
	cutter_free(c);
}

/* A cut seen with few bytes at hand is the cut seen with all of them. */
static void
streaming_cuts_where_the_whole_does(void **state)
{
	struct cutter *c = cutter_new(key, 4u << 10);
	struct rng r = { .at = 3 };

	(void)state;
	for (size_t f = 0; f < FILLS; f++) {
		fills[f]();
		for (size_t at = 0, n; at < LEN / 4; at += n) {
			size_t have = 0, seen;

			n = cutter_next(c, bytes + at, LEN - at, 1);
			do {
				have += 1 + rng_next(&r) % 3000;
				if (have > LEN - at)
					have = LEN - at;
				seen = cutter_next(c, bytes + at, have, 0);
				if (seen == 0)
					assert_true(have < cutter_max(c) && have < n + 1);
			} while (seen == 0 && have < LEN - at);
			assert_true(seen == n || (seen == 0 && at + n == LEN));
		}
	}
	cutter_free(c);
}

/* What stands before and behind a chunk, and where it lies in memory, changes nothing. */
static void
a_cut_depends_on_the_bytes_of_its_chunk_alone(void **state)
{
	struct cutter *c = cutter_new(key, 4u << 10);

	(void)state;
	fill_text();
	for (size_t at = 0, n, i = 0; i < 60; at += n, i++) {
		uint8_t *own;

		n = cutter_next(c, bytes + at, LEN - at, 1);
		own = bytes_copy(bytes + at, n);	/* a reader past its end is caught */
		assert_int_equal(cutter_next(c, own, n, 0), n);
		assert_int_equal(cutter_next(c, own, n, 1), n);
		assert_int_equal(cutter_next(c, own, n - 1, 1), n - 1);
		assert_int_equal(cutter_next(c, own, n - 1, 0), 0);
		free(own);
	}
	cutter_free(c);
}

static void
less_than_the_minimum_is_cut_at_the_end_alone(void **state)
{
	struct cutter *c = cutter_new(key, 4u << 10);

	(void)state;
	for (size_t len = 0; len < 1u << 10; len++) {
		assert_int_equal(cutter_next(c, bytes, len, 0), 0);
		assert_int_equal(cutter_next(c, bytes, len, 1), len);
	}
	cutter_free(c);
}

static void
after_an_insertion_the_cuts_fall_into_step_again(void **state)
{
	static size_t ends[2][4096];
	struct cutter *c = cutter_new(key, 4u << 10);
	size_t n[2] = { 0, 0 }, shared = 0;

	(void)state;
	fill_random();
	for (int late = 0; late < 2; late++)
		for (size_t at = (size_t)late * 13; at < LEN; n[late]++) {
			at += cutter_next(c, bytes + at, LEN - at, 1);
			ends[late][n[late]] = at;
		}
	for (size_t i = 0, j = 0; i < n[0] && j < n[1];) {
		shared += ends[0][i] == ends[1][j];
		if (ends[0][i] <= ends[1][j])
			i++;
		else
			j++;
	}
	assert_true(shared > n[0] * 9 / 10);
	cutter_free(c);
}

static void
another_key_cuts_elsewhere(void **state)
{
	uint8_t other[32] = { 1 };
	struct cutter *a = cutter_new(key, 4u << 10), *b = cutter_new(other, 4u << 10);
	size_t x = 0, y = 0, shared = 0;

	(void)state;
	fill_random();
	for (int i = 0; i < 100; i++) {
		x += cutter_next(a, bytes + x, LEN - x, 1);
		while (y < x)
			y += cutter_next(b, bytes + y, LEN - y, 1);
		shared += x == y;
	}
	assert_true(shared < 5);
	cutter_free(a);
	cutter_free(b);
	cutter_free(NULL);
}

/* docs/formats/vectors.md, by another implementation: cutting key = subkey 3 of the master key 00 01 … 1f. */
static void
gear_and_cuts_are_those_written_down(void **state)
{
	static const uint8_t cut[32] = {
		0x79, 0x8d, 0x5f, 0xd2, 0xb1, 0xcd, 0x87, 0xc4, 0xf2, 0x8c, 0x60, 0xef, 0xff, 0xf6, 0xc0, 0x0a,
		0x28, 0x3f, 0x43, 0x1b, 0xed, 0x69, 0x10, 0x57, 0xbb, 0x3f, 0x56, 0x21, 0x2b, 0xd2, 0x8b, 0x2b,
	};
	static const size_t want[] = {
		65914, 65628, 82665, 70852, 67776, 88887, 28815, 91339, 84625, 109028, 71619, 19439,
		65903, 66683, 80417, 66742, 50147, 96597, 75544, 69863, 75171, 62358, 24742, 77499,
		66181, 77938, 21991, 75139, 66415, 48328, 177592, 92419, 98116, 67180, 49037, 91295,
		75853, 41053, 84734, 102213, 66076, 72786, 62829, 50300,
	};
	struct cutter *c = cutter_new(cut, 64u << 10);
	size_t at = 0;

	(void)state;
	assert_true(cutter_gear(c, 0) == UINT64_C(0xadd0fb39613b223e));
	assert_true(cutter_gear(c, 1) == UINT64_C(0x3ab0d63b77545c6b));
	assert_true(cutter_gear(c, 127) == UINT64_C(0x84a703ba8413c29e));
	assert_true(cutter_gear(c, 255) == UINT64_C(0xf0b00feca43d7b15));
	for (uint32_t i = 0; i < LEN / 4; i++)
		le32_put(bytes + 4 * i, i * i * UINT32_C(2654435761) >> 7);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(cutter_next(c, bytes + at, LEN - at, 1), want[i]);
		at += want[i];
	}
	assert_int_equal(at, LEN);
	cutter_free(c);
}

static int
key_make(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fast_scan_cuts_where_the_definition_does),
		cmocka_unit_test(every_cut_lies_between_minimum_and_maximum),
		cmocka_unit_test(chunks_of_random_bytes_are_about_the_average),
		cmocka_unit_test(streaming_cuts_where_the_whole_does),
		cmocka_unit_test(a_cut_depends_on_the_bytes_of_its_chunk_alone),
		cmocka_unit_test(less_than_the_minimum_is_cut_at_the_end_alone),
		cmocka_unit_test(after_an_insertion_the_cuts_fall_into_step_again),
		cmocka_unit_test(another_key_cuts_elsewhere),
		cmocka_unit_test(gear_and_cuts_are_those_written_down),
	};

	return cmocka_run_group_tests(tests, key_make, NULL);
}
