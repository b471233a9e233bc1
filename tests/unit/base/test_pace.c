#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/child.h"
#include "common/base/err.h"
#include "common/base/pace.h"
#include "common/base/stop.h"

#define SECOND	INT64_C(1000000000)

static void
bytes_are_paid_for_at_the_rate(void **state)
{
	struct pace *p = pace_new(1000000, NULL);
	int64_t now = 5 * SECOND, debt = 0;

	(void)state;
	assert_non_null(p);
	for (unsigned i = 0; i < 100; i++)
		debt = pace_debt_ns(p, now, 100000);
	/* 10 MB at 1 MB a second, a quarter of a second in hand. */
	assert_true(debt > 9 * SECOND && debt <= 10 * SECOND);
	assert_int_equal(pace_debt_ns(p, now + 20 * SECOND, 1000), 0);
	pace_free(p);
}

static void
a_pause_saves_up_no_more_than_a_burst(void **state)
{
	struct pace *p = pace_new(1000000, NULL);

	(void)state;
	assert_int_equal(pace_debt_ns(p, SECOND, 1), 0);
	assert_true(pace_debt_ns(p, 3600 * SECOND, 1000000) > SECOND / 2);
	pace_free(p);
}

static void
who_is_asked_to_stop_does_not_wait(void **state)
{
	struct pace *p = pace_new(1, NULL);

	(void)state;
	stop_ask();
	pace_take(p, UINT64_MAX);
	stop_reset();
	pace_take(NULL, UINT64_MAX);
	pace_free(p);
}

static void
a_program_gets_its_words_as_they_are(void **state)
{
	const char *const argv[] = { "printf", "%s|", "a b", "$(id)", "*", NULL };
	char out[64];
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(child_must(argv, NULL, out, sizeof(out), &e), 0);
	assert_string_equal(out, "a b|$(id)|*|");
	assert_int_equal(child_must(argv, NULL, out, 4, &e), 0);
	assert_string_equal(out, "a b");
}

static void
a_program_gets_what_is_added_to_its_environment(void **state)
{
	const char *const argv[] = { "sh", "-c", "printf %s \"$SAMARA_SET\"", NULL }, *const more[] = { "SAMARA_SET=files", NULL };
	char out[64];
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(setenv("SAMARA_SET", "another", 1), 0);
	assert_int_equal(child_run(argv, more, out, sizeof(out), &e), 0);
	assert_string_equal(out, "files");
	assert_int_equal(unsetenv("SAMARA_SET"), 0);
}

static void
how_a_program_ended_is_told_apart(void **state)
{
	const char *const three[] = { "sh", "-c", "exit 3", NULL }, *const killed[] = { "sh", "-c", "kill -KILL $$", NULL };
	const char *const none[] = { "/nowhere/at-all", NULL };
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(child_run(three, NULL, NULL, 0, &e), 3);
	assert_int_equal(child_run(killed, NULL, NULL, 0, &e), 128 + 9);
	assert_int_equal(child_must(three, NULL, NULL, 0, &e), -1);
	assert_int_equal(e.code, ERR_PROGRAM);
	assert_non_null(strstr(e.msg, "status 3"));
	err_clear(&e);
	assert_int_equal(child_run(none, NULL, NULL, 0, &e), -1);
	assert_int_equal(e.code, ERR_PROGRAM);
}

/* One that waits for ever is ended by whoever asks us to stop; one to clean up afterwards is not. */
static void
a_program_is_asked_to_stop_when_we_are(void **state)
{
	const char *const argv[] = { "sh", "-c", "kill -TERM $PPID; read line <>/dev/null; while :; do :; done", NULL };
	const char *const clean[] = { "sh", "-c", "exit 0", NULL };
	struct err e;

	(void)state;
	err_clear(&e);
	stop_init();
	stop_reset();
	assert_int_equal(child_run(argv, NULL, NULL, 0, &e), 128 + 15);
	assert_true(stop_asked());
	assert_int_equal(child_run(clean, NULL, NULL, 0, &e), 0);
	stop_reset();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_paid_for_at_the_rate),
		cmocka_unit_test(a_pause_saves_up_no_more_than_a_burst),
		cmocka_unit_test(who_is_asked_to_stop_does_not_wait),
		cmocka_unit_test(a_program_gets_its_words_as_they_are),
		cmocka_unit_test(a_program_gets_what_is_added_to_its_environment),
		cmocka_unit_test(how_a_program_ended_is_told_apart),
		cmocka_unit_test(a_program_is_asked_to_stop_when_we_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
