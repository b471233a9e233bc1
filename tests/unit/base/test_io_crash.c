#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/io_crash.h"
#include "common/base/io_tape.h"

/*
 * The harness for power cuts, proved on a small protocol: files put once and
 * a state that is replaced.  Done rightly it survives every state; with a bug
 * put in on purpose it must not.
 */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STATES	1000u
#else
#define STATES	5000u
#endif
#define FILES	12

static char live_path[64], after_path[64];
static int live, after;
static struct err e;
static struct tape *tape;
static uint64_t promised[FILES];	/* the length of the tape when file i was promised */

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	live = scratch_make(live_path);
	after = scratch_make(after_path);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	tape_free(tape);
	tape = NULL;
	(void)close(live);
	(void)close(after);
	scratch_remove(live_path);
	scratch_remove(after_path);
	return 0;
}

static void
tape_begin(unsigned bugs)
{
	tape = tape_start(live_path, bugs, &e);
	assert_non_null(tape);
}

/* The state that a cut leaves, in the directory "after". */
static void
play(uint64_t cut, uint64_t seed)
{
	assert_int_equal(crash_clear(after, &e), 0);
	if (crash_make(tape, cut, seed, after, &e) != 0)
		fail_msg("%s", e.msg);
}

static size_t
content(unsigned i, char buf[4096])
{
	size_t len = 100 + 300 * i;

	for (size_t k = 0; k < len; k++)
		buf[k] = (char)('a' + (k / 7 + i) % 26);
	return len;
}

static void
name_of(unsigned i, char name[32])
{
	(void)snprintf(name, 32, "d%u/below/f%u", i / 4, i);
}

/* The protocol. */
static void
run_protocol(void)
{
	char name[32], sub[32], text[16], buf[4096];

	for (unsigned i = 0; i < FILES; i++) {
		(void)snprintf(sub, sizeof(sub), "d%u/below", i / 4);
		assert_int_equal(dir_make(live, sub, 0700, &e), 0);
		name_of(i, name);
		assert_int_equal(file_put_new(live, name, buf, content(i, buf),
		    0600 | FILE_PLAIN_RENAME, &e), 0);
		(void)snprintf(text, sizeof(text), "%u.", i);
		assert_int_equal(file_replace(live, "state", text, strlen(text), 0600, &e), 0);
		promised[i] = tape_length(tape);
	}
}

/* 0 if the state after a cut at ${cut} keeps every promise, else what is wrong. */
static const char *
broken(uint64_t cut)
{
	char name[32], want[4096], *stop;
	unsigned promises = 0;
	uint8_t *data;
	size_t len;

	for (unsigned i = 0; i < FILES; i++) {
		size_t n = content(i, want);

		promises += promised[i] <= cut;
		name_of(i, name);
		if (file_read(after, name, 100000, &data, &len, NULL) != 0) {
			if (promised[i] <= cut)
				return "a file that was promised is not there";
			continue;
		}
		n = len == n ? (size_t)memcmp(data, want, n) : 1;
		free(data);
		if (n != 0)
			return "a file that has its name is not whole";
	}
	if (promises == 0)
		return NULL;
	if (file_read(after, "state", 100, &data, &len, NULL) != 0)
		return "there is no state";
	len = strtoul((char *)data, &stop, 10) + 1;
	promises = *stop == '.' && stop[1] == '\0' && len >= promises && len <= promises + 1;
	free(data);
	return promises ? NULL : "the state is neither the old nor the new one";
}

/* How many of ${n} states break a promise; the first is told in ${first}. */
static unsigned
count_broken(uint64_t n, char first[256])
{
	unsigned bad = 0;

	first[0] = '\0';
	for (uint64_t i = 0; i < n; i++) {
		uint64_t cut, seed;
		const char *why;
		char op[100];

		crash_pick(tape, i, n, &cut, &seed);
		play(cut, seed);
		if ((why = broken(cut)) != NULL && bad++ == 0)
			(void)snprintf(first, 256, "cut %" PRIu64 " before \"%s\", seed %" PRIu64 ": %s",
			    cut, tape_describe(tape, cut, op, sizeof(op)), seed, why);
	}
	return bad;
}

static unsigned
protocol_with(unsigned bugs, uint64_t states, char first[256])
{
	tape_begin(bugs);
	run_protocol();
	tape_stop(tape);
	return count_broken(states, first);
}

static void
the_right_protocol_survives_thousands_of_power_cuts(void **state)
{
	char first[256];

	(void)state;
	if (protocol_with(0, STATES, first) != 0)
		fail_msg("%s", first);
}

