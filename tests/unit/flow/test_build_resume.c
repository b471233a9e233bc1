/* Builds that were stopped and go on: what they leave, what they read again, what they may lean on. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "flow/build_maker.h"
#include "common/disk/image_dir.h"
#include "common/flow/image_cancel.h"
#include "common/flow/journal.h"

#define HOUR	3600

/* An io table with a later clock (nothing is too fresh) that asks to stop while a file is read. */
static struct {
	const struct io_ops *real;
	const char *stop_at;		/* name of the file whose opening asks; NULL: nobody asks */
	const char *between;		/* when a file whose name begins so is opened, once: */
	void (*what)(void);
	_Atomic unsigned opened;	/* files of the source */
} med;

static int
med_open(int dirfd, const char *path, int flags, mode_t mode)
{
	if ((flags & O_NOATIME) != 0 && (flags & O_DIRECTORY) == 0) {	/* as only files of the source are opened */
		med.opened++;
		if (med.stop_at != NULL && strcmp(path, med.stop_at) == 0)
			stop_ask();
	}
	if (med.between != NULL && strncmp(path, med.between, strlen(med.between)) == 0) {
		med.between = NULL;
		med.what();
	}
	return med.real->open(dirfd, path, flags, mode);
}

static int
med_clock(clockid_t id, struct timespec *ts)
{
	int rc = med.real->clock_gettime(id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += HOUR;
	return rc;
}

static int
build_until(struct build_maker *b, const char *stop_at)
{
	struct io_ops ops = *io;
	int rc;

	ops.open = med_open;
	ops.clock_gettime = med_clock;
	med.stop_at = stop_at;
	med.opened = 0;
	med.real = io_use(&ops);
	rc = build_maker_run(b);
	(void)io_use(med.real);
	stop_reset();
	return rc;
}

static void
built(struct build_maker *b)
{
	if (build_until(b, NULL) != 0)
		fail_msg("%s", b->e.msg);
}

static void
disk_take(struct build_maker *b, char path[200], const char *name)
{
	snprintf(path, 200, "%s/%s", b->m.root, name);
	assert_int_equal(mkdir(path, 0755), 0);
	b->disks[0] = path;
}

static void
image_give_up(struct build_maker *b, const char *name)
{
	struct state *s = state_open(b->m.state, &b->e);
	struct image_cancel c;

	assert_non_null(s);
	assert_int_equal(image_cancel(s, name, false, &c, &b->e), 0);
	image_cancel_release(&c);
	state_free(s);
}

/* All of the snapshot opens from these disks alone. */
static void
is_whole_from(struct build_maker *b, const char *disk)
{
	const char *disks[1] = { disk };
	struct image_text t;

	if (image_text_read(&t, b->m.state, b->r.short_name, disks, 1, &b->e) != 0)
		fail_msg("%s", b->e.msg);
	image_text_free(&t);
}

static void
a_few_files(struct build_maker *b)
{
	build_maker_file(b, "a-small", 3000, 1);
	build_maker_file(b, "b-big", 3000000, 2);
	build_maker_file(b, "c-long", 40u << 20, 3);	/* its extents stand in chunks of their own */
}

static void
a_stop_ends_the_reading_of_a_big_file(void **state)
{
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	build_maker_file(&b, "only", 200u << 20, 1);
	b.o.workers = 1;
	assert_int_equal(build_until(&b, "only"), -1);
	assert_int_equal(b.e.code, ERR_INTERRUPTED);
	assert_true(b.r.result.stored_bytes < 100u << 20);
	assert_int_equal(b.r.seq, 0);
	b.o.resume = true;
	b.o.npaths = 0;
	built(&b);
	is_whole_from(&b, b.disk);
	build_maker_end(&b);
}

static void
what_a_given_up_image_carried_is_read_again_by_a_build_that_had_begun(void **state)
{
	char second[200], first[SHORT_LEN + 1];
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	built(&b);
	memcpy(first, b.r.short_name, sizeof(first));
	build_maker_file(&b, "z-new", 3000000, 4);
	disk_take(&b, second, "disk2");
	assert_int_equal(build_until(&b, "z-new"), -1);
	assert_int_equal(b.e.code, ERR_INTERRUPTED);
	image_give_up(&b, first);
	b.o.resume = true;
	b.o.npaths = 0;
	built(&b);
	is_whole_from(&b, second);
	build_maker_end(&b);
}

static void
giving_up_one_image_does_not_make_others_read_everything(void **state)
{
	char second[200], third[200];
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	built(&b);
	build_maker_file(&b, "z-new", 3000000, 4);
	disk_take(&b, second, "disk2");
	assert_int_equal(build_until(&b, "z-new"), -1);
	image_give_up(&b, b.r.short_name);
	disk_take(&b, third, "disk3");
	built(&b);
	assert_int_equal(med.opened, 1);
	assert_int_equal(b.r.result.unchanged, 3);
	build_maker_end(&b);
}

/* Not all file systems keep the order of renames. */
static void
packs_published_before_a_power_cut_are_taken_over_also_behind_a_gap(void **state)
{
	char from[300], to[300], name[SHORT_LEN + 1], pack[IMAGE_NAME_MAX];
	struct image_state *im;
	struct build_maker b;
	uint8_t *bytes;
	struct state *s;
	size_t len;

	(void)state;
	build_maker_start(&b);
	build_maker_file(&b, "a-first", 20u << 20, 1);
	build_maker_file(&b, "b-second", 60u << 20, 2);
	b.o.workers = 1;	/* the first is stored before the second is opened */
	assert_int_equal(build_until(&b, "b-second"), -1);
	assert_non_null(s = state_open(b.m.state, &b.e));
	assert_non_null(im = image_state_load(s, b.r.short_name, NULL, NULL, &b.e));
	assert_true(im->packs > 0);
	for (size_t i = 0; i <= SHORT_LEN; i++)
		name[i] = im->name[i];
	image_name_pack(pack, 0);
	snprintf(from, sizeof(from), "%s/samara/%s/%s", b.disk, name, pack);
	image_name_pack(pack, image_disk(im, 1)->next_pack + 1);
	snprintf(to, sizeof(to), "%s/samara/%s/%s", b.disk, name, pack);
	assert_int_equal(file_read(AT_FDCWD, from, 1u << 30, &bytes, &len, &b.e), 0);
	assert_int_equal(file_replace(AT_FDCWD, to, bytes, len, 0644, &b.e), 0);
	free(bytes);
	image_state_free(im);
	state_free(s);
	b.o.resume = true;
	b.o.npaths = 0;
	built(&b);
	is_whole_from(&b, b.disk);
	build_maker_end(&b);
}

/* --- what happens between two steps of a build --- */

static struct build_maker *other;

/* A byte of the second copy of the reference list turns on the medium. */
static void
list_spoils(void)
{
	char command[300];

	snprintf(command, sizeof(command), "printf x | dd of=$(echo %s/samara/*/snap2/00000000.r00) bs=1 seek=100 conv=notrunc"
	    " status=none", other->disk);
	assert_int_equal(system(command), 0);
}

static void
a_reference_list_that_comes_back_changed_is_found_before_the_disk_is_released(void **state)
{
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	other = &b;
	med.between = "index/";		/* it is written behind the snapshot, and before anything is read back */
	med.what = list_spoils;
	assert_int_equal(build_until(&b, NULL), -1);
	assert_null(med.between);
	assert_int_equal(b.e.code, ERR_MEDIUM);
	assert_false(b.r.sealed);
	build_maker_end(&b);
}

/* A whole build of another set, to its own disk. */
static void
other_set_builds(void)
{
	struct build_options o = other->o;
	struct build_report r;
	char disk[200];
	const char *where = disk;
	struct err e;

	err_clear(&e);
	snprintf(disk, sizeof(disk), "%s/other", other->m.root);
	assert_int_equal(mkdir(disk, 0755), 0);
	o.disks = &where;
	o.set = "other";
	if (build_run(&o, &r, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.seq, 2);
}

static void
the_trust_state_never_goes_back(void **state)
{
	struct build_maker b;
	struct state *s;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	other = &b;
	med.between = ".00000001.use";	/* behind the number, before the trust state */
	med.what = other_set_builds;
	built(&b);
	assert_null(med.between);
	assert_int_equal(b.r.seq, 1);
	assert_non_null(s = state_open(b.m.state, &b.e));
	assert_int_equal(s->trust.last_seq, 2);
	state_free(s);
	build_maker_end(&b);
}

/* The journal as a power cut before the record ${type} left it. */
static void
journal_cut_before(struct build_maker *b, const char *name, unsigned type)
{
	struct state *s = state_open(b->m.state, &b->e);
	struct image_state *im = image_state_load(s, name, NULL, NULL, &b->e);
	struct journal_mark at = { 0, 0 };
	struct journal_reader *r;
	struct fmt_view payload;
	unsigned got = 0;
	int fd;

	assert_non_null(im);
	assert_non_null(r = journal_reader_new(im->fd, "journal", &b->e));
	while (got != type) {
		at = journal_here(r);
		assert_int_equal(journal_next(r, &got, &payload, &b->e), 1);
	}
	journal_reader_free(r);
	fd = openat(im->fd, "journal", O_RDWR | O_CLOEXEC);
	assert_true(fd != -1 && ftruncate(fd, (off_t)at.off) == 0);
	close(fd);
	image_state_free(im);
	state_free(s);
}

static int
no_passphrase(void *arg, char **pass, size_t *len, struct err *e)
{
	(void)arg, (void)pass, (void)len;
	return err_set(e, ERR_NO_PASSPHRASE, "nobody is there");
}

static void
a_snapshot_keeps_its_number_though_another_set_has_taken_the_next(void **state)
{
	char path[300];
	struct build_maker b;
	struct stat st;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	b.o.no_key_test = false;
	b.o.passphrase = no_passphrase;
	assert_int_equal(build_until(&b, NULL), -1);
	assert_int_equal(b.e.code, ERR_KEY_TEST);
	journal_cut_before(&b, b.r.short_name, JOURNAL_ENVELOPE);
	b.o.no_key_test = true;
	other = &b;
	other_set_builds();
	b.o.set = "files";
	b.o.resume = true;
	b.o.npaths = 0;
	built(&b);
	assert_int_equal(b.r.seq, 1);
	snprintf(path, sizeof(path), "%s/snaps/00000003.env", b.m.state);
	assert_int_equal(stat(path, &st), -1);
	is_whole_from(&b, b.disk);
	build_maker_end(&b);
}

/* Its images were read and numbered before one that it leans on was given up. */
static void
nothing_is_sealed_that_leans_on_a_given_up_image(void **state)
{
	char second[200], first[SHORT_LEN + 1];
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	built(&b);
	memcpy(first, b.r.short_name, sizeof(first));
	build_maker_file(&b, "z-new", 3000000, 4);
	disk_take(&b, second, "disk2");
	b.o.no_key_test = false;
	b.o.passphrase = no_passphrase;
	assert_int_equal(build_until(&b, NULL), -1);
	assert_int_equal(b.e.code, ERR_KEY_TEST);
	image_give_up(&b, first);
	b.o.no_key_test = true;
	b.o.resume = true;
	b.o.npaths = 0;
	assert_int_equal(build_until(&b, NULL), -1);
	assert_int_equal(b.e.code, ERR_UNFINISHED);
	assert_false(b.r.sealed);
	/* Given up too, and built anew, it carries everything itself. */
	image_give_up(&b, b.r.short_name);
	b.o.resume = false;
	b.o.npaths = 1;
	built(&b);
	is_whole_from(&b, second);
	build_maker_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_ends_the_reading_of_a_big_file),
		cmocka_unit_test(what_a_given_up_image_carried_is_read_again_by_a_build_that_had_begun),
		cmocka_unit_test(giving_up_one_image_does_not_make_others_read_everything),
		cmocka_unit_test(packs_published_before_a_power_cut_are_taken_over_also_behind_a_gap),
		cmocka_unit_test(a_reference_list_that_comes_back_changed_is_found_before_the_disk_is_released),
		cmocka_unit_test(the_trust_state_never_goes_back),
		cmocka_unit_test(nothing_is_sealed_that_leans_on_a_given_up_image),
		cmocka_unit_test(a_snapshot_keeps_its_number_though_another_set_has_taken_the_next),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
