/*
 * Power cuts at the vault: while one is made, while a disk is taken in, while
 * the catalog is made anew.  The same command again ends well in every state,
 * and what was promised is there in every state after the promise.
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
#include "common/pack/pack_view.h"
#include "common/store/store.h"
#include "flow/vault_site.h"

#define CHUNKS	40

/* One kind of run: what is taped, and what must hold in a state of it. */
struct scene {
	int (*run)(struct site *s);
	int (*check)(struct site *s, int promised, struct err *e);
	void (*before)(struct site *s);
	void (*after)(struct site *s);	/* the tape has stopped: what is true now stays true */
};

static char *reference;		/* what the catalog said when the run had ended */

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

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 40 : 1300;
}

/* As site_dump, but answers with an error; what records say and the catalog does not know yet is applied first. */
static char *
dump_now(struct site *s, struct err *e)
{
	struct vault *v = vault_open(s->vault, VAULT_NO_KEY, e);
	char *text = NULL;
	struct buf b;
	size_t len;

	if (v == NULL)
		return NULL;
	buf_init(&b);
	if (vault_begin(v, e) == 0 && vault_commit(v, e) == 0 && catalog_dump(v->catalog, site_line, &b, e) == 0)
		text = (char *)buf_take(&b, &len);
	buf_release(&b);
	vault_close(v);
	return text;
}

static int
dump_is_reference(struct site *s, struct err *e)
{
	char *text = dump_now(s, e);
	int same = text != NULL && strcmp(text, reference) == 0;

	if (text != NULL && !same)
		(void)err_set(e, ERR_DIFFERENT, "the catalog gives other answers than were promised");
	free(text);
	return same ? 0 : -1;
}

/* Every pack under its final name is whole. */
static int
pack_is_whole(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct site *s = arg;
	struct store *st = store_dir_open(s->vault, 0, e);
	size_t got, off = PACK_HEAD_LEN;
	struct pack_view v;
	uint8_t *bytes;
	int rc;

	(void)len;
	if (st == NULL)
		return -1;
	if ((rc = store_read(st, name, PACK_LEN_MAX, &bytes, &got, e)) == 0) {
		rc = pack_view_bytes(&v, bytes, got, NULL, NULL, e);
		for (uint32_t i = 0; rc == 0 && i < v.table.count; i++) {
			struct pack_row row;

			pack_table_row(&v.table, i, &row);
			if (pack_frame_check(&row, bytes + off, v.foot.domain_id, PACK_FULL) != NULL)
				rc = err_set(e, ERR_DAMAGE, "a frame of %s", name);
			off += row.len;
		}
		free(bytes);
	}
	st->ops->free(st);
	return rc == 0 ? 0 : err_during(e, "%s has its final name and is not whole", name);
}

static int
packs_are_whole(struct site *s, struct err *e)
{
	struct store *st = store_dir_open(s->vault, 0, e);
	int rc;

	if (st == NULL)
		return -1;
	rc = st->ops->list(st, "packs/", "", pack_is_whole, s, e);
	st->ops->free(st);
	return rc;
}

/* A rebuild gives the answers that the catalog gives. */
static int
rebuild_agrees(struct site *s, struct err *e)
{
	char *was = dump_now(s, e), *is = NULL;
	struct rebuild_result r;
	int rc = -1;

	if (was != NULL && vault_rebuild(s->vault, &r, e) == 0 && (is = dump_now(s, e)) != NULL)
		rc = strcmp(was, is) == 0 ? 0 : err_set(e, ERR_DIFFERENT, "a rebuild gives other answers");
	free(was);
	free(is);
	return rc;
}

/* -------------------------------------------------------------- taking in a disk */

static void
disk_make(struct site *s)
{
	struct seed_image im;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, CHUNKS);
	seed_snapshot(&im, s->disk[0], 1, 0, CHUNKS);
	seed_manifest(&im, s->disk[0], 1);
}

/* A disk half of whose packs are mostly held: re-packing is taped too. */
static void
two_disks_make(struct site *s)
{
	struct seed_image im;

	disk_make(s);
	assert_int_equal(site_ingest(s, 0), 0);
	seed_image_make(&im, &s->m, "RM4L");
	seed_disk(&im, s->disk[1], 1, CHUNKS - 5, 8);
	seed_disk(&im, s->disk[1], 1, CHUNKS - 5, 8 + 16);
	im.ndisks = 1;
	memcpy(im.statements[0], im.statements[1], DIGEST_LEN);
	seed_snapshot(&im, s->disk[1], 2, 0, CHUNKS + 16);
	seed_manifest(&im, s->disk[1], 1);
}