static struct io_ops poor;	/* a file system without RENAME_NOREPLACE, then without links */

static int
rename_einval(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (flags == 0)
		return renameat2(from, old, to, new, 0);
	errno = EINVAL;
	return -1;
}

static int
link_eperm(int from, const char *old, int to, const char *new, int flags)
{
	(void)from;
	(void)old;
	(void)to;
	(void)new;
	(void)flags;
	errno = EPERM;
	return -1;
}

static void
so_do_the_other_rungs_of_the_ladder(void **state)
{
	char first[256];

	for (int links = 1; links >= 0; links--) {
		poor = *io_real();
		poor.renameat2 = rename_einval;
		if (!links)
			poor.linkat = link_eperm;
		(void)io_use(&poor);
		if (protocol_with(0, STATES / 2, first) != 0)
			fail_msg("%s: %s", links ? "links" : "plain rename", first);
		(void)io_use(io_real());
		assert_int_equal(end(state), 0);
		assert_int_equal(start(state), 0);
	}
}

static void
caught(unsigned bad, const char *first)
{
	print_message("broken in %u of %u states, first: %s\n", bad, STATES / 5, first);
	assert_true(bad > 0);
}

static void
an_fsync_of_files_taken_out_is_caught(void **state)
{
	char first[256];

	(void)state;
	caught(protocol_with(TAPE_DROP_FILE_SYNC, STATES / 5, first), first);
	assert_non_null(strstr(first, "not whole"));
}

static void
an_fsync_of_directories_taken_out_is_caught(void **state)
{
	char first[256];

	(void)state;
	caught(protocol_with(TAPE_DROP_DIR_SYNC, STATES / 5, first), first);
	assert_non_null(strstr(first, "not there"));
}

static void
a_rename_before_the_sync_is_caught(void **state)
{
	char first[256];

	(void)state;
	caught(protocol_with(TAPE_SYNC_AFTER_RENAME, STATES / 5, first), first);
	assert_non_null(strstr(first, "not whole"));
}

/* ---- the model itself ---- */

