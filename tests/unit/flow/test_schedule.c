#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/flow/schedule.h"
#include "common/flow/state.h"

static const int64_t monday = 1763942400;	/* 24 Nov 2025, 00:00 UTC */
#define HOUR	3600
#define DAY	86400

static char root[64];
static struct state st;
static struct err e;
static struct schedule s;

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	memset(&st, 0, sizeof(st));
	st.fd = scratch_make(root);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	(void)close(st.fd);
	scratch_remove(root);
	return 0;
}

/* A new one: times, days, made at ${made}. */
static void
schedule_new(const char *times, unsigned days, int64_t made)
{
	char copy[64], *rest = copy;

	schedule_release(&s);
	memset(&s, 0, sizeof(s));
	(void)snprintf(s.set, sizeof(s.set), "files");
	s.days = days;
	s.made = made;
	(void)snprintf(copy, sizeof(copy), "%s", times);
	for (char *t; (t = strtok_r(rest, " ", &rest)) != NULL;)
		assert_int_equal(schedule_time(&s, t, &e), 0);
}

static void
times_are_kept_in_order_and_a_fourth_is_refused(void **state)
{
	static const char *const bad[] = { "24:00", "9", "9:60", "09:00x", "", "x", "-1:00" };

	(void)state;
	schedule_new("19:00 1:30 13:00", 0x7f, 0);
	assert_int_equal(s.times[0], 90);
	assert_int_equal(s.times[1], 13 * 60);
	assert_int_equal(s.times[2], 19 * 60);
	assert_int_equal(schedule_time(&s, "20:00", &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	schedule_new("13:00", 0x7f, 0);
	assert_int_equal(schedule_time(&s, "13:00", &e), -1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(schedule_time(&s, bad[i], &e), -1);
	assert_int_equal(s.ntimes, 1);
}

static void
what_is_due_is_the_newest_time_that_is_over(void **state)
{
	(void)state;
	schedule_new("01:00 13:00", 0x7f, monday);
	assert_int_equal(schedule_last(&s, monday + HOUR - 1), 0);	/* made after Sunday's */
	assert_int_equal(schedule_last(&s, monday + HOUR), monday + HOUR);
	assert_int_equal(schedule_last(&s, monday + 13 * HOUR - 1), monday + HOUR);
	assert_int_equal(schedule_last(&s, monday + 30 * DAY), monday + 29 * DAY + 13 * HOUR);	/* one, however many were missed */
	assert_int_equal(schedule_next(&s, monday), monday + HOUR);
	assert_int_equal(schedule_next(&s, monday + HOUR), monday + 13 * HOUR);
	assert_int_equal(schedule_next(&s, monday + 13 * HOUR), monday + DAY + HOUR);
}

/* What was noted while the clock was ten years ahead keeps nothing back when it is set right. */
static void
a_clock_that_was_ahead_holds_up_no_run(void **state)
{
	const int64_t now = monday + 5 * HOUR, ahead = now + 3650 * DAY;

	(void)state;
	schedule_new("01:00 13:00", 0x7f, monday);
	assert_int_equal(schedule_due(&s, 0, now), monday + HOUR);
	assert_int_equal(schedule_due(&s, monday, now), monday + HOUR);
	assert_int_equal(schedule_due(&s, monday + HOUR, now), 0);
	assert_int_equal(schedule_due(&s, ahead, now), monday + HOUR);
	/* It was made then, too. */
	schedule_new("01:00 13:00", 0x7f, ahead);
	assert_int_equal(schedule_due(&s, 0, now), monday + HOUR);
	/* A run is noted as of now, and nothing is due again before its time. */
	assert_int_equal(schedule_due(&s, now, now + HOUR), 0);
	assert_int_equal(schedule_due(&s, now, monday + 13 * HOUR), monday + 13 * HOUR);
}

static void
days_on_which_nothing_is_due_are_passed_over(void **state)
{
	(void)state;
	schedule_new("01:00", 1u << 6, monday - 30 * DAY);	/* Sundays */
	assert_int_equal(schedule_last(&s, monday), monday - DAY + HOUR);
	assert_int_equal(schedule_last(&s, monday + 6 * DAY), monday - DAY + HOUR);
	assert_int_equal(schedule_next(&s, monday), monday + 6 * DAY + HOUR);
	assert_int_equal(schedule_next(&s, monday - DAY + HOUR), monday + 6 * DAY + HOUR);
}

static void
an_hour_that_the_clock_leaves_out_or_has_twice_is_due_once(void **state)
{
	const int64_t spring = 1774742400, autumn = 1792886400;	/* 29 Mar 2026, 25 Oct 2026, 00:00 UTC: Berlin changes at 01:00 */
	int64_t first;

	(void)state;
	assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
	tzset();
	schedule_new("02:30", 0x7f, 0);
	first = schedule_next(&s, spring);
	assert_true(first >= spring + HOUR / 2 && first <= spring + 2 * HOUR);
	assert_true(schedule_next(&s, first) > first + 20 * HOUR);
	first = schedule_next(&s, autumn - 2 * HOUR);
	assert_true(schedule_next(&s, first) > first + 20 * HOUR);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
}

static void
what_is_written_is_read_again(void **state)
{
	struct schedule again;

	(void)state;
	assert_int_equal(schedule_read(&st, "none", &again, &e), 1);
	schedule_new("01:00 13:00", 0x1f, monday);
	assert_int_equal(schedule_path(&s, "/srv/a \"b\" %c", &e), 0);
	assert_int_equal(schedule_path(&s, "srv", &e), -1);
	assert_int_equal(schedule_path(&s, "/a\nb", &e), -1);
	assert_int_equal(schedule_path(&s, "/a\xff", &e), -1);
	err_clear(&e);
	assert_int_equal(schedule_write(&st, &s, &e), 0);
	assert_int_equal(schedule_read(&st, "files", &again, &e), 0);
	assert_int_equal(again.ntimes, 2);
	assert_int_equal(again.days, 0x1f);
	assert_int_equal(again.made, monday);
	assert_int_equal(again.npaths, 1);
	assert_string_equal(again.paths[0], "/srv/a \"b\" %c");
	schedule_release(&again);
	assert_int_equal(schedule_drop(&st, "files", &e), 0);
	assert_int_equal(schedule_read(&st, "files", &again, &e), 1);
}

static void
a_damaged_schedule_is_said_and_never_followed(void **state)
{
	static const char *const t[] = {
		"", "{}", "{\"days\":\"mon\",\"made\":1,\"paths\":[],\"times\":[]}", "{\"days\":\"mon\",\"made\":1,\"times\":[\"25:00\"]}",
		"{\"days\":\"mon\",\"made\":\"x\",\"times\":[\"01:00\"]}", "{\"days\":\"mon\",\"made\":1,\"times\":[\"01:00\"],\"paths\":[\"a\"]}",
		"{\"days\":\"\",\"made\":1,\"times\":[\"01:00\"]}",
	};
	struct schedule again;

	(void)state;
	assert_int_equal(dir_make(st.fd, "sets/files", 0700, &e), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(file_replace(st.fd, "sets/files/schedule", t[i], strlen(t[i]), 0600, &e), 0);
		assert_int_equal(schedule_read(&st, "files", &again, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		schedule_release(&again);
		err_clear(&e);
	}
}

static void
the_last_run_is_remembered(void **state)
{
	int64_t ran;

	(void)state;
	assert_int_equal(schedule_ran(&st, "other", &ran, &e), 0);
	assert_int_equal(ran, 0);
	assert_int_equal(dir_make(st.fd, "sets/other", 0700, &e), 0);
	assert_int_equal(schedule_ran_set(&st, "other", monday, &e), 0);
	assert_int_equal(schedule_ran(&st, "other", &ran, &e), 0);
	assert_int_equal(ran, monday);
}

static void
words_reach_the_program_as_they_are(void **state)
{
	const struct schedule_unit u = { "/usr/bin/samara-seed", "/var/lib/a \"b\" 50% $HOME 'c'\\d", 0 };
	struct buf out;

	(void)state;
	schedule_new("01:00 13:00", 0x1f, monday);
	buf_init(&out);
	schedule_service(&s, &u, &out);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)out.p, "--state \"/var/lib/a \\\"b\\\" 50%% $$HOME 'c'\\\\d\"\n"));
	assert_ptr_equal(strstr((char *)out.p, SCHEDULE_MARK), out.p);
	buf_reset(&out);
	schedule_cron(&s, &u, &out);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)out.p, "--state '/var/lib/a \"b\" 50\\% $HOME '\\''c'\\''\\d' --quiet\n"));
	buf_reset(&out);
	schedule_timer(&s, &out);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)out.p, "\nOnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 13:00:00\n"));
	s.days = 0x7f;
	buf_reset(&out);
	schedule_timer(&s, &out);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)out.p, "\nOnCalendar=*-*-* 01:00:00\n"));
	buf_release(&out);
	schedule_release(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_kept_in_order_and_a_fourth_is_refused),
		cmocka_unit_test(what_is_due_is_the_newest_time_that_is_over),
		cmocka_unit_test(a_clock_that_was_ahead_holds_up_no_run),
		cmocka_unit_test(days_on_which_nothing_is_due_are_passed_over),
		cmocka_unit_test(an_hour_that_the_clock_leaves_out_or_has_twice_is_due_once),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(a_damaged_schedule_is_said_and_never_followed),
		cmocka_unit_test(the_last_run_is_remembered),
		cmocka_unit_test(words_reach_the_program_as_they_are),
	};

	return cmocka_run_group_tests(tests, start, end);
}
