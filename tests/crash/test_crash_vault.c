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
#include <stdbool.h>
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
#include "base/scratch.h"
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

/* The second cut came while again_rebuild made the catalog anew, which may leave none, as the first could. */
static bool anew_again;

static int
again_rebuild(const struct run *r, const char *vault, unsigned steps, struct err *e)
{
	struct rebuild_result result;
	char *text = world_dump(vault, e);

	if (text == NULL && ((steps > 0 && !anew_again) || e->code != ERR_CATALOG))
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

/* Stat of a file in VAULT/local; false where it is not there. */
static int
local_stat(const char *vault, const char *name, struct stat *st)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/local/%s", vault, name);
	return stat(path, st) == 0;
}

/* A catalog that the first cut left half changed must not lie there without the journal that undoes it. */
static int
journal_stays(const char *vault, int hot, struct err *e)
{
	struct stat old, fresh, journal;

	if (!hot || !local_stat(vault, "catalog.db", &old) ||
	    (local_stat(vault, "catalog.new", &fresh) && fresh.st_ino == old.st_ino) ||
	    (local_stat(vault, "catalog.db-journal", &journal) && journal.st_size > 0))
		return 0;
	if (!local_stat(vault, "catalog.new", &fresh))
		return 0;	/* it has taken the old one's place */
	return err_set(e, ERR_DIFFERENT, "the old catalog is there without its journal");
}

/* While a catalog is made anew the old one is in force, or none, or the new one; where there is none it is made anew. */
static int
catalog_mend(const char *vault, const char *old, const char *fresh, struct err *e)
{
	struct rebuild_result result;
	char *text = world_dump(vault, e);
	int known = text != NULL && (strcmp(text, old) == 0 || strcmp(text, fresh) == 0);

	free(text);
	if (known)
		return 0;
	if (text != NULL)
		return err_set(e, ERR_DIFFERENT, "a catalog is in force that is neither the old nor the new one");
	if (e->code != ERR_CATALOG)
		return -1;
	err_clear(e);
	return vault_rebuild(vault, &result, e);
}

/* Somewhere, or in half of the cases where one catalog takes the place of another. */
static uint64_t
second_cut(const struct tape *t, int anew, uint64_t seed)
{
	uint64_t cut = tape_length(t);
	char what[256];

	if (!anew || seed / 8 % 2 == 0)
		return seed % (tape_length(t) + 1);
	while (cut > 0 && strncmp(tape_describe(t, cut - 1, what, sizeof(what)), "rename", 6) != 0)
		cut--;
	return cut < seed / 16 % 8 ? 0 : cut - seed / 16 % 8;
}

/* Tape what overcomes the first cut in ${at}, and cut once more: the state is in ${second}. */
static int
cut_while(const struct run *r, const char *at, const char *second, unsigned steps, int anew, uint64_t seed, struct err *e)
{
	char vault[128], what[128];
	struct rebuild_result result;
	struct tape *t;
	uint64_t cut;
	int rc;

	(void)snprintf(vault, sizeof(vault), "%s/vault", at);
	if ((t = tape_start(at, 0, e)) == NULL)
		return -1;
	rc = anew ? vault_rebuild(vault, &result, e) : r->scene->again(r, vault, steps, e);
	tape_stop(t);
	if (rc == 0) {
		err_clear(e);
		cut = second_cut(t, anew, seed);
		state_make(t, cut, seed / 7, second, e);
		if (getenv("SAMARA_CRASH_TELL") != NULL)
			print_message("again at %llu of %llu (%s)\n", (unsigned long long)cut, (unsigned long long)tape_length(t),
			    cut > 0 ? tape_describe(t, cut - 1, what, sizeof(what)) : "start");
	}
	tape_free(t);
	return rc;
}

