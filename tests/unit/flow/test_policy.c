#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/flow/policy.h"

static char root[64];
static int fd;
static struct err e;

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	fd = scratch_make(root);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	(void)close(fd);
	scratch_remove(root);
	return 0;
}

static const char *
text(const struct policy *p, const char *key)
{
	static char out[POLICY_PROXY + 16];

	return policy_text(p, key, 0, out, sizeof(out));
}

static void
what_is_set_is_what_is_read_and_shown(void **state)
{
	static const struct { const char *key, *value, *shown; } t[] = {
		{ "throttle-work", "512 Kbps", "512 Kbps" }, { "throttle-work", "20Mbit/s", "20000 Kbps" },
		{ "throttle-work", "none", "none" }, { "throttle-other", "1,023 MBps", "1023 MBps" },
		{ "work-hours", "8-17:30", "8:00-17:30" }, { "work-hours", "0:00-24:00", "0:00-24:00" },
		{ "work-days", "mon-fri", "mon-fri" }, { "work-days", "sat-mon", "mon,sat,sun" },
		{ "work-days", "Wed,mon,Tue", "mon-wed" }, { "initial", "network", "network" }, { "initial", "disk", "disk" },
		{ "proxy", "http://me:secret@p.example:3128", "http://me:***@p.example:3128" },
		{ "proxy", "http://me:p@ss@p:1", "http://me:***@p:1" }, { "proxy", "http://p:3128", "http://p:3128" },
		{ "alert-command", "/usr/bin/true", "/usr/bin/true" }, { "alert-command", "none", "none" },
		{ "alert-mail", "me@here.example", "me@here.example" }, { "proxy", "none", "none" }, { "proxy", "environment", "environment" },
	};
	struct policy p, again;

	(void)state;
	policy_init(&p);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(policy_set(&p, t[i].key, t[i].value, &e), 0);
		assert_string_equal(text(&p, t[i].key), t[i].shown);
		assert_int_equal(policy_write(fd, &p, &e), 0);
		assert_int_equal(policy_read(fd, &again, &e), 0);
		assert_memory_equal(&p, &again, sizeof(p));
	}
}

static void
what_cannot_be_is_refused_and_changes_nothing(void **state)
{
	static const char *const t[][2] = {
		{ "throttle-work", "511 Kbps" }, { "throttle-work", "1024 MBps" }, { "throttle-work", "fast" }, { "throttle-other", "0" },
		{ "work-hours", "18:00-9:00" }, { "work-hours", "9:00" }, { "work-hours", "9:60-10:00" }, { "work-hours", "9:00-25:00" },
		{ "work-hours", "9:00-24:01" }, { "work-hours", "" }, { "work-days", "" }, { "work-days", "monday" }, { "work-days", "mon-" },
		{ "work-days", "mon," }, { "work-days", "mon fri" }, { "initial", "line" }, { "proxy", "p.example" },
		{ "proxy", "ftp://p" }, { "proxy", "http://" }, { "proxy", "http://a b" }, { "alert-command", "true" }, { "alert-mail", "-f" },
		{ "alert-mail", "a@b c@d" }, { "speed", "1" }, { "", "1" },
	};
	struct policy p, was;

	(void)state;
	policy_init(&p);
	was = p;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		err_clear(&e);
		assert_int_equal(policy_set(&p, t[i][0], t[i][1], &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
		assert_memory_equal(&p, &was, sizeof(p));
	}
}

static void
a_file_that_is_not_understood_is_refused(void **state)
{
	static const char *const t[] = {
		"", "x", "[]", "{\"speed\":\"1\"}", "{\"initial\":1}", "{\"initial\":\"line\"}", "{\"initial\":\"disk\"} x",
		"{\"initial\":\"disk\",\"initial\":\"network\"}",
	};
	struct policy p;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		err_clear(&e);
		assert_int_equal(file_replace(fd, "policy", t[i], strlen(t[i]), 0600, &e), 0);
		assert_int_equal(policy_read(fd, &p, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		assert_string_equal(text(&p, "initial"), "disk");
	}
	assert_int_equal(unlinkat(fd, "policy", 0), 0);
	err_clear(&e);
	assert_int_equal(policy_read(fd, &p, &e), 0);
}

static void
work_hours_begin_and_end_to_the_second(void **state)
{
	const int64_t monday = 1763942400;	/* 24 Nov 2025, 00:00 UTC */
	struct policy p;

	(void)state;
	policy_init(&p);
	assert_int_equal(policy_set(&p, "throttle-work", "512Kbps", &e), 0);
	assert_int_equal(policy_rate(&p, monday + 9 * 3600 - 1), 0);
	assert_int_equal(policy_rate(&p, monday + 9 * 3600), POLICY_RATE_MIN);
	assert_int_equal(policy_rate(&p, monday + 18 * 3600 - 1), POLICY_RATE_MIN);
	assert_int_equal(policy_rate(&p, monday + 18 * 3600), 0);
	assert_int_equal(policy_rate(&p, monday + 5 * 86400 + 10 * 3600), 0);	/* Saturday */
	assert_int_equal(policy_set(&p, "work-days", "sat", &e), 0);
	assert_int_equal(policy_rate(&p, monday + 5 * 86400 + 10 * 3600), POLICY_RATE_MIN);
	assert_int_equal(policy_rate(&p, monday + 6 * 86400 + 10 * 3600), 0);
	assert_int_equal(policy_rate(&p, monday - 2 * 86400 + 10 * 3600), POLICY_RATE_MIN);
}

static void
a_change_is_seen_by_who_watches_and_a_broken_file_changes_nothing(void **state)
{
	struct policy_watch *w = policy_watch_new(fd);
	struct policy p;
	int64_t holds = 0;

	(void)state;
	assert_non_null(w);
	assert_int_equal(policy_watch_rate(w, &holds), 0);
	assert_true(holds > 0 && holds <= 1000000000);
	policy_init(&p);
	assert_int_equal(policy_set(&p, "throttle-work", "8Mbps", &e), 0);
	assert_int_equal(policy_set(&p, "throttle-other", "8Mbps", &e), 0);
	assert_int_equal(policy_write(fd, &p, &e), 0);
	assert_int_equal(policy_watch_rate(w, &holds), 1000000);
	assert_int_equal(file_replace(fd, "policy", "{", 1, 0600, &e), 0);
	assert_int_equal(policy_watch_rate(w, &holds), 1000000);
	assert_int_equal(unlinkat(fd, "policy", 0), 0);
	assert_int_equal(policy_watch_rate(w, &holds), 0);
	policy_watch_free(w);
	policy_watch_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_set_is_what_is_read_and_shown),
		cmocka_unit_test(what_cannot_be_is_refused_and_changes_nothing),
		cmocka_unit_test(a_file_that_is_not_understood_is_refused),
		cmocka_unit_test(work_hours_begin_and_end_to_the_second),
		cmocka_unit_test(a_change_is_seen_by_who_watches_and_a_broken_file_changes_nothing),
	};

	return cmocka_run_group_tests(tests, start, end);
}
