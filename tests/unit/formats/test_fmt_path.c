#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/fmt_listing.h"

#include "tests/unit/formats/bytes.h"

static struct fmt_view
text(const char *s)
{
	return view_of(s, strlen(s));
}

static int
sign_of(int v)
{
	return (v > 0) - (v < 0);
}

/* A short path of few different characters, so that random ones often meet. */
static size_t
random_path(struct rng *r, char out[64])
{
	static const char few[] = "ab .-0\x01\xff";
	size_t n = 0, depth = rng_next(r) % 4;

	for (size_t i = 0; i < depth; i++) {
		size_t len = 1 + rng_next(r) % 3;

		out[n++] = '/';
		for (size_t k = 0; k < len; k++)
			out[n++] = few[rng_next(r) % (sizeof(few) - 1)];
	}
	if (n == 0)
		out[n++] = '/';
	return n;
}

static int
is_below(struct fmt_view p, struct fmt_view dir)
{
	if (dir.len == 1)
		return p.len > 1;
	return p.len > dir.len && memcmp(p.p, dir.p, dir.len) == 0 && p.p[dir.len] == '/';
}

/* The same order from its definition: component by component, fewer components first. */
static int
order_defined(struct fmt_view a, struct fmt_view b)
{
	const uint8_t *p = a.p + 1, *q = b.p + 1, *pe = a.p + a.len, *qe = b.p + b.len;

	while (p < pe && q < qe) {
		const uint8_t *ps = memchr(p, '/', (size_t)(pe - p)), *qs = memchr(q, '/', (size_t)(qe - q));
		size_t pn = (size_t)((ps != NULL ? ps : pe) - p), qn = (size_t)((qs != NULL ? qs : qe) - q);
		int c = name_order(view_of(p, pn), view_of(q, qn));

		if (c != 0)
			return sign_of(c);
		p += pn + 1;
		q += qn + 1;
	}
	return (p < pe) - (q < qe);
}

static void
path_order_is_a_total_order_of_components(void **state)
{
	struct rng r = { 1 };
	char ta[64], tb[64], tc[64];

	(void)state;
	for (int k = 0; k < 100000; k++) {
		struct fmt_view a = view_of(ta, random_path(&r, ta)), b = view_of(tb, random_path(&r, tb));
		struct fmt_view c = view_of(tc, random_path(&r, tc));
		int ab = sign_of(path_order(a, b)), bc = sign_of(path_order(b, c)), ac = sign_of(path_order(a, c));

		assert_int_equal(ab, -sign_of(path_order(b, a)));
		assert_int_equal(ab == 0, a.len == b.len && memcmp(a.p, b.p, a.len) == 0);
		if (ab <= 0 && bc <= 0)
			assert_true(ac <= 0);
		assert_int_equal(ab, order_defined(a, b));
	}
}

static void
a_directory_comes_before_all_below_it_and_these_before_its_later_siblings(void **state)
{
	struct rng r = { 2 };
	char ta[64], tb[64], tc[64];

	(void)state;
	for (int k = 0; k < 100000; k++) {
		struct fmt_view dir = view_of(ta, random_path(&r, ta)), other = view_of(tb, random_path(&r, tb));
		struct fmt_view below;

		memcpy(tc, ta, dir.len);
		memcpy(tc + dir.len, dir.len == 1 ? "x" : "/x", 2);
		below = view_of(tc, dir.len + (dir.len == 1 ? 1 : 2));
		assert_true(path_order(dir, below) < 0);
		if (path_order(dir, other) < 0 && !is_below(other, dir))
			assert_true(path_order(below, other) < 0);
		if (path_order(other, dir) < 0)
			assert_true(path_order(other, below) < 0);
	}
	assert_true(path_order(text("/a/b"), text("/a b")) < 0);
	assert_true(path_order(text("/a"), text("/a\x01")) < 0);
	assert_true(path_order(text("/a/b"), text("/a\x01")) < 0);
}

static void
names_that_lead_out_of_a_directory_are_no_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "/", "a/b", "a/", "/a" };
	static const char *const good[] = { "...", ".a", "..a", "a.", "-", "\n", "\xff\xfe", " ", "~", "a\\b" };
	uint8_t longest[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(name_is_valid(text(bad[i])));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(name_is_valid(text(good[i])));
	assert_false(name_is_valid(view_of("a\0b", 3)));
	memset(longest, 'a', sizeof(longest));
	assert_true(name_is_valid(view_of(longest, 255)));
	assert_false(name_is_valid(view_of(longest, 256)));
}

static void
paths_are_absolute_and_have_no_odd_components(void **state)
{
	static const char *const bad[] = { "", "a", "a/b", "//", "/a/", "/a//b", "/.", "/..", "/a/..", "/../a", "/a/./b", "./a" };
	static const char *const good[] = { "/", "/a", "/a/b", "/...", "/ ", "/a/..b", "/\n/\xff" };
	static char longest[65537];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(path_is_valid(text(bad[i])));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(path_is_valid(text(good[i])));
	assert_false(path_is_valid(view_of("/a\0b", 4)));
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 200 == 0 ? '/' : 'a';
	assert_true(path_is_valid(view_of(longest, 65535)));
	assert_false(path_is_valid(view_of(longest, 65536)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_order_is_a_total_order_of_components),
		cmocka_unit_test(a_directory_comes_before_all_below_it_and_these_before_its_later_siblings),
		cmocka_unit_test(names_that_lead_out_of_a_directory_are_no_names),
		cmocka_unit_test(paths_are_absolute_and_have_no_odd_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
