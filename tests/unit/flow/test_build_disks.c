/* Images over several disks: filled in turn or at once, read back, given up and replaced, at any point of a build. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <sys/file.h>

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/disk/image_dir.h"
#include "common/flow/journal.h"
#include "flow/build_maker.h"

#define HOUR		3600
#define MIB		((uint64_t)1 << 20)
#define DISKS		6u

/* Directories that are as large as they are said to be, and what is done to them meanwhile. */
static struct world {
	struct build_maker b;
	const struct io_ops *real;
	char path[DISKS][96];
	uint64_t size[DISKS];		/* 0: no limit */
	ino_t ino[DISKS];
	const char *stop_at;		/* name of the file whose opening asks to stop */
	unsigned opened;		/* files of the source */
	int spoil;			/* number + 1 of the disk of which a pack is spoilt when it is closed */
	int full_at_root;		/* the first disk, once the root is kept */
	char told[DISKS * 2][16];	/* disks that can be removed, in the order of being told */
	bool proven[DISKS * 2];
	unsigned ntold;
	pthread_mutex_t lock;
} w = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local uint64_t used;

static int
used_add(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path, (void)ftw;
	if (type == FTW_F)
		used += (uint64_t)st->st_size;
	return 0;
}

static int
world_fstatfs(int fd, struct statfs *fs)
{
	struct stat st;
	int rc = w.real->fstatfs(fd, fs);

	if (rc != 0 || fstat(fd, &st) != 0)
		return rc;
	for (unsigned i = 0; i < DISKS; i++)
		if (w.size[i] > 0 && st.st_ino == w.ino[i]) {
			used = 0;
			(void)nftw(w.path[i], used_add, 16, FTW_PHYS);
			fs->f_bsize = fs->f_frsize = 4096;
			fs->f_bavail = used < w.size[i] ? (w.size[i] - used) / 4096 : 0;
		}
	return rc;
}

static int
world_open(int dirfd, const char *path, int flags, mode_t mode)
{
	if ((flags & O_NOATIME) != 0 && (flags & O_DIRECTORY) == 0) {	/* as only files of the source are opened */
		pthread_mutex_lock(&w.lock);
		w.opened++;
		pthread_mutex_unlock(&w.lock);
	}
	if (w.stop_at != NULL && strcmp(path, w.stop_at) == 0)
		stop_ask();
	return w.real->open(dirfd, path, flags, mode);
}

