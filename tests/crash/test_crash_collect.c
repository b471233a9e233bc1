/*
 * Power cuts while snapshots end, their chunks are collected and packs are written
 * anew: in every state each row of the catalog has its bytes, no snapshot that was whole
 * lacks a chunk, and the same command again ends well.
 *
 * SAMARA_CRASH_STATES in the environment sets how many states are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "common/base/io_crash.h"
#include "common/base/io_tape.h"
#include "common/base/log.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_runs.h"
#include "tests/crash/collect_world.h"

static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

static uint64_t
states_wanted(void)
{
	const char *s = getenv("SAMARA_CRASH_STATES");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 100 : 1000;
}

/* ---- states ---- */

static int
state_try(struct site *s, const struct tape *t, uint64_t cut, uint64_t seed, struct err *e)
{
	struct site there = *s;
	int fd;

	(void)snprintf(there.vault, sizeof(there.vault), "%s/crash/vault", s->root);
	fd = open(there.vault, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, e), 0);
	assert_int_equal(crash_make(t, cut, seed, fd, e), 0);
	(void)close(fd);
	return state_check(&there, e);
}

static uint64_t
tape_and_try(struct site *s, unsigned tape_bugs, unsigned bugs, uint64_t n, int stop_at_first)
{
	struct io_ops quick = *io_real();
	const struct io_ops *before;
	uint64_t cut, seed, length, bad = 0;
	char at[96], what[128];
	struct tape *t;
	struct err e;

	err_clear(&e);
	(void)snprintf(at, sizeof(at), "%s/crash/vault", s->root);
	assert_int_equal(dir_make(AT_FDCWD, at, 0755, &e), 0);
	vault_fill(s);
	collect_bugs = bugs;
	if ((t = tape_start(s->vault, tape_bugs, &e)) == NULL)
		fail_msg("%s", e.msg);
	if (collect_twice(s) != 0)
		fail_msg("%s", s->e.msg);
	length = tape_length(t);
	tape_stop(t);
	collect_bugs = 0;
	db_weaken(0);
	if (state_check(s, &e) != 0)
		fail_msg("without a cut: %s", e.msg);
	quick.fsync = no_fsync;
	before = io_use(&quick);
	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		crash_pick(t, i, n, &cut, &seed);
		if (state_try(s, t, cut, seed, &e) == 0)
			continue;
		bad++;
		if (!stop_at_first)
			print_error("cut %llu of %llu (%s), seed %llu: %s\n", (unsigned long long)cut, (unsigned long long)length,
			    cut > 0 ? tape_describe(t, cut - 1, what, sizeof(what)) : "start", (unsigned long long)seed, e.msg);
	}
	(void)io_use(before);
	print_message("%llu operations, %llu states\n", (unsigned long long)length, (unsigned long long)n);
	tape_free(t);
	return bad;
}

/* The harness is worth nothing if it does not find what is wrong on purpose. */
static void
bytes_that_are_deleted_before_the_commit_are_caught(void **state)
{
	assert_true(tape_and_try(*state, 0, COLLECT_BUG_BYTES_FIRST, 2000, 1) > 0);
}

static void
a_missing_sync_of_files_is_caught(void **state)
{
	assert_true(tape_and_try(*state, TAPE_DROP_FILE_SYNC, 0, 2000, 1) > 0);
}

static void
a_missing_sync_of_directories_is_caught(void **state)
{
	assert_true(tape_and_try(*state, TAPE_DROP_DIR_SYNC, 0, 2000, 1) > 0);
}

static void
every_power_cut_during_a_collection_is_overcome(void **state)
{
	assert_int_equal(tape_and_try(*state, 0, 0, states_wanted(), 0), 0);
}

static int
teardown(void **state)
{
	collect_bugs = 0;
	db_weaken(0);
	return site_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(x) cmocka_unit_test_setup_teardown(x, site_setup, teardown)
		T(bytes_that_are_deleted_before_the_commit_are_caught),
		T(a_missing_sync_of_files_is_caught),
		T(a_missing_sync_of_directories_is_caught),
		T(every_power_cut_during_a_collection_is_overcome),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	runs_resize(10, 2);	/* so small that they are made and merged here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
