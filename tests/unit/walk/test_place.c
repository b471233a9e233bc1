#include "walk_tree.h"

#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/walk/place.h"

struct site {
	struct tree t;
	struct place *p;
	struct meta_report report;
	size_t told, failed, left, same;
};

static void
site_open(struct site *s, enum place_overwrite overwrite)
{
	struct place_options opt = { .overwrite = overwrite, .tag = 9 };
	struct err e;

	err_clear(&e);
	s->p = place_new(s->t.fd, &opt, &e);
	assert_non_null(s->p);
}

static void
tell(void *ctx, struct fmt_view path, const struct entry *en, enum place_result res, int missed,
    const struct err *error)
{
	struct site *s = ctx;

	(void)path;
	assert_true(en->name.len > 0);
	assert_int_equal(missed == -1, error != NULL);
	s->told++;
	s->failed += missed == -1;
	s->left += res == PLACE_LEFT;
	s->same += res == PLACE_SAME;
}

static void
site_close(struct site *s)
{
	s->told = s->failed = s->left = s->same = 0;
	assert_int_equal(place_finish(s->p, &s->report, tell, s, NULL), 0);
	place_free(s->p);
	s->p = NULL;
}

static struct entry
entry_make(uint8_t type, const char *name)
{
	return (struct entry){
		.type = type, .mode = 0640, .uid = geteuid(), .gid = getegid(), .nlink = 1, .mtime_s = -5,
		.mtime_ns = 77, .name = view_of(name, strlen(name)),
	};
}

static void
enter(struct site *s, const char *path)
{
	struct err e;

	err_clear(&e);
	if (place_enter(s->p, view_of(path, strlen(path)), &e) != 0)
		fail_msg("%s", e.msg);
}

static enum place_result
put_file(struct site *s, const char *name, const char *text, struct place_id *id)
{
	struct place_dir *d = place_dir_hold(s->p);
	struct entry en = entry_make(ENTRY_FILE, name);
	struct place_file *f;
	enum place_result res;
	struct err e;

	en.size = strlen(text);
	assert_int_equal(place_file_begin(d, &en, &f, &res, id, &s->report, &e), 0);
	if (f != NULL) {
		assert_int_equal(place_file_write(f, text, strlen(text), 0, &e), 0);
		assert_int_equal(place_file_commit(f, &en, &s->report, &res, id, &e), 0);
	}
	place_dir_release(d);
	return res;
}

static void
put_dir(struct site *s, const char *name, uint32_t mode)
{
	struct entry en = entry_make(ENTRY_DIR, name);
	enum place_result res;

	en.mode = mode;
	assert_int_equal(place_subdir(s->p, &en, &res, NULL), 0);
}

static void
put_symlink(struct site *s, const char *name, const char *target)
{
	struct entry en = entry_make(ENTRY_SYMLINK, name);

	en.target = view_of(target, strlen(target));
	assert_int_equal(place_symlink(s->p, &en, NULL), 0);
}

static void
expect_file(struct site *s, const char *path, const char *text)
{
	char got[64] = "";
	int fd = openat(s->t.fd, path, O_RDONLY | O_NOFOLLOW);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(text));
	assert_string_equal(got, text);
	(void)close(fd);
}