static int
world_clock(clockid_t id, struct timespec *ts)
{
	int rc = w.real->clock_gettime(id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += HOUR;
	return rc;
}

/* One byte in the middle of the first pack on a disk is another. */
static void
pack_spoil(unsigned disk)
{
	char pattern[200];
	uint8_t byte = 0;
	glob_t g;
	int fd;

	snprintf(pattern, sizeof(pattern), "%s/samara/*/packs/*/*.pk", w.path[disk]);
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	fd = open(g.gl_pathv[0], O_RDWR | O_CLOEXEC);
	assert_true(fd != -1 && pread(fd, &byte, 1, 5000) == 1);
	byte ^= 1;
	assert_true(pwrite(fd, &byte, 1, 5000) == 1 && fsync(fd) == 0);
	close(fd);
	globfree(&g);
}

static int
world_rename(int from, const char *a, int to, const char *b, unsigned flags)
{
	int rc = w.real->renameat2(from, a, to, b, flags);
	char stmt[200];
	struct stat st, mine;
	glob_t g;

	if (rc == 0 && w.full_at_root && strlen(b) > 5 && strcmp(b + strlen(b) - 5, ".root") == 0) {
		w.full_at_root = 0;
		w.size[0] = 1;
	}
	if (rc != 0 || w.spoil == 0 || strcmp(b, "stmt") != 0 || fstatat(to, b, &st, 0) != 0)
		return rc;
	snprintf(stmt, sizeof(stmt), "%s/samara/*/stmt", w.path[w.spoil - 1]);
	if (glob(stmt, 0, NULL, &g) == 0 && stat(g.gl_pathv[0], &mine) == 0 && mine.st_ino == st.st_ino) {
		pack_spoil((unsigned)w.spoil - 1);
		w.spoil = 0;
		globfree(&g);
	}
	return rc;
}

/* Called one at a time. */
static void
told(void *arg, const struct build_disk_report *d)
{
	(void)arg;
	assert_true(w.ntold < DISKS * 2);
	memcpy(w.told[w.ntold], d->name, sizeof(d->name));
	w.proven[w.ntold++] = d->read_back;
}

static int
pass(void *arg, char **text, size_t *len, struct err *e)
{
	static char words[] = MACHINE_PASS;

	(void)arg, (void)e;
	*text = words;
	*len = strlen(words);
	return 0;
}

static void
world_start(void)
{
	struct stat st;

	build_maker_start(&w.b);
	for (unsigned i = 0; i < DISKS; i++) {
		snprintf(w.path[i], sizeof(w.path[i]), "%s/d%u", w.b.m.root, i);
		assert_int_equal(mkdir(w.path[i], 0755), 0);
		assert_int_equal(stat(w.path[i], &st), 0);
		w.ino[i] = st.st_ino;
		w.size[i] = 0;
	}
	w.stop_at = NULL;
	w.spoil = w.full_at_root = 0;
	w.b.o.disk_done = told;
	w.b.o.parity = 0;
}

static void
world_end(void)
{
	build_maker_end(&w.b);
}

/* Build with the disks whose numbers stand in ${which}. */
static int
build(const char *which)
{
	struct io_ops ops = *io;
	unsigned n = 0;
	int rc;

	for (; which[n] != '\0'; n++)
		w.b.disks[n] = w.path[which[n] - '0'];
	w.b.o.ndisks = n;
	ops.fstatfs = world_fstatfs;
	ops.open = world_open;
	ops.clock_gettime = world_clock;
	ops.renameat2 = world_rename;
	w.opened = w.ntold = 0;
	w.real = io_use(&ops);
	rc = build_maker_run(&w.b);
	(void)io_use(w.real);
	stop_reset();
	w.stop_at = NULL;
	return rc;
}

static void
built(const char *which, int want)
{
	int rc = build(which);

	if (rc != want)
		fail_msg("%d instead of %d: %s; %s", rc, want, w.b.e.msg, w.b.e.next);
}

static void
resume(void)
{
	w.b.o.resume = true;
	w.b.o.npaths = 0;
	w.b.o.replace = 0;
}

/* Disk ${old} of the image is given up; the first that is given takes its place. */
static void
replace(uint32_t old)
{
	static char name[SHORT_LEN + 1];

	resume();
	memcpy(name, w.b.r.short_name, sizeof(name));
	w.b.o.image = name;
	w.b.o.replace = old;
}

static int
opens_from(const char *which)
{
	const char *disks[DISKS];
	struct image_text t;
	size_t n = 0;
	int rc;

	for (; which[n] != '\0'; n++)
		disks[n] = w.path[which[n] - '0'];
	err_clear(&w.b.e);
	rc = image_text_read(&t, w.b.m.state, w.b.r.short_name, disks, n, &w.b.e);
	image_text_free(&t);
	return rc;
}

/* All of the snapshot opens from these disks alone. */
static void
is_whole_from(const char *which)
{
	if (opens_from(which) != 0)
		fail_msg("%s", w.b.e.msg);
}

static struct image_state *
image_load(struct state **s)
{
	struct image_state *im;

	assert_non_null(*s = state_open(w.b.m.state, &w.b.e));
	im = image_state_load(*s, w.b.r.short_name, NULL, NULL, &w.b.e);
	assert_non_null(im);
	return im;
}

static void
image_drop(struct state *s, struct image_state *im)
{
	image_state_free(im);
	state_free(s);
}

/* Bytes that nothing else has. */
static void
file_make(const char *name, uint64_t salt)
{
	uint64_t x = salt * 0x9e3779b97f4a7c15u + 1, *p = malloc(2 * MIB);
	char path[200];
	FILE *f;

	assert_non_null(p);
	for (size_t i = 0; i < 2 * MIB / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
	snprintf(path, sizeof(path), "%s/%s", w.b.src, name);
	assert_non_null(f = fopen(path, "wb"));
	assert_int_equal(fwrite(p, 1, 2 * MIB, f), 2 * MIB);
	assert_int_equal(fclose(f), 0);
	free(p);
}

static void
many_files(void)
{
	char name[32];

	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "f%02u", i);
		file_make(name, 100 + i);
	}
}

/* --- filled in turn, or at once --- */

static void
disks_that_are_full_are_read_back_beside_the_next_one(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.size[0] = w.size[1] = 24 * MIB;
	built("012", 0);
	assert_int_equal(w.b.r.disks, 3);
	assert_int_equal(w.ntold, 3);
	is_whole_from("012");
	assert_int_equal(opens_from("01"), -1);
	world_end();
}

