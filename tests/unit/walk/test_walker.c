#include "walk_tree.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "common/base/io.h"
#include "common/walk/exclude.h"
#include "common/walk/owner.h"
#include "common/walk/walker.h"

/* What a walk showed, as text: one line each, below the test's own directory. */
struct seen {
	char *text;
	size_t len, cap;
	size_t dirs, entries, skipped, errors;
	int last_sys;
};

static void
seen_add(struct seen *s, const char *what, const char *path, size_t len)
{
	size_t need = s->len + strlen(what) + len + 2;

	if (need > s->cap) {
		s->cap = need * 2;
		assert_non_null(s->text = realloc(s->text, s->cap));
	}
	(void)memcpy(s->text + s->len, what, strlen(what));
	s->len += strlen(what);
	(void)memcpy(s->text + s->len, path, len);
	s->len += len;
	s->text[s->len++] = '\n';
	s->text[s->len] = '\0';
}

/* Note an item if it lies below ${top}; "+" a block, "!" error, "-" skipped, "^" an entry above. */
static void
seen_item(struct seen *s, const struct walk_item *it, const char *top)
{
	size_t n = strlen(top);
	char path[2048];
	size_t len = it->path.len;

	s->dirs += it->kind == WALK_DIR;
	s->entries += it->kind == WALK_ENTRY;
	s->skipped += it->kind == WALK_SKIPPED;
	s->errors += it->kind == WALK_ERROR;
	if (it->kind == WALK_ERROR)
		s->last_sys = it->err->sys;
	if (len < n || memcmp(it->path.p, top, n) != 0 || len + 300 > sizeof(path))
		return;
	(void)memcpy(path, it->path.p, len);
	if (it->kind == WALK_ENTRY) {
		path[len++] = '/';
		(void)memcpy(path + len, it->entry.name.p, it->entry.name.len);
		len += it->entry.name.len;
	}
	n = len > n && path[n] == '/' ? n + 1 : n;
	seen_add(s, it->kind == WALK_DIR ? "+" : it->kind == WALK_SKIPPED ? "-" : it->kind == WALK_ERROR ? "!" :
	    (it->entry.flags & ENTRY_ABOVE) != 0 ? "^" : "", path + n, len - n);
}

static struct walker *
start(struct walk_options *opt, const char *const *paths, size_t n)
{
	struct walker *w;
	struct err e;

	err_clear(&e);
	opt->paths = paths;
	opt->npaths = n;
	if (opt->owners == NULL)
		assert_non_null(opt->owners = owner_names_new());
	w = walker_new(opt, &e);
	if (w == NULL)
		print_error("%s\n", e.msg);
	assert_non_null(w);
	return w;
}

/* Walk to the end; free the text. */
static struct seen
walk(struct walk_options *opt, const char *const *paths, size_t n, const char *top)
{
	struct walker *w = start(opt, paths, n);
	struct seen s = { 0 };
	struct walk_item it;
	struct err e;
	int rc;

	err_clear(&e);
	while ((rc = walker_next(w, &it, &e)) == 1)
		seen_item(&s, &it, top);
	assert_int_equal(rc, 0);
	walker_free(w);
	owner_names_free(opt->owners);
	opt->owners = NULL;
	return s;
}

static void
expect(struct walk_options *opt, const char *const *paths, size_t n, const char *top, const char *want)
{
	struct seen s = walk(opt, paths, n, top);

	assert_string_equal(s.text, want);
	free(s.text);
}

static void
blocks_come_in_listing_order_with_entries_sorted_by_byte(void **state)
{
	struct walk_options opt = { 0 };
	const char *paths[1];
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	tree_dir(&t, "a");
	tree_dir(&t, "a-b");
	tree_dir(&t, "a/x");
	tree_file(&t, "a/x/1", "1");
	tree_file(&t, "a.c", "");
	tree_file(&t, "B", "");
	tree_file(&t, "a-b/\xff", "");
	tree_file(&t, "a-b/\xc3\xa9", "");
	expect(&opt, paths, 1, t.path,
	    "+\nB\na\na-b\na.c\n+a\na/x\n+a/x\na/x/1\n+a-b\na-b/\xc3\xa9\na-b/\xff\n");
	tree_remove(&t);
}