static void
reference_take(struct site *s)
{
	free(reference);
	reference = site_dump(s);
}

static int
ingest_first(struct site *s)
{
	return site_ingest(s, 0);
}

static int
ingest_second(struct site *s)
{
	return site_ingest(s, 1);
}

static int
ingest_check(struct site *s, unsigned disk, int64_t seq, int promised, struct err *e)
{
	if (packs_are_whole(s, e) != 0 || (promised && dump_is_reference(s, e) != 0))
		return -1;
	if (site_ingest(s, disk) != 0) {
		*e = s->e;
		return err_during(e, "again");
	}
	if (s->r.unclaimed || s->r.chunks_bad > 0 || site_snapshot(s, seq, NULL) != SNAPSHOT_WHOLE)
		return err_set(e, ERR_DIFFERENT, "after the same command again the snapshot is not whole (%s)", s->r.why);
	return packs_are_whole(s, e) != 0 ? -1 : rebuild_agrees(s, e);
}

static int
ingest_first_check(struct site *s, int promised, struct err *e)
{
	return ingest_check(s, 0, 1, promised, e);
}

static int
ingest_second_check(struct site *s, int promised, struct err *e)
{
	return ingest_check(s, 1, 2, promised, e);
}

/* ------------------------------------------------------------------ a rebuild */

static void
vault_fill(struct site *s)
{
	disk_make(s);
	assert_int_equal(site_ingest(s, 0), 0);
}

static int
rebuild(struct site *s)
{
	struct rebuild_result r;

	err_clear(&s->e);
	return vault_rebuild(s->vault, &r, &s->e);
}

static int
rebuild_check(struct site *s, int promised, struct err *e)
{
	char *text = dump_now(s, e);

	if (text == NULL && (promised || e->code != ERR_CATALOG))
		return -1;
	if (text != NULL && strcmp(text, reference) != 0) {
		free(text);
		return err_set(e, ERR_DIFFERENT, "a catalog with other answers is in force");
	}
	free(text);
	err_clear(e);
	if (rebuild(s) != 0) {
		*e = s->e;
		return err_during(e, "again");
	}
	return dump_is_reference(s, e);
}

/* ------------------------------------------------------------------ a creation */

static int
create(struct site *s)
{
	struct vault_create o = { .name = "demo", .redundancy = REDUNDANCY_LOCAL };

	err_clear(&s->e);
	return vault_create(s->vault, &o, &s->e);
}

static void
vault_take_away(struct site *s)
{
	int fd = open(s->vault, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, &s->e), 0);
	(void)close(fd);
}

static int
create_check(struct site *s, int promised, struct err *e)
{
	struct vault *v;
	int rc = create(s);

	if (rc != 0 && s->e.code != ERR_VAULT_EXISTS) {
		*e = s->e;
		return err_during(e, "again");
	}
	if (promised && rc == 0)
		return err_set(e, ERR_DIFFERENT, "it was said to be made and was not there");
	/* It is one that works. */
	if ((v = vault_open(s->vault, 0, e)) == NULL)
		return err_during(e, "%s, then", rc == 0 ? "made anew" : s->e.msg);
	vault_close(v);
	return rebuild_agrees(s, e);
}

/* ----------------------------------------------------------------------- all */

static int
state_try(struct site *s, const struct scene *k, const struct tape *t, uint64_t cut, uint64_t seed, uint64_t promised,
    struct err *e)
{
	struct site there = *s;
	int fd;

