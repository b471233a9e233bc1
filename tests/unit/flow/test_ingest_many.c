#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/io_fault.h"
#include "common/flow/ingest_many.h"
#include "common/flow/vault_status.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* --- an operating system whose disks misbehave; by the path of what is read */

static struct io_ops odd;
static char odd_disk[96], odd_file[64];		/* on this disk, of this name */
static atomic_int odd_left;			/* so many reads there fail; -1: all */
static atomic_int odd_hits;
static off_t odd_from, odd_to;			/* those that touch this stretch */
static atomic_int other_done;			/* images that were taken in from elsewhere */
static pthread_mutex_t other_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t other_cond = PTHREAD_COND_INITIALIZER;
static uint64_t little_room;

static int
is_odd(int fd, size_t n, off_t at)
{
	char link[64], path[512];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((len = readlink(link, path, sizeof(path) - 1)) <= 0)
		return 0;
	path[len] = '\0';
	return strncmp(path, odd_disk, strlen(odd_disk)) == 0 && path[strlen(odd_disk)] == '/' &&
	    strstr(path, odd_file) != NULL && at < odd_to && at + (off_t)n > odd_from;
}

static ssize_t
failing_pread(int fd, void *buf, size_t n, off_t at)
{
	if (atomic_load(&odd_left) != 0 && is_odd(fd, n, at)) {
		(void)atomic_fetch_add(&odd_hits, 1);
		if (atomic_load(&odd_left) > 0)
			(void)atomic_fetch_sub(&odd_left, 1);
		errno = EIO;
		return -1;
	}
	return io_real()->pread(fd, buf, n, at);
}

/* Packs of the disk come only when all others are done. */
static ssize_t
waiting_pread(int fd, void *buf, size_t n, off_t at)
{
	if (is_odd(fd, n, at)) {
		(void)pthread_mutex_lock(&other_lock);
		while (atomic_load(&other_done) == 0)
			(void)pthread_cond_wait(&other_cond, &other_lock);
		(void)pthread_mutex_unlock(&other_lock);
		(void)atomic_fetch_add(&odd_hits, 1);
	}
	return io_real()->pread(fd, buf, n, at);
}

static int
little_fstatfs(int fd, struct statfs *fs)
{
	int rc = io_real()->fstatfs(fd, fs);

	fs->f_bavail = (__typeof__(fs->f_bavail))(little_room / (uint64_t)fs->f_bsize);
	return rc;
}

static void
misbehave(const struct site *s, unsigned disk, const char *file, int times)
{
	odd = *io_real();
	(void)snprintf(odd_disk, sizeof(odd_disk), "%s", s->disk[disk]);
	(void)snprintf(odd_file, sizeof(odd_file), "%s", file);
	odd_from = 0;
	odd_to = INT64_MAX;
	atomic_store(&odd_left, times);
	atomic_store(&odd_hits, 0);
	odd.pread = failing_pread;
	(void)io_use(&odd);
}

/* --- what is told */

struct told {
	unsigned images, failed, unclaimed;
	uint64_t bad;
	enum err_code code;
	const struct site *site;
	unsigned slow;
};

static void
told_image(void *arg, const struct vault *v, const char *disk, const struct ingest_result *r)
{
	struct told *t = arg;

	(void)v;
	t->images++;
	t->unclaimed += (unsigned)r->unclaimed;
	t->bad += r->chunks_bad;
	if (t->site != NULL && strcmp(disk, t->site->disk[t->slow]) != 0) {
		(void)pthread_mutex_lock(&other_lock);
		atomic_store(&other_done, 1);
		(void)pthread_cond_broadcast(&other_cond);
		(void)pthread_mutex_unlock(&other_lock);
	}
}

static void
told_failed(void *arg, const char *disk, const struct err *e)
{
	struct told *t = arg;

	(void)disk;
	t->failed++;
	t->code = e->code;
}

/* Take in the first ${n} disks of the site at once. */
static int
many(struct site *s, struct told *t, size_t n)
{
	const struct ingest_options o = { .jobs = 2, .memory = 100000000 };
	const struct ingest_many_told told = { t, told_image, told_failed };
	char *disks[SEED_DISKS];

	for (size_t i = 0; i < n; i++)
		disks[i] = s->disk[i];
	err_clear(&s->e);
	return ingest_many(NULL, s->root, disks, n, &o, &told, &s->e);
}