/* The power fails once more, while the same commands run again. */
static int
state_cut_again(const struct run *r, const char *at, unsigned steps, uint64_t seed, struct err *e)
{
	char vault[128], second[96];
	int rc;

	(void)snprintf(second, sizeof(second), "%s/second", w.root);
	(void)snprintf(vault, sizeof(vault), "%s/vault", second);
	if (cut_while(r, at, second, steps, 0, seed, e) != 0)
		return -1;
	anew_again = true;
	rc = state_again(r, vault, steps, e);
	anew_again = false;
	return rc != 0 ? err_during(e, "cut again") : 0;
}

/* The power fails once more, while the catalog is made anew. */
static int
state_cut_anew(const struct run *r, const char *at, unsigned steps, uint64_t seed, struct err *e)
{
	char first[128], vault[128], second[96], copy[96], *old = NULL, *fresh = NULL;
	struct stat journal;
	int rc = -1, hot;

	(void)snprintf(first, sizeof(first), "%s/vault", at);
	(void)snprintf(second, sizeof(second), "%s/second", w.root);
	(void)snprintf(vault, sizeof(vault), "%s/vault", second);
	(void)snprintf(copy, sizeof(copy), "%s/copy", w.root);
	hot = local_stat(first, "catalog.db-journal", &journal) && journal.st_size > 0;
	world_copy(first, copy);
	if ((old = world_dump(copy, e)) == NULL && e->code == ERR_CATALOG) {
		err_clear(e);
		old = strdup("none");
	}
	if (old != NULL && cut_while(r, at, second, steps, 1, seed, e) == 0 && (fresh = world_dump(first, e)) != NULL &&
	    (rc = journal_stays(vault, hot, e)) == 0 && (rc = catalog_mend(vault, old, fresh, e)) == 0)
		rc = state_again(r, vault, steps, e);
	free(old);
	free(fresh);
	scratch_remove(copy);
	return rc == 0 ? 0 : err_during(e, "cut again while the catalog was made anew");
}

/* ${cuts}: 1; 2, the second while it is overcome; 3, the second while the catalog is made anew. */
static int
state_try(const struct run *r, const struct tape *t, uint64_t cut, uint64_t seed, unsigned cuts, struct err *e)
{
	char at[96], vault[128];
	unsigned steps = 0;
	uint64_t again;

	while (steps < STEPS && cut >= r->promised[steps])
		steps++;
	(void)snprintf(at, sizeof(at), "%s/crash", w.root);
	(void)snprintf(vault, sizeof(vault), "%s/vault", at);
	state_make(t, cut, seed, at, e);
	/* Seeds of the first cut are small numbers. */
	again = (seed * 1000003 + cut + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 24;
	switch (cuts) {
	case 1:
		return state_again(r, vault, steps, e);
	case 2:
		return state_cut_again(r, at, steps, again, e);
	default:
		return state_cut_anew(r, at, steps, again, e);
	}
}

static uint64_t
states_wanted(void)
{
	const char *s = getenv("SAMARA_CRASH_STATES");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 50 : 1000;
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
	unsigned cuts;
	char what[128];
	struct err e;

	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		state_pick(&r, t, i, n, &cut, &seed);
		cuts = i % TWICE != TWICE - 1 || stop_at_first ? 1 : i / TWICE % 2 == 0 || scene->start == -1 ? 2 : 3;
		if (state_try(&r, t, cut, seed, cuts, &e) == 0)
			continue;
		bad++;
		if (!stop_at_first || getenv("SAMARA_CRASH_TELL") != NULL)
			print_error("%u cuts, the first at %llu of %llu (%s; promised at %llu, %llu), seed %llu: %s\n", cuts, (unsigned long long)cut,
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
	assert_true(scene_try(&first_image, 0, 20000, 1) > 0);
	db_weaken(weak);
	assert_true(scene_try(&increment, 0, 20000, 1) > 0);
}

static void
a_catalog_with_synchronous_normal_is_caught(void **state)
{
	(void)state;
	/* Records heal most of what it loses, so it takes many states to see it: too many under sanitizers. */
	if (SAMARA_SANITIZED)
		skip();
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
