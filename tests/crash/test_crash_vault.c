/*
 * Power cuts while a vault is made, while it issues a credential, takes in a
 * machine's first image and an increment, and while its catalog is made anew:
 * whatever one could have left, what had been promised is there, and the same
 * command again ends well, in a vault that is whole: to who has no key, to the
 * machine that reads its files back, and to its own catalog.
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
#include "common/base/secret.h"
#include "common/catalog/catalog_db.h"
#include "common/flow/vault.h"
#include "common/flow/vault_rebuild.h"
#include "tests/crash/vault_world.h"

#define STEPS		2u
#define AT_PROMISE	6u	/* each so manieth state is of a moment just after a promise */
#define TWICE		8u	/* and in each so manieth the power fails again */

static struct vault_world w;

/* What a run has promised, and how much was on the tape then. */
struct run {
	const struct scene *scene;
	uint64_t promised[STEPS];
	struct credential c;
};

struct scene {
	int start;			/* the vault of the world that it begins with; -1: none */
	unsigned images;		/* that are in at the end */
	int (*step[STEPS])(struct run *r, const char *vault, struct err *e);
	/* A state: ${steps} of them had been promised; then the same commands again. */
	int (*again)(const struct run *r, const char *vault, unsigned steps, struct err *e);
};

/* ---- what is run, and what must hold after a cut ---- */

static int
step_create(struct run *r, const char *vault, struct err *e)
{
	(void)r;
	return world_create(vault, e);
}

static int
step_credential(struct run *r, const char *vault, struct err *e)
{
	return world_credential(vault, "other", &r->c, e);
}

static int
step_ingest(struct run *r, const char *vault, struct err *e)
{
	struct ingest_result result;

	return world_ingest(&w, vault, r->scene->images - 1, &result, e);
}

static int
step_rebuild(struct run *r, const char *vault, struct err *e)
{
	struct rebuild_result result;

	(void)r;
	return vault_rebuild(vault, &result, e);
}

/* A credential is issued: the one that was promised is there, and another can be had. */
static int
credential_again(const struct run *r, const char *vault, int promised, struct err *e)
{
	struct credential c;

	if (promised && world_credential_is_known(vault, &r->c, e) != 0)
		return -1;
	return world_credential(vault, "other", &c, e) != 0 ? err_during(e, "a credential") : world_credential_is_known(vault, &c, e);
}

static int
again_create(const struct run *r, const char *vault, unsigned steps, struct err *e)
{
	int rc = world_create(vault, e);

	if (rc == 0 && steps > 0)
		return err_set(e, ERR_DIFFERENT, "it was said to be made and is not");
	if (rc != 0 && e->code != ERR_VAULT_EXISTS)
		return err_during(e, "again");
	err_clear(e);
	return credential_again(r, vault, steps > 1, e);
}

static int
again_ingest(const struct run *r, const char *vault, unsigned steps, struct err *e)
{
	unsigned i = r->scene->images - 1;
	struct ingest_result result;

	for (unsigned k = 0; k < i + (steps > 0); k++)
		if (world_snapshot_is_whole(&w, vault, k, e) != 0)
			return err_during(e, "promised");
	if (world_ingest(&w, vault, i, &result, e) != 0)
		return err_during(e, "again");
	if (steps > 0 && !result.nothing_new)
		return err_set(e, ERR_DIFFERENT, "what was said to be in came in once more");
	return credential_again(r, vault, steps > 1, e);
}

static int
again_rebuild(const struct run *r, const char *vault, unsigned steps, struct err *e)
{
	struct rebuild_result result;
	char *text = world_dump(vault, e);

	if (text == NULL && (steps > 0 || e->code != ERR_CATALOG))
		return err_during(e, "before it is made anew");
	free(text);
	err_clear(e);
	if (text != NULL)	/* old or new, it gives the answers that it should */
		for (unsigned k = 0; k < r->scene->images; k++)
			if (world_snapshot_is_whole(&w, vault, k, e) != 0)
				return -1;
	if (vault_rebuild(vault, &result, e) != 0)
		return err_during(e, "again");
	return credential_again(r, vault, steps > 1, e);
}

