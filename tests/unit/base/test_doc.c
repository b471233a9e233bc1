#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/doc.h"

static void
writes(struct doc *j, const char *want)
{
	struct err e;
	size_t len;
	char *text;

	err_clear(&e);
	assert_int_equal(doc_write(j, &text, &len, &e), 0);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
	doc_free(j);
}

static void
an_object_is_one_line_with_sorted_keys(void **state)
{
	struct doc *j = doc_object(), *l = doc_list(), *in = doc_object();

	(void)state;
	doc_put_str(j, "z", "last");
	doc_put_u64(j, "a", 18446744073709551615u);
	doc_put_u64(j, "b", 9223372036854775807u);
	doc_put_i64(j, "c", -5);
	doc_put_bool(j, "d", 1);
	doc_put_hex(j, "e", "\x00\xff", 2);
	doc_put_null(j, "f");
	doc_put_str(l, NULL, "x");
	doc_put_u64(in, "k", 1);
	doc_put_value(l, NULL, in);
	doc_put_value(j, "g", l);
	writes(j, "{\"a\":\"18446744073709551615\",\"b\":9223372036854775807,\"c\":-5,"
	    "\"d\":true,\"e\":\"00ff\",\"f\":null,\"g\":[\"x\",{\"k\":1}],\"z\":\"last\"}\n");
}

static void
a_name_that_is_not_utf8_goes_out_escaped_and_in_hex(void **state)
{
	struct doc *j = doc_object();

	(void)state;
	doc_put_name(j, "name", "a\377", 2);
	doc_put_name(j, "other", "Gr\303\274n\n", 6);
	writes(j, "{\"name\":\"a\\\\xff\",\"name_hex\":\"61ff\",\"other\":\"Gr\303\274n\\n\"}\n");
}

static void
nothing_in_the_text_upsets_a_terminal(void **state)
{
	struct doc *j = doc_object();

	(void)state;
	doc_put_name(j, "name", "\302\233K\303\274", 5);
	writes(j, "{\"name\":\"\\u009BK\\u00FC\"}\n");
}

static void
what_was_written_is_read_back(void **state)
{
	static const char text[] = "{\"big\":\"18446744073709551615\",\"hex\":\"00ff\","
	    "\"list\":[\"a\",\"b\"],\"n\":7,\"neg\":-7,\"s\":\"x\",\"t\":true}\n";
	struct err e;
	struct doc *j;
	uint8_t two[2];
	uint64_t u;
	int64_t i;
	int b;

	(void)state;
	err_clear(&e);
	j = doc_read(text, strlen(text), "the text", &e);
	assert_non_null(j);
	assert_int_equal(doc_members(j), 7);
	assert_string_equal(doc_get_str(j, "s"), "x");
	assert_null(doc_get_str(j, "n"));
	assert_null(doc_get_str(j, "none"));
	assert_int_equal(doc_get_u64(j, "big", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(doc_get_u64(j, "n", &u), 0);
	assert_int_equal(u, 7);
	assert_int_equal(doc_get_u64(j, "neg", &u), -1);
	assert_int_equal(doc_get_u64(j, "s", &u), -1);
	assert_int_equal(doc_get_i64(j, "neg", &i), 0);
	assert_int_equal(i, -7);
	assert_int_equal(doc_get_bool(j, "t", &b), 0);
	assert_int_equal(b, 1);
	assert_int_equal(doc_get_bool(j, "n", &b), -1);
	assert_int_equal(doc_get_hex(j, "hex", two, 2), 0);
	assert_memory_equal(two, "\x00\xff", 2);
	assert_int_equal(doc_get_hex(j, "hex", two, 1), -1);
	assert_int_equal(doc_get_hex(j, "s", two, 1), -1);
	assert_int_equal(doc_list_length(j, "list"), 2);
	assert_string_equal(doc_list_str(j, "list", 1), "b");
	assert_null(doc_list_str(j, "list", 2));
	assert_int_equal(doc_list_length(j, "s"), 0);
	doc_free(j);
}

static void
what_is_not_exactly_one_object_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "\"x\"", "{} {}", "{}x", "{\"a\":1,\"a\":2}", "{\"a\":\"\377\"}",
		"{\"a\":\"\\u0000\"}", "{\"a\":99999999999999999999}", "{\"a\":1,}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e;

		err_clear(&e);
		assert_null(doc_read(bad[i], strlen(bad[i]), "it", &e));
		assert_int_equal(e.code, ERR_FORMAT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_one_line_with_sorted_keys),
		cmocka_unit_test(a_name_that_is_not_utf8_goes_out_escaped_and_in_hex),
		cmocka_unit_test(nothing_in_the_text_upsets_a_terminal),
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(what_is_not_exactly_one_object_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
