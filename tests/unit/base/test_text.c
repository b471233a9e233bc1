#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/text.h"

static void
outside_bytes_become_printable_text(void **state)
{
	static const struct { const char *in; size_t len; const char *want; } t[] = {
		{ "plain name.txt", 14, "plain name.txt" },
		{ "two\nlines", 9, "two\\nlines" },
		{ "tab\there\r", 9, "tab\\there\\r" },
		{ "\033[2J", 4, "\\x1b[2J" },
		{ "a\0b", 3, "a\\x00b" },
		{ "\177", 1, "\\x7f" },
		{ "back\\slash", 10, "back\\\\slash" },
		{ "Gr\303\274\303\237e", 7, "Gr\303\274\303\237e" },
		{ "\360\237\214\261", 4, "\360\237\214\261" },
		{ "lone \377 byte", 11, "lone \\xff byte" },
		{ "\300\257", 2, "\\xc0\\xaf" },			/* overlong "/" */
		{ "\355\240\200", 3, "\\xed\\xa0\\x80" },		/* a surrogate */
		{ "\364\220\200\200", 4, "\\xf4\\x90\\x80\\x80" },	/* above U+10FFFF */
		{ "cut \303", 5, "cut \\xc3" },
		{ "\302\233", 2, "\\xc2\\x9b" },			/* C1: another ESC [ */
		{ "\342\200\256txt.exe", 10, "\\xe2\\x80\\xaetxt.exe" }, /* right to left */
	};
	char buf[100];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(text_safe(buf, sizeof(buf), t[i].in, t[i].len), t[i].want);
}

static void
every_cut_fits_and_never_splits_what_it_renders(void **state)
{
	static const char in[] = "\303\274\n\377x\\\360\237\214\261";
	char whole[100], buf[100];

	(void)state;
	(void)text_safe(whole, sizeof(whole), in, sizeof(in) - 1);
	for (size_t n = 4; n < 60; n++) {
		memset(buf, 'Z', sizeof(buf));
		(void)text_safe(buf, n, in, sizeof(in) - 1);
		assert_true(strlen(buf) < n);
		assert_int_equal(buf[n], 'Z');
		assert_true(text_is_utf8(buf, strlen(buf)));
		if (n > strlen(whole))
			assert_string_equal(buf, whole);
		else
			assert_string_equal(buf + strlen(buf) - 3, "...");
	}
}

static void
different_names_never_look_equal(void **state)
{
	char a[4000], b[4000];

	(void)state;
	assert_string_not_equal(text_safe(a, sizeof(a), "\n", 1), text_safe(b, sizeof(b), "\\n", 2));
	for (unsigned v = 0; v < 65536; v++) {	/* all names of two bytes against a neighbour */
		uint8_t x[2] = { (uint8_t)(v >> 8), (uint8_t)v };
		uint8_t y[2] = { x[0], (uint8_t)(x[1] + 1) };

		assert_string_not_equal(text_safe(a, sizeof(a), x, 2), text_safe(b, sizeof(b), y, 2));
		assert_true(text_is_printable(a, strlen(a)));
	}
}

static void
our_own_lines_keep_their_backslashes(void **state)
{
	char buf[64];

	(void)state;
	assert_string_equal(text_line(buf, sizeof(buf), "read a\\nb\x1b"), "read a\\nb\\x1b");
}

static void
length_counts_code_points(void **state)
{
	(void)state;
	assert_int_equal(text_length("abc", 3), 3);
	assert_int_equal(text_length("\303\274\360\237\214\261", 6), 2);
	assert_int_equal(text_length("\377\377", 2), 2);
	assert_int_equal(text_length("", 0), 0);
}

static void
hex_is_lower_case(void **state)
{
	char hex[7];

	(void)state;
	assert_string_equal(text_hex(hex, "\001\253\377", 3), "01abff");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outside_bytes_become_printable_text),
		cmocka_unit_test(every_cut_fits_and_never_splits_what_it_renders),
		cmocka_unit_test(different_names_never_look_equal),
		cmocka_unit_test(our_own_lines_keep_their_backslashes),
		cmocka_unit_test(length_counts_code_points),
		cmocka_unit_test(hex_is_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