/* The parent's block names the test's directory itself, without ENTRY_ABOVE. */
static void
directories_above_a_path_are_entries_flagged_above(void **state)
{
	struct walk_options opt = { 0 };
	struct walker *w;
	struct walk_item it;
	const char *paths[1];
	size_t above = 0, own = 0, depth = 0;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_file(&t, "f", "");
	paths[0] = t.path;
	w = start(&opt, paths, 1);
	while (walker_next(w, &it, NULL) == 1) {
		if (it.kind == WALK_ENTRY && (it.entry.flags & ENTRY_ABOVE) != 0) {
			assert_int_equal(it.entry.type, ENTRY_DIR);
			assert_true(it.entry.inode != 0);
			above++;
		} else if (it.kind == WALK_ENTRY)
			own++;
		if (it.kind == WALK_DIR)
			assert_int_equal(it.above, it.path.len < strlen(t.path));
	}
	for (const char *p = t.path; *p != '\0'; p++)
		depth += *p == '/';
	assert_int_equal(above, depth - 1);
	assert_int_equal(own, 2);
	walker_free(w);
	owner_names_free(opt.owners);
	tree_remove(&t);
}

static void
paths_inside_one_another_are_walked_once_and_symlinks_to_paths_followed(void **state)
{
	struct walk_options opt = { 0 };
	const char *paths[5];
	struct walk_path p;
	struct walker *w;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_dir(&t, "a");
	tree_dir(&t, "a/b");
	tree_dir(&t, "c");
	tree_file(&t, "a/b/f", "");
	tree_file(&t, "c/g", "");
	tree_file(&t, "c/h", "");
	assert_int_equal(symlinkat("a", t.fd, "to-a"), 0);
	paths[0] = tree_join(&t, "c/h");
	paths[1] = tree_join(&t, "a/b/");
	paths[2] = tree_join(&t, "to-a/");
	paths[3] = tree_join(&t, "a");
	paths[4] = tree_join(&t, "c/../c/h");
	expect(&opt, paths, 5, t.path, "+\na\n^c\n+a\na/b\n+a/b\na/b/f\n+c\nc/h\n");
	w = start(&opt, paths, 5);
	assert_int_equal(walker_path(w, 2, &p), 0);
	assert_true(p.followed);
	assert_string_equal(p.resolved, tree_join(&t, "a"));
	assert_int_equal(walker_path(w, 1, &p), 0);
	assert_true(p.inside && !p.followed);
	assert_int_equal(walker_path(w, 0, &p), 0);
	assert_false(p.inside);
	assert_int_equal(walker_path(w, 5, &p), -1);
	walker_free(w);
	owner_names_free(opt.owners);
	tree_remove(&t);
}

static void
sockets_are_named_and_left_out_and_all_other_types_kept(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct walk_options opt = { 0 };
	struct walk_item it;
	struct walker *w;
	const char *paths[1];
	size_t types[ENTRY_TYPE_MAX + 1] = { 0 }, skipped = 0;
	struct tree t;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", tree_join(&t, "sock"));
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(close(s), 0);
	assert_int_equal(mkfifoat(t.fd, "fifo", 0640), 0);
	assert_int_equal(symlinkat("nowhere\n", t.fd, "link"), 0);
	tree_file(&t, "file", "12345");
	tree_dir(&t, "dir");
	if (geteuid() == 0)
		assert_int_equal(mknodat(t.fd, "null", S_IFCHR | 0600, makedev(1, 3)), 0);
	w = start(&opt, paths, 1);
	while (walker_next(w, &it, NULL) == 1) {
		if (it.kind == WALK_SKIPPED) {
			assert_int_equal(it.reason, SKIP_SOCKET);
			skipped++;
		}
		if (it.kind != WALK_ENTRY || it.path.len != strlen(t.path))
			continue;
		types[it.entry.type]++;
		if (it.entry.type == ENTRY_SYMLINK)
			assert_memory_equal(it.entry.target.p, "nowhere\n", it.entry.target.len);
		if (it.entry.type == ENTRY_CHAR)
			assert_true(it.entry.major == 1 && it.entry.minor == 3);
		assert_int_equal(it.entry.size, it.entry.type == ENTRY_FILE ? 5 : 0);
	}
	assert_int_equal(skipped, 1);
	assert_int_equal(types[ENTRY_FILE] + types[ENTRY_DIR] + types[ENTRY_SYMLINK] + types[ENTRY_FIFO], 4);
	assert_int_equal(types[ENTRY_CHAR], geteuid() == 0);
	walker_free(w);
	owner_names_free(opt.owners);
	tree_remove(&t);
}

