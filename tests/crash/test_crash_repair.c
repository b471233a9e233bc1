/*
 * Power cuts while a repaired copy of a damaged disk is written: whatever one
 * leaves, either nothing takes it for a disk, or it is the disk as it was.
 * What was said to be written is there in every state after that.
 *
 * SAMARA_CRASH_STATES in the environment sets how many states are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/io_crash.h"
#include "common/base/io_tape.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/flow/verify.h"
#include "flow/hurt.h"
#include "tests/crash/vault_world.h"

static uint64_t
states_wanted(void)
{
	const char *s = getenv("SAMARA_CRASH_STATES");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 40 : 2500;
}

static void
untold(void *arg, const struct finding *f)
{
	(void)arg, (void)f;
}

/* Every file below ${a}, labels apart, is below ${b} with the same bytes: 0, or -1 with ${e}. */
static int
same_files(const char *a, const char *b, struct err *e)
{
	DIR *d = opendir(a);
	uint8_t *x, *y;
	struct dirent *n;
	struct stat st;
	size_t nx, ny;
	char one[512], two[512];
	int rc = d == NULL ? err_set(e, ERR_DIFFERENT, "no directory %s", a) : 0;

	while (rc == 0 && (n = readdir(d)) != NULL) {
		if (n->d_name[0] == '.' || strncmp(n->d_name, "label", 5) == 0)	/* one of the two is whole: enough */
			continue;
		(void)snprintf(one, sizeof(one), "%.240s/%.240s", a, n->d_name);
		(void)snprintf(two, sizeof(two), "%.240s/%.240s", b, n->d_name);
		if (stat(one, &st) == 0 && S_ISDIR(st.st_mode)) {
			rc = same_files(one, two, e);
			continue;
		}
		if (file_read(AT_FDCWD, one, 64u << 20, &x, &nx, e) != 0)
			rc = -1;
		else if (file_read(AT_FDCWD, two, 64u << 20, &y, &ny, e) != 0) {
			free(x);
			rc = -1;
		} else {
			if (nx != ny || memcmp(x, y, nx) != 0)
				rc = err_set(e, ERR_DIFFERENT, "%s is not what it was", two);
			free(x);
			free(y);
		}
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

/* Whether anything would take what is below ${at} for a disk: one of its labels is whole. */
static int
is_disk(const char *was, const char *at)
{
	char path[512];
	uint8_t *want, *have;
	size_t n, got;
	int found = 0;
	struct err e;

	err_clear(&e);
	(void)snprintf(path, sizeof(path), "%.400s/rm4k/label", was);
	assert_int_equal(file_read(AT_FDCWD, path, 1u << 16, &want, &n, &e), 0);
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%.400s/to/samara/rm4k/label%s", at, i == 0 ? "" : "2");
		if (file_read(AT_FDCWD, path, 1u << 16, &have, &got, &e) == 0) {
			found |= got == n && memcmp(have, want, n) == 0;
			free(have);
		}
	}
	free(want);
	return found;
}

static int
state_try(const struct tape *t, uint64_t cut, uint64_t seed, uint64_t promised, const char *was, const char *at, struct err *e)
{
	char copy[512];
	int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, e), 0);
	assert_int_equal(crash_make(t, cut, seed, fd, e), 0);
	(void)close(fd);
	if (!is_disk(was, at))
		return cut < promised ? 0 : err_set(e, ERR_DIFFERENT, "it was said to be written and is not");
	(void)snprintf(copy, sizeof(copy), "%.400s/to/samara", at);
	return same_files(was, copy, e);
}

/* Tape the repair of a damaged disk and try ${n} states of it; how many are bad. */
static uint64_t
tape_and_try(struct site *s, unsigned bugs, uint64_t n, int stop_at_first)
{
	char was[96], out[96], to[128], at[96], samara[128], what[128];
	const char *paths[1] = { s->disk[0] };
	struct verify_options o = { .workers = 1, .memory = 200u << 20, .repair_to = to, .fn = untold };
	uint64_t cut, seed, promised, bad = 0;
	struct verify_result r;
	struct tape *t;
	struct hurt h;
	struct err e;

	err_clear(&e);
	(void)snprintf(was, sizeof(was), "%s/was", s->root);
	(void)snprintf(out, sizeof(out), "%s/out", s->root);
	(void)snprintf(to, sizeof(to), "%s/to", out);
	(void)snprintf(at, sizeof(at), "%s/crash", s->root);
	(void)snprintf(samara, sizeof(samara), "%s/samara", was);
	hurt_disk(&h, s, 12, 3, 20);		/* one group, three of parity */
	world_copy(s->disk[0], was);
	hurt_unlink(&h, 2, 0);
	hurt_pack(&h, 7, 500, 30);
	hurt_unlink(&h, 1, 1);			/* of parity */
	hurt_bytes(&h, "label", 30, 3);
	hurt_bytes(&h, "stmt2", 30, 3);
	assert_int_equal(mkdir(out, 0755), 0);
	assert_int_equal(mkdir(at, 0755), 0);
	if ((t = tape_start(out, bugs, &e)) == NULL || verify_disks(paths, 1, &o, &r, &e) != 0)
		fail_msg("%s", e.msg);
	promised = tape_length(t);
	tape_stop(t);
	assert_int_equal(r.packs_lost, 0);
	assert_int_equal(r.packs_repaired, 2);
	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		crash_pick(t, i, n, &cut, &seed);
		if (state_try(t, cut, seed, promised, samara, at, &e) == 0)
			continue;
		bad++;
		if (!stop_at_first)
			print_error("cut %llu of %llu (%s), seed %llu: %s\n", (unsigned long long)cut, (unsigned long long)promised,
			    cut > 0 ? tape_describe(t, cut - 1, what, sizeof(what)) : "start", (unsigned long long)seed, e.msg);
	}
	print_message("%llu operations, %llu states\n", (unsigned long long)promised, (unsigned long long)n);
	tape_free(t);
	return bad;
}

static void
every_power_cut_leaves_no_disk_or_a_whole_one(void **state)
{
	assert_int_equal(tape_and_try(*state, 0, states_wanted(), 0), 0);
}

/* The harness is worth nothing if it does not find what is wrong on purpose. */
static void
a_missing_sync_of_files_is_caught(void **state)
{
	assert_true(tape_and_try(*state, TAPE_DROP_FILE_SYNC, 3000, 1) > 0);
}

static void
a_missing_sync_of_directories_is_caught(void **state)
{
	assert_true(tape_and_try(*state, TAPE_DROP_DIR_SYNC, 3000, 1) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)
		T(every_power_cut_leaves_no_disk_or_a_whole_one),
		T(a_missing_sync_of_files_is_caught),
		T(a_missing_sync_of_directories_is_caught),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
