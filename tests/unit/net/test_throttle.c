#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/net/throttle.h"

#define SECOND	INT64_C(1000000000)

struct plan {
	uint64_t rate;
	int64_t holds;
	unsigned asked;
};

static uint64_t
rate(void *arg, int64_t *holds)
{
	struct plan *p = arg;

	p->asked++;
	*holds = p->holds;
	return p->rate;
}

/* Bytes that go between ${from} and ${to} when somebody always wants ${want} more. */
static uint64_t
go(struct throttle *t, int64_t *now, int64_t to, uint64_t want)
{
	uint64_t sum = 0, got;
	int64_t wait;

	while (*now < to) {
		got = throttle_grant(t, *now, want, &wait);
		assert_true(got <= want);
		assert_true((got == 0) == (wait > 0));
		sum += got;
		*now += wait > 0 ? wait : 1000;
	}
	return sum;
}

static void
over_ten_seconds_the_rate_is_kept_within_five_percent(void **state)
{
	static const uint64_t rates[] = { 64000, 1000000, 127875000, 1023000000 }, wants[] = { 1, 1460, 16384, 262144 };

	(void)state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++)
		for (size_t n = 1; n < sizeof(wants) / sizeof(wants[0]); n++) {
			struct plan p = { .rate = rates[r], .holds = INT64_MAX / 4 };
			struct throttle *t = throttle_new(rate, &p);
			int64_t now = 7 * SECOND;

			for (unsigned i = 0; i < 3; i++) {
				uint64_t sum = go(t, &now, now + 10 * SECOND, wants[n]);

				/* As fast as somebody asks, at most; here every microsecond. */
				if (rates[r] <= wants[n] * 1000000)
					assert_true(sum >= rates[r] * 10 / 100 * 95);
				assert_true(sum <= rates[r] * 10 / 100 * 105);
			}
			throttle_free(t);
		}
}

static void
a_pause_saves_up_an_eighth_of_a_second(void **state)
{
	struct plan p = { .rate = 800000, .holds = INT64_MAX / 4 };
	struct throttle *t = throttle_new(rate, &p);
	int64_t wait;

	(void)state;
	(void)throttle_grant(t, SECOND, 1, &wait);
	assert_int_equal(throttle_grant(t, 1000 * SECOND, 1000000, &wait), 100000);
	throttle_free(t);
}

static void
another_rate_holds_as_soon_as_the_old_one_is_no_longer_certain(void **state)
{
	struct plan p = { .rate = 1000000, .holds = 2 * SECOND };
	struct throttle *t = throttle_new(rate, &p);
	int64_t now = SECOND;
	uint64_t sum;

	(void)state;
	(void)go(t, &now, 2 * SECOND, 10000);
	assert_int_equal(p.asked, 1);
	p.rate = 100000;
	sum = go(t, &now, 3 * SECOND, 10000);
	assert_true(sum > 900000);
	sum = go(t, &now, 13 * SECOND, 10000);
	assert_true(sum > 950000 && sum < 1150000);
	throttle_free(t);
}

static void
no_rate_is_no_limit(void **state)
{
	struct plan p = { .rate = 0 };
	struct throttle *t = throttle_new(rate, &p);
	int64_t wait;

	(void)state;
	assert_int_equal(throttle_grant(t, SECOND, 1u << 30, &wait), 1u << 30);
	assert_int_equal(throttle_take(t, 12345), 12345);
	assert_int_equal(throttle_take(NULL, 12345), 12345);
	assert_int_equal(throttle_rate(t), 0);
	assert_int_equal(throttle_rate(NULL), 0);
	p.rate = 64000;		/* it held for no time at all */
	assert_int_equal(throttle_rate(t), 64000);
	throttle_free(t);
}

static void
a_clock_that_stands_gives_nothing(void **state)
{
	struct plan p = { .rate = 1000, .holds = INT64_MAX / 4 };
	struct throttle *t = throttle_new(rate, &p);
	int64_t wait;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(throttle_grant(t, SECOND, 1000, &wait), 0);
	assert_int_equal(throttle_grant(t, SECOND - 5, 1000, &wait), 0);
	throttle_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_ten_seconds_the_rate_is_kept_within_five_percent),
		cmocka_unit_test(a_pause_saves_up_an_eighth_of_a_second),
		cmocka_unit_test(another_rate_holds_as_soon_as_the_old_one_is_no_longer_certain),
		cmocka_unit_test(no_rate_is_no_limit),
		cmocka_unit_test(a_clock_that_stands_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