static void
names_of_any_bytes_and_of_255_bytes_are_shown_as_they_are(void **state)
{
	struct walk_options opt = { 0 };
	const char *paths[1];
	char longest[256], want[600];
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	(void)memset(longest, 'x', 255);
	longest[255] = '\0';
	tree_file(&t, longest, "");
	tree_file(&t, "a\nb", "");
	tree_file(&t, "\xff\xfe", "");
	(void)snprintf(want, sizeof(want), "+\na\nb\n%s\n\xff\xfe\n", longest);
	expect(&opt, paths, 1, t.path, want);
	tree_remove(&t);
}

static void
excluded_names_vanish_and_nothing_below_an_excluded_directory_comes_back(void **state)
{
	static const char *const lines[] = { "*.o", "!keep.o", "/build/", "!/build/x", "deep/*", "!deep/y" };
	struct walk_options opt = { 0 };
	struct exclude *x = exclude_new();
	const char *paths[2];
	struct tree t;

	(void)state;
	tree_make(&t);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(exclude_add(x, lines[i], strlen(lines[i]), NULL), 0);
	opt.exclude = x;
	tree_dir(&t, "build");
	tree_file(&t, "build/x", "");
	tree_dir(&t, "build/in");
	tree_file(&t, "build/in/z", "");
	tree_dir(&t, "deep");
	tree_file(&t, "deep/x", "");
	tree_file(&t, "deep/y", "");
	tree_file(&t, "a.o", "");
	tree_file(&t, "keep.o", "");
	paths[0] = t.path;
	expect(&opt, paths, 1, t.path, "+\ndeep\nkeep.o\n+deep\ndeep/y\n");
	/* A PATH of its own inside what is excluded is walked all the same, with patterns from there. */
	paths[1] = tree_join(&t, "build/in");
	expect(&opt, paths, 2, t.path,
	    "+\n^build\ndeep\nkeep.o\n+build\nbuild/in\n+build/in\nbuild/in/z\n+deep\ndeep/y\n");
	exclude_free(x);
	tree_remove(&t);
}

static void
of_a_tagged_cache_only_the_tag_is_kept(void **state)
{
	struct walk_options opt = { .exclude_caches = true };
	const char *paths[1];
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	tree_dir(&t, "cache");
	tree_dir(&t, "cache/sub");
	tree_file(&t, "cache/f", "");
	tree_file(&t, "cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# more");
	tree_dir(&t, "false");
	tree_file(&t, "false/f", "");
	tree_file(&t, "false/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc5");
	expect(&opt, paths, 1, t.path,
	    "+\ncache\nfalse\n+cache\ncache/CACHEDIR.TAG\n+false\nfalse/CACHEDIR.TAG\nfalse/f\n");
	tree_remove(&t);
}

static void
a_directory_of_the_never_list_is_an_entry_but_is_not_entered(void **state)
{
	struct walk_never never;
	struct walk_options opt = { .never = &never, .nnever = 1 };
	const char *paths[1];
	struct stat st;
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	tree_dir(&t, "state");
	tree_file(&t, "state/f", "");
	assert_int_equal(fstatat(t.fd, "state", &st, 0), 0);
	never = (struct walk_never){ .dev = st.st_dev, .ino = st.st_ino };
	expect(&opt, paths, 1, t.path, "+\nstate\n-state\n");
	tree_remove(&t);
}

