#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"

static struct io_ops ops;	/* the real ones with some replaced */
static char root[64];
static int dir;
static struct err e;

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	dir = scratch_make(root);
	ops = *io_real();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	(void)io_use(io_real());
	(void)close(dir);
	scratch_remove(root);
	return 0;
}

static void
holds(const char *path, const char *want)
{
	uint8_t *data;
	size_t len;

	assert_int_equal(file_read(dir, path, 1 << 20, &data, &len, &e), 0);
	assert_int_equal(len, strlen(want));
	assert_string_equal((char *)data, want);
	free(data);
}

/* How many names are in the directory; unfinished ones count. */
static size_t
names(const char *path)
{
	char **list;
	size_t n;

	assert_int_equal(dir_list(dir, path, &list, &n, &e), 0);
	dir_list_free(list, n);
	return n;
}

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

static int
fsync_eio(int fd)
{
	(void)fd;
	errno = EIO;
	return -1;
}

static ssize_t
write_enospc(int fd, const void *buf, size_t n)
{
	(void)fd;
	(void)buf;
	(void)n;
	errno = ENOSPC;
	return -1;
}

/* Three file systems: one with all calls, one with links only, one with neither. */
static void
put_new_never_replaces_on_any_file_system(void **state)
{
	(void)state;
	for (int fs = 0; fs < 3; fs++) {
		const unsigned mode = 0600 | (fs == 2 ? FILE_PLAIN_RENAME : 0);
		char path[16];

		(void)snprintf(path, sizeof(path), "file-%d", fs);
		ops.renameat2 = fs > 0 ? rename_einval : io_real()->renameat2;
		ops.linkat = fs > 1 ? link_eperm : io_real()->linkat;
		(void)io_use(&ops);
		assert_int_equal(file_put_new(dir, path, "first", 5, mode, &e), 0);
		assert_int_equal(file_put_new(dir, path, "second", 6, mode, &e), 1);
		holds(path, "first");
		assert_int_equal(names("."), (size_t)fs + 1);
	}
}

static void
publish_leaves_the_temporary_file_where_the_name_is_taken(void **state)
{
	(void)state;
	for (int fs = 0; fs < 3; fs++) {
		ops.renameat2 = fs > 0 ? rename_einval : io_real()->renameat2;
		ops.linkat = fs > 1 ? link_eperm : io_real()->linkat;
		(void)io_use(&ops);
		assert_int_equal(file_replace(dir, "tmp", "new", 3, 0600, &e), 0);
		assert_int_equal(file_replace(dir, "name", "old", 3, 0600, &e), 0);
		assert_int_equal(file_publish(dir, "tmp", "name", FILE_PLAIN_RENAME, &e), 1);
		holds("tmp", "new");
		holds("name", "old");
		assert_int_equal(unlinkat(dir, "name", 0), 0);
		assert_int_equal(file_publish(dir, "tmp", "name", FILE_PLAIN_RENAME, &e), 0);
		holds("name", "new");
		assert_int_equal(names("."), 1);
		assert_int_equal(unlinkat(dir, "name", 0), 0);
	}
}

static void
without_rename_and_link_a_plain_rename_must_be_allowed(void **state)
{
	(void)state;
	ops.renameat2 = rename_einval;
	ops.linkat = link_eperm;
	(void)io_use(&ops);
	assert_int_equal(file_put_new(dir, "x", "1", 1, 0600, &e), -1);
	assert_int_equal(e.code, ERR_FILE_SYSTEM);
	assert_int_equal(names("."), 0);
}