static const struct scene creating = { -1, 0, { step_create, step_credential }, again_create };
static const struct scene first_image = { 0, 1, { step_ingest, step_credential }, again_ingest };
static const struct scene increment = { 1, 2, { step_ingest, step_credential }, again_ingest };
static const struct scene rebuilding = { 2, 2, { step_rebuild, step_credential }, again_rebuild };

/* ---- states ---- */

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
state_again(const struct run *r, const char *vault, unsigned steps, struct err *e)
{
	if (r->scene->again(r, vault, steps, e) != 0)
		return -1;
	if (world_objects_agree(&w, vault, r->scene->images, e) != 0 && r->scene->start != -1)
		return -1;
	err_clear(e);
	return world_whole(&w, vault, r->scene->images, e);
}

/* The same commands again, and the power fails once more while they run. */
static int
state_cut_again(const struct run *r, const char *at, unsigned steps, uint64_t seed, struct err *e)
{
	char vault[128], second[96];
	uint64_t cut;
	struct tape *t;

	(void)snprintf(vault, sizeof(vault), "%s/vault", at);
	(void)snprintf(second, sizeof(second), "%s/second", w.root);
	if ((t = tape_start(at, 0, e)) == NULL)
		return -1;
	(void)r->scene->again(r, vault, steps, e);
	tape_stop(t);
	if (e->code != ERR_NONE && e->code != ERR_VAULT_EXISTS) {
		tape_free(t);
		return -1;
	}
	err_clear(e);
	cut = tape_length(t) == 0 ? 0 : seed % tape_length(t);
	state_make(t, cut, seed / 7, second, e);
	tape_free(t);
	(void)snprintf(vault, sizeof(vault), "%s/vault", second);
	return state_again(r, vault, steps, e) != 0 ? err_during(e, "cut again at %llu", (unsigned long long)cut) : 0;
}

static int
state_try(const struct run *r, const struct tape *t, uint64_t cut, uint64_t seed, int twice, struct err *e)
{
	char at[96], vault[128];
	unsigned steps = 0;

	while (steps < STEPS && cut >= r->promised[steps])
		steps++;
	(void)snprintf(at, sizeof(at), "%s/crash", w.root);
	(void)snprintf(vault, sizeof(vault), "%s/vault", at);
	state_make(t, cut, seed, at, e);
	return twice ? state_cut_again(r, at, steps, seed, e) : state_again(r, vault, steps, e);
}

static uint64_t
states_wanted(void)
{
	const char *s = getenv("SAMARA_CRASH_STATES");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 100 : 1000;
}

/* Run a scene on a tape. */
static struct tape *
scene_tape(const struct scene *scene, struct run *r, unsigned bugs)
{
	char live[96], vault[128];
	struct tape *t;
	struct err e;

	err_clear(&e);
	memset(r, 0, sizeof(*r));
	r->scene = scene;
	(void)snprintf(live, sizeof(live), "%s/live", w.root);
	(void)snprintf(vault, sizeof(vault), "%s/vault", live);
	assert_int_equal(mkdir(live, 0755), 0);
	if (scene->start != -1)
		world_copy(w.vault[scene->start], vault);
	if ((t = tape_start(live, bugs, &e)) == NULL)
		fail_msg("%s", e.msg);
	for (unsigned i = 0; i < STEPS; i++) {
		if (scene->step[i](r, vault, &e) != 0)
			fail_msg("%s", e.msg);
		r->promised[i] = tape_length(t);
	}
	tape_stop(t);
	db_weaken(0);
	return t;
}

static void
live_clear(void)
{
	char live[96];
	struct err e;
	int fd;

	err_clear(&e);
	(void)snprintf(live, sizeof(live), "%s/live", w.root);
	fd = open(live, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, &e), 0);
	(void)close(fd);
	assert_int_equal(rmdir(live), 0);
}