static void
a_path_that_is_not_there_or_lies_on_a_pseudo_file_system_is_refused(void **state)
{
	static const struct { const char *path; enum err_code want; } t[] = {
		{ "/nowhere-at-all", ERR_SOURCE }, { "/proc", ERR_TARGET }, { "/proc/self/", ERR_TARGET },
		{ "/sys/kernel", ERR_TARGET }, { "", ERR_SOURCE },
	};
	struct walk_options opt = { 0 };
	struct err e;

	(void)state;
	assert_non_null(opt.owners = owner_names_new());
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		err_clear(&e);
		opt.paths = &t[i].path;
		opt.npaths = 1;
		assert_null(walker_new(&opt, &e));
		assert_int_equal(e.code, t[i].want);
	}
	opt.npaths = 0;
	assert_null(walker_new(&opt, &e));
	assert_int_equal(e.code, ERR_USAGE);
	owner_names_free(opt.owners);
}

static void
pseudo_file_systems_below_a_path_are_named_and_not_entered(void **state)
{
	static const char *const lines[] = { "/*", "!/proc" };
	struct walk_options opt = { 0 };
	struct exclude *x = exclude_new();
	struct seen s;
	const char *paths[1] = { "/" };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(exclude_add(x, lines[i], strlen(lines[i]), NULL), 0);
	opt.exclude = x;
	s = walk(&opt, paths, 1, "/");
	assert_string_equal(s.text, "+\nproc\n-proc\n");
	assert_int_equal(s.dirs, 1);
	free(s.text);
	exclude_free(x);
}

static void
a_path_on_tmpfs_is_walked(void **state)
{
	struct walk_options opt = { 0 };
	char dir[] = "/dev/shm/samara-walk-XXXXXX";
	const char *paths[1] = { dir };
	struct seen s;

	(void)state;
	if (mkdtemp(dir) == NULL)
		skip();
	s = walk(&opt, paths, 1, dir);
	assert_string_equal(s.text, "+\n");
	free(s.text);
	assert_int_equal(rmdir(dir), 0);
}

static void
a_directory_that_vanishes_is_an_error_and_the_walk_goes_on(void **state)
{
	struct walk_options opt = { 0 };
	struct walk_item it;
	struct walker *w;
	struct seen s = { 0 };
	const char *paths[1];
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	tree_dir(&t, "a");
	tree_dir(&t, "b");
	tree_dir(&t, "c");
	assert_int_equal(symlinkat("/etc", t.fd, "link"), 0);
	w = start(&opt, paths, 1);
	while (walker_next(w, &it, NULL) == 1) {
		seen_item(&s, &it, t.path);
		if (it.kind == WALK_ENTRY && it.entry.name.len == 4 && memcmp(it.entry.name.p, "link", 4) == 0) {
			assert_int_equal(unlinkat(t.fd, "a", AT_REMOVEDIR), 0);
			assert_int_equal(unlinkat(t.fd, "b", AT_REMOVEDIR), 0);
			assert_int_equal(symlinkat("/etc", t.fd, "b"), 0);
		}
	}
	assert_string_equal(s.text, "+\na\nb\nc\nlink\n!a\n!b\n+c\n");
	free(s.text);
	walker_free(w);
	owner_names_free(opt.owners);
	tree_remove(&t);
}

static size_t
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void
ten_thousand_levels_are_walked_with_few_descriptors(void **state)
{
	struct walk_options opt = { 0 };
	struct walk_item it;
	struct walker *w;
	const char *paths[1];
	size_t before = open_files(), most = 0, dirs = 0, files = 0;
	struct tree t;
	int fd, up;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	fd = dup(t.fd);
	for (unsigned i = 0; i < 10000; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		assert_int_equal(mkdirat(fd, "e", 0755), 0);	/* entered on the way back */
		up = fd;
		assert_true((fd = openat(up, "d", O_RDONLY | O_DIRECTORY)) >= 0);
		(void)close(up);
	}
	assert_true((up = openat(fd, "f", O_CREAT | O_WRONLY, 0644)) >= 0);
	(void)close(up);
	(void)close(fd);
	w = start(&opt, paths, 1);
	while (walker_next(w, &it, NULL) == 1) {
		assert_int_not_equal(it.kind, WALK_ERROR);
		dirs += it.kind == WALK_DIR && !it.above;
		files += it.kind == WALK_ENTRY && it.entry.type == ENTRY_FILE;
		if (it.kind == WALK_DIR && dirs % 500 == 0 && open_files() > most)
			most = open_files();
	}
	assert_int_equal(dirs, 20001);
	assert_int_equal(files, 1);
	assert_in_range(most, before + 1, before + 80);
	walker_free(w);
	owner_names_free(opt.owners);
	tree_remove(&t);
}

