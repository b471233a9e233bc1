#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/space.h"

static struct io_ops ops;

/* As a driver in user space answers whose best transfer is larger than its blocks. */
static int
blocks_of_4096(int fd, struct statfs *fs)
{
	(void)fd;
	memset(fs, 0, sizeof(*fs));
	fs->f_bsize = 65536;
	fs->f_frsize = 4096;
	fs->f_blocks = 1000;
	fs->f_bfree = 400;
	fs->f_bavail = 300;
	fs->f_ffree = 7;
	return 0;
}

static int
old_driver(int fd, struct statfs *fs)
{
	(void)blocks_of_4096(fd, fs);
	fs->f_frsize = 0;
	fs->f_files = 10;
	return 0;
}

static int
gone(int fd, struct statfs *fs)
{
	(void)fd, (void)fs;
	errno = EIO;
	return -1;
}

static int
read_with(int (*answer)(int, struct statfs *), struct space *s, struct err *e)
{
	int rc;

	ops = *io_real();
	ops.fstatfs = answer;
	(void)io_use(&ops);
	err_clear(e);
	rc = space_read(3, "the disk", s, e);
	(void)io_use(io_real());
	return rc;
}

static void
blocks_are_counted_in_fragments_and_not_in_the_best_transfer(void **state)
{
	struct space s;
	struct err e;

	(void)state;
	assert_int_equal(read_with(blocks_of_4096, &s, &e), 0);
	assert_int_equal(s.free, 300 * 4096);
	assert_int_equal(s.total, 1000 * 4096);
	assert_false(s.files_counted);
}

static void
a_file_system_without_fragments_counts_in_blocks(void **state)
{
	struct space s;
	struct err e;

	(void)state;
	assert_int_equal(read_with(old_driver, &s, &e), 0);
	assert_int_equal(s.free, UINT64_C(300) * 65536);
	assert_true(s.files_counted);
	assert_int_equal(s.files_free, 7);
}

static void
what_cannot_be_asked_has_no_room_and_is_named(void **state)
{
	struct space s = { .free = 1 };
	struct err e;

	(void)state;
	assert_int_equal(read_with(gone, &s, &e), -1);
	assert_int_equal(s.free, 0);
	assert_non_null(strstr(e.msg, "the disk"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_counted_in_fragments_and_not_in_the_best_transfer),
		cmocka_unit_test(a_file_system_without_fragments_counts_in_blocks),
		cmocka_unit_test(what_cannot_be_asked_has_no_room_and_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