/* Which state is the ${i}-th of ${n}. */
static void
state_pick(const struct run *r, const struct tape *t, uint64_t i, uint64_t n, uint64_t *cut, uint64_t *seed)
{
	crash_pick(t, i, n, cut, seed);
	if (i % AT_PROMISE == AT_PROMISE - 1) {
		*cut = r->promised[i / AT_PROMISE % STEPS] + i / AT_PROMISE / STEPS % 3;
		*seed = i / AT_PROMISE / STEPS;
	}
}

/* Try ${n} states of a scene; how many fail. */
static uint64_t
scene_try(const struct scene *scene, unsigned bugs, uint64_t n, int stop_at_first)
{
	struct run r;
	struct tape *t = scene_tape(scene, &r, bugs);
	uint64_t bad = 0, cut, seed;
	char what[128];
	struct err e;

	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		state_pick(&r, t, i, n, &cut, &seed);
		if (state_try(&r, t, cut, seed, !stop_at_first && i % TWICE == TWICE - 1, &e) == 0)
			continue;
		bad++;
		if (!stop_at_first || getenv("SAMARA_CRASH_TELL") != NULL)
			print_error("cut %llu of %llu (%s; promised at %llu, %llu), seed %llu: %s\n", (unsigned long long)cut,
			    (unsigned long long)tape_length(t), cut > 0 ? tape_describe(t, cut - 1, what, sizeof(what)) : "start",
			    (unsigned long long)r.promised[0], (unsigned long long)r.promised[1], (unsigned long long)seed, e.msg);
	}
	print_message("%llu operations, %llu states\n", (unsigned long long)tape_length(t), (unsigned long long)n);
	tape_free(t);
	live_clear();
	return bad;
}

static void
every_power_cut_while_a_vault_is_made_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(scene_try(&creating, 0, states_wanted() * 2 / 10, 0), 0);
}

static void
every_power_cut_during_the_first_ingest_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(scene_try(&first_image, 0, states_wanted() * 4 / 10, 0), 0);
}

static void
every_power_cut_during_the_ingest_of_an_increment_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(scene_try(&increment, 0, states_wanted() * 2 / 10, 0), 0);
}

static void
every_power_cut_during_a_rebuild_is_overcome(void **state)
{
	(void)state;
	assert_int_equal(scene_try(&rebuilding, 0, states_wanted() * 2 / 10, 0), 0);
}

/* The harness is worth nothing if it does not find what is wrong on purpose. */
static void
bug_is_caught(unsigned bug)
{
	assert_true(scene_try(&creating, bug, 2000, 1) > 0);
	assert_true(scene_try(&first_image, bug, 2000, 1) > 0);
	assert_true(scene_try(&increment, bug, 2000, 1) > 0);
	assert_true(scene_try(&rebuilding, bug, 2000, 1) > 0);
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

/* A catalog that syncs less than it must: what it said to have committed is gone, or it is damaged. */
static void
weak_catalog_is_caught(int weak)
{
	db_weaken(weak);
	assert_true(scene_try(&first_image, 0, 2000, 1) > 0);
	db_weaken(weak);
	assert_true(scene_try(&increment, 0, 2000, 1) > 0);
}

static void
a_catalog_with_synchronous_normal_is_caught(void **state)
{
	(void)state;
	weak_catalog_is_caught(1);
}

static void
a_catalog_with_synchronous_off_is_caught(void **state)
{
	(void)state;
	weak_catalog_is_caught(2);
}

static int
setup(void **state)
{
	(void)state;
	world_no_fsync();
	world_make(&w);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_drop(&w);
	world_fsync();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_power_cut_while_a_vault_is_made_is_overcome),
		cmocka_unit_test(every_power_cut_during_the_first_ingest_is_overcome),
		cmocka_unit_test(every_power_cut_during_the_ingest_of_an_increment_is_overcome),
		cmocka_unit_test(every_power_cut_during_a_rebuild_is_overcome),
		cmocka_unit_test(a_missing_sync_of_files_is_caught),
		cmocka_unit_test(a_missing_sync_of_directories_is_caught),
		cmocka_unit_test(a_sync_after_the_rename_is_caught),
		cmocka_unit_test(a_catalog_with_synchronous_normal_is_caught),
		cmocka_unit_test(a_catalog_with_synchronous_off_is_caught),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, setup, teardown);
}