static void
a_failed_write_or_sync_leaves_nothing_behind(void **state)
{
	(void)state;
	ops.fsync = fsync_eio;
	(void)io_use(&ops);
	assert_int_equal(file_put_new(dir, "x", "1", 1, 0600, &e), -1);
	assert_int_equal(e.code, ERR_FSYNC);
	assert_int_equal(names("."), 0);
	ops.fsync = io_real()->fsync;
	ops.write = write_enospc;
	assert_int_equal(file_replace(dir, "x", "1", 1, 0600, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_int_equal(names("."), 0);
}

static void
replace_takes_the_place_of_what_is_there(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(dir_make(dir, "a/b", 0700, &e), 0);
	assert_int_equal(file_replace(dir, "a/b/x", "one", 3, 0600, &e), 0);
	assert_int_equal(file_replace(dir, "a/b/x", "three", 5, 0640, &e), 0);
	holds("a/b/x", "three");
	assert_int_equal(names("a/b"), 1);
	assert_int_equal(fstatat(dir, "a/b/x", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void
the_longest_name_has_a_temporary_one(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	assert_int_equal(file_put_new(dir, name, "1", 1, 0600, &e), 0);
	holds(name, "1");
}

static void
names_that_are_no_files_are_refused(void **state)
{
	static const char *const bad[] = { "", "a/", ".", "..", "a/.." };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(file_put_new(dir, bad[i], "1", 1, 0600, &e), -1);
	assert_int_equal(file_put_new(dir, "none/x", "1", 1, 0600, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void
only_regular_files_of_at_most_max_are_read(void **state)
{
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(file_read(dir, "none", 10, &data, &len, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(symlinkat("file", dir, "symlink"), 0);
	assert_int_equal(mkdirat(dir, "directory", 0700), 0);
	for (int i = 0; i < 3; i++) {
		const char *const path[] = { "fifo", "symlink", "directory" };

		err_clear(&e);
		assert_int_equal(file_read(dir, path[i], 10, &data, &len, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		assert_null(data);
	}
	assert_int_equal(file_put_new(dir, "ten", "0123456789", 10, 0600, &e), 0);
	assert_int_equal(file_read(dir, "ten", 9, &data, &len, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_int_equal(file_read(dir, "ten", 10, &data, &len, &e), 0);
	free(data);
	assert_int_equal(file_put_new(dir, "empty", "", 0, 0600, &e), 0);
	assert_int_equal(file_read(dir, "empty", 0, &data, &len, &e), 0);
	assert_int_equal(len, 0);
	free(data);
}

static void
a_file_that_tells_no_size_is_read_to_its_end_or_max(void **state)
{
	uint8_t *data;
	size_t len;

	(void)state;	/* /proc says that every file has 0 bytes */
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/maps", 1 << 24, &data, &len, &e), 0);
	assert_true(len > 1000);
	free(data);
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/maps", 100, &data, &len, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
}

static void
directories_are_made_as_deep_as_needed(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(dir_make(dir, "a/b//c/", 0700, &e), 0);
	assert_int_equal(dir_make(dir, "a/b/c/d", 0700, &e), 0);
	assert_int_equal(dir_make(dir, "a/b/c/d", 0700, &e), 0);
	assert_int_equal(dir_make(dir, ".", 0700, &e), 0);
	assert_int_equal(fstatat(dir, "a/b/c/d", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(file_put_new(dir, "file", "", 0, 0600, &e), 0);
	assert_int_equal(dir_make(dir, "file", 0700, &e), -1);
	assert_int_equal(dir_make(dir, "file/below", 0700, &e), -1);
}

static void
lists_are_sorted_bytewise(void **state)
{
	char **list;
	size_t n;

	(void)state;
	assert_int_equal(file_put_new(dir, "b", "", 0, 0600, &e), 0);
	assert_int_equal(file_put_new(dir, "\377", "", 0, 0600, &e), 0);
	assert_int_equal(file_put_new(dir, "a", "", 0, 0600, &e), 0);
	assert_int_equal(file_put_new(dir, ".z", "", 0, 0600, &e), 0);
	assert_int_equal(dir_list(dir, ".", &list, &n, &e), 0);
	assert_int_equal(n, 4);
	assert_string_equal(list[0], ".z");
	assert_string_equal(list[1], "a");
	assert_string_equal(list[2], "b");
	assert_string_equal(list[3], "\377");
	dir_list_free(list, n);
	assert_int_equal(dir_list(dir, "none", &list, &n, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void
a_lock_excludes_and_shared_ones_do_not_exclude_each_other(void **state)
{
	int a, b;

	(void)state;
	a = lock_take(dir, "lock", 0, &e);
	assert_true(a >= 0);
	assert_int_equal(lock_take(dir, "lock", 1, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	(void)close(a);
	a = lock_take(dir, "lock", 1, &e);
	b = lock_take(dir, "lock", 1, &e);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(lock_take(dir, "lock", 0, &e), -1);
	(void)close(a);
	(void)close(b);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(put_new_never_replaces_on_any_file_system),
		T(publish_leaves_the_temporary_file_where_the_name_is_taken),
		T(without_rename_and_link_a_plain_rename_must_be_allowed),
		T(a_failed_write_or_sync_leaves_nothing_behind),
		T(replace_takes_the_place_of_what_is_there),
		T(the_longest_name_has_a_temporary_one),
		T(names_that_are_no_files_are_refused),
		T(only_regular_files_of_at_most_max_are_read),
		T(a_file_that_tells_no_size_is_read_to_its_end_or_max),
		T(directories_are_made_as_deep_as_needed),
		T(lists_are_sorted_bytewise),
		T(a_lock_excludes_and_shared_ones_do_not_exclude_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
