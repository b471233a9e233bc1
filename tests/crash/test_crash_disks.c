/*
 * Power cuts while an image is built over several disks, one of which is
 * closed in the middle, while a top-up is made and while a lost disk is
 * replaced: every state that one could have left is found out by the next run,
 * which goes on and ends in what was asked for.  What was said to be done is
 * done in every state after that.
 *
 * SAMARA_CRASH_STATES in the environment sets how many states are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/io_crash.h"
#include "common/base/io_tape.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "tests/crash/disks_world.h"

#define TWICE	8u	/* in each so manieth state the power fails again */

static struct disks_world w;

static uint64_t
states_wanted(void)
{
	const char *s = getenv("SAMARA_CRASH_STATES");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 20 : 1200;
}

/* Make the state in ${at} that this cut leaves of the tape. */
static void
state_make(const struct tape *t, uint64_t cut, uint64_t seed, const char *at, struct err *e)
{
	int fd;

	if (mkdir(at, 0755) != 0)
		assert_int_equal(access(at, W_OK), 0);
	fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, e), 0);
	assert_int_equal(crash_make(t, cut, seed, fd, e), 0);
	(void)close(fd);
}

static int
go_on(enum disks_deed deed, const char *at, struct err *e)
{
	if (!disks_done(&w, deed, at) && disks_go_on(&w, deed, at, e) != 0)
		return err_during(e, "go on");
	return disks_good(&w, deed, at, e);
}

/* The power fails once more while it goes on. */
static int
go_on_cut(enum disks_deed deed, const char *at, uint64_t seed, struct err *e)
{
	struct tape *t;
	char second[96];
	uint64_t cut;
	int rc;

	(void)snprintf(second, sizeof(second), "%s/second", w.m.root);
	if ((t = tape_start(at, 0, e)) == NULL)
		return -1;
	rc = go_on(deed, at, e);
	tape_stop(t);
	cut = seed % (tape_length(t) + 1);
	if (rc == 0)
		state_make(t, cut, seed / 7, second, e);
	tape_free(t);
	return rc != 0 ? -1 : go_on(deed, second, e) != 0 ? err_during(e, "cut again at %llu", (unsigned long long)cut) : 0;
}

static int
state_try(enum disks_deed deed, const struct tape *t, uint64_t cut, uint64_t seed, uint64_t promised, int twice, struct err *e)
{
	char at[96];

	(void)snprintf(at, sizeof(at), "%s/crash", w.m.root);
	state_make(t, cut, seed, at, e);
	if (cut >= promised && !disks_done(&w, deed, at))
		return err_set(e, ERR_DIFFERENT, "it was said to be done and is not");
	/* Seeds of the first cut are small numbers. */
	return !twice ? go_on(deed, at, e) : go_on_cut(deed, at, (seed * 1000003 + cut + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 24, e);
}

/* Tape a deed and try ${n} states of it; how many fail. */
static uint64_t
deed_try(enum disks_deed deed, unsigned bugs, uint64_t n, int stop_at_first)
{
	uint64_t cut, seed, promised, bad = 0;
	char live[96], what[128];
	struct tape *t;
	struct err e;

	err_clear(&e);
	(void)snprintf(live, sizeof(live), "%s/live", w.m.root);
	disks_start(&w, deed, live);
	if ((t = tape_start(live, bugs, &e)) == NULL || disks_run(&w, deed, live, &e) != 0)
		fail_msg("%s", e.msg);
	promised = tape_length(t);
	tape_stop(t);
	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		crash_pick(t, i, n, &cut, &seed);
		if (state_try(deed, t, cut, seed, promised, !stop_at_first && i % TWICE == TWICE - 1, &e) == 0)
			continue;
		bad++;
		if (!stop_at_first)
			print_error("%s: cut %llu of %llu (%s), seed %llu%s: %s\n", disks_deed_name(deed), (unsigned long long)cut,
			    (unsigned long long)promised, cut > 0 ? tape_describe(t, cut - 1, what, sizeof(what)) : "start",
			    (unsigned long long)seed, i % TWICE == TWICE - 1 ? ", cut twice" : "", e.msg);
	}
	print_message("%s: %llu operations, %llu states\n", disks_deed_name(deed), (unsigned long long)promised, (unsigned long long)n);
	tape_free(t);
	return bad;
}

