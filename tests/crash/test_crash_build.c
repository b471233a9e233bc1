/*
 * Power cuts during a build: every state that one could have left is found out
 * by the next run, which goes on and ends in an image that is whole.  What was
 * said to be sealed is sealed in every state after that.
 *
 * SAMARA_CRASH_STATES in the environment sets how many states are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/base/io_crash.h"
#include "common/base/io_tape.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/flow/build.h"
#include "common/flow/image_state.h"
#include "tests/crash/image_reader.h"
#include "flow/machine_maker.h"

#define FILES	60

struct world {
	struct machine_maker m;
	char live[96], src[96], image[8];	/* live: state and disk; src: outside of what is taped */
	unsigned sealed;		/* images sealed before the tape began */
};

/* Power cuts are simulated: asking the real disk would only take time. */
static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

static void
source_make(struct world *w, unsigned salt)
{
	char path[160];
	uint8_t *bytes = malloc(700000);
	uint32_t x = 12345 + salt;
	struct err e;

	for (unsigned i = 0; i < FILES; i++) {
		size_t n = i == 7 ? 600000 : i == 30 ? 200000 : (i * 379) % 9000;

		for (size_t k = 0; k < n; k++) {
			x = x * 1103515245 + 12345;
			bytes[k] = (uint8_t)(x >> 16);
		}
		snprintf(path, sizeof(path), "%s/d%u", w->src, i % 5);
		(void)mkdir(path, 0755);
		snprintf(path, sizeof(path), "%s/d%u/f%03u", w->src, i % 5, i);
		assert_int_equal(file_replace(AT_FDCWD, path, bytes, n, 0644, &e), 0);
	}
	free(bytes);
}

static void
world_make(struct world *w)
{
	struct err e;
	char path[160];

	err_clear(&e);
	machine_maker_start(&w->m);
	snprintf(w->live, sizeof(w->live), "%s/live", w->m.root);
	snprintf(w->src, sizeof(w->src), "%s/src", w->m.root);
	assert_int_equal(mkdir(w->live, 0755), 0);
	assert_int_equal(mkdir(w->src, 0755), 0);
	snprintf(path, sizeof(path), "%s/disk", w->live);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(w->m.state, sizeof(w->m.state), "%.80s/state", w->live);
	assert_int_equal(machine_maker_register(&w->m, &e), 0);
	source_make(w, 0);
}

/* Build, or go on: whatever the state at ${at} asks for.  The image's name comes back. */
static int
build_at(struct world *w, const char *at, bool first, struct err *e)
{
	char state[160], disk[160];
	const char *paths[1] = { w->src }, *where = disk;
	struct build_options o = { .state_path = state, .disks = &where, .ndisks = 1, .parity = -1, .reserve = UINT64_MAX, .paths = paths, .npaths = 1, .level = 1, .workers = 2,
	    .memory = 300u << 20, .plain_directory = true, .no_key_test = true };
	struct build_report r;
	int rc;

	snprintf(state, sizeof(state), "%s/state", at);
	snprintf(disk, sizeof(disk), "%s/disk", at);
	if (!first) {
		o.resume = true;
		rc = build_run(&o, &r, e);
		if (rc == 0 || e->code != ERR_NO_IMAGE) {
			memcpy(w->image, r.short_name, 5);
			return rc;
		}
		err_clear(e);
		o.resume = false;
	}
	rc = build_run(&o, &r, e);
	memcpy(w->image, r.short_name, 5);
	return rc;
}

/* Whether the taped image is sealed in a state directory: one more than before; the newest. */
static bool
sealed_at(struct world *w, const char *at)
{
	char path[160];
	struct image_state *im;
	struct state *s;
	struct err e;
	char **names;
	size_t n;
	uint64_t newest = 0;
	unsigned found = 0;

	err_clear(&e);
	snprintf(path, sizeof(path), "%s/state", at);
	if ((s = state_open(path, &e)) == NULL)
		return false;
	if (state_images(s, &names, &n, &e) == 0) {
		for (size_t i = 0; i < n; i++) {
			if ((im = image_state_load(s, names[i], NULL, NULL, &e)) == NULL)
				continue;
			found += im->sealed;
			if (im->sealed && im->envelope.seq > newest) {
				newest = im->envelope.seq;
				memcpy(w->image, im->begin.short_name, 5);
			}
			image_state_free(im);
		}
		dir_list_free(names, n);
	}
	state_free(s);
	return found > w->sealed;
}

