/*
 * Every call to the operating system that a build makes fails once, and some
 * fail from then on: the build ends with an error in words, or names what it
 * left out, and the same build again ends in an image that is whole.
 *
 * SAMARA_FAULTS in the environment sets how many faults of each kind are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <sys/xattr.h>

#include "common/base/io.h"
#include "common/base/io_fault.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "flow/build_maker.h"
#include "tests/crash/image_reader.h"

#define PATIENCE	120u	/* seconds for one build: then it hangs */

static struct world {
	struct build_maker b;
	char registered[96];	/* the state as register left it */
	char second[96];	/* a disk, where the first is full */
} w;

/* Power is not cut here: asking the disk would only take time. */
static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

static int
world_make(void **state)
{
	static struct io_ops quick;
	char from[200], to[200];

	(void)state;
	quick = *io_real();
	quick.fsync = no_fsync;
	(void)io_use(&quick);
	build_maker_start(&w.b);
	snprintf(w.second, sizeof(w.second), "%s/disk2", w.b.m.root);
	w.b.disks[1] = w.second;
	snprintf(w.registered, sizeof(w.registered), "%s/registered", w.b.m.root);
	assert_int_equal(rename(w.b.m.state, w.registered), 0);
	build_maker_dir(&w.b, "d");
	build_maker_dir(&w.b, "d/deep");
	build_maker_dir(&w.b, "empty");
	build_maker_file(&w.b, "zero", 0, 1);
	build_maker_file(&w.b, "big", 700000, 2);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(from, sizeof(from), "d/f%u", i);
		build_maker_file(&w.b, from, 100 + i * 900, 3 + i);
	}
	build_maker_file(&w.b, "d/deep/last", 5000, 20);
	snprintf(from, sizeof(from), "%s/d/f1", w.b.src);
	snprintf(to, sizeof(to), "%s/link", w.b.src);
	assert_int_equal(link(from, to), 0);
	(void)setxattr(from, "user.note", "x", 1, 0);
	snprintf(to, sizeof(to), "%s/symlink", w.b.src);
	assert_int_equal(symlink("nowhere", to), 0);
	return 0;
}

static int
world_drop(void **state)
{
	(void)state;
	build_maker_end(&w.b);
	(void)io_use(io_real());
	return 0;
}

static void
tree_copy(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct dirent *x;
	struct stat st;
	uint8_t bytes[65536];
	char a[400], b[400];

	assert_non_null(d);
	assert_int_equal(mkdir(to, 0700), 0);
	while ((x = readdir(d)) != NULL) {
		if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0)
			continue;
		assert_true(strlen(from) < 120 && strlen(to) < 120);
		snprintf(a, sizeof(a), "%s/%s", from, x->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, x->d_name);
		assert_int_equal(lstat(a, &st), 0);
		if (S_ISDIR(st.st_mode)) {
			tree_copy(a, b);
			continue;
		}
		int in = open(a, O_RDONLY | O_CLOEXEC), out = open(b, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ssize_t n;

		assert_true(in != -1 && out != -1);
		while ((n = read(in, bytes, sizeof(bytes))) > 0)
			assert_int_equal(write(out, bytes, (size_t)n), n);
		assert_int_equal(n, 0);
		close(in);
		close(out);
	}
	closedir(d);
}

/* State and disk as they were before any build. */
static void
world_reset(void)
{
	struct stat st;

	if (lstat(w.b.m.state, &st) == 0)
		scratch_remove(w.b.m.state);
	scratch_remove(w.b.disk);
	tree_copy(w.registered, w.b.m.state);
	assert_int_equal(mkdir(w.b.disk, 0755), 0);
	w.b.o.resume = false;
	if (w.b.o.ndisks == 2)
		scratch_remove(w.second);
	w.b.o.ndisks = 1;
}

static unsigned
descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static const char *
kind_name(enum fault_kind kind)
{
	static const char *const names[] = { "open", "read", "write", "fsync", "truncate", "fallocate", "close", "stat", "lock",
		"rename", "link", "unlink", "mkdir", "list" };

	return names[kind];
}

/* Go on until there is a sealed image, or none was begun: then from the start. */
static int
go_on(const char *what)
{
	int rc;

	w.b.o.resume = true;
	if ((rc = build_maker_run(&w.b)) >= 0)
		return rc;
	if (w.b.e.code == ERR_DISK_NEEDED) {
		/* It was taken for full, and closed. */
		assert_int_equal(mkdir(w.second, 0755), 0);
		w.b.o.ndisks = 2;
		if ((rc = build_maker_run(&w.b)) >= 0)
			return rc;
	}
	if (w.b.e.code != ERR_NO_IMAGE)
		fail_msg("%s: then --resume: %s", what, w.b.e.msg);
	w.b.o.resume = false;
	if ((rc = build_maker_run(&w.b)) < 0)
		fail_msg("%s: then from the start: %s", what, w.b.e.msg);
	return rc;
}

