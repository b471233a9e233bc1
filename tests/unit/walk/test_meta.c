#include "walk_tree.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/walk/meta.h"
#include "common/walk/owner.h"

/* An ACL of version 2 as the kernel takes it: owner, one named user, group, mask, other. */
static const uint8_t acl[] = {
	2, 0, 0, 0,
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	2, 0, 4, 0, 0x39, 0x30, 0, 0,
	4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
};
static const uint8_t capability[] = { 1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

static bool
has_user_xattrs(const struct tree *t)
{
	bool yes;

	tree_file(t, "probe", "");
	yes = setxattr(tree_join(t, "probe"), "user.probe", "1", 1, 0) == 0;
	assert_int_equal(unlinkat(t->fd, "probe", 0), 0);
	return yes;
}

static size_t
row_count(const struct xattr_rows *x)
{
	struct rd r = { .p = x->p, .left = x->len };
	struct fmt_view name, value, last = { 0 };
	size_t n = 0;

	while (r.left > 0) {
		assert_int_equal(xattr_next(&r, &name, &value), FMT_OK);
		assert_true(n == 0 || name_order(last, name) < 0);
		last = name;
		n++;
	}
	return n;
}

static void
attributes_are_read_by_rising_name_from_a_descriptor_or_by_name(void **state)
{
	struct xattr_rows x = { 0 }, y = { 0 };
	char big[3000];
	struct tree t;
	int fd;

	(void)state;
	tree_make(&t);
	if (!has_user_xattrs(&t)) {
		tree_remove(&t);
		skip();
	}
	(void)memset(big, 'b', sizeof(big));
	tree_file(&t, "f", "");
	fd = openat(t.fd, "f", O_RDONLY);
	assert_int_equal(meta_xattrs_read(fd, -1, NULL, &x, NULL), 0);
	assert_int_equal(x.len, 0);
	assert_int_equal(fsetxattr(fd, "user.z", "", 0, 0), 0);
	assert_int_equal(fsetxattr(fd, "user.a", big, sizeof(big), 0), 0);
	assert_int_equal(fsetxattr(fd, "user.\xff\n", "v", 1, 0), 0);
	assert_int_equal(fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	assert_int_equal(meta_xattrs_read(fd, -1, NULL, &x, NULL), 0);
	assert_int_equal(row_count(&x), 4);
	assert_int_equal(meta_xattrs_read(-1, t.fd, "f", &y, NULL), 0);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.p, y.p, x.len);
	for (unsigned i = 0; i < 20; i++) {	/* names longer together than the first guess */
		char name[120];

		(void)snprintf(name, sizeof(name), "user.%02u%090d", i, 0);
		if (fsetxattr(fd, name, "", 0, 0) != 0)
			break;
	}
	assert_int_equal(meta_xattrs_read(fd, -1, NULL, &x, NULL), 0);
	assert_true(row_count(&x) > 4);
	(void)close(fd);
	xattr_rows_release(&x);
	xattr_rows_release(&y);
	tree_remove(&t);
}

static void
reading_attributes_of_a_symlink_does_not_follow_it(void **state)
{
	struct xattr_rows x = { 0 };
	struct err e;
	struct tree t;

	(void)state;
	tree_make(&t);
	err_clear(&e);
	tree_file(&t, "f", "");
	(void)setxattr(tree_join(&t, "f"), "user.a", "1", 1, 0);
	assert_int_equal(symlinkat("f", t.fd, "link"), 0);
	assert_int_equal(meta_xattrs_read(-1, t.fd, "link", &x, NULL), 0);
	assert_int_equal(x.len, 0);
	assert_int_equal(meta_xattrs_read(-1, t.fd, "nothing", &x, &e), -1);
	assert_int_equal(e.sys, ENOENT);
	xattr_rows_release(&x);
	tree_remove(&t);
}

/* ${en} as ${name} is now. */
static void
entry_now(const struct tree *t, const char *name, struct entry *en)
{
	struct stat st;

	assert_int_equal(fstatat(t->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(meta_from_stat(&st, en), 0);
}

/* Some file systems hold fewer years. */
static bool
holds_time(const struct tree *t, int64_t seconds)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = seconds } };
	struct stat st;

	assert_int_equal(utimensat(t->fd, "f", times, 0), 0);
	assert_int_equal(fstatat(t->fd, "f", &st, 0), 0);
	return st.st_mtim.tv_sec == seconds;
}

