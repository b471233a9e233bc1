#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/plan_change.h"
#include "common/flow/plan_distinct.h"
#include "common/flow/plan_guess.h"
#include "common/flow/plan_route.h"

#define CHUNK	100000u

static uint64_t
mixed(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/*
 * A population of ${n} classes with one chunk each, every chunk in ${copies} of
 * them; those whose number is drawn with ${seed} in ${part} hundredths are the sample.
 */
static struct plan_range
drawn(unsigned n, unsigned copies, unsigned part, uint64_t seed)
{
	struct plan_class *c = calloc(n, sizeof(*c));
	struct plan_chunk *k = calloc(n, sizeof(*k));
	struct plan_range out;
	uint32_t m = 0;

	assert_non_null(c);
	assert_non_null(k);
	for (unsigned i = 0; i < n; i++) {
		if (mixed(i + seed * 1000003) % 100 >= part)
			continue;
		c[m].bytes = CHUNK;
		k[m] = (struct plan_chunk){ .id = mixed(i / copies), .cost = CHUNK, .class = m };
		m++;
	}
	assert_int_equal(plan_guess(c, m, k, m, (uint64_t)n * CHUNK, part == 100, &out), 0);
	free(c);
	free(k);
	return out;
}

static void
a_range_holds_the_truth_however_often_chunks_repeat(void **state)
{
	static const unsigned copies[] = { 1, 2, 3, 10, 100 };

	(void)state;
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		for (uint64_t seed = 1; seed <= 20; seed++) {
			uint64_t truth = 20000 / copies[i] * (uint64_t)CHUNK;
			struct plan_range r = drawn(20000, copies[i], 5, seed);

			if (r.low > truth + truth / 50 || r.high < truth)
				fail_msg("%u copies, seed %u: %llu .. %llu", copies[i], (unsigned)seed, (unsigned long long)r.low,
				    (unsigned long long)r.high);
		}
	}
}

static void
more_of_the_source_narrows_the_range(void **state)
{
	double before = 1e30;

	(void)state;
	for (unsigned part = 5; part <= 80; part *= 2) {
		struct plan_range r = drawn(20000, 2, part, 3);
		double width = (double)(r.high - r.low);

		assert_true(width < before);
		before = width;
	}
}

static void
a_whole_source_leaves_no_doubt_but_that_of_edges(void **state)
{
	struct plan_range r = drawn(1000, 4, 100, 0);
	uint64_t truth = 250 * (uint64_t)CHUNK;

	(void)state;
	assert_true(r.low <= truth && r.low >= truth - truth / 50);
	assert_true(r.high >= truth && r.high <= truth + truth / 50);
}

static void
different_chunks_are_counted_once_in_little_memory(void **state)
{
	struct plan_distinct *d = plan_distinct_new(1u << 20);
	double error, sum;

	(void)state;
	assert_non_null(d);
	for (uint64_t round = 0; round < 3; round++)
		for (uint64_t i = 0; i < 300000; i++)
			if (plan_distinct_claim(d, mixed(i)))
				plan_distinct_cost(d, mixed(i), 1000);
	sum = (double)plan_distinct_sum(d, &error);
	assert_true(error > 0 && error < 0.02);
	assert_true(sum > 3e8 * (1 - 3 * error) && sum < 3e8 * (1 + 3 * error));
	plan_distinct_free(d);
}

static void
while_there_is_room_the_count_is_exact(void **state)
{
	struct plan_distinct *d = plan_distinct_new(64u << 20);
	double error;

	(void)state;
	for (uint64_t i = 0; i < 200000; i++)
		if (plan_distinct_claim(d, mixed(i % 100000)))
			plan_distinct_cost(d, mixed(i % 100000), 7);
	assert_int_equal(plan_distinct_sum(d, &error), 700000);
	assert_true(error == 0);
	plan_distinct_free(d);
}

