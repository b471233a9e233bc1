#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/base/err.h"

static void
the_cause_is_recorded_once_and_floors_put_their_words_before_it(void **state)
{
	struct err e;

	(void)state;
	err_clear(&e);
	errno = EIO;
	assert_int_equal(err_errno(&e, "fsync %s", "0007.pack"), -1);
	assert_int_equal(err_during(&e, "disk %u", 3u), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(e.sys, EIO);
	assert_int_equal(errno, EIO);
	assert_string_equal(e.msg, "disk 3: fsync 0007.pack: Input/output error");
}

static void
each_errno_gets_the_code_that_suits_it(void **state)
{
	static const struct { int sys; enum err_code want; } t[] = {
		{ ENOSPC, ERR_NO_SPACE }, { EDQUOT, ERR_NO_SPACE }, { EROFS, ERR_PERMISSION },
		{ EACCES, ERR_PERMISSION }, { EPERM, ERR_PERMISSION }, { ENOENT, ERR_NOT_FOUND },
		{ ENOTDIR, ERR_NOT_FOUND }, { ENOMEM, ERR_MEMORY }, { EBADF, ERR_IO },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		err_clear(&e);
		errno = t[i].sys;
		(void)err_errno(&e, "x");
		assert_int_equal(e.code, t[i].want);
	}
}

static void
a_message_that_is_too_long_is_cut_and_stays_a_string(void **state)
{
	static char word[3000];
	struct err e;

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	err_clear(&e);
	(void)err_set(&e, ERR_DAMAGE, "%s", word);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	(void)err_during(&e, "during");
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(e.msg, "during: aaa", 11);
	(void)err_during(&e, "%s", word);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	(void)err_next(&e, "%s", word);
	assert_int_equal(strlen(e.next), sizeof(e.next) - 1);
}

static void
a_failure_without_a_cause_is_a_bug_and_says_so(void **state)
{
	struct err e;

	(void)state;
	err_clear(&e);
	(void)err_during(&e, "close the disk");
	assert_int_equal(e.code, ERR_INTERNAL);
	assert_non_null(strstr(e.msg, "close the disk: "));
}

static void
nobody_has_to_want_an_error(void **state)
{
	(void)state;
	errno = EIO;
	assert_int_equal(err_errno(NULL, "x"), -1);
	assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_during(NULL, "x"), -1);
	assert_int_equal(err_next(NULL, "x"), -1);
	err_clear(NULL);
}

static void
the_table_rises_and_every_row_has_exit_cause_and_cure(void **state)
{
	enum err_code code, before = ERR_NONE;
	const char *cause, *cure;
	unsigned n = 0;
	int status;

	(void)state;
	while (err_at(n, &code, &status, &cause, &cure) == 0) {
		assert_true(code > before);
		assert_true(status > 0 && status < 256);
		assert_int_equal(err_exit(code), status);
		assert_true(cause[0] != '\0' && cure[0] != '\0');
		assert_string_equal(err_cause(code), cause);
		assert_string_equal(err_cure(code), cure);
		before = code;
		n++;
	}
	assert_true(n > 30);
	assert_int_equal(err_exit((enum err_code)9999), 1);
	assert_int_equal(err_exit(ERR_NONE), 1);
	assert_string_equal(err_cause((enum err_code)9999), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cause_is_recorded_once_and_floors_put_their_words_before_it),
		cmocka_unit_test(each_errno_gets_the_code_that_suits_it),
		cmocka_unit_test(a_message_that_is_too_long_is_cut_and_stays_a_string),
		cmocka_unit_test(a_failure_without_a_cause_is_a_bug_and_says_so),
		cmocka_unit_test(nobody_has_to_want_an_error),
		cmocka_unit_test(the_table_rises_and_every_row_has_exit_cause_and_cure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
