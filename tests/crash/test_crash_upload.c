/*
 * Power cuts while a machine brings packs, a list and a commit over the line:
 * whatever one could have left, what was acknowledged is there, nothing refers to
 * bytes that are not, and the same once more ends well.
 *
 * SAMARA_CRASH_STATES in the environment sets how many states are tried.
 */

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
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io_crash.h"
#include "common/base/io_tape.h"
#include "common/base/log.h"
#include "common/catalog/catalog_db.h"
#include "tests/crash/upload_world.h"
#include "tests/crash/vault_world.h"

#define REBUILT_EVERY	4u
#define AT_PROMISE	5u	/* each so manieth state is of a moment just after an acknowledgement */

static struct upload_world w;

struct run {
	struct tape *tape;
	uint64_t promised[UPLOAD_STEPS];
	unsigned early;			/* a bug of the harness's own: acknowledgements that come so many steps too early */
};

static void
told(void *arg, unsigned step)
{
	struct run *r = arg;

	r->promised[step] = tape_length(r->tape);
}

static void
clear(const char *at)
{
	struct err e;
	int fd;

	err_clear(&e);
	if (mkdir(at, 0755) != 0)
		assert_int_equal(access(at, W_OK), 0);
	fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, &e), 0);
	(void)close(fd);
}

/* Bring all of it to a copy of the vault, on a tape. */
static void
tape_make(struct run *r, unsigned bugs)
{
	char live[96], vault[128];
	struct err e;

	err_clear(&e);
	(void)snprintf(live, sizeof(live), "%s/live", w.root);
	(void)snprintf(vault, sizeof(vault), "%s/vault", live);
	clear(live);
	world_copy(w.vault, vault);
	if ((r->tape = tape_start(live, bugs, &e)) == NULL || upload_world_bring(vault, told, r, &e) != 0)
		fail_msg("%s", e.msg);
	tape_stop(r->tape);
	db_weaken(0);
	for (unsigned i = 0; r->early > 0 && i < UPLOAD_STEPS; i++)
		r->promised[i] = i < r->early ? 0 : r->promised[i - r->early];
	clear(live);
}

/* A state that a cut leaves: what must hold, the same again, and the end. */
static int
state_try(const struct run *r, uint64_t cut, uint64_t seed, int rebuild, struct err *e)
{
	char at[96], vault[128];
	unsigned steps = 0;
	int fd;

	while (steps < UPLOAD_STEPS && cut >= r->promised[steps])
		steps++;
	(void)snprintf(at, sizeof(at), "%s/crash", w.root);
	(void)snprintf(vault, sizeof(vault), "%s/vault", at);
	clear(at);
	fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(crash_make(r->tape, cut, seed, fd, e), 0);
	(void)close(fd);
	if (upload_world_good(vault, steps, e) != 0)
		return err_during(e, "after the cut");
	if (upload_world_bring(vault, NULL, NULL, e) != 0 || upload_world_good(vault, UPLOAD_STEPS, e) != 0)
		return err_during(e, "again");
	return rebuild ? upload_world_rebuilds(vault, e) : 0;
}

/* Try ${n} states; how many are bad. */
static uint64_t
states_try(struct run *r, uint64_t n, int stop_at_first)
{
	uint64_t bad = 0, cut, seed;
	char what[128];
	struct err e;

	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		crash_pick(r->tape, i, n, &cut, &seed);
		if (i % AT_PROMISE == AT_PROMISE - 1) {
			cut = r->promised[i / AT_PROMISE % UPLOAD_STEPS];
			seed = i / AT_PROMISE / UPLOAD_STEPS;
		}
		if (state_try(r, cut, seed, i % REBUILT_EVERY == 0, &e) == 0)
			continue;
		bad++;
		if (!stop_at_first)
			print_error("cut at %llu of %llu (%s), seed %llu: %s\n", (unsigned long long)cut,
			    (unsigned long long)tape_length(r->tape), cut > 0 ? tape_describe(r->tape, cut - 1, what, sizeof(what)) :
			    "start", (unsigned long long)seed, e.msg);
	}
	print_message("%llu operations, %llu states\n", (unsigned long long)tape_length(r->tape), (unsigned long long)n);
	tape_free(r->tape);
	return bad;
}

static uint64_t
states_wanted(void)
{
	const char *s = getenv("SAMARA_CRASH_STATES");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 100 : 1000;
}

static void
every_power_cut_while_a_machine_brings_something_is_overcome(void **state)
{
	struct run r = { .early = 0 };

	(void)state;
	tape_make(&r, 0);
	assert_int_equal(states_try(&r, states_wanted(), 0), 0);
}

/* The harness is worth nothing if it does not find what is wrong on purpose. */
static void
bug_is_caught(unsigned bug)
{
	struct run r = { .early = 0 };

	tape_make(&r, bug);
	assert_true(states_try(&r, 2000, 1) > 0);
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

static void
a_catalog_that_syncs_less_is_caught(void **state)
{
	struct run r = { .early = 0 };

	(void)state;
	db_weaken(2);
	tape_make(&r, 0);
	assert_true(states_try(&r, 2000, 1) > 0);
}

static void
an_answer_before_it_is_durable_is_caught(void **state)
{
	struct run r = { .early = 1 };

	(void)state;
	tape_make(&r, 0);
	assert_true(states_try(&r, 2000, 1) > 0);
}

static int
setup(void **state)
{
	(void)state;
	world_no_fsync();
	upload_world_make(&w);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_fsync();
	upload_world_drop(&w);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_sync_of_files_is_caught),
		cmocka_unit_test(a_missing_sync_of_directories_is_caught),
		cmocka_unit_test(a_sync_after_the_rename_is_caught),
		cmocka_unit_test(a_catalog_that_syncs_less_is_caught),
		cmocka_unit_test(an_answer_before_it_is_durable_is_caught),
		cmocka_unit_test(every_power_cut_while_a_machine_brings_something_is_overcome),
	};

	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, setup, teardown);
}