static void
with_parity_too(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.b.o.parity = 20;
	w.size[0] = w.size[1] = 44 * MIB;
	built("012", 0);
	assert_int_equal(w.b.r.disks, 3);
	is_whole_from("012");
	world_end();
}

static void
disks_at_once_are_each_filled(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.b.o.spread = true;
	w.size[0] = w.size[1] = 24 * MIB;
	built("012", 0);
	assert_int_equal(w.b.r.disks, 3);
	is_whole_from("012");
	world_end();
}

static void
a_build_goes_on_with_fewer_disks_and_asks_for_the_others_at_the_end(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.stop_at = "f25";
	built("0", -1);
	resume();
	built("1", -1);
	assert_int_equal(w.b.e.code, ERR_DISK_NEEDED);
	assert_true(strstr(w.b.e.next, "--replace") != NULL);
	built("01", 0);
	is_whole_from("01");
	world_end();
}

/* To "Next disk?": what ${arg} points at, once; then nothing. */
static int
disk_put_in(void *arg, const char *full, char *path, size_t size, struct err *e)
{
	const char **answer = arg;

	(void)full, (void)e;
	if (*answer == NULL)
		return 1;
	assert_true(strlen(*answer) < size);
	memcpy(path, *answer, strlen(*answer) + 1);
	*answer = NULL;
	return 0;
}

