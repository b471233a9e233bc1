#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/flow/plan.h"

#define MIB	(1u << 20)

struct tree {
	char path[64];
	int fd;
	char top[PATH_MAX];
};

static uint64_t
step(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Noise, or words that a compressor halves at least. */
static void
fill(uint8_t *p, size_t n, uint64_t seed, int noise)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;

	for (size_t i = 0; i < n; i++)
		p[i] = noise ? (uint8_t)(step(&x) >> 24) : (uint8_t)("etaoin shrdlu"[step(&x) % 13]);
}

static void
file_put(struct tree *t, const char *name, const void *data, size_t n)
{
	int fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_int_not_equal(fd, -1);
	assert_int_equal(io_write_full(fd, data, n, 0), 0);
	close(fd);
}

static void
file_make(struct tree *t, const char *name, size_t n, uint64_t seed, int noise)
{
	uint8_t *p = malloc(n + 1);

	assert_non_null(p);
	fill(p, n, seed, noise);
	file_put(t, name, p, n);
	free(p);
}

static void
aged(struct tree *t, const char *name, int64_t days)
{
	const struct timespec when[2] = { { .tv_sec = io_now() - days * 86400 - 3600 }, { .tv_sec = io_now() - days * 86400 - 3600 } };

	assert_int_equal(utimensat(t->fd, name, when, AT_SYMLINK_NOFOLLOW), 0);
}

static int
begin(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->fd = scratch_make(t->path);
	assert_non_null(realpath(t->path, t->top));
	*state = t;
	return 0;
}

static int
finish(void **state)
{
	struct tree *t = *state;

	close(t->fd);
	scratch_remove(t->path);
	free(t);
	return 0;
}

static void
plan_of(struct tree *t, struct plan_options *o, struct plan_result *r)
{
	const char *paths[1] = { t->top };
	struct err e;

	err_clear(&e);
	o->paths = paths;
	o->npaths = 1;
	o->level = 1;
	o->workers = 2;
	o->memory = o->memory != 0 ? o->memory : 64u << 20;
	o->time_ns = INT64_C(3600000000000);
	if (plan_run(o, r, &e) != 0)
		fail_msg("%s", e.msg);
}

static void
holes_and_second_names_cost_nothing(void **state)
{
	struct tree *t = *state;
	struct plan_options o = { .exact = true };
	struct plan_result r;
	uint8_t block[4096];
	int fd;

	fill(block, sizeof(block), 1, 1);
	fd = openat(t->fd, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_not_equal(fd, -1);
	assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
	assert_int_equal(pwrite(fd, block, sizeof(block), INT64_C(1) << 39), sizeof(block));
	close(fd);
	file_make(t, "one", MIB, 2, 1);
	assert_int_equal(linkat(t->fd, "one", t->fd, "two", 0), 0);
	plan_of(t, &o, &r);
	assert_int_equal(r.files, 3);
	assert_true(r.bytes >= MIB + sizeof(block));
	assert_true(r.bytes <= 2 * MIB);
	assert_true(r.stored.low > MIB && r.stored.high < 2 * MIB);
	plan_release(&r);
	/* As a sample: only where there is data something is read. */
	o = (struct plan_options){ .sample = 64u << 20 };
	plan_of(t, &o, &r);
	assert_true(r.whole);
	assert_true(r.read_bytes <= 2 * MIB);
	plan_release(&r);
}

static void
nothing_is_planned_for_nothing(void **state)
{
	struct plan_options o = { 0 };
	struct plan_result r;

	plan_of(*state, &o, &r);
	assert_int_equal(r.files, 0);
	assert_int_equal(r.bytes, 0);
	assert_true(r.whole);
	assert_int_equal(r.ntop, 0);
	plan_release(&r);
}

static void
copy_of(struct tree *t, const char *from, const char *to)
{
	uint8_t *p = malloc(16 * MIB);
	int fd = openat(t->fd, from, O_RDONLY | O_CLOEXEC);
	ssize_t n = io_read_full(fd, p, 16 * MIB, 0);

	assert_true(n >= 0);
	close(fd);
	file_put(t, to, p, (size_t)n);
	free(p);
}

/* --- trees of which the truth differs --- */

static void
all_different(struct tree *t)
{
	char name[64];

	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		file_make(t, name, 300000 + i * 20011, i, 1);
	}
}

