#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/names.h"

#include <string.h>

static void
a_short_name_is_four_capitals_or_digits(void **state)
{
	(void)state;
	assert_true(short_name_is_valid("RM4K"));
	assert_true(short_name_is_valid("0000"));
	assert_false(short_name_is_valid(""));
	assert_false(short_name_is_valid("RM4"));
	assert_false(short_name_is_valid("RM4KX"));
	assert_false(short_name_is_valid("rm4k"));
	assert_false(short_name_is_valid("../A"));
	assert_false(short_name_is_valid("RM K"));
	assert_false(short_name_is_valid("RM4\x80"));
}

static void
a_vault_name_begins_with_a_letter_and_has_no_odd_characters(void **state)
{
	char longest[52];

	(void)state;
	assert_true(vault_name_is_valid("ab"));
	assert_true(vault_name_is_valid("Vault-01"));
	assert_false(vault_name_is_valid(""));
	assert_false(vault_name_is_valid("a"));
	assert_false(vault_name_is_valid("1a"));
	assert_false(vault_name_is_valid("-a"));
	assert_false(vault_name_is_valid("a/b"));
	assert_false(vault_name_is_valid(".."));
	assert_false(vault_name_is_valid("a b"));
	assert_false(vault_name_is_valid("a\x1b[2J"));
	assert_false(vault_name_is_valid("a\xc3\xa9"));
	memset(longest, 'a', sizeof(longest));
	longest[51] = 0;
	assert_false(vault_name_is_valid(longest));
	longest[50] = 0;
	assert_true(vault_name_is_valid(longest));
}

static void
a_machine_name_can_be_shown_and_be_part_of_a_path(void **state)
{
	char longest[52];

	(void)state;
	assert_true(machine_name_is_valid("web1.example.org"));
	assert_true(machine_name_is_valid("B\xc3\xbcro 2"));
	assert_false(machine_name_is_valid("a"));
	assert_false(machine_name_is_valid(".."));
	assert_false(machine_name_is_valid(".a"));
	assert_false(machine_name_is_valid("a/b"));
	assert_false(machine_name_is_valid("a\nb"));
	assert_false(machine_name_is_valid("a\x1b[2J"));
	assert_false(machine_name_is_valid("ab\x7f"));
	memset(longest, 'a', sizeof(longest));
	longest[51] = 0;
	assert_false(machine_name_is_valid(longest));
	longest[50] = 0;
	assert_true(machine_name_is_valid(longest));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_name_is_four_capitals_or_digits),
		cmocka_unit_test(a_vault_name_begins_with_a_letter_and_has_no_odd_characters),
		cmocka_unit_test(a_machine_name_can_be_shown_and_be_part_of_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
