#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/image_sweep.h"

static char top[64];
static int fd;

static int
image_make(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/samara-sweep-XXXXXX");
	if (mkdtemp(top) == NULL || (fd = dir_open(AT_FDCWD, top, NULL)) == -1)
		return -1;
	return dir_make(fd, "packs/0000", 0755, NULL) | dir_make(fd, "snap", 0755, NULL) | dir_make(fd, "index", 0755, NULL);
}

static int
image_remove(void **state)
{
	char cmd[128];

	(void)state;
	(void)close(fd);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd);
}

static void
put(const char *name)
{
	int f = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(f != -1);
	(void)close(f);
}

static bool
there(const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
what_a_killed_run_left_is_removed(void **state)
{
	static const char *const left[] = { "packs/0000/00000001.tm", "snap/00000000.tmp", "index/p0000.tmp",
	    ".label.tmp-77-0123456789abcdef", "snap/.00000000.env.tmp-1-ffffffffffffffff" };

	(void)state;
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		put(left[i]);
	assert_int_equal(image_sweep(fd), sizeof(left) / sizeof(left[0]));
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		assert_false(there(left[i]));
	assert_int_equal(image_sweep(fd), 0);
}

static void
everything_else_stays(void **state)
{
	static const char *const kept[] = { "label", "packs/0000/00000000.pk", "packs/0000/0000001.tm", "packs/0000/00000001.tm2",
	    "notes.tmp.txt", ".tmp", "My.tmp", "longername.tmp", ".label.tmp-77-0123", ".label.tmp--0123456789abcdef",
	    "label.tmp-77-0123456789abcdef", ".tmp-77-0123456789abcdef", ".label.tmp-77-0123456789abcdefa" };

	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		put(kept[i]);
	assert_int_equal(dir_make(fd, "00000001.tm", 0755, NULL), 0);
	assert_int_equal(dir_make(fd, "packs/0000/deep", 0755, NULL), 0);
	put("packs/0000/deep/00000001.tm");
	assert_int_equal(image_sweep(fd), 0);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_true(there(kept[i]));
	assert_true(there("packs/0000/deep/00000001.tm"));
}

static void
a_symlink_leads_nowhere(void **state)
{
	char other[] = "/tmp/samara-other-XXXXXX", file[64];

	(void)state;
	assert_non_null(mkdtemp(other));
	(void)snprintf(file, sizeof(file), "%s/00000001.tm", other);
	(void)close(open(file, O_WRONLY | O_CREAT, 0644));
	assert_int_equal(symlinkat(other, fd, "packs/0001"), 0);
	assert_int_equal(symlinkat(file, fd, "packs/0000/00000002.tm"), 0);
	assert_int_equal(image_sweep(fd), 0);
	assert_int_equal(access(file, F_OK), 0);
	assert_true(there("packs/0000/00000002.tm"));
	(void)unlink(file);
	(void)rmdir(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_killed_run_left_is_removed, image_make, image_remove),
		cmocka_unit_test_setup_teardown(everything_else_stays, image_make, image_remove),
		cmocka_unit_test_setup_teardown(a_symlink_leads_nowhere, image_make, image_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