static void
a_path_too_long_for_a_listing_is_an_error_and_the_rest_is_walked(void **state)
{
	struct walk_options opt = { 0 };
	struct seen s;
	const char *paths[1];
	char name[251];
	struct tree t;
	int fd, up;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	(void)memset(name, 'n', 250);
	name[250] = '\0';
	fd = dup(t.fd);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		up = fd;
		assert_true((fd = openat(up, name, O_RDONLY | O_DIRECTORY)) >= 0);
		(void)close(up);
	}
	(void)close(fd);
	s = walk(&opt, paths, 1, t.path);
	assert_int_equal(s.errors, 1);
	assert_int_equal(s.last_sys, ENAMETOOLONG);
	assert_in_range(s.dirs, 65000 / 251, 66000 / 251 + 4);
	free(s.text);
	tree_remove(&t);
}

/* At each level a directory d leads down and z is entered on the way back. */
static void
a_directory_moved_away_while_it_was_closed_does_not_lead_the_walk_astray(void **state)
{
	(void)state;
	for (unsigned moved = 30; moved <= 44; moved += 2) {
		struct walk_options opt = { 0 };
		struct walk_item it;
		struct walker *w;
		const char *paths[1];
		char *path;
		size_t z = 0, errors = 0, deepest;
		struct tree t;

		tree_make(&t);
		tree_dir(&t, "top");
		paths[0] = tree_join(&t, "top");
		assert_non_null(path = calloc(1, 4096));
		(void)strcpy(path, "top");
		for (unsigned i = 0; i < 100; i++) {
			(void)strcat(path, "/z");
			tree_dir(&t, path);
			path[strlen(path) - 1] = 'd';
			tree_dir(&t, path);
		}
		deepest = strlen(t.path) + 1 + strlen(path);
		path[3 + 2 * moved] = '\0';
		w = start(&opt, paths, 1);
		while (walker_next(w, &it, NULL) == 1) {
			if (it.kind == WALK_DIR && it.path.len == deepest && it.path.p[deepest - 1] == 'd') {
				assert_int_equal(renameat(t.fd, path, t.fd, "elsewhere"), 0);
				deepest = 0;
			}
			z += it.kind == WALK_DIR && !it.above && it.path.p[it.path.len - 1] == 'z';
			errors += it.kind == WALK_ERROR;
		}
		assert_int_equal(z, 100);
		assert_int_equal(errors, 0);
		walker_free(w);
		owner_names_free(opt.owners);
		free(path);
		tree_remove(&t);
	}
}

static void
a_directory_larger_than_the_window_is_sorted_and_summed(void **state)
{
	struct walk_options opt = { .small_max = 4 };
	struct walk_item it;
	struct walker *w;
	const char *paths[1];
	char name[32], last[32] = "";
	size_t n = 0;
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	for (unsigned i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "same-start-%x", i * 2654435761u);
		tree_file(&t, name, i % 100 == 0 ? "four" : "ab");
	}
	for (unsigned pass = 0; pass < 2; pass++) {
		w = start(&opt, paths, 1);
		while (walker_next(w, &it, NULL) == 1) {
			if (it.kind == WALK_DIR && !it.above && pass == 0)
				assert_int_equal(it.small_bytes, 9900 * 2);
			else if (it.kind == WALK_DIR && !it.above)
				assert_in_range(it.small_bytes, 50, 60);
			if (it.kind != WALK_ENTRY || it.path.len != strlen(t.path))
				continue;
			(void)snprintf(name, sizeof(name), "%.*s", (int)it.entry.name.len, (const char *)it.entry.name.p);
			assert_true(strcmp(last, name) < 0);
			(void)strcpy(last, name);
			n++;
		}
		walker_free(w);
		opt.small_enough = 50;
		last[0] = '\0';
	}
	assert_int_equal(n, 20000);
	owner_names_free(opt.owners);
	tree_remove(&t);
}