static void
times_before_1970_and_after_2200_come_back_to_the_nanosecond(void **state)
{
	static const int64_t seconds[] = { -1, -86400 * 365, 0, 1, INT64_C(7300000000) };
	struct meta_report report = { 0 };
	struct entry en, now;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_file(&t, "f", "");
	tree_dir(&t, "d");
	assert_int_equal(mkfifoat(t.fd, "p", 0600), 0);
	assert_int_equal(symlinkat("f", t.fd, "l"), 0);
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
		for (const char *name = "f\0d\0p\0l\0"; *name != '\0'; name += 2) {
			if (!holds_time(&t, seconds[i]))
				break;
			entry_now(&t, name, &en);
			en.mtime_s = seconds[i];
			en.mtime_ns = 123456789;
			assert_int_equal(meta_apply(-1, t.fd, name, &en, NULL, &report, NULL), 0);
			entry_now(&t, name, &now);
			assert_int_equal(now.mtime_s, seconds[i]);
			assert_int_equal(now.mtime_ns, 123456789);
		}
	tree_remove(&t);
}

static void
set_id_bits_and_capabilities_survive_the_change_of_owner(void **state)
{
	struct meta_report report = { 0 };
	struct entry en, now;
	uint8_t rows[200], got[64];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct tree t;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	tree_make(&t);
	tree_file(&t, "f", "x");
	tree_file(&t, "g", "x");
	entry_now(&t, "f", &en);
	xattr_put(&w, view_of("security.capability", 19), view_of(capability, sizeof(capability)));
	xattr_put(&w, view_of("system.posix_acl_access", 23), view_of(acl, sizeof(acl)));
	en.xattrs = view_of(rows, sizeof(rows) - w.left);
	en.uid = 4321;
	en.gid = 1234;
	en.mode = 06740;
	assert_true((fd = openat(t.fd, "f", O_WRONLY)) >= 0);
	assert_int_equal(meta_apply(fd, -1, NULL, &en, NULL, &report, NULL), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(meta_apply(-1, t.fd, "g", &en, NULL, &report, NULL), 0);
	for (const char *name = "f\0g\0"; *name != '\0'; name += 2) {
		entry_now(&t, name, &now);
		assert_int_equal(now.mode, 06740);
		assert_int_equal(now.uid, 4321);
		assert_int_equal(now.gid, 1234);
		assert_int_equal(getxattr(tree_join(&t, name), "security.capability", got, sizeof(got)), 20);
		assert_int_equal(getxattr(tree_join(&t, name), "system.posix_acl_access", got, sizeof(got)), 44);
	}
	tree_remove(&t);
}

static void
attributes_that_the_entry_does_not_have_are_removed(void **state)
{
	struct meta_report report = { 0 };
	struct entry en;
	struct tree t;

	(void)state;
	tree_make(&t);
	if (!has_user_xattrs(&t)) {
		tree_remove(&t);
		skip();
	}
	assert_int_equal(setxattr(t.path, "system.posix_acl_default", acl, sizeof(acl), 0), 0);
	tree_file(&t, "f", "");
	assert_int_equal(mkfifoat(t.fd, "p", 0600), 0);
	assert_int_equal(setxattr(tree_join(&t, "f"), "user.old", "1", 1, 0), 0);
	for (const char *name = "f\0p\0"; *name != '\0'; name += 2) {
		int fd = *name == 'f' ? openat(t.fd, name, O_RDONLY) : -1;

		assert_int_equal(getxattr(tree_join(&t, name), "system.posix_acl_access", NULL, 0), 44);
		entry_now(&t, name, &en);
		en.mode = 0604;
		assert_int_equal(meta_apply(fd, t.fd, name, &en, NULL, &report, NULL), 0);
		assert_int_equal(listxattr(tree_join(&t, name), NULL, 0), 0);
		entry_now(&t, name, &en);
		assert_int_equal(en.mode, 0604);
		if (fd != -1)
			(void)close(fd);
	}
	tree_remove(&t);
}

static void
what_an_ordinary_user_may_not_set_is_counted_and_the_rest_is_set(void **state)
{
	struct meta_report report = { 0 }, sum = { 0 };
	struct entry en, now;
	uint8_t rows[200];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct tree t;

	(void)state;
	tree_make(&t);
	assert_int_equal(chmod(t.path, 0777), 0);
	if (geteuid() == 0)
		tree_user(65534);
	tree_file(&t, "f", "");
	entry_now(&t, "f", &en);
	xattr_put(&w, view_of("security.capability", 19), view_of(capability, sizeof(capability)));
	xattr_put(&w, view_of("user.mine", 9), view_of("1", 1));
	en.xattrs = view_of(rows, sizeof(rows) - w.left);
	en.uid = 4321;
	en.mode = 04500;
	en.mtime_s = 77;
	assert_int_equal(meta_apply(-1, t.fd, "f", &en, NULL, &report, NULL),
	    1 << META_OWNER | 1 << META_MODE | 1 << META_XATTR);
	entry_now(&t, "f", &now);
	assert_int_equal(now.mode, 0500);
	assert_int_equal(now.mtime_s, 77);
	assert_int_equal(getxattr(tree_join(&t, "f"), "user.mine", NULL, 0), 1);
	assert_int_equal(report.missed[META_OWNER], 1);
	assert_int_equal(report.sys[META_OWNER], EPERM);
	assert_string_equal(report.xattr, "security.capability");
	meta_report_add(&sum, &report);
	meta_report_add(&sum, &report);
	assert_int_equal(sum.missed[META_XATTR], 2);
	if (getuid() == 0)
		tree_user(0);
	tree_remove(&t);
}

static void
an_object_of_another_type_is_left_as_it_is(void **state)
{
	struct meta_report report = { 0 };
	struct entry en, now;
	struct err e;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_file(&t, "f", "");
	tree_file(&t, "other", "");
	entry_now(&t, "f", &en);
	en.mode = 0;
	assert_int_equal(unlinkat(t.fd, "f", 0), 0);
	assert_int_equal(symlinkat("other", t.fd, "f"), 0);
	err_clear(&e);
	assert_int_equal(meta_apply(-1, t.fd, "f", &en, NULL, &report, &e), -1);
	assert_int_not_equal(e.code, ERR_NONE);
	entry_now(&t, "other", &now);
	assert_int_equal(now.mode, 0644);
	tree_remove(&t);
}

static void
owners_go_by_name_where_that_is_asked_and_known(void **state)
{
	struct owner_names *o = owner_names_new();
	struct meta_options opt = { .by_name = o };
	struct meta_report report = { 0 };
	struct entry en, now;
	struct fmt_view name;
	struct tree t;

	(void)state;
	assert_non_null(o);
	name = owner_user(o, 0);
	assert_int_equal(name.len, 4);
	assert_memory_equal(name.p, "root", 4);
	assert_int_equal(owner_user(o, 3999999999u).len, 0);
	assert_int_equal(owner_uid(o, view_of("root", 4), 7), 0);
	assert_int_equal(owner_gid(o, view_of("root", 4), 7), 0);
	assert_int_equal(owner_uid(o, view_of("no such user", 12), 7), 7);
	assert_int_equal(owner_uid(o, view_of(NULL, 0), 7), 7);
	if (geteuid() == 0) {
		tree_make(&t);
		tree_file(&t, "f", "");
		entry_now(&t, "f", &en);
		en.uid = 4321;
		en.gid = 4321;
		en.user = view_of("daemon", 6);
		en.group = view_of("nobody knows", 12);
		assert_int_equal(meta_apply(-1, t.fd, "f", &en, &opt, &report, NULL), 0);
		entry_now(&t, "f", &now);
		assert_int_equal(now.uid, 1);
		assert_int_equal(now.gid, 4321);
		tree_remove(&t);
	}
	owner_names_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_are_read_by_rising_name_from_a_descriptor_or_by_name),
		cmocka_unit_test(reading_attributes_of_a_symlink_does_not_follow_it),
		cmocka_unit_test(times_before_1970_and_after_2200_come_back_to_the_nanosecond),
		cmocka_unit_test(set_id_bits_and_capabilities_survive_the_change_of_owner),
		cmocka_unit_test(attributes_that_the_entry_does_not_have_are_removed),
		cmocka_unit_test(what_an_ordinary_user_may_not_set_is_counted_and_the_rest_is_set),
		cmocka_unit_test(an_object_of_another_type_is_left_as_it_is),
		cmocka_unit_test(owners_go_by_name_where_that_is_asked_and_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
