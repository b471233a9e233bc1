#include "walk_tree.h"

#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "common/base/io.h"
#include "common/walk/walk_fs.h"

/* A device that no mount table names, so that the type goes by statfs. */
#define NOWHERE	makedev(0, 99999)

static long magic;
static int asked;

static int
some_statfs(int fd, struct statfs *fs)
{
	(void)fd;
	memset(fs, 0, sizeof(*fs));
	fs->f_type = magic;
	return 0;
}

/* As btrfs: on a descriptor that is open for reading alone. */
static int
some_subvolume(int fd, uint64_t *id)
{
	asked++;
	if ((fcntl(fd, F_GETFL) & O_PATH) != 0) {
		errno = EBADF;
		return -1;
	}
	*id = 257;
	return 0;
}

static uint64_t
subvolume_of(long of, int flags)
{
	struct io_ops ops = *io_real();
	const struct io_ops *before;
	struct fs_table *t = fs_table_new();
	int fd = open("/", O_DIRECTORY | flags);
	uint64_t got;

	ops.fstatfs = some_statfs;
	ops.subvolume = some_subvolume;
	magic = of;
	asked = 0;
	assert_non_null(t);
	assert_true(fd != -1);
	before = io_use(&ops);
	assert_int_equal(fs_table_add(t, NOWHERE, fd, "/", 1, NULL), 0);
	(void)io_use(before);
	got = fs_table_row(t, 0)->subvolume;
	fs_table_free(t);
	(void)close(fd);
	return got;
}

static void
a_file_system_of_btrfs_is_asked_for_its_subvolume(void **state)
{
	(void)state;
	assert_int_equal(subvolume_of(0x9123683e, O_RDONLY), 257);
	assert_int_equal(subvolume_of(0x9123683e, O_PATH), 257);
	assert_int_equal(asked, 1);
}

static void
no_other_is(void **state)
{
	(void)state;
	assert_int_equal(subvolume_of(0xef53, O_RDONLY), 0);
	assert_int_equal(asked, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_system_of_btrfs_is_asked_for_its_subvolume),
		cmocka_unit_test(no_other_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