static void
a_directory_this_user_may_not_read_is_an_error(void **state)
{
	struct walk_options opt = { 0 };
	const char *paths[1];
	struct tree t;
	int root = geteuid() == 0;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	tree_dir(&t, "closed");
	tree_dir(&t, "open");
	assert_int_equal(fchmodat(t.fd, "closed", 0, 0), 0);
	if (root)
		tree_user(65534);
	expect(&opt, paths, 1, t.path, "+\nclosed\nopen\n!closed\n+open\n");
	if (root)
		tree_user(0);
	tree_remove(&t);
}

static void
file_systems_stand_in_a_table_that_the_entries_count_in(void **state)
{
	struct walk_options opt = { 0 };
	struct walk_item it;
	struct walker *w;
	struct filesystem fs, again;
	struct stat root, own;
	const char *paths[1];
	uint8_t row[1024];
	struct wr out = { .p = row, .left = sizeof(row) };
	struct rd in;
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	tree_file(&t, "f", "");
	assert_int_equal(stat("/", &root), 0);
	assert_int_equal(fstat(t.fd, &own), 0);
	w = start(&opt, paths, 1);
	while (walker_next(w, &it, NULL) == 1)
		if (it.kind == WALK_ENTRY && it.path.len == strlen(t.path))
			assert_int_equal(it.entry.fs == 0, root.st_dev == own.st_dev);
	assert_int_equal(walker_filesystem(w, 0, &fs), 0);
	assert_true(fs.type.len > 0);
	assert_int_equal(fs.path.len, 1);
	filesystem_put(&out, &fs);
	assert_false(out.bad);
	in = (struct rd){ .p = row, .left = sizeof(row) - out.left };
	assert_int_equal(filesystem_next(&in, &again), FMT_OK);
	assert_memory_equal(again.type.p, fs.type.p, fs.type.len);
	assert_int_equal(walker_filesystem(w, 4096, &fs), -1);
	walker_free(w);
	owner_names_free(opt.owners);
	tree_remove(&t);
}