/* Image RM4K on two disks of 40 chunks each; the snapshot on the second, the manifest on both. */
static void
two_disks(struct site *s, struct seed_image *im)
{
	seed_image_make(im, &s->m, "RM4K");
	seed_disk(im, s->disk[0], 1, 0, 40);
	seed_disk(im, s->disk[1], 2, 40, 40);
	seed_snapshot(im, s->disk[1], 1, 0, 80);
	seed_manifest(im, s->disk[0], 1);
	seed_manifest(im, s->disk[1], 1);
}

static void
disks_of_one_image_come_in_at_once_into_the_vault_that_their_labels_name(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct seed_image im;

	two_disks(s, &im);
	assert_int_equal(many(s, &t, 2), 0);
	assert_int_equal(t.images, 2);
	assert_int_equal(t.failed, 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
one_disk_twice_at_once_comes_in_once(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct seed_image im;

	two_disks(s, &im);
	scratch_remove(s->disk[1]);
	assert_int_equal(symlink(s->disk[0], s->disk[1]), 0);
	assert_int_equal(many(s, &t, 2), 0);
	assert_int_equal(t.images, 2);
	assert_int_equal(t.bad, 0);
	assert_int_equal(site_image(s, &im), IMAGE_INGESTING);
	site_rebuild_agrees(s);
}

static void
a_slow_disk_does_not_hold_up_another(void **state)
{
	struct site *s = *state;
	struct told t = { .site = s, .slow = 0 };
	struct seed_image im;

	two_disks(s, &im);
	misbehave(s, 0, "/packs/", 0);
	atomic_store(&other_done, 0);
	odd.pread = waiting_pread;
	/* The slow one gives nothing until the other has ended: if that had to wait for it, this would never end. */
	assert_int_equal(many(s, &t, 2), 0);
	(void)io_use(io_real());
	assert_true(atomic_load(&odd_hits) >= 5);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
}

static void
a_read_that_fails_is_tried_again(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct seed_image im;

	two_disks(s, &im);
	misbehave(s, 0, "/packs/", 2);
	assert_int_equal(many(s, &t, 2), 0);
	(void)io_use(io_real());
	assert_int_equal(atomic_load(&odd_hits), 2);
	assert_int_equal(t.bad, 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
}

static void
a_bad_sector_costs_the_chunk_on_it_and_never_stops(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct seed_image im;
	int64_t missing = 0;

	two_disks(s, &im);
	misbehave(s, 0, "/00000001.pk", -1);
	odd_from = 4096;
	odd_to = 4097;
	assert_int_equal(many(s, &t, 2), 0);
	(void)io_use(io_real());
	assert_true(atomic_load(&odd_hits) > 1);
	assert_int_equal(t.failed, 0);
	assert_true(t.bad >= 1 && t.bad <= 2);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal(missing, t.bad);
	assert_int_equal(site_image(s, &im), IMAGE_GAP);
	site_rebuild_agrees(s);
	/* In another drive it reads well. */
	t.bad = 0;
	assert_int_equal(many(s, &t, 2), 0);
	assert_int_equal(t.bad, 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

/* From its third pack on, nothing of the disk can be read, its label neither. */
static ssize_t
vanishing_pread(int fd, void *buf, size_t n, off_t at)
{
	static char all[] = "/samara/";

	if (atomic_load(&odd_left) == 0 && is_odd(fd, n, at)) {
		(void)snprintf(odd_file, sizeof(odd_file), "%s", all);
		atomic_store(&odd_left, -1);
	}
	return failing_pread(fd, buf, n, at);
}

static void
a_disk_that_goes_away_is_no_gap_and_stops_no_other(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct seed_image im;

	two_disks(s, &im);
	misbehave(s, 0, "/00000002.pk", 0);
	odd.pread = vanishing_pread;
	assert_int_equal(many(s, &t, 2), -1);
	(void)io_use(io_real());
	assert_int_equal(s->e.code, ERR_IO);
	assert_non_null(strstr(s->e.msg, "is gone"));
	assert_int_equal(t.failed, 1);
	assert_int_equal(t.images, 1);
	assert_int_equal(t.bad, 0);
	/* What it still has to bring is promised as before. */
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_PENDING);
	assert_int_equal(many(s, &t, 2), 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
half_a_disk_is_taken_in_and_the_rest_is_counted(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct seed_image im;
	char from[256], to[256];
	int64_t missing = 0;

	two_disks(s, &im);
	(void)snprintf(to, sizeof(to), "%s/away", s->root);
	(void)snprintf(from, sizeof(from), "%s/samara/rm4k/packs/0000/00000003.pk", s->disk[0]);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(many(s, &t, 2), 0);
	assert_int_equal(t.bad, 8);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal(missing, 8);
	site_rebuild_agrees(s);
	assert_int_equal(rename(to, from), 0);
	t.bad = 0;
	assert_int_equal(many(s, &t, 2), 0);
	assert_int_equal(t.bad, 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
}

static void
what_all_disks_bring_must_fit_before_the_first_byte(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct ingest_options dry = { .dry_run = 1 };
	struct seed_image im;
	struct vault *v;

	two_disks(s, &im);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(ingest_disk(v, s->disk[0], &dry, site_done, s, &s->e), 0);
	vault_close(v);
	/* Room for one of them, not for both. */
	little_room = s->r.needed + s->r.needed / 2;
	odd = *io_real();
	odd.fstatfs = little_fstatfs;
	(void)io_use(&odd);
	assert_int_equal(many(s, &t, 2), -1);
	assert_int_equal(s->e.code, ERR_NO_SPACE);
	assert_int_equal(t.images, 0);
	assert_int_equal(site_image(s, &im), 0);
	assert_int_equal(many(s, &t, 1), 0);
	(void)io_use(io_real());
	assert_int_equal(t.images, 1);
}

static void
a_disk_of_an_unknown_vault_stops_no_other(void **state)
{
	struct site *s = *state;
	struct told t = { .images = 0 };
	struct credential c = s->c;
	struct seed_machine far;
	struct seed_image im, other;

	two_disks(s, &im);
	c.vault_id[0] ^= 1;
	seed_machine_make(&far, "far", &c);
	seed_image_make(&other, &far, "RM9X");
	seed_disk(&other, s->disk[2], 1, 0, 8);
	assert_int_equal(many(s, &t, 3), -1);
	assert_int_equal(s->e.code, ERR_NO_VAULT);
	assert_int_equal(t.failed, 1);
	assert_int_equal(t.images, 2);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	seed_machine_drop(&far);
}

#define FAULTS	12

/* One call of all that two disks at once take fails, once or from then on; how many calls there were. */
static uint64_t
fail_at(uint64_t nth, int every)
{
	const struct fault_plan plan = { FAULT_ANY, nth, every, EIO };
	struct told t = { .images = 0 };
	struct seed_image im;
	struct site *s;
	void *state;
	uint64_t calls;
	int rc;

	assert_int_equal(site_setup(&state), 0);
	s = state;
	two_disks(s, &im);
	fault_start(&plan);
	rc = many(s, &t, 2);
	fault_stop();
	calls = fault_count();
	assert_true(rc == 0 || s->e.code != ERR_NONE);
	assert_true(rc == 0 || t.failed > 0 || s->e.code == ERR_NO_SPACE);
	/* Whatever it was: the same disks make it whole. */
	assert_int_equal(many(s, &t, 2), 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
	assert_int_equal(site_teardown(&state), 0);
	return calls;
}

static void
any_call_may_fail_and_the_same_disks_make_it_whole(void **state)
{
	uint64_t all = fail_at(0, 0);

	(void)state;
	assert_true(all > 1000);
	for (uint64_t i = 0; i < FAULTS; i++)
		(void)fail_at(1 + i * all / FAULTS, i % 3 == 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(disks_of_one_image_come_in_at_once_into_the_vault_that_their_labels_name),
		T(one_disk_twice_at_once_comes_in_once),
		T(a_slow_disk_does_not_hold_up_another),
		T(a_read_that_fails_is_tried_again),
		T(a_bad_sector_costs_the_chunk_on_it_and_never_stops),
		T(a_disk_that_goes_away_is_no_gap_and_stops_no_other),
		T(half_a_disk_is_taken_in_and_the_rest_is_counted),
		T(what_all_disks_bring_must_fit_before_the_first_byte),
		T(a_disk_of_an_unknown_vault_stops_no_other),
		cmocka_unit_test(any_call_may_fail_and_the_same_disks_make_it_whole),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