static int
disk_put_in_with_nothing_held_up(void *arg, const char *full, char *path, size_t size, struct err *e)
{
	char lock[200];
	int fd;

	snprintf(lock, sizeof(lock), "%s/lock", w.b.m.state);
	fd = open(lock, O_RDWR | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	return disk_put_in(arg, full, path, size, e);
}

static void
a_disk_that_the_root_fills_holds_up_nobody_else(void **state)
{
	const char *answer;

	(void)state;
	world_start();
	many_files();
	w.full_at_root = 1;
	answer = w.path[1];
	w.b.o.disk_ask = disk_put_in_with_nothing_held_up;
	w.b.o.disk_arg = &answer;
	built("0", 0);
	assert_null(answer);
	assert_int_equal(w.b.r.disks, 2);
	is_whole_from("01");
	world_end();
}

static void
an_open_disk_of_the_image_is_a_next_disk(void **state)
{
	const char *answer;

	(void)state;
	world_start();
	many_files();
	w.stop_at = "f10";
	built("0", -1);
	resume();
	w.size[1] = 24 * MIB;
	answer = w.path[0];
	w.b.o.disk_ask = disk_put_in;
	w.b.o.disk_arg = &answer;
	built("1", 0);
	assert_null(answer);
	assert_int_equal(w.b.r.disks, 2);
	is_whole_from("01");
	world_end();
}

static void
an_open_disk_at_hand_goes_before_one_that_is_asked_for(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.stop_at = "f09";
	built("0", -1);
	resume();
	w.stop_at = "f18";
	built("1", -1);
	w.size[0] = 24 * MIB;
	built("01", 0);
	assert_int_equal(w.b.r.disks, 2);
	is_whole_from("01");
	world_end();
}

static void
a_closed_disk_of_the_image_is_no_next_disk(void **state)
{
	const char *answer;

	(void)state;
	world_start();
	many_files();
	w.size[0] = w.size[1] = 24 * MIB;
	built("0", -1);
	assert_int_equal(w.b.e.code, ERR_DISK_NEEDED);
	resume();
	answer = w.path[0];
	w.b.o.disk_ask = disk_put_in;
	w.b.o.disk_arg = &answer;
	built("1", -1);
	assert_int_equal(w.b.e.code, ERR_DISK_NEEDED);
	assert_null(answer);
	w.b.o.disk_ask = NULL;
	built("2", 0);
	is_whole_from("012");
	world_end();
}

static void
a_disk_that_was_begun_and_never_written_is_not_asked_for(void **state)
{
	const char *written;
	char pattern[200];
	glob_t g;

	(void)state;
	world_start();
	many_files();
	w.b.o.spread = true;
	w.b.o.workers = 1;
	w.stop_at = "f00";
	built("01", -1);
	/* The one pack there is went to whichever was asked first. */
	snprintf(pattern, sizeof(pattern), "%s/samara/*/packs/*/*.pk", w.path[0]);
	written = glob(pattern, 0, NULL, &g) == 0 ? "0" : "1";
	globfree(&g);
	resume();
	built(written, 0);
	assert_int_equal(w.b.r.disks, 1);
	is_whole_from(written);
	world_end();
}

static void
a_disk_without_room_for_a_pack_is_left_out(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.size[0] = w.size[2] = 8 * MIB;
	w.size[1] = 24 * MIB;
	built("0123", 0);
	assert_int_equal(w.b.r.disks, 2);
	is_whole_from("13");
	w.b.o.full = w.b.o.spread = true;
	w.size[1] = 8 * MIB;
	built("0124", 0);
	assert_int_equal(w.b.r.disks, 1);
	is_whole_from("4");
	world_end();
}

static void
what_was_not_read_back_is_said_to_be_so(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.b.o.no_read_back = true;
	w.b.o.spread = true;
	built("01", 0);
	assert_false(w.b.r.read_back);
	assert_int_equal(w.ntold, 2);
	assert_false(w.proven[0] || w.proven[1]);
	is_whole_from("01");
	world_end();
}

static void
a_disk_that_gives_back_something_else_is_named_and_can_be_replaced(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.size[0] = w.size[1] = 40 * MIB;
	w.spoil = 1;
	built("012", -1);
	assert_int_equal(w.b.e.code, ERR_MEDIUM);
	assert_true(strstr(w.b.e.next, "-1=NEWDISK") != NULL);
	replace(1);
	built("31245", 0);
	assert_int_equal(w.b.r.given_up, 0);
	is_whole_from("123");
	world_end();
}

/* --- given up --- */

static void
a_disk_is_replaced_before_the_seal_and_nothing_is_lost(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.size[0] = 40 * MIB;
	w.b.o.no_key_test = false;
	built("01", -1);
	assert_int_equal(w.b.e.code, ERR_KEY_TEST);
	for (uint32_t old = 1; old <= 2; old++) {
		replace(old);
		built(old == 1 ? "21" : "32", -1);
		assert_int_equal(w.b.e.code, ERR_KEY_TEST);
		assert_int_equal(w.b.r.given_up, 0);
		assert_true(w.b.r.missing > 0);
	}
	resume();
	w.b.o.no_key_test = true;
	built("23", 0);
	is_whole_from("23");
	world_end();
}

static void
each_disk_of_a_sealed_image_can_be_replaced(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.size[0] = 40 * MIB;
	built("01", 0);
	replace(2);	/* it has snapshot and root */
	built("20", 0);
	assert_int_equal(w.b.r.given_up, 0);
	is_whole_from("02");
	replace(1);
	built("32", 0);
	assert_int_equal(w.b.r.given_up, 0);
	is_whole_from("23");
	replace(3);	/* and the one in the place of another */
	built("43", 0);
	assert_int_equal(w.b.r.given_up, 0);
	is_whole_from("34");
	world_end();
}

static void
the_only_disk_is_replaced(void **state)
{
	(void)state;
	world_start();
	many_files();
	built("0", 0);
	replace(1);
	built("1", 0);
	assert_int_equal(w.b.r.given_up, 0);
	is_whole_from("1");
	world_end();
}

static void
a_replacement_that_was_stopped_goes_on(void **state)
{
	(void)state;
	world_start();
	many_files();
	built("0", 0);
	replace(1);
	w.stop_at = "packs/0000/00000001.tm";
	built("1", -1);
	assert_int_equal(w.b.e.code, ERR_INTERRUPTED);
	built("1", -1);
	assert_int_equal(w.b.e.code, ERR_WRONG_DISK);	/* it was given up already ... */
	assert_true(strstr(w.b.e.next, "--resume") != NULL);	/* ... and this goes on */
	resume();
	built("1", 0);
	assert_int_equal(w.b.r.given_up, 0);
	is_whole_from("1");
	world_end();
}

static void
a_disk_that_nothing_was_written_on_yet_is_replaced(void **state)
{
	(void)state;
	world_start();
	many_files();
	w.b.o.spread = true;
	w.stop_at = "f00";
	w.b.o.workers = 1;
	built("01", -1);
	replace(2);
	built("20", 0);
	assert_int_equal(w.b.r.disks, 2);
	is_whole_from("02");
	world_end();
}

/* What cannot be had any more is known by the run that tried, and by those after it. */
static void
a_replacement_with_losses_is_sealed_without_yet_another_disk(void **state)
{
	struct build_report r;

	(void)state;
	world_start();
	many_files();
	w.size[0] = 40 * MIB;
	w.b.o.no_key_test = false;
	w.b.o.passphrase = pass;
	built("01", 0);
	file_make("f03", 999);
	replace(1);
	w.b.o.passphrase = NULL;
	built("21", -1);
	assert_int_equal(w.b.e.code, ERR_KEY_TEST);
	assert_true(w.b.r.given_up > 0 && w.b.r.given_up < w.b.r.missing);
	assert_true(strstr(w.b.e.next, "--resume") != NULL);
	assert_int_equal(build_seal(w.b.m.state, w.b.r.short_name, w.b.disks, 1, MACHINE_PASS, strlen(MACHINE_PASS), &r, &w.b.e), -1);
	assert_int_equal(w.b.e.code, ERR_UNFINISHED);
	assert_true(strstr(w.b.e.next, "--resume") != NULL);
	resume();
	w.b.o.passphrase = pass;
	built("21", 3);
	assert_true(w.b.r.given_up > 0);
	assert_int_equal(w.b.r.disks, 2);
	world_end();
}

static void
the_next_snapshot_takes_anew_what_a_replaced_disk_lost(void **state)
{
	char first[SHORT_LEN + 1];

	(void)state;
	world_start();
	many_files();
	w.size[0] = 40 * MIB;
	built("01", 0);
	memcpy(first, w.b.r.short_name, sizeof(first));
	replace(1);
	built("21", 0);
	file_make("g", 1000);
	w.b.o.resume = false;
	w.b.o.replace = 0;
	w.b.o.npaths = 1;
	built("3", 0);
	assert_int_equal(w.opened, 1);
	is_whole_from("123");
	world_end();
}

/* --- an image that waits for another disk is not one that waits for its seal --- */

static void
an_image_whose_disks_are_all_full_is_not_called_written(void **state)
{
	struct image_state *im;
	struct build_report r;
	const char *disks[1] = { w.path[0] };
	struct state *s;

	(void)state;
	world_start();
	many_files();
	w.size[0] = 40 * MIB;
	built("0", -1);
	assert_int_equal(w.b.e.code, ERR_DISK_NEEDED);
	im = image_load(&s);
	assert_true(image_disks_done(im));
	assert_false(image_is_written(im));
	image_drop(s, im);
	assert_int_equal(build_seal(w.b.m.state, w.b.r.short_name, disks, 1, MACHINE_PASS, strlen(MACHINE_PASS), &r, &w.b.e), -1);
	assert_int_equal(w.b.e.code, ERR_UNFINISHED);
	resume();
	built("1", 0);
	im = image_load(&s);
	assert_true(image_is_written(im));
	image_drop(s, im);
	is_whole_from("01");
	world_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks_that_are_full_are_read_back_beside_the_next_one),
		cmocka_unit_test(with_parity_too),
		cmocka_unit_test(disks_at_once_are_each_filled),
		cmocka_unit_test(a_build_goes_on_with_fewer_disks_and_asks_for_the_others_at_the_end),
		cmocka_unit_test(a_disk_that_the_root_fills_holds_up_nobody_else),
		cmocka_unit_test(an_open_disk_of_the_image_is_a_next_disk),
		cmocka_unit_test(an_open_disk_at_hand_goes_before_one_that_is_asked_for),
		cmocka_unit_test(a_closed_disk_of_the_image_is_no_next_disk),
		cmocka_unit_test(a_disk_that_was_begun_and_never_written_is_not_asked_for),
		cmocka_unit_test(a_disk_without_room_for_a_pack_is_left_out),
		cmocka_unit_test(what_was_not_read_back_is_said_to_be_so),
		cmocka_unit_test(a_disk_that_gives_back_something_else_is_named_and_can_be_replaced),
		cmocka_unit_test(a_disk_is_replaced_before_the_seal_and_nothing_is_lost),
		cmocka_unit_test(each_disk_of_a_sealed_image_can_be_replaced),
		cmocka_unit_test(the_only_disk_is_replaced),
		cmocka_unit_test(a_replacement_that_was_stopped_goes_on),
		cmocka_unit_test(a_disk_that_nothing_was_written_on_yet_is_replaced),
		cmocka_unit_test(a_replacement_with_losses_is_sealed_without_yet_another_disk),
		cmocka_unit_test(the_next_snapshot_takes_anew_what_a_replaced_disk_lost),
		cmocka_unit_test(an_image_whose_disks_are_all_full_is_not_called_written),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