/* Mounts of this process alone; false where that is not allowed. */
static bool
mounts_of_our_own(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void
other_file_systems_below_a_path_are_entered_only_if_they_hold_files_and_it_is_wanted(void **state)
{
	struct walk_options opt = { 0 };
	const char *paths[2];
	char options[800];
	struct tree t;

	(void)state;
	if (!mounts_of_our_own())
		skip();
	tree_make(&t);
	paths[0] = t.path;
	tree_dir(&t, "memory");
	if (mount("none", tree_join(&t, "memory"), "tmpfs", 0, "size=1m") != 0) {
		tree_remove(&t);
		skip();
	}
	tree_dir(&t, "memory/d");
	tree_file(&t, "memory/f", "");
	expect(&opt, paths, 1, t.path, "+\nmemory\n-memory\n");
	paths[1] = tree_join(&t, "memory/d");
	expect(&opt, paths, 2, t.path, "+\n^memory\n+memory\nmemory/d\n+memory/d\n");
	paths[1] = tree_join(&t, "memory");
	expect(&opt, paths, 2, t.path, "+\nmemory\n+memory\nmemory/d\nmemory/f\n+memory/d\n");
	assert_int_equal(umount(tree_join(&t, "memory")), 0);

	tree_dir(&t, "memory/low");
	tree_dir(&t, "memory/other");
	tree_file(&t, "memory/low/f", "");
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s", tree_join(&t, "memory/low"), tree_join(&t, "memory"));
	tree_dir(&t, "over");
	if (mount("none", tree_join(&t, "over"), "overlay", MS_RDONLY, options) == 0) {
		paths[0] = tree_join(&t, "over/..");
		expect(&opt, paths, 1, tree_join(&t, "over"), "+\n" "f\nlow\nother\n+low\nlow/f\n+other\n");
		opt.one_file_system = true;
		expect(&opt, paths, 1, tree_join(&t, "over"), "-\n");
		paths[0] = tree_join(&t, "over");
		expect(&opt, paths, 1, tree_join(&t, "over"), "+\n" "f\nlow\nother\n+low\nlow/f\n+other\n");
		assert_int_equal(umount(tree_join(&t, "over")), 0);
	}
	tree_remove(&t);
}

static void *
read_and_release(void *arg)
{
	struct walk_dir *d = arg;
	char b[2] = { 0 };
	int fd = openat(walk_dir_fd(d), "f", O_RDONLY | O_NOFOLLOW);
	ssize_t n = read(fd, b, 1);

	(void)close(fd);
	walk_dir_release(d);
	return n == 1 && b[0] == 'x' ? d : NULL;
}

static void
a_directory_that_is_held_outlives_the_walk_in_any_thread(void **state)
{
	struct walk_options opt = { 0 };
	struct walk_item it;
	struct walker *w;
	struct walk_dir *held[8];
	pthread_t thread[8];
	const char *paths[1];
	size_t n = 0, before = open_files();
	void *got;
	struct tree t;

	(void)state;
	tree_make(&t);
	paths[0] = t.path;
	for (unsigned i = 0; i < 8; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "d%u", i);
		tree_dir(&t, name);
		(void)strcat(name, "/f");
		tree_file(&t, name, "x");
	}
	w = start(&opt, paths, 1);
	while (walker_next(w, &it, NULL) == 1)
		if (it.kind == WALK_ENTRY && it.entry.type == ENTRY_FILE)
			held[n++] = walk_dir_hold(it.dir);
	walker_free(w);
	assert_int_equal(n, 8);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_and_release, held[i]), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pthread_join(thread[i], &got), 0);
		assert_non_null(got);
	}
	owner_names_free(opt.owners);
	tree_remove(&t);
	assert_int_equal(open_files(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_in_listing_order_with_entries_sorted_by_byte),
		cmocka_unit_test(directories_above_a_path_are_entries_flagged_above),
		cmocka_unit_test(paths_inside_one_another_are_walked_once_and_symlinks_to_paths_followed),
		cmocka_unit_test(sockets_are_named_and_left_out_and_all_other_types_kept),
		cmocka_unit_test(names_of_any_bytes_and_of_255_bytes_are_shown_as_they_are),
		cmocka_unit_test(excluded_names_vanish_and_nothing_below_an_excluded_directory_comes_back),
		cmocka_unit_test(of_a_tagged_cache_only_the_tag_is_kept),
		cmocka_unit_test(a_directory_of_the_never_list_is_an_entry_but_is_not_entered),
		cmocka_unit_test(a_path_that_is_not_there_or_lies_on_a_pseudo_file_system_is_refused),
		cmocka_unit_test(pseudo_file_systems_below_a_path_are_named_and_not_entered),
		cmocka_unit_test(a_path_on_tmpfs_is_walked),
		cmocka_unit_test(a_directory_that_vanishes_is_an_error_and_the_walk_goes_on),
		cmocka_unit_test(ten_thousand_levels_are_walked_with_few_descriptors),
		cmocka_unit_test(a_path_too_long_for_a_listing_is_an_error_and_the_rest_is_walked),
		cmocka_unit_test(a_directory_moved_away_while_it_was_closed_does_not_lead_the_walk_astray),
		cmocka_unit_test(a_directory_larger_than_the_window_is_sorted_and_summed),
		cmocka_unit_test(a_directory_this_user_may_not_read_is_an_error),
		cmocka_unit_test(file_systems_stand_in_a_table_that_the_entries_count_in),
		cmocka_unit_test(other_file_systems_below_a_path_are_entered_only_if_they_hold_files_and_it_is_wanted),
		cmocka_unit_test(a_directory_that_is_held_outlives_the_walk_in_any_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