/* One fault: false if the build has no such call any more. */
static bool
fault_try(const struct fault_plan *plan)
{
	unsigned before;
	char what[128];
	int rc;

	world_reset();
	snprintf(what, sizeof(what), "%s %llu%s fails with %s", kind_name(plan->kind), (unsigned long long)plan->nth,
	    plan->every ? " and all after it" : "", plan->sys != 0 ? strerror(plan->sys) : "half of it");
	before = descriptors();
	(void)alarm(PATIENCE);
	fault_start(plan);
	rc = build_maker_run(&w.b);
	fault_stop();
	if (fault_hits() == 0) {
		if (rc != 0)
			fail_msg("%s, which never happened: %s", what, w.b.e.msg);
		(void)alarm(0);
		return false;
	}
	if (descriptors() != before)
		fail_msg("%s: %u descriptors instead of %u", what, descriptors(), before);
	if (rc == -1 && (w.b.e.code == ERR_NONE || w.b.e.code == ERR_INTERNAL || w.b.e.msg[0] == 0))
		fail_msg("%s: error %d \"%s\"", what, (int)w.b.e.code, w.b.e.msg);
	if (rc == 3 && w.b.r.result.unreadable == 0)
		fail_msg("%s: nothing is named that was left out", what);
	if (rc == -1)
		rc = go_on(what);
	if (rc == 3 || w.b.r.result.warnings > 0) {
		/* Something was named: the next increment has it. */
		w.b.o.resume = false;
		assert_int_equal(build_maker_run(&w.b), 0);
	}
	err_clear(&w.b.e);
	if (image_compare(w.b.m.state, w.b.r.short_name, w.b.disks, w.b.o.ndisks, w.b.src, &w.b.e) != 0)
		fail_msg("%s: %d warnings; %s", what, (int)w.b.r.result.warnings, w.b.e.msg);
	(void)alarm(0);
	return true;
}

static uint64_t
faults_wanted(void)
{
	const char *s = getenv("SAMARA_FAULTS");

	return s != NULL ? strtoull(s, NULL, 10) : SAMARA_SANITIZED ? 8 : 60;
}

/* So many of the calls of a kind, spread over all; each fifth stays broken. */
static void
kind_try(enum fault_kind kind, int sys)
{
	struct fault_plan plan = { .kind = kind, .sys = sys };
	uint64_t calls, wanted = faults_wanted(), tried = 0, step;

	world_reset();
	fault_start(&plan);
	assert_int_equal(build_maker_run(&w.b), 0);
	fault_stop();
	calls = fault_count();
	step = calls / wanted + 1;
	assert_true(calls > 0);
	for (plan.nth = 1; plan.nth <= calls; plan.nth += step) {
		plan.every = tried % 5 == 4;
		if (!fault_try(&plan))
			break;
		tried++;
	}
	print_message("%s: %llu of %llu calls\n", kind_name(kind), (unsigned long long)tried, (unsigned long long)calls);
}

#define KIND_TEST(name, kind, sys)	\
	static void			\
	name(void **state)		\
	{				\
		(void)state;		\
		kind_try(kind, sys);	\
	}

KIND_TEST(any_open_may_fail, FAULT_OPEN, EIO)
KIND_TEST(descriptors_may_run_out, FAULT_OPEN, EMFILE)
KIND_TEST(any_read_may_fail, FAULT_READ, EIO)
KIND_TEST(any_read_may_be_short, FAULT_READ, 0)
KIND_TEST(any_write_may_fail, FAULT_WRITE, EIO)
KIND_TEST(the_disk_may_be_full_at_any_write, FAULT_WRITE, ENOSPC)
KIND_TEST(any_write_may_be_short, FAULT_WRITE, 0)
KIND_TEST(any_sync_may_fail, FAULT_FSYNC, EIO)
KIND_TEST(any_truncation_may_fail, FAULT_TRUNCATE, EIO)
KIND_TEST(any_close_may_fail, FAULT_CLOSE, EIO)
KIND_TEST(any_stat_may_fail, FAULT_STAT, EIO)
KIND_TEST(any_lock_may_fail, FAULT_LOCK, EIO)
KIND_TEST(any_rename_may_fail, FAULT_RENAME, EIO)
KIND_TEST(any_removal_may_fail, FAULT_UNLINK, EIO)
KIND_TEST(any_mkdir_may_fail, FAULT_MKDIR, ENOSPC)
KIND_TEST(any_listing_of_a_directory_may_fail, FAULT_LIST, EIO)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_open_may_fail),
		cmocka_unit_test(descriptors_may_run_out),
		cmocka_unit_test(any_read_may_fail),
		cmocka_unit_test(any_read_may_be_short),
		cmocka_unit_test(any_write_may_fail),
		cmocka_unit_test(the_disk_may_be_full_at_any_write),
		cmocka_unit_test(any_write_may_be_short),
		cmocka_unit_test(any_sync_may_fail),
		cmocka_unit_test(any_truncation_may_fail),
		cmocka_unit_test(any_close_may_fail),
		cmocka_unit_test(any_stat_may_fail),
		cmocka_unit_test(any_lock_may_fail),
		cmocka_unit_test(any_rename_may_fail),
		cmocka_unit_test(any_removal_may_fail),
		cmocka_unit_test(any_mkdir_may_fail),
		cmocka_unit_test(any_listing_of_a_directory_may_fail),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, world_make, world_drop);
}