	(void)snprintf(there.vault, sizeof(there.vault), "%s/crash/vault", s->root);
	fd = open(there.vault, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(crash_clear(fd, e), 0);
	assert_int_equal(crash_make(t, cut, seed, fd, e), 0);
	(void)close(fd);
	return k->check(&there, cut >= promised, e);
}

static uint64_t
tape_and_try(struct site *s, const struct scene *k, unsigned bugs, uint64_t n, int stop_at_first)
{
	struct io_ops quick = *io_real();
	const struct io_ops *before;
	uint64_t cut, seed, promised, bad = 0;
	char at[96], what[128];
	struct tape *t;
	struct err e;

	err_clear(&e);
	/* Not beside the vault: names of vaults are unique in a directory. */
	(void)snprintf(at, sizeof(at), "%s/crash/vault", s->root);
	assert_int_equal(dir_make(AT_FDCWD, at, 0755, &e), 0);
	k->before(s);
	if ((t = tape_start(s->vault, bugs, &e)) == NULL)
		fail_msg("%s", e.msg);
	if (k->run(s) != 0)
		fail_msg("%s", s->e.msg);
	promised = tape_length(t);
	tape_stop(t);
	k->after(s);
	db_weaken(0);
	quick.fsync = no_fsync;
	before = io_use(&quick);
	for (uint64_t i = 0; i < n && !(bad > 0 && stop_at_first); i++) {
		err_clear(&e);
		crash_pick(t, i, n, &cut, &seed);
		if (state_try(s, k, t, cut, seed, promised, &e) == 0)
			continue;
		bad++;
		if (!stop_at_first)
			print_error("cut %llu of %llu (%s), seed %llu: %s\n", (unsigned long long)cut, (unsigned long long)promised,
			    cut > 0 ? tape_describe(t, cut - 1, what, sizeof(what)) : "start", (unsigned long long)seed, e.msg);
	}
	(void)io_use(before);
	print_message("%llu operations, %llu states\n", (unsigned long long)promised, (unsigned long long)n);
	tape_free(t);
	return bad;
}

static const struct scene first_disk = { ingest_first, ingest_first_check, disk_make, reference_take };
static const struct scene second_disk = { ingest_second, ingest_second_check, two_disks_make, reference_take };
static const struct scene rebuilding = { rebuild, rebuild_check, vault_fill, reference_take };
static const struct scene creating = { create, create_check, vault_take_away, reference_take };

static void
every_power_cut_during_an_ingest_is_overcome(void **state)
{
	assert_int_equal(tape_and_try(*state, &first_disk, 0, states_wanted(), 0), 0);
}

static void
every_power_cut_while_packs_are_repacked_is_overcome(void **state)
{
	assert_int_equal(tape_and_try(*state, &second_disk, 0, states_wanted() / 2, 0), 0);
}

static void
every_power_cut_during_a_rebuild_is_overcome(void **state)
{
	assert_int_equal(tape_and_try(*state, &rebuilding, 0, states_wanted() / 2, 0), 0);
}

static void
every_power_cut_while_a_vault_is_made_is_overcome(void **state)
{
	assert_int_equal(tape_and_try(*state, &creating, 0, states_wanted() / 4, 0), 0);
}

/* The harness is worth nothing if it does not find what is wrong on purpose. */
static void
a_missing_sync_of_files_is_caught(void **state)
{
	assert_true(tape_and_try(*state, &first_disk, TAPE_DROP_FILE_SYNC, 3000, 1) > 0);
}

static void
a_missing_sync_of_directories_is_caught(void **state)
{
	assert_true(tape_and_try(*state, &first_disk, TAPE_DROP_DIR_SYNC, 3000, 1) > 0);
}

static void
a_sync_after_the_rename_is_caught(void **state)
{
	assert_true(tape_and_try(*state, &first_disk, TAPE_SYNC_AFTER_RENAME, 3000, 1) > 0);
}

static void
a_catalog_with_synchronous_normal_is_caught(void **state)
{
	if (SAMARA_SANITIZED)
		skip();		/* many states, as in test_crash_vault.c */
	db_weaken(1);
	assert_true(tape_and_try(*state, &first_disk, 0, 9000, 1) > 0);
}

static int
teardown(void **state)
{
	db_weaken(0);
	free(reference);
	reference = NULL;
	return site_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(x) cmocka_unit_test_setup_teardown(x, site_setup, teardown)
		T(every_power_cut_during_an_ingest_is_overcome),
		T(every_power_cut_while_packs_are_repacked_is_overcome),
		T(every_power_cut_during_a_rebuild_is_overcome),
		T(every_power_cut_while_a_vault_is_made_is_overcome),
		T(a_missing_sync_of_files_is_caught),
		T(a_missing_sync_of_directories_is_caught),
		T(a_sync_after_the_rename_is_caught),
		T(a_catalog_with_synchronous_normal_is_caught),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	runs_resize(10, 2);	/* so small that they are made and merged here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