static struct stat
stat_of(struct site *s, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(s->t.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void
a_tree_of_every_type_comes_back_with_its_attributes(void **state)
{
	struct site s = { 0 };
	struct entry en = entry_make(ENTRY_FIFO, "p");
	struct place_dir *d;
	struct place_id id;
	enum place_result res;
	char target[8] = "";

	(void)state;
	tree_make(&s.t);
	site_open(&s, PLACE_NEVER);
	enter(&s, "/");
	put_dir(&s, "closed", 0500);
	put_dir(&s, "d", 0755);
	put_symlink(&s, "l", "d/f");
	enter(&s, "/closed");
	put_dir(&s, "in", 0500);
	enter(&s, "/closed/in");
	assert_int_equal(put_file(&s, "f", "deep", &id), PLACE_DONE);
	enter(&s, "/d");
	assert_int_equal(put_file(&s, "f", "hello", &id), PLACE_DONE);
	d = place_dir_hold(s.p);
	assert_int_equal(place_special(d, &en, &s.report, &res, NULL), 0);
	if (geteuid() == 0) {
		en = entry_make(ENTRY_CHAR, "null");
		en.major = 1;
		en.minor = 3;
		assert_int_equal(place_special(d, &en, &s.report, &res, NULL), 0);
		assert_int_equal(stat_of(&s, "d/null").st_rdev, makedev(1, 3));
	}
	place_dir_release(d);
	en = entry_make(ENTRY_FILE, "g");
	assert_int_equal(place_hardlink(s.p, &en, view_of("/d", 2), view_of("f", 1), &id, &res, NULL), 0);
	assert_int_equal(res, PLACE_DONE);
	site_close(&s);
	assert_int_equal(s.told, 4);
	assert_int_equal(s.failed + s.left + s.same, 0);

	expect_file(&s, "d/f", "hello");
	expect_file(&s, "d/g", "hello");
	expect_file(&s, "closed/in/f", "deep");
	assert_int_equal(stat_of(&s, "d/f").st_ino, stat_of(&s, "d/g").st_ino);
	assert_int_equal(stat_of(&s, "d/f").st_mode, S_IFREG | 0640);
	assert_int_equal(stat_of(&s, "d/p").st_mode, S_IFIFO | 0640);
	assert_int_equal(stat_of(&s, "closed").st_mode, S_IFDIR | 0500);
	for (const char *path = "d\0l\0d/f\0d/p\0closed/in\0"; *path != '\0'; path += strlen(path) + 1) {
		struct stat st = stat_of(&s, path);

		assert_int_equal(st.st_mtim.tv_sec, -5);
		assert_int_equal(st.st_mtim.tv_nsec, 77);
	}
	assert_int_equal(readlinkat(s.t.fd, "l", target, sizeof(target)), 3);
	assert_string_equal(target, "d/f");
	tree_remove(&s.t);
}

static void
holes_stay_holes_and_the_size_is_exact(void **state)
{
	struct site s = { 0 };
	struct entry en = entry_make(ENTRY_FILE, "sparse");
	struct place_dir *d;
	struct place_file *f;
	enum place_result res;
	struct stat st;

	(void)state;
	tree_make(&s.t);
	site_open(&s, PLACE_NEVER);
	d = place_dir_hold(s.p);
	en.size = UINT64_C(1) << 36;
	assert_int_equal(place_file_begin(d, &en, &f, &res, NULL, &s.report, NULL), 0);
	assert_int_equal(place_file_write(f, "x", 1, UINT64_C(1) << 35, NULL), 0);
	assert_int_equal(place_file_commit(f, &en, &s.report, &res, NULL, NULL), 0);
	place_dir_release(d);
	site_close(&s);
	st = stat_of(&s, "sparse");
	assert_int_equal(st.st_size, UINT64_C(1) << 36);
	assert_true(st.st_blocks < 1000);
	tree_remove(&s.t);
}

static void
nothing_has_a_final_name_before_it_is_whole(void **state)
{
	struct site s = { 0 };
	struct entry en = entry_make(ENTRY_FILE, "f");
	struct place_dir *d;
	struct place_file *f;
	enum place_result res;
	struct stat st;
	size_t names = 0;
	DIR *dir;

	(void)state;
	tree_make(&s.t);
	site_open(&s, PLACE_IF_DIFFERENT);
	d = place_dir_hold(s.p);
	en.size = 5;
	/* A run that is killed here leaves a temporary file; the next one takes it away. */
	assert_int_equal(place_file_begin(d, &en, &f, &res, NULL, &s.report, NULL), 0);
	assert_int_equal(place_file_write(f, "12", 2, 0, NULL), 0);
	assert_int_equal(fstatat(s.t.fd, "f", &st, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(put_file(&s, "f", "12345", NULL), PLACE_DONE);
	/* The first one must not slip in under the name of the second. */
	assert_int_equal(place_file_commit(f, &en, &s.report, &res, NULL, NULL), -1);
	assert_int_equal(place_file_begin(d, &en, &f, &res, NULL, &s.report, NULL), 0);
	assert_int_equal(res, PLACE_SAME);
	en.size = 6;
	assert_int_equal(place_file_begin(d, &en, &f, &res, NULL, &s.report, NULL), 0);
	place_file_abandon(f);
	place_dir_release(d);
	site_close(&s);
	expect_file(&s, "f", "12345");
	assert_non_null(dir = opendir(s.t.path));
	while (readdir(dir) != NULL)
		names++;
	(void)closedir(dir);
	assert_int_equal(names, 3);
	tree_remove(&s.t);
}

/* A place in a target that was seen to be empty. */
static void
site_open_empty(struct site *s, enum place_overwrite overwrite)
{
	struct place_options opt = { .overwrite = overwrite, .tag = 9, .empty = true };
	struct err e;

	err_clear(&e);
	s->p = place_new(s->t.fd, &opt, &e);
	assert_non_null(s->p);
}

static void
in_a_directory_made_by_this_run_a_file_unfinished_is_written_anew(void **state)
{
	struct site s = { 0 };
	struct entry en = entry_make(ENTRY_FILE, "f");
	struct place_dir *d;
	struct place_file *f, *twice;
	enum place_result res;

	(void)state;
	tree_make(&s.t);
	site_open_empty(&s, PLACE_IF_DIFFERENT);
	d = place_dir_hold(s.p);
	en.size = 5;
	assert_int_equal(place_file_begin(d, &en, &f, &res, NULL, &s.report, NULL), 0);
	assert_int_equal(place_file_write(f, "wrong", 5, 0, NULL), 0);
	assert_int_equal(stat_of(&s, "f").st_size, 5);
	/* A listing that names it twice does not write into it. */
	assert_int_equal(place_file_begin(d, &en, &twice, &res, NULL, &s.report, NULL), 0);
	assert_int_equal(place_file_write(twice, "other", 5, 0, NULL), 0);
	expect_file(&s, "f", "wrong");
	place_file_abandon(twice);
	expect_file(&s, "f", "wrong");
	/* Killed here: all bytes, but not its times.  The next run does not find an empty target. */
	place_dir_release(d);
	site_close(&s);
	site_open(&s, PLACE_IF_DIFFERENT);
	assert_int_equal(put_file(&s, "f", "right", NULL), PLACE_DONE);
	site_close(&s);
	expect_file(&s, "f", "right");
	place_file_abandon(f);		/* gives back what the killed run held */
	tree_remove(&s.t);
}

static void
under_never_a_file_has_no_name_before_it_is_whole_in_any_directory(void **state)
{
	struct site s = { 0 };
	struct entry en = entry_make(ENTRY_FILE, "f");
	struct place_dir *d;
	struct place_file *f;
	enum place_result res;
	struct stat st;

	(void)state;
	tree_make(&s.t);
	site_open_empty(&s, PLACE_NEVER);
	d = place_dir_hold(s.p);
	assert_int_equal(place_file_begin(d, &en, &f, &res, NULL, &s.report, NULL), 0);
	assert_int_equal(fstatat(s.t.fd, "f", &st, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(place_file_commit(f, &en, &s.report, &res, NULL, NULL), 0);
	assert_int_equal(fstatat(s.t.fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	place_dir_release(d);
	site_close(&s);
	tree_remove(&s.t);
}

static void
what_a_file_inherits_from_the_target_is_taken_away(void **state)
{
	/* Version 2: user::rwx user:1:rwx group::r-x mask::rwx other::--- */
	static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 1, 0, 0, 0,
		4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255 };
	struct site s = { 0 };
	char path[200];

	(void)state;
	tree_make(&s.t);
	if (fsetxattr(s.t.fd, "system.posix_acl_default", acl, sizeof(acl), 0) != 0) {
		tree_remove(&s.t);
		skip();		/* not on this file system */
	}
	site_open_empty(&s, PLACE_IF_DIFFERENT);
	assert_int_equal(place_enter(s.p, view_of("/a/b", 4), NULL), 0);
	assert_int_equal(put_file(&s, "f", "12345", NULL), PLACE_DONE);
	site_close(&s);
	(void)snprintf(path, sizeof(path), "%s/a/b/f", s.t.path);
	assert_int_equal(getxattr(path, "system.posix_acl_access", NULL, 0), -1);
	assert_int_equal(errno, ENODATA);
	tree_remove(&s.t);
}

static void
the_same_restore_again_writes_only_what_differs(void **state)
{
	struct site s = { 0 };
	ino_t kept, lost;
	struct place_id id = { 0 };

	(void)state;
	tree_make(&s.t);
	for (unsigned run = 0; run < 2; run++) {
		enum place_result want = run == 0 ? PLACE_DONE : PLACE_SAME;

		site_open(&s, PLACE_IF_DIFFERENT);
		enter(&s, "/");
		put_dir(&s, "d", 0555);
		put_symlink(&s, "l", "d");
		enter(&s, "/d");
		assert_int_equal(put_file(&s, "kept", "text", &id), want);
		assert_int_equal(put_file(&s, "changed", "text", NULL), PLACE_DONE);
		site_close(&s);
		if (run == 0) {
			kept = stat_of(&s, "d/kept").st_ino;
			lost = stat_of(&s, "d/changed").st_ino;
			assert_int_equal(fchmodat(s.t.fd, "d/kept", 0777, 0), 0);
			assert_int_equal(utimensat(s.t.fd, "d/changed", NULL, 0), 0);
		}
	}
	assert_int_equal(stat_of(&s, "d/kept").st_ino, kept);
	assert_int_equal(id.ino, kept);
	assert_int_equal(stat_of(&s, "d/kept").st_mode, S_IFREG | 0640);
	assert_int_not_equal(stat_of(&s, "d/changed").st_ino, lost);
	assert_int_equal(stat_of(&s, "d").st_mode, S_IFDIR | 0555);
	assert_int_equal(s.same, 1);
	tree_remove(&s.t);
}

static void
never_leaves_everything_alone_and_always_replaces_all_but_directories(void **state)
{
	struct site s = { 0 };
	struct entry en = entry_make(ENTRY_FILE, "full");
	struct place_file *f;
	struct place_dir *d;
	enum place_result res;
	struct err e;

	(void)state;
	tree_make(&s.t);
	tree_file(&s.t, "f", "old");
	tree_dir(&s.t, "d");
	tree_file(&s.t, "l", "old");
	tree_dir(&s.t, "full");
	tree_file(&s.t, "full/x", "");
	site_open(&s, PLACE_NEVER);
	enter(&s, "/");
	assert_int_equal(put_file(&s, "f", "new", NULL), PLACE_LEFT);
	put_dir(&s, "d", 0700);
	put_symlink(&s, "l", "elsewhere");
	assert_int_equal(place_enter(s.p, view_of("/f", 2), &e), -1);
	assert_int_equal(e.code, ERR_NOT_EMPTY);
	site_close(&s);
	assert_int_equal(s.left, 1);
	expect_file(&s, "f", "old");
	expect_file(&s, "l", "old");
	assert_int_equal(stat_of(&s, "d").st_mode, S_IFDIR | 0755);

	site_open(&s, PLACE_ALWAYS);
	enter(&s, "/");
	assert_int_equal(put_file(&s, "f", "new", NULL), PLACE_DONE);
	put_symlink(&s, "l", "elsewhere");
	d = place_dir_hold(s.p);
	assert_int_equal(place_file_begin(d, &en, &f, &res, NULL, &s.report, &e), -1);
	assert_int_equal(e.code, ERR_NOT_EMPTY);
	place_dir_release(d);
	site_close(&s);
	expect_file(&s, "f", "new");
	expect_file(&s, "full/x", "");
	assert_int_equal(stat_of(&s, "l").st_mode & S_IFMT, S_IFLNK);
	tree_remove(&s.t);
}

static void
a_symlink_in_the_way_of_a_directory_is_refused_or_replaced_but_never_followed(void **state)
{
	struct site s = { 0 };
	struct stat st;
	struct err e;

	(void)state;
	tree_make(&s.t);
	tree_dir(&s.t, "real");
	assert_int_equal(symlinkat("real", s.t.fd, "d"), 0);
	site_open(&s, PLACE_NEVER);
	assert_int_equal(place_enter(s.p, view_of("/d/x", 4), &e), -1);
	assert_int_equal(e.code, ERR_NOT_EMPTY);
	site_close(&s);
	site_open(&s, PLACE_ALWAYS);
	enter(&s, "/d");
	assert_int_equal(put_file(&s, "f", "x", NULL), PLACE_DONE);
	site_close(&s);
	assert_int_equal(stat_of(&s, "d").st_mode & S_IFMT, S_IFDIR);
	assert_int_equal(fstatat(s.t.fd, "real/f", &st, 0), -1);
	tree_remove(&s.t);
}

static void
names_and_paths_that_no_listing_may_hold_are_refused(void **state)
{
	static const char *const names[] = { "", ".", "..", "a/b", "/etc" };
	static const char *const paths[] = { "", "a", "/a/", "/..", "/a/../b", "//a", "/." };
	struct site s = { 0 };
	struct err e;

	(void)state;
	tree_make(&s.t);
	site_open(&s, PLACE_ALWAYS);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct entry en = entry_make(ENTRY_DIR, names[i]);
		enum place_result res;

		assert_int_equal(place_subdir(s.p, &en, &res, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		assert_int_equal(place_symlink(s.p, &en, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(place_enter(s.p, view_of(paths[i], strlen(paths[i])), &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
	}
	site_close(&s);
	tree_remove(&s.t);
}

static void
a_hard_link_is_made_only_to_the_very_file_that_was_restored(void **state)
{
	struct site s = { 0 };
	struct entry en = entry_make(ENTRY_FILE, "h");
	struct place_id id, wrong;
	enum place_result res;

	(void)state;
	tree_make(&s.t);
	site_open(&s, PLACE_ALWAYS);
	enter(&s, "/");
	assert_int_equal(put_file(&s, "f", "x", &id), PLACE_DONE);
	assert_int_equal(put_file(&s, "h", "old", NULL), PLACE_DONE);
	assert_int_equal(symlinkat("f", s.t.fd, "l"), 0);
	wrong = (struct place_id){ .dev = id.dev, .ino = id.ino + 1 };
	assert_int_equal(place_hardlink(s.p, &en, view_of("/", 1), view_of("f", 1), &wrong, &res, NULL), 0);
	assert_int_equal(res, PLACE_NO_LINK);
	assert_int_equal(place_hardlink(s.p, &en, view_of("/", 1), view_of("l", 1), &id, &res, NULL), 0);
	assert_int_equal(res, PLACE_NO_LINK);
	expect_file(&s, "h", "old");
	assert_int_equal(place_hardlink(s.p, &en, view_of("/", 1), view_of("f", 1), &id, &res, NULL), 0);
	assert_int_equal(res, PLACE_DONE);
	assert_int_equal(place_hardlink(s.p, &en, view_of("/", 1), view_of("f", 1), &id, &res, NULL), 0);
	assert_int_equal(res, PLACE_SAME);
	site_close(&s);
	assert_int_equal(stat_of(&s, "h").st_ino, id.ino);
	assert_int_equal(stat_of(&s, "f").st_nlink, 2);
	tree_remove(&s.t);
}

static void
five_thousand_levels_are_filled_on_the_way_down_and_on_the_way_back(void **state)
{
	struct site s = { 0 };
	char *path = calloc(1, 20001);
	struct entry en = entry_make(ENTRY_DIR, "dir");
	enum place_result res;
	size_t len = 1, levels = 0;
	int fd, up;

	(void)state;
	assert_non_null(path);
	tree_make(&s.t);
	site_open(&s, PLACE_IF_DIFFERENT);
	en.mode = 0750;
	path[0] = '/';
	for (unsigned i = 0; i < 5000; i++) {
		assert_int_equal(place_enter(s.p, view_of(path, len), NULL), 0);
		assert_int_equal(place_subdir(s.p, &en, &res, NULL), 0);
		(void)memcpy(path + len, len > 1 ? "/dir" : "dir", 4);
		len += len > 1 ? 4 : 3;
	}
	for (; len > 4; len -= 4) {	/* files of the upper levels come after all below them */
		assert_int_equal(place_enter(s.p, view_of(path, len), NULL), 0);
		if (len % 100 == 0)
			assert_int_equal(put_file(&s, "f", "x", NULL), PLACE_DONE);
	}
	site_close(&s);
	assert_int_equal(s.told, 5000);
	assert_int_equal(s.failed, 0);
	fd = dup(s.t.fd);
	while ((up = openat(fd, "dir", O_RDONLY | O_DIRECTORY)) >= 0) {
		struct stat st;

		assert_int_equal(fstat(up, &st), 0);
		assert_true(st.st_mtim.tv_sec == -5 && (st.st_mode & 07777) == 0750);
		(void)close(fd);
		fd = up;
		levels++;
	}
	(void)close(fd);
	assert_int_equal(levels, 5000);
	free(path);
	tree_remove(&s.t);
}

static void
an_ordinary_user_restores_into_directories_that_end_up_closed(void **state)
{
	struct site s = { 0 };

	(void)state;
	tree_make(&s.t);
	assert_int_equal(chmod(s.t.path, 0777), 0);
	if (geteuid() == 0)
		tree_user(65534);
	for (unsigned run = 0; run < 2; run++) {	/* the second one finds them closed */
		site_open(&s, PLACE_IF_DIFFERENT);
		enter(&s, "/");
		put_dir(&s, "none", 0);
		put_dir(&s, "read", 0500);
		enter(&s, "/none");
		put_dir(&s, "in", 0100);
		enter(&s, "/none/in");
		assert_int_equal(put_file(&s, run == 0 ? "f" : "g", "x", NULL), PLACE_DONE);
		enter(&s, "/read");
		assert_int_equal(put_file(&s, run == 0 ? "f" : "g", "x", NULL), PLACE_DONE);
		site_close(&s);
		assert_int_equal(s.failed, 0);
	}
	assert_int_equal(stat_of(&s, "none").st_mode, S_IFDIR);
	assert_int_equal(stat_of(&s, "read").st_mode, S_IFDIR | 0500);
	assert_int_equal(fchmodat(s.t.fd, "none", 0700, 0), 0);
	assert_int_equal(stat_of(&s, "none/in").st_mode, S_IFDIR | 0100);
	assert_int_equal(fchmodat(s.t.fd, "none/in", 0700, 0), 0);
	assert_int_equal(fchmodat(s.t.fd, "read", 0700, 0), 0);
	expect_file(&s, "none/in/f", "x");
	expect_file(&s, "read/g", "x");
	if (getuid() == 0)
		tree_user(0);
	tree_remove(&s.t);
}

static void
notes_beyond_what_memory_holds_are_all_carried_out(void **state)
{
	struct site s = { 0 };
	char name[32], target[200];

	(void)state;
	tree_make(&s.t);
	site_open(&s, PLACE_NEVER);
	enter(&s, "/");
	(void)memset(target, 't', sizeof(target));
	target[199] = '\0';
	for (unsigned i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "l%u", i);
		put_symlink(&s, name, target);
		(void)snprintf(name, sizeof(name), "d%u", i);
		put_dir(&s, name, 0711);
	}
	site_close(&s);
	assert_int_equal(s.told, 4000);
	assert_int_equal(s.failed, 0);
	assert_int_equal(stat_of(&s, "l1999").st_size, 199);
	assert_int_equal(stat_of(&s, "d0").st_mode, S_IFDIR | 0711);
	tree_remove(&s.t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_of_every_type_comes_back_with_its_attributes),
		cmocka_unit_test(holes_stay_holes_and_the_size_is_exact),
		cmocka_unit_test(nothing_has_a_final_name_before_it_is_whole),
		cmocka_unit_test(in_a_directory_made_by_this_run_a_file_unfinished_is_written_anew),
		cmocka_unit_test(under_never_a_file_has_no_name_before_it_is_whole_in_any_directory),
		cmocka_unit_test(what_a_file_inherits_from_the_target_is_taken_away),
		cmocka_unit_test(the_same_restore_again_writes_only_what_differs),
		cmocka_unit_test(never_leaves_everything_alone_and_always_replaces_all_but_directories),
		cmocka_unit_test(a_symlink_in_the_way_of_a_directory_is_refused_or_replaced_but_never_followed),
		cmocka_unit_test(names_and_paths_that_no_listing_may_hold_are_refused),
		cmocka_unit_test(a_hard_link_is_made_only_to_the_very_file_that_was_restored),
		cmocka_unit_test(five_thousand_levels_are_filled_on_the_way_down_and_on_the_way_back),
		cmocka_unit_test(an_ordinary_user_restores_into_directories_that_end_up_closed),
		cmocka_unit_test(notes_beyond_what_memory_holds_are_all_carried_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