static void
every_power_cut_while_two_disks_are_filled_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(deed_try(DISKS_BOTH, 0, states_wanted() / 6, 0), 0);
}

static void
every_power_cut_with_one_bay_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(deed_try(DISKS_ONE_BAY, 0, states_wanted() / 6, 0), 0);
}

static void
every_power_cut_while_two_disks_are_written_at_once_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(deed_try(DISKS_SPREAD, 0, states_wanted() / 6, 0), 0);
}

static void
every_power_cut_during_a_top_up_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(deed_try(DISKS_TOPUP, 0, states_wanted() / 6, 0), 0);
}

static void
every_power_cut_during_a_top_up_over_two_disks_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(deed_try(DISKS_TOPUP_TWO, 0, states_wanted() / 6, 0), 0);
}

static void
a_lost_disk_of_a_top_up_is_replaced(void **state)
{
	char at[96], second[160];
	struct err e;
	glob_t g;

	(void)state;
	err_clear(&e);
	(void)snprintf(at, sizeof(at), "%s/live", w.m.root);
	disks_start(&w, DISKS_TOPUP_TWO, at);
	if (disks_run(&w, DISKS_TOPUP_TWO, at, &e) != 0 || disks_good(&w, DISKS_TOPUP_TWO, at, &e) != 0)
		fail_msg("%s", e.msg);
	(void)snprintf(second, sizeof(second), "%s/disk4/samara/*/stmt", at);
	assert_int_equal(glob(second, 0, NULL, &g), 0);
	globfree(&g);
	if (disks_replace_topup(&w, at, &e) != 0 || disks_good(&w, DISKS_TOPUP_TWO, at, &e) != 0)
		fail_msg("replaced: %s", e.msg);
}

static void
every_power_cut_while_a_lost_disk_is_replaced_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(deed_try(DISKS_REPLACE, 0, states_wanted() / 6, 0), 0);
}

/* The harness is worth nothing if it does not find what is wrong on purpose. */
static void
bug_is_caught(unsigned bug)
{
	for (enum disks_deed deed = 0; deed < DISKS_DEEDS; deed++)
		assert_true(deed_try(deed, bug, 2000, 1) > 0);
}

static void
a_missing_sync_of_files_is_caught(void **state)
{
	(void)state;
	bug_is_caught(TAPE_DROP_FILE_SYNC);
}

static void
a_missing_sync_of_directories_is_caught(void **state)
{
	(void)state;
	bug_is_caught(TAPE_DROP_DIR_SYNC);
}

static void
a_sync_after_the_rename_is_caught(void **state)
{
	(void)state;
	bug_is_caught(TAPE_SYNC_AFTER_RENAME);
}

static int
setup(void **state)
{
	(void)state;
	disks_world_make(&w);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	disks_world_drop(&w);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_power_cut_while_two_disks_are_filled_is_overcome),
		cmocka_unit_test(every_power_cut_with_one_bay_is_overcome),
		cmocka_unit_test(every_power_cut_while_two_disks_are_written_at_once_is_overcome),
		cmocka_unit_test(every_power_cut_during_a_top_up_is_overcome),
		cmocka_unit_test(every_power_cut_during_a_top_up_over_two_disks_is_overcome),
		cmocka_unit_test(a_lost_disk_of_a_top_up_is_replaced),
		cmocka_unit_test(every_power_cut_while_a_lost_disk_is_replaced_is_overcome),
		cmocka_unit_test(a_missing_sync_of_files_is_caught),
		cmocka_unit_test(a_missing_sync_of_directories_is_caught),
		cmocka_unit_test(a_sync_after_the_rename_is_caught),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, setup, teardown);
}
