#include "walk_tree.h"

#include <sys/xattr.h>

#include "common/base/err.h"
#include "common/walk/compare.h"
#include "common/walk/meta.h"

/* ${en} as ${name} is now; its attributes stand in ${x}. */
static void
entry_now(const struct tree *t, const char *name, struct entry *en, struct xattr_rows *x)
{
	struct stat st;

	assert_int_equal(fstatat(t->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(meta_from_stat(&st, en), 0);
	assert_int_equal(meta_xattrs_read(-1, t->fd, name, x, NULL), 0);
	en->xattrs = xattr_rows_view(x);
}

static unsigned
compare(const struct tree *t, const char *name, const struct entry *en)
{
	unsigned differs = 0xffff;
	int fd = -1;

	assert_int_equal(compare_object(t->fd, name, en, 0, &differs, &fd, NULL), 0);
	if (fd != -1)
		(void)close(fd);
	return differs;
}

static void
each_difference_is_found_alone(void **state)
{
	struct xattr_rows x = { 0 };
	struct entry en, other;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_file(&t, "f", "12345");
	entry_now(&t, "f", &en, &x);
	assert_int_equal(compare(&t, "f", &en), 0);
	other = en;
	other.size++;
	assert_int_equal(compare(&t, "f", &other), DIFFERS_SIZE);
	other = en;
	other.mode ^= 1;
	assert_int_equal(compare(&t, "f", &other), DIFFERS_MODE);
	other = en;
	other.gid++;
	assert_int_equal(compare(&t, "f", &other), DIFFERS_OWNER);
	other = en;
	other.mtime_ns ^= 1;
	assert_int_equal(compare(&t, "f", &other), DIFFERS_MTIME);
	other = en;
	other.type = ENTRY_FIFO;
	assert_int_equal(compare(&t, "f", &other), DIFFERS_TYPE);
	assert_int_equal(compare(&t, "g", &en), DIFFERS_MISSING);
	if (setxattr(tree_join(&t, "f"), "user.a", "1", 1, 0) == 0) {
		assert_int_equal(compare(&t, "f", &en), DIFFERS_XATTR);
		entry_now(&t, "f", &en, &x);
		assert_int_equal(compare(&t, "f", &en), 0);
		assert_int_equal(setxattr(tree_join(&t, "f"), "user.a", "2", 1, 0), 0);
		assert_int_equal(compare(&t, "f", &en), DIFFERS_XATTR);
	}
	xattr_rows_release(&x);
	tree_remove(&t);
}

static void
an_acl_and_a_symlinks_target_are_compared(void **state)
{
	static const uint8_t acl[] = {
		2, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 4, 0, 0x39, 0x30, 0, 0, 4, 0, 4, 0, 0xff, 0xff, 0xff,
		0xff, 16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 32, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	};
	struct xattr_rows x = { 0 };
	struct entry en;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_file(&t, "f", "");
	assert_int_equal(symlinkat("f", t.fd, "l"), 0);
	entry_now(&t, "l", &en, &x);
	en.target = view_of("f", 1);
	assert_int_equal(compare(&t, "l", &en), 0);
	en.target = view_of("g", 1);
	assert_int_equal(compare(&t, "l", &en), DIFFERS_TARGET);
	entry_now(&t, "f", &en, &x);
	if (setxattr(tree_join(&t, "f"), "system.posix_acl_access", acl, sizeof(acl), 0) == 0)
		assert_int_equal(compare(&t, "f", &en), DIFFERS_ACL);
	xattr_rows_release(&x);
	tree_remove(&t);
}

static void
the_descriptor_is_that_of_the_object_compared_and_only_for_files(void **state)
{
	struct xattr_rows x = { 0 };
	struct entry en;
	unsigned differs;
	char got[8] = "", text[128];
	int fd;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_file(&t, "f", "content");
	assert_int_equal(mkfifoat(t.fd, "p", 0600), 0);
	entry_now(&t, "f", &en, &x);
	assert_int_equal(compare_object(t.fd, "f", &en, 0, &differs, &fd, NULL), 0);
	assert_int_equal(read(fd, got, 7), 7);
	assert_string_equal(got, "content");
	(void)close(fd);
	assert_int_equal(compare_object(t.fd, "p", &en, 0, &differs, &fd, NULL), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(differs, DIFFERS_TYPE);
	en.mode = 0;
	en.uid++;
	assert_int_equal(compare_object(t.fd, "f", &en, COMPARE_NO_OWNER, &differs, NULL, NULL), 0);
	assert_int_equal(differs, DIFFERS_MODE);
	assert_string_equal(compare_text(DIFFERS_MODE | DIFFERS_OWNER, text, sizeof(text)), "mode, owner");
	assert_string_equal(compare_text(0, text, sizeof(text)), "");
	assert_int_equal(strlen(compare_text(0x7ff, text, sizeof(text))), 90);
	xattr_rows_release(&x);
	tree_remove(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_difference_is_found_alone),
		cmocka_unit_test(an_acl_and_a_symlinks_target_are_compared),
		cmocka_unit_test(the_descriptor_is_that_of_the_object_compared_and_only_for_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