static int
create(const char *name)
{
	int fd = io->open(live, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	return fd;
}

/* Four sectors of 'o', durable with their name, are overwritten by 'n' and made longer. */
static void
bytes_that_were_not_synced_come_out_in_every_way(void **state)
{
	static char olds[2048], news[4096];
	unsigned untouched = 0, whole = 0, longer_with_zeros = 0, torn = 0, reordered = 0;
	uint8_t *data;
	size_t len;
	int fd;

	(void)state;
	memset(olds, 'o', sizeof(olds));
	memset(news, 'n', sizeof(news));
	tape_begin(0);
	fd = create("file");
	assert_int_equal(io_write_full(fd, olds, sizeof(olds), -1), 0);
	assert_int_equal(io->fsync(fd), 0);
	assert_int_equal(io->fsync(live), 0);
	assert_int_equal(io_write_full(fd, news, sizeof(news), 0), 0);
	(void)io->close(fd);
	tape_stop(tape);

	for (uint64_t seed = 0; seed < 2000; seed++) {
		play(tape_length(tape), seed);
		assert_int_equal(file_read(after, "file", 100000, &data, &len, &e), 0);
		assert_true(len == 2048 || len == 4096);
		for (size_t i = 0; i < len; i += 512) {
			for (size_t k = 1; k < 512; k++)
				assert_int_equal(data[i], data[i + k]);	/* a sector is whole */
			assert_true(data[i] == 'n' || data[i] == (i < 2048 ? 'o' : 0));
		}
		untouched += len == 2048 && memcmp(data, olds, 2048) == 0;
		whole += len == 4096 && memcmp(data, news, 4096) == 0;
		longer_with_zeros += len == 4096 && data[4095] == 0;
		torn += data[0] == 'n' && data[2047] == 'o';
		reordered += data[0] == 'o' && data[2047] == 'n';
		free(data);
	}
	assert_true(untouched > 0 && whole > 0 && longer_with_zeros > 0 && torn > 0 &&
	    reordered > 0);
}

static void
what_was_synced_is_there_in_every_state(void **state)
{
	struct stat st;
	uint8_t *data;
	size_t len;
	int fd;

	(void)state;
	assert_int_equal(file_put_new(live, "before", "was here", 8, 0640, &e), 0);
	assert_int_equal(symlinkat("before", live, "symlink"), 0);
	assert_int_equal(linkat(live, "before", live, "second", 0), 0);
	tape_begin(0);
	fd = create("file");
	assert_int_equal(io_write_full(fd, "abcdef", 6, -1), 0);
	assert_int_equal(io->ftruncate(fd, 3), 0);
	assert_int_equal(io->ftruncate(fd, 6), 0);
	assert_int_equal(io_write_full(fd, "X", 1, 1000), 0);
	assert_int_equal(io->fallocate(fd, 0, 1000, 24), 0);
	assert_int_equal(io->fchmod(fd, 0400), 0);
	assert_int_equal(io->fsync(fd), 0);
	assert_int_equal(io->fsync(live), 0);
	assert_int_equal(io_write_full(fd, "later", 5, 3), 0);
	assert_int_equal(io->unlinkat(live, "file", 0), 0);
	assert_int_equal(io->unlinkat(live, "second", 0), 0);
	(void)io->close(fd);
	tape_stop(tape);
	for (uint64_t seed = 0; seed < 400; seed++) {
		play(tape_length(tape) - 3, seed);
		assert_int_equal(file_read(after, "file", 100000, &data, &len, &e), 0);
		assert_int_equal(len, 1024);
		assert_memory_equal(data, "abc\0\0\0\0", 7);
		assert_int_equal(data[1000], 'X');
		free(data);
		assert_int_equal(fstatat(after, "file", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0400);
		assert_int_equal(fstatat(after, "second", &st, 0), 0);
		assert_int_equal(st.st_nlink, 2);
		assert_int_equal(st.st_mode & 07777, 0640);
		assert_int_equal(file_read(after, "before", 100, &data, &len, &e), 0);
		assert_string_equal((char *)data, "was here");
		free(data);
		assert_int_equal(fstatat(after, "symlink", &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_true(S_ISLNK(st.st_mode));
	}
}

static void
names_that_were_not_synced_come_out_in_every_way(void **state)
{
	unsigned none = 0, old = 0, new = 0, both = 0, moved = 0, only_second = 0;
	struct stat st;

	(void)state;
	tape_begin(0);
	assert_int_equal(io->mkdirat(live, "kept", 0700), 0);
	assert_int_equal(io->fsync(live), 0);
	(void)io->close(create("a"));
	assert_int_equal(io->renameat2(live, "a", live, "b", 0), 0);
	(void)io->close(create("second"));
	assert_int_equal(io->renameat2(live, "kept", live, "kept2", 0), 0);
	tape_stop(tape);
	for (uint64_t seed = 0; seed < 1000; seed++) {
		int a, b, s, k;

		play(tape_length(tape), seed);
		a = fstatat(after, "a", &st, 0) == 0;
		b = fstatat(after, "b", &st, 0) == 0;
		s = fstatat(after, "second", &st, 0) == 0;
		k = fstatat(after, "kept2", &st, 0) == 0;
		none += !a && !b;
		old += a && !b;
		new += b && !a;
		both += a && b;
		only_second += s && !b;
		moved += (unsigned)k;
		/* a directory is under one of its names, whatever happens */
		assert_int_equal(fstatat(after, "kept", &st, 0) == 0, !k);
	}
	assert_true(none > 0 && old > 0 && new > 0 && both > 0 && moved > 0 && only_second > 0);
}

static void
a_replaced_name_is_always_the_old_or_the_new_file(void **state)
{
	unsigned olds = 0, news = 0;
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(file_put_new(live, "name", "old", 3, 0600, &e), 0);
	tape_begin(0);
	assert_int_equal(file_replace(live, "name", "new!", 4, 0600, &e), 0);
	tape_stop(tape);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t cut, seed;

		crash_pick(tape, i, 1000, &cut, &seed);
		play(cut, seed);
		assert_int_equal(file_read(after, "name", 100, &data, &len, &e), 0);
		if (strcmp((char *)data, "old") == 0)
			olds++;
		else if (strcmp((char *)data, "new!") == 0)
			news++;
		else
			fail_msg("%s", (char *)data);
		assert_true(cut < tape_length(tape) || data[0] == 'n');
		free(data);
	}
	assert_true(olds > 0 && news > 0);
}

static void
a_file_below_a_name_that_is_lost_is_lost(void **state)
{
	unsigned there = 0, lost = 0;
	struct stat st;
	int d;

	(void)state;
	tape_begin(0);
	assert_int_equal(io->mkdirat(live, "dir", 0700), 0);
	assert_int_equal(file_put_new(live, "dir/file", "1", 1, 0600, &e), 0);
	d = dir_open(live, "dir", &e);
	tape_stop(tape);
	(void)close(d);
	for (uint64_t seed = 0; seed < 200; seed++) {
		play(tape_length(tape), seed);
		if (fstatat(after, "dir", &st, 0) != 0) {
			lost++;
			continue;
		}
		there++;
		assert_int_equal(fstatat(after, "dir/file", &st, 0), 0);	/* that one was synced */
	}
	assert_true(there > 0 && lost > 0);
}

static void
equal_seeds_give_equal_states_and_cuts_are_all_tried(void **state)
{
	static unsigned char tried[100];
	char **one, **two;
	size_t n1, n2;

	(void)state;
	tape_begin(0);
	for (int i = 0; i < 20; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%d", i);
		(void)io->close(create(name));
	}
	tape_stop(tape);
	assert_int_equal(tape_length(tape), 20);
	for (uint64_t seed = 4; seed < 50; seed++) {
		play(20, seed);
		assert_int_equal(dir_list(after, ".", &one, &n1, &e), 0);
		play(20, seed);
		assert_int_equal(dir_list(after, ".", &two, &n2, &e), 0);
		assert_int_equal(n1, n2);
		for (size_t i = 0; i < n1; i++)
			assert_string_equal(one[i], two[i]);
		dir_list_free(one, n1);
		dir_list_free(two, n2);
	}
	for (uint64_t i = 0; i < 21 * 8; i++) {		/* every cut with all four extremes */
		uint64_t cut, seed;

		crash_pick(tape, i, 21 * 8, &cut, &seed);
		tried[cut] = (unsigned char)(tried[cut] | 1u << seed % 8);
	}
	for (size_t i = 0; i < 21; i++)
		assert_int_equal(tried[i], 255);
}

static void
nothing_crosses_the_border_of_a_tape(void **state)
{
	uint64_t before;
	int fd;

	(void)state;
	tape_begin(0);
	(void)io->close(create("inside"));
	assert_int_equal(file_put_new(after, "outside", "x", 1, 0600, &e), 0);
	before = tape_length(tape);
	assert_int_equal(before, 1);
	assert_int_equal(io->renameat2(after, "outside", live, "x", 0), -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(io->renameat2(live, "inside", after, "x", 0), -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(io->linkat(after, "outside", live, "x", 0), -1);
	assert_int_equal(errno, EXDEV);
	fd = io->open(after, "outside", O_WRONLY | O_TRUNC, 0);
	assert_int_equal(io_write_full(fd, "yy", 2, -1), 0);
	assert_int_equal(io->fsync(fd), 0);
	(void)io->close(fd);
	assert_int_equal(tape_length(tape), before);
	tape_stop(tape);
}

/* An inode that was freed comes back as another file: the two are not mixed up. */
static void
a_reused_inode_is_another_file(void **state)
{
	uint8_t *data;
	size_t len;
	int fd;

	(void)state;
	tape_begin(0);
	for (int i = 0; i < 50; i++) {
		char text = (char)('A' + i % 26);

		fd = create("file");
		assert_int_equal(io_write_full(fd, &text, 1, -1), 0);
		assert_int_equal(io->fsync(fd), 0);
		(void)io->close(fd);
		assert_int_equal(io->fsync(live), 0);
		if (i < 49)
			assert_int_equal(io->unlinkat(live, "file", 0), 0);
	}
	tape_stop(tape);
	for (uint64_t cut = 4; cut < tape_length(tape); cut++) {
		if (cut % 5 != 4)	/* between the directory's fsync and the unlink */
			continue;
		play(cut, cut);
		assert_int_equal(file_read(after, "file", 10, &data, &len, &e), 0);
		assert_int_equal(data[0], 'A' + cut / 5 % 26);
		free(data);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(the_right_protocol_survives_thousands_of_power_cuts),
		T(so_do_the_other_rungs_of_the_ladder),
		T(an_fsync_of_files_taken_out_is_caught),
		T(an_fsync_of_directories_taken_out_is_caught),
		T(a_rename_before_the_sync_is_caught),
		T(bytes_that_were_not_synced_come_out_in_every_way),
		T(what_was_synced_is_there_in_every_state),
		T(names_that_were_not_synced_come_out_in_every_way),
		T(a_replaced_name_is_always_the_old_or_the_new_file),
		T(a_file_below_a_name_that_is_lost_is_lost),
		T(equal_seeds_give_equal_states_and_cuts_are_all_tried),
		T(nothing_crosses_the_border_of_a_tape),
		T(a_reused_inode_is_another_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