static void
forty_terabytes_are_two_disks_of_eighteen_and_months_of_line(void **state)
{
	struct plan_result r = { .bytes = 40000000000000, .stored = { 29000000000000, 33000000000000 },
	    .read_bytes = 80000000000, .read_ns = INT64_C(360000000000), .changed = { 0, 826000000000, 0 }, .window = 1 };
	struct plan_range p = plan_with_parity(&r.stored), n = plan_disks(&p, 18000000000000), sent = plan_daily_sent(&r);
	struct plan_days d = plan_by_disk(&r, 3);
	struct plan_time line = plan_by_line(&r.stored, 20000000 / 8), day = plan_by_line(&sent, 20000000 / 8);

	(void)state;
	assert_int_equal(p.low, 30450000000000);
	assert_int_equal(n.low, 2);
	assert_int_equal(n.high, 2);
	assert_true(line.low > 134 * 86400e9 && line.high < 153 * 86400e9);
	assert_true(d.all.low > 5 * 86400e9 && d.all.high < 14 * 86400e9);
	assert_int_equal(plan_daily(&r), 118000000000);
	assert_true(day.low > 9 * 3600e9 && day.high < 11 * 3600e9);
	assert_true(plan_break_even(&r, &d) > 20000000);
	assert_true(plan_disk_every(&sent, 18000000000000) > 150);
}

static void
nothing_still_needs_a_disk(void **state)
{
	struct plan_range none = { 0, 0 };

	(void)state;
	assert_int_equal(plan_disks(&none, 1000000).low, 1);
	assert_int_equal(plan_disk_every(&none, 1000000), UINT32_MAX);
}

static struct fmt_view
text(const char *s)
{
	return view_of(s, strlen(s));
}

static void
what_changes_most_is_named_by_the_deepest_path_that_tells(void **state)
{
	struct plan_change *c = plan_change_new();
	struct plan_path top[PLAN_TOP];
	struct err e;
	char name[16];
	size_t n;

	(void)state;
	err_clear(&e);
	assert_non_null(c);
	assert_int_equal(plan_change_dir(c, text("/"), true, &e), 0);
	assert_int_equal(plan_change_dir(c, text("/srv"), false, &e), 0);
	assert_int_equal(plan_change_file(c, text("note"), 10, &e), 0);
	assert_int_equal(plan_change_dir(c, text("/srv/db"), false, &e), 0);
	assert_int_equal(plan_change_file(c, text("main"), 50000, &e), 0);
	assert_int_equal(plan_change_file(c, text("index"), 1000, &e), 0);
	/* Many equal ones: their directory stands for them. */
	assert_int_equal(plan_change_dir(c, text("/srv/mail"), false, &e), 0);
	for (unsigned i = 0; i < 100; i++) {
		name[0] = (char)('a' + i / 26);
		name[1] = (char)('a' + i % 26);
		name[2] = '\0';
		assert_int_equal(plan_change_file(c, text(name), 100, &e), 0);
	}
	/* A name that begins like another directory's is not below it. */
	assert_int_equal(plan_change_dir(c, text("/srv/mail-old"), false, &e), 0);
	assert_int_equal(plan_change_file(c, text("box"), 300, &e), 0);
	plan_change_finish(c, top, &n);
	assert_int_equal(n, 5);
	assert_string_equal(top[0].path, "/srv/db/main");
	assert_int_equal(top[0].bytes, 50000);
	assert_string_equal(top[1].path, "/srv/mail");
	assert_int_equal(top[1].bytes, 10000);
	assert_string_equal(top[2].path, "/srv/db/index");
	assert_string_equal(top[3].path, "/srv/mail-old/box");
	assert_string_equal(top[4].path, "/srv/note");
	for (size_t i = 0; i < n; i++)
		free(top[i].path);
	plan_change_free(c);
}

static void
an_unfinished_walk_leaves_nothing_behind(void **state)
{
	struct plan_change *c = plan_change_new();
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(plan_change_dir(c, text("/"), true, &e), 0);
	assert_int_equal(plan_change_dir(c, text("/a"), false, &e), 0);
	assert_int_equal(plan_change_file(c, text("x"), 5, &e), 0);
	plan_change_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_holds_the_truth_however_often_chunks_repeat),
		cmocka_unit_test(more_of_the_source_narrows_the_range),
		cmocka_unit_test(a_whole_source_leaves_no_doubt_but_that_of_edges),
		cmocka_unit_test(different_chunks_are_counted_once_in_little_memory),
		cmocka_unit_test(while_there_is_room_the_count_is_exact),
		cmocka_unit_test(forty_terabytes_are_two_disks_of_eighteen_and_months_of_line),
		cmocka_unit_test(nothing_still_needs_a_disk),
		cmocka_unit_test(what_changes_most_is_named_by_the_deepest_path_that_tells),
		cmocka_unit_test(an_unfinished_walk_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
