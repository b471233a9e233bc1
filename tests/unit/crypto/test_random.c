#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/io.h"
#include "common/base/queue.h"
#include "common/crypto/random.h"
#include "crypto/hex.h"

static unsigned calls;

/* Bytes that count up over calls, so that each is known by its place. */
static int
random_counting(void *buf, size_t n)
{
	uint32_t *p = buf;

	assert_int_equal(n % 4, 0);
	for (size_t i = 0; i < n / 4; i++)
		p[i] = (uint32_t)(calls * (n / 4) + i);
	calls++;
	return 0;
}

static struct io_ops counting;

static void
every_byte_is_given_out_once_and_in_order(void **state)
{
	static const size_t takes[] = { 4, 32, 4092, 4096, 8, 20000, 32 };
	static uint32_t got[8192];
	const struct io_ops *before;
	size_t at = 0;

	(void)state;
	calls = 0;
	counting = *io_real();
	counting.random = random_counting;
	before = io_use(&counting);
	for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
		random_take((uint8_t *)got + at, takes[i]);
		at += takes[i];
	}
	(void)io_use(before);
	for (size_t i = 0; i < at / 4; i++)
		assert_int_equal(got[i], i);
	assert_true(calls <= at / 4096 + 1);
}

static void
another_table_fills_the_pool_anew(void **state)
{
	const struct io_ops *before;
	uint32_t v;

	(void)state;
	random_take(&v, sizeof(v));	/* leaves real ones in the pool */
	calls = 5;
	counting = *io_real();
	counting.random = random_counting;
	before = io_use(&counting);
	random_take(&v, sizeof(v));
	(void)io_use(before);
	assert_int_equal(v, 5 * 1024);
}

static uint32_t next_value;

static int
random_from_value(void *buf, size_t n)
{
	uint32_t *p = buf;

	for (size_t i = 0; i < n / 4; i++)
		p[i] = next_value++;
	return 0;
}

static void
values_that_would_favour_some_numbers_are_passed_over(void **state)
{
	static struct io_ops rigged;
	const struct io_ops *before;

	(void)state;
	rigged = *io_real();
	rigged.random = random_from_value;
	before = io_use(&rigged);
	/* 2^32 mod 10 = 6: the values 0 to 5 are passed over, 6 is the first. */
	next_value = 0;
	assert_int_equal(random_below(10), 6);
	assert_int_equal(random_below(10), 7);
	assert_int_equal(random_below(1), 0);
	(void)io_use(before);
}

static void
numbers_below_a_bound_are_below_it_and_all_come(void **state)
{
	unsigned seen[7] = { 0 };

	(void)state;
	for (int i = 0; i < 7000; i++) {
		uint32_t v = random_below(7);

		assert_true(v < 7);
		seen[v]++;
	}
	for (int i = 0; i < 7; i++)
		assert_true(seen[i] > 500);	/* 1000 expected; 500 is 17 deviations away */
}

struct share {
	uint64_t values[4][512];
	_Atomic unsigned next;
};

static void
draw(void *arg)
{
	struct share *s = arg;
	unsigned me = s->next++;

	random_take(s->values[me], sizeof(s->values[me]));
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
threads_do_not_get_the_same_bytes(void **state)
{
	static struct share s;
	uint64_t *all = &s.values[0][0];

	(void)state;
	assert_int_equal(pool_run(4, draw, &s, NULL), 0);
	qsort(all, 4 * 512, sizeof(*all), compare);
	for (size_t i = 1; i < 4 * 512; i++)
		assert_true(all[i] == 0 || all[i] != all[i - 1]);	/* fewer threads leave zeros */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_given_out_once_and_in_order),
		cmocka_unit_test(another_table_fills_the_pool_anew),
		cmocka_unit_test(values_that_would_favour_some_numbers_are_passed_over),
		cmocka_unit_test(numbers_below_a_bound_are_below_it_and_all_come),
		cmocka_unit_test(threads_do_not_get_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
