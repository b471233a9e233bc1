#include "walk_tree.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "common/base/err.h"
#include "common/walk/tar_out.h"

static const uint8_t acl[] = {
	2, 0, 0, 0,
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	2, 0, 4, 0, 0x39, 0x30, 0, 0,
	4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
};

static const struct fmt_view no_link = { 0 };

static struct entry
entry_make(uint8_t type)
{
	return (struct entry){
		.type = type, .mode = 0640, .uid = geteuid(), .gid = getegid(), .nlink = 1, .mtime_s = 1600000000,
		.mtime_ns = 123456789,
	};
}

static void
put(struct tar_out *t, const char *path, const struct entry *en, const char *text)
{
	struct err e;

	err_clear(&e);
	if (tar_out_entry(t, view_of(path, strlen(path)), en, no_link, &e) != 0)
		fail_msg("%s", e.msg);
	if (text != NULL)
		assert_int_equal(tar_out_data(t, text, strlen(text), &e), 0);
}

/* Run a tar program over the archive "a.tar" in the directory "out"; false: there is none. */
static bool
extract(const struct tree *t, const char *program)
{
	char command[700];
	int status;

	(void)snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	if (system(command) != 0)
		return false;
	(void)snprintf(command, sizeof(command), "cd '%s' && rm -rf out && mkdir out && %s -xpf a.tar -C out %s 2>log",
	    t->path, program, strcmp(program, "tar") == 0 ? "--acls --xattrs --xattrs-include='*' --numeric-owner" : "");
	status = system(command);
	if (status != 0) {
		(void)snprintf(command, sizeof(command), "cat '%s'/log", t->path);
		(void)!system(command);
	}
	assert_int_equal(status, 0);
	return true;
}

