#include "walk_tree.h"

#include <dirent.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/walk/exclude.h"
#include "common/walk/owner.h"
#include "common/walk/walker.h"

#define DEPTH	120		/* deeper than directories stay open */

/* What a walk showed below a directory: "path/name size" of files, "path/name/" of directories. */
struct shown {
	char text[16384];
	size_t errors, skipped;
};

static void
walk(struct walk_options *o, const char *const *paths, size_t n, const char *top, struct shown *s)
{
	struct walk_item it;
	struct walker *w;
	struct err e;
	size_t at = 0, len = strlen(top);

	err_clear(&e);
	memset(s, 0, sizeof(*s));
	o->paths = paths;
	o->npaths = n;
	assert_non_null(o->owners = owner_names_new());
	if ((w = walker_new(o, &e)) == NULL)
		fail_msg("%s", e.msg);
	while (walker_next(w, &it, &e) == 1) {
		s->errors += it.kind == WALK_ERROR;
		s->skipped += it.kind == WALK_SKIPPED;
		if (it.kind != WALK_ENTRY || it.path.len < len || memcmp(it.path.p, top, len) != 0)
			continue;
		at += (size_t)snprintf(s->text + at, sizeof(s->text) - at, "%.*s/%.*s", (int)(it.path.len - len), it.path.p + len,
		    (int)it.entry.name.len, it.entry.name.p);
		if (it.entry.type == ENTRY_DIR)
			at += (size_t)snprintf(s->text + at, sizeof(s->text) - at, "/\n");
		else
			at += (size_t)snprintf(s->text + at, sizeof(s->text) - at, " %u\n", (unsigned)it.entry.size);
		assert_true(at < sizeof(s->text));
	}
	assert_int_equal(e.code, ERR_NONE);
	walker_free(w);
	owner_names_free(o->owners);
	o->owners = NULL;
}

static struct walk_instead
instead(const char *path, const char *real)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (struct walk_instead){ .path = path, .real = real, .path_dev = st.st_dev };
}

static void
names_are_those_of_the_original_and_contents_those_of_the_snapshot(void **state)
{
	const char *paths[1];
	struct walk_options o = { 0 };
	struct walk_instead one;
	struct shown s;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_dir(&t, "live");
	tree_file(&t, "live/a", "changed meanwhile");
	tree_file(&t, "live/new", "");
	tree_dir(&t, "snap");
	tree_dir(&t, "snap/sub");
	tree_file(&t, "snap/a", "old");
	tree_file(&t, "snap/sub/b", "deep");
	assert_int_equal(fchmodat(t.fd, "snap", 0711, 0), 0);
	paths[0] = tree_join(&t, "live");
	one = instead(paths[0], tree_join(&t, "snap"));
	o.instead = &one;
	o.ninstead = 1;
	walk(&o, paths, 1, t.path, &s);
	assert_string_equal(s.text, "/live/\n/live/a 3\n/live/sub/\n/live/sub/b 4\n");
	assert_int_equal(s.errors, 0);
	tree_remove(&t);
}

static void
a_path_inside_another_has_its_own(void **state)
{
	const char *paths[2];
	struct walk_options o = { 0 };
	struct walk_instead two[2];
	struct shown s;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_dir(&t, "live");
	tree_dir(&t, "live/inner");
	tree_file(&t, "live/inner/x", "12345");
	tree_dir(&t, "snap");
	tree_dir(&t, "snap/inner");
	tree_file(&t, "snap/z", "z");
	tree_dir(&t, "other");
	tree_file(&t, "other/y", "12");
	paths[0] = tree_join(&t, "live");
	paths[1] = tree_join(&t, "live/inner");
	two[0] = instead(paths[0], tree_join(&t, "snap"));
	two[1] = instead(paths[1], tree_join(&t, "other"));
	o.instead = two;
	o.ninstead = 2;
	walk(&o, paths, 2, t.path, &s);
	assert_string_equal(s.text, "/live/\n/live/inner/\n/live/z 1\n/live/inner/y 2\n");
	tree_remove(&t);
}

static void
patterns_and_what_is_never_entered_hold_in_the_snapshot(void **state)
{
	const char *paths[1];
	struct walk_options o = { 0 };
	struct walk_instead one;
	struct walk_never never;
	struct exclude *x = exclude_new();
	struct stat st;
	struct shown s;
	struct tree t;
	struct err e;

	(void)state;
	err_clear(&e);
	tree_make(&t);
	tree_dir(&t, "live");
	tree_dir(&t, "snap");
	tree_dir(&t, "snap/state");
	tree_file(&t, "snap/state/key", "k");
	tree_dir(&t, "snap/tmp");
	tree_file(&t, "snap/tmp/t", "t");
	tree_file(&t, "snap/keep", "k");
	assert_non_null(x);
	assert_int_equal(exclude_add(x, "/tmp", 4, &e), 0);
	/* The directory has the number that the original's has, on a device of its own: here it is the same. */
	assert_int_equal(fstatat(t.fd, "snap/state", &st, 0), 0);
	never = (struct walk_never){ st.st_dev, st.st_ino };
	paths[0] = tree_join(&t, "live");
	one = instead(paths[0], tree_join(&t, "snap"));
	o.instead = &one;
	o.ninstead = 1;
	o.never = &never;
	o.nnever = 1;
	o.exclude = x;
	walk(&o, paths, 1, t.path, &s);
	assert_string_equal(s.text, "/live/\n/live/keep 1\n/live/state/\n");
	assert_int_equal(s.skipped, 1);
	exclude_free(x);
	tree_remove(&t);
}

static void
a_deep_snapshot_leads_back_to_the_live_tree(void **state)
{
	const char *paths[2];
	struct walk_options o = { 0 };
	struct walk_instead one;
	char name[DEPTH * 2 + 16] = "snap";
	struct shown s;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_dir(&t, "live");
	tree_dir(&t, "z");
	tree_file(&t, "z/last", "!");
	tree_dir(&t, "snap");
	for (unsigned i = 0; i < DEPTH; i++) {
		(void)strcat(name, "/d");
		tree_dir(&t, name);
	}
	tree_file(&t, "snap/d/zz", "1");
	paths[0] = tree_join(&t, "live");
	paths[1] = tree_join(&t, "z");
	one = instead(paths[0], tree_join(&t, "snap"));
	o.instead = &one;
	o.ninstead = 1;
	walk(&o, paths, 2, t.path, &s);
	assert_int_equal(s.errors, 0);
	assert_non_null(strstr(s.text, "/live/d/zz 1\n"));
	assert_non_null(strstr(s.text, "/z/last 1\n"));
	tree_remove(&t);
}

static void
a_snapshot_that_is_not_there_is_refused(void **state)
{
	const char *paths[1];
	struct walk_options o = { 0 };
	struct walk_instead one;
	struct tree t;
	struct err e;

	(void)state;
	err_clear(&e);
	tree_make(&t);
	tree_dir(&t, "live");
	paths[0] = tree_join(&t, "live");
	one = instead(paths[0], tree_join(&t, "gone"));
	o.instead = &one;
	o.ninstead = 1;
	o.paths = paths;
	o.npaths = 1;
	assert_null(walker_new(&o, &e));
	assert_int_not_equal(e.code, ERR_NONE);
	tree_remove(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_original_and_contents_those_of_the_snapshot),
		cmocka_unit_test(a_path_inside_another_has_its_own),
		cmocka_unit_test(patterns_and_what_is_never_entered_hold_in_the_snapshot),
		cmocka_unit_test(a_deep_snapshot_leads_back_to_the_live_tree),
		cmocka_unit_test(a_snapshot_that_is_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