static void
half_are_copies(struct tree *t)
{
	char name[64], copy[64];

	for (unsigned i = 0; i < 24; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		(void)snprintf(copy, sizeof(copy), "copy-of-%u", i);
		file_make(t, name, 200000 + i * 30011, i, i % 2);
		copy_of(t, name, copy);
	}
}

static void
small_ones_twice(struct tree *t)
{
	char name[64];

	for (unsigned d = 0; d < 40; d++) {
		(void)snprintf(name, sizeof(name), "d%u", d);
		assert_int_equal(mkdirat(t->fd, name, 0755), 0);
		for (unsigned i = 0; i < 30; i++) {
			(void)snprintf(name, sizeof(name), "d%u/%u", d, i);
			file_make(t, name, 1000 + (i * 7919 + d % 20 * 104729) % 30000, i + d % 20 * 100, d % 3 == 0);
		}
	}
}

/* The same long stretch inside files of different sizes, at different places. */
static void
inside_one_another(struct tree *t)
{
	uint8_t *p = malloc(4 * MIB);
	char name[64];

	assert_non_null(p);
	for (unsigned i = 0; i < 10; i++) {
		fill(p, 4 * MIB, i, 1);
		fill(p + i * 10007, 2 * MIB, 1000, 1);
		(void)snprintf(name, sizeof(name), "f%u", i);
		file_put(t, name, p, 3 * MIB + i * 70001);
	}
	free(p);
}

/* A range of a sample holds what reading everything says, for every seed. */
static void
hold(struct tree *t)
{
	struct plan_options o = { .exact = true };
	struct plan_result truth, r;
	uint64_t middle;

	plan_of(t, &o, &truth);
	assert_true(truth.whole);
	middle = truth.stored.low + (truth.stored.high - truth.stored.low) / 2;
	for (unsigned seed = 1; seed <= 8; seed++) {
		for (unsigned part = 2; part <= 5; part += 3) {
			o = (struct plan_options){ .sample = truth.bytes / part, .seed = seed };
			plan_of(t, &o, &r);
			assert_int_equal(r.bytes, truth.bytes);
			assert_false(r.whole);
			assert_true(r.read_bytes <= r.bytes / part + 5 * MIB);
			if (r.stored.low > middle || r.stored.high < middle)
				fail_msg("seed %u, 1/%u: %llu .. %llu does not hold %llu", seed, part, (unsigned long long)r.stored.low,
				    (unsigned long long)r.stored.high, (unsigned long long)middle);
			plan_release(&r);
		}
	}
	plan_release(&truth);
}

static void
a_range_holds_the_truth_where_all_is_different(void **state)
{
	all_different(*state);
	hold(*state);
}

static void
a_range_holds_the_truth_where_half_are_copies(void **state)
{
	half_are_copies(*state);
	hold(*state);
}

static void
a_range_holds_the_truth_of_small_files(void **state)
{
	small_ones_twice(*state);
	hold(*state);
}

static void
a_range_holds_the_truth_where_files_share_a_part(void **state)
{
	inside_one_another(*state);
	hold(*state);
}

static void
the_same_seed_says_the_same(void **state)
{
	struct plan_options o = { .sample = 4 * MIB, .seed = 7 };
	struct plan_result a, b, c;

	half_are_copies(*state);
	plan_of(*state, &o, &a);
	plan_of(*state, &o, &b);
	assert_memory_equal(&a.stored, &b.stored, sizeof(a.stored));
	assert_int_equal(a.read_bytes, b.read_bytes);
	o.seed = 8;
	plan_of(*state, &o, &c);
	assert_memory_not_equal(&a.stored, &c.stored, sizeof(a.stored));
	plan_release(&a);
	plan_release(&b);
	plan_release(&c);
}