static struct stat
stat_of(const struct tree *t, const char *name)
{
	char path[600];
	struct stat st;

	(void)snprintf(path, sizeof(path), "out/%s", name);
	if (fstatat(t->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		fail_msg("%s is missing", name);
	return st;
}

static void
expect_text(const struct tree *t, const char *name, const char *text)
{
	char path[600], got[64] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "out/%s", name);
	assert_true((fd = openat(t->fd, path, O_RDONLY)) >= 0);
	assert_int_equal(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(text));
	assert_string_equal(got, text);
	(void)close(fd);
}

static struct tar_out *
archive_open(const struct tree *t, int *fd)
{
	struct tar_out *out;

	assert_true((*fd = openat(t->fd, "a.tar", O_WRONLY | O_CREAT | O_TRUNC, 0644)) >= 0);
	assert_non_null(out = tar_out_new_fd(*fd, NULL));
	return out;
}

static void
archive_close(struct tar_out *out, int fd)
{
	assert_int_equal(tar_out_end(out, NULL), 0);
	tar_out_free(out);
	assert_int_equal(close(fd), 0);
}

static const char longest[] = "d/0123456789012345678901234567890123456789012345678901234567890123456789"
    "0123456789012345678901234567890123456789012345678901234567890123456789";
static const char decomposed[] = "d/e\xcc\x81";	/* two code points that some would make one */

static void
write_all_types(const struct tree *t)
{
	struct entry en = entry_make(ENTRY_DIR);
	uint8_t rows[300];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct tar_out *out;
	int fd;

	out = archive_open(t, &fd);
	en.mode = 0750;
	put(out, "d", &en, NULL);
	en = entry_make(ENTRY_FILE);
	en.size = 5;
	xattr_put(&w, view_of("system.posix_acl_access", 23), view_of(acl, sizeof(acl)));
	xattr_put(&w, view_of("user.note", 9), view_of("a=b\n\xff", 5));
	en.xattrs = view_of(rows, sizeof(rows) - w.left);
	put(out, "d/file", &en, "hello");
	assert_int_equal(tar_out_entry(out, view_of("d/again", 7), &en, view_of("d/file", 6), NULL), 0);
	en.xattrs.len = 0;
	put(out, longest, &en, "world");
	put(out, decomposed, &en, "norm.");
	put(out, "d/\xff\n", &en, "bytes");
	en.mtime_s = -6;
	en.mtime_ns = 250000000;
	put(out, "d/old", &en, "older");
	en.mtime_s = -1;
	put(out, "d/almost", &en, "1969.");
	en.mtime_s = INT64_C(7300000000);
	put(out, "d/new", &en, "newer");
	en = entry_make(ENTRY_SYMLINK);
	en.target = view_of("d/file", 6);
	put(out, "l", &en, NULL);
	en = entry_make(ENTRY_FIFO);
	put(out, "p", &en, NULL);
	if (geteuid() == 0) {
		en = entry_make(ENTRY_CHAR);
		en.major = 1;
		en.minor = 3;
		put(out, "null", &en, NULL);
	}
	archive_close(out, fd);
}

static void
check_all_types(const struct tree *t, const char *program)
{
	char value[64], path[600];

	assert_int_equal(stat_of(t, "d").st_mode, S_IFDIR | 0750);
	expect_text(t, "d/file", "hello");
	expect_text(t, longest, "world");
	expect_text(t, decomposed, "norm.");
	expect_text(t, "d/\xff\n", "bytes");
	assert_int_equal(stat_of(t, "d/again").st_ino, stat_of(t, "d/file").st_ino);
	assert_int_equal(stat_of(t, "d/file").st_mtim.tv_sec, 1600000000);
	assert_int_equal(stat_of(t, "d/file").st_mtim.tv_nsec, 123456789);
	assert_int_equal(stat_of(t, "d/file").st_mode, S_IFREG | 0640);
	if (strcmp(program, "tar") == 0) {	/* bsdtar adds the fraction of a negative number with the wrong sign */
		assert_int_equal(stat_of(t, "d/old").st_mtim.tv_sec, -6);
		assert_int_equal(stat_of(t, "d/old").st_mtim.tv_nsec, 250000000);
		assert_int_equal(stat_of(t, "d/almost").st_mtim.tv_sec, -1);
	}
	assert_int_equal(stat_of(t, "d/new").st_mtim.tv_sec, INT64_C(7300000000));
	assert_int_equal(stat_of(t, "l").st_mode & S_IFMT, S_IFLNK);
	assert_int_equal(stat_of(t, "p").st_mode & S_IFMT, S_IFIFO);
	if (geteuid() == 0)
		assert_int_equal(stat_of(t, "null").st_rdev, makedev(1, 3));
	(void)snprintf(path, sizeof(path), "%s/out/d/file", t->path);
	assert_int_equal(getxattr(path, "user.note", value, sizeof(value)), 5);
	assert_memory_equal(value, "a=b\n\xff", 5);
	assert_int_equal(getxattr(path, "system.posix_acl_access", value, sizeof(value)), sizeof(acl));
	assert_memory_equal(value, acl, sizeof(acl));
}

static void
each_tar_program_takes_every_type_and_attribute_out_again(void **state)
{
	static const char *const programs[] = { "tar", "bsdtar" };
	size_t ran = 0;
	struct tree t;

	(void)state;
	tree_make(&t);
	write_all_types(&t);
	for (size_t i = 0; i < 2; i++)
		if (extract(&t, programs[i])) {
			check_all_types(&t, programs[i]);
			ran++;
		}
	tree_remove(&t);
	if (ran == 0)
		skip();
}

static void
extent_row(uint8_t *to, bool hole, uint64_t len)
{
	struct extent x = { .len = len };

	x.id[0] = hole ? 0 : 1;
	extent_put(to, &x);
}

static void
holes_are_stored_as_holes(void **state)
{
	static const uint64_t mb = 1 << 20;
	uint8_t rows[4 * EXTENT_LEN];
	struct entry en = entry_make(ENTRY_FILE);
	struct tar_out *out;
	struct stat st;
	char *page = calloc(1, 8192), got[4] = "";
	struct tree t;
	int fd;

	(void)state;
	assert_non_null(page);
	tree_make(&t);
	out = archive_open(&t, &fd);
	(void)memset(page, 'x', 8192);
	extent_row(rows, true, 1024 * mb);
	extent_row(rows + EXTENT_LEN, false, 4096);
	extent_row(rows + 2 * EXTENT_LEN, false, 4096);
	extent_row(rows + 3 * EXTENT_LEN, true, 100 * mb);
	en.extents = view_of(rows, sizeof(rows));
	en.size = 1124 * mb + 8192;
	put(out, "sparse", &en, NULL);
	assert_int_equal(tar_out_hole(out, 1024 * mb, NULL), 0);
	assert_int_equal(tar_out_data(out, page, 8192, NULL), 0);
	assert_int_equal(tar_out_hole(out, 100 * mb, NULL), 0);
	extent_row(rows, true, 64 * mb);
	en.extents = view_of(rows, EXTENT_LEN);
	en.size = 64 * mb;
	put(out, "empty", &en, NULL);
	assert_int_equal(tar_out_hole(out, 64 * mb, NULL), 0);
	archive_close(out, fd);
	assert_int_equal(fstatat(t.fd, "a.tar", &st, 0), 0);
	assert_true(st.st_size < (off_t)mb);
	if (extract(&t, "tar")) {
		assert_int_equal(stat_of(&t, "sparse").st_size, 1124 * mb + 8192);
		assert_true(stat_of(&t, "sparse").st_blocks < 100);
		assert_int_equal(stat_of(&t, "empty").st_size, 64 * mb);
		assert_true((fd = openat(t.fd, "out/sparse", O_RDONLY)) >= 0);
		assert_int_equal(pread(fd, got, 2, (off_t)(1024 * mb - 1)), 2);
		assert_memory_equal(got, "\0x", 2);
		assert_int_equal(pread(fd, got, 2, (off_t)(1024 * mb + 8191)), 2);
		assert_memory_equal(got, "x\0", 2);
		(void)close(fd);
	}
	free(page);
	tree_remove(&t);
}

static int
refuse(void *ctx, const void *bytes, size_t n, struct err *e)
{
	(void)ctx;
	(void)bytes;
	(void)n;
	return err_set(e, ERR_NO_SPACE, "no more");
}

static void
a_stream_that_cannot_be_written_says_why(void **state)
{
	struct entry en = entry_make(ENTRY_FILE);
	char page[8192] = { 0 };
	struct tar_out *out;
	struct err e;
	int rc = 0;

	(void)state;
	err_clear(&e);
	assert_non_null(out = tar_out_new(refuse, NULL, &e));
	en.size = 1 << 20;
	assert_int_equal(tar_out_entry(out, view_of("f", 1), &en, no_link, &e), 0);
	for (unsigned i = 0; i < 128 && rc == 0; i++)
		rc = tar_out_data(out, page, sizeof(page), &e);
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	tar_out_free(out);
}

static void
a_member_of_the_wrong_length_is_refused(void **state)
{
	struct entry en = entry_make(ENTRY_FILE);
	struct tar_out *out;
	struct err e;
	struct tree t;
	int fd;

	(void)state;
	tree_make(&t);
	out = archive_open(&t, &fd);
	en.size = 3;
	put(out, "f", &en, "12");
	assert_int_equal(tar_out_data(out, "34", 2, &e), -1);
	assert_int_equal(tar_out_end(out, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	tar_out_free(out);
	(void)close(fd);
	tree_remove(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_tar_program_takes_every_type_and_attribute_out_again),
		cmocka_unit_test(holes_are_stored_as_holes),
		cmocka_unit_test(a_stream_that_cannot_be_written_says_why),
		cmocka_unit_test(a_member_of_the_wrong_length_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