/* One state: 0 if all that must hold holds. */
static int
state_try(struct world *w, const struct tape *t, uint64_t cut, uint64_t seed, uint64_t promised, const char *at, struct err *e)
{
	char state[160], disk[160];
	const char *where = disk;
	int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, e), 0);
	assert_int_equal(crash_make(t, cut, seed, fd, e), 0);
	close(fd);
	snprintf(state, sizeof(state), "%s/state", at);
	snprintf(disk, sizeof(disk), "%s/disk", at);
	if (!sealed_at(w, at)) {
		if (cut >= promised)
			return err_set(e, ERR_DIFFERENT, "it was said to be sealed and is not");
		rc = build_at(w, at, false, e);
	}
	return rc != 0 ? err_during(e, "go on") : image_compare(state, w->image, &where, 1, w->src, e);
}

static uint64_t
states_wanted(void)
{
	const char *s = getenv("SAMARA_CRASH_STATES");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 45 : 2000;
}

/* Tape a build and try ${n} states of it; how many fail. */
static uint64_t
tape_and_try(struct world *w, unsigned bugs, uint64_t n, bool stop_at_first)
{
	struct io_ops quick = *io_real();
	const struct io_ops *before;
	char at[96], what[128];
	uint64_t cut, seed, promised, bad = 0;
	struct tape *t;
	struct err e;

	err_clear(&e);
	snprintf(at, sizeof(at), "%s/crash", w->m.root);
	assert_int_equal(mkdir(at, 0755), 0);
	if ((t = tape_start(w->live, bugs, &e)) == NULL)
		fail_msg("%s", e.msg);
	if (build_at(w, w->live, true, &e) != 0)
		fail_msg("%s", e.msg);
	promised = tape_length(t);
	tape_stop(t);
	quick.fsync = no_fsync;
	before = io_use(&quick);
	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		crash_pick(t, i, n, &cut, &seed);
		if (state_try(w, t, cut, seed, promised, at, &e) == 0)
			continue;
		bad++;
		if (bugs == 0)
			print_error("cut %llu of %llu (%s), seed %llu: %s\n", (unsigned long long)cut, (unsigned long long)promised,
			    cut > 0 ? tape_describe(t, cut - 1, what, sizeof(what)) : "start", (unsigned long long)seed, e.msg);
	}
	(void)io_use(before);
	print_message("%llu operations, %llu states\n", (unsigned long long)promised, (unsigned long long)n);
	tape_free(t);
	return bad;
}

static void
every_power_cut_during_a_build_leads_to_the_same_image(void **state)
{
	struct world w;

	(void)state;
	memset(&w, 0, sizeof(w));
	world_make(&w);
	assert_int_equal(tape_and_try(&w, 0, states_wanted(), false), 0);
	machine_maker_end(&w.m);
}

static void
every_power_cut_during_an_increment_leads_to_the_same_image(void **state)
{
	struct world w;
	struct err e;

	(void)state;
	err_clear(&e);
	memset(&w, 0, sizeof(w));
	world_make(&w);
	assert_int_equal(build_at(&w, w.live, true, &e), 0);
	w.sealed = 1;
	source_make(&w, 99);
	assert_int_equal(tape_and_try(&w, 0, states_wanted() / 3, false), 0);
	machine_maker_end(&w.m);
}

/* The harness is worth nothing if it does not find what is wrong on purpose. */
static void
bug_is_caught(unsigned bug)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	world_make(&w);
	assert_true(tape_and_try(&w, bug, 3000, true) > 0);
	machine_maker_end(&w.m);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_power_cut_during_a_build_leads_to_the_same_image),
		cmocka_unit_test(every_power_cut_during_an_increment_leads_to_the_same_image),
		cmocka_unit_test(a_missing_sync_of_files_is_caught),
		cmocka_unit_test(a_missing_sync_of_directories_is_caught),
		cmocka_unit_test(a_sync_after_the_rename_is_caught),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