static void
a_sample_too_large_for_memory_is_thinned_evenly(void **state)
{
	struct plan_options o = { .sample = 256 * MIB, .memory = 16000 };
	struct plan_result r;

	all_different(*state);
	plan_of(*state, &o, &r);
	assert_false(r.whole);
	assert_true(r.read_bytes > 0 && r.read_bytes < r.bytes);
	/* Noise: as long as the source, whatever was read. */
	assert_true(r.stored.low <= r.bytes && r.stored.high >= r.bytes);
	plan_release(&r);
}

static void
what_changes_is_counted_by_age(void **state)
{
	struct tree *t = *state;
	struct plan_options o = { .exact = true };
	struct plan_result r;
	char want[PATH_MAX + 64];

	assert_int_equal(mkdirat(t->fd, "log", 0755), 0);
	file_make(t, "log/a", 70000, 1, 1);
	file_make(t, "log/b", 70000, 2, 1);
	file_make(t, "old", 500000, 3, 1);
	file_make(t, "month", 300000, 4, 1);
	file_make(t, "future", 1000, 5, 1);
	aged(t, "log/a", 0);
	aged(t, "log/b", 3);
	aged(t, "month", 20);
	aged(t, "old", 400);
	aged(t, "future", -400);
	plan_of(t, &o, &r);
	assert_int_equal(r.changed[0], 70000);
	assert_int_equal(r.changed[1], 140000);
	assert_int_equal(r.changed[2], 440000);
	assert_int_equal(plan_window_days[r.window], 1);
	assert_int_equal(r.ntop, 1);
	(void)snprintf(want, sizeof(want), "%s/log/a", t->top);
	assert_string_equal(r.top[0].path, want);
	plan_release(&r);
}

static void
a_file_that_cannot_be_read_is_counted_and_no_end(void **state)
{
	struct tree *t = *state;
	struct plan_options o = { .exact = true };
	struct plan_result r;

	file_make(t, "secret", 200000, 1, 1);
	file_make(t, "open", 200000, 2, 1);
	assert_int_equal(fchmodat(t->fd, "secret", 0, 0), 0);
	assert_int_equal(chmod(t->top, 0755), 0);
	if (geteuid() == 0 && seteuid(65534) != 0)
		skip();
	plan_of(t, &o, &r);
	assert_int_equal(r.unreadable, 1);
	assert_int_equal(r.files, 2);
	assert_int_equal(r.read_bytes, 200000);
	plan_release(&r);
	o = (struct plan_options){ .sample = 1u << 20 };
	plan_of(t, &o, &r);
	assert_int_equal(r.unreadable, 1);
	plan_release(&r);
	if (geteuid() == 65534)
		assert_int_equal(seteuid(0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(holes_and_second_names_cost_nothing, begin, finish),
		cmocka_unit_test_setup_teardown(nothing_is_planned_for_nothing, begin, finish),
		cmocka_unit_test_setup_teardown(a_range_holds_the_truth_where_all_is_different, begin, finish),
		cmocka_unit_test_setup_teardown(a_range_holds_the_truth_where_half_are_copies, begin, finish),
		cmocka_unit_test_setup_teardown(a_range_holds_the_truth_of_small_files, begin, finish),
		cmocka_unit_test_setup_teardown(a_range_holds_the_truth_where_files_share_a_part, begin, finish),
		cmocka_unit_test_setup_teardown(the_same_seed_says_the_same, begin, finish),
		cmocka_unit_test_setup_teardown(a_sample_too_large_for_memory_is_thinned_evenly, begin, finish),
		cmocka_unit_test_setup_teardown(what_changes_is_counted_by_age, begin, finish),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_counted_and_no_end, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
