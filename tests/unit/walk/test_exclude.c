#include "walk_tree.h"

#include "common/base/err.h"
#include "common/walk/exclude.h"

static bool
excluded(const char *patterns, const char *path)
{
	struct exclude *x = exclude_new();
	size_t len = strlen(path);
	bool is_dir = len > 0 && path[len - 1] == '/', yes;

	assert_non_null(x);
	for (const char *p = patterns; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		assert_int_equal(exclude_add(x, p, n, NULL), 0);
		p += n + (p[n] == '\n');
	}
	yes = exclude_match_below(x, path, len - is_dir, is_dir);
	exclude_free(x);
	return yes;
}

/* A path that ends in a slash is a directory. */
static void
each_rule_of_gitignore_holds(void **state)
{
	static const struct { const char *patterns, *path; bool want; } t[] = {
		{ "", "a", false },
		{ "a", "a", true },
		{ "a", "x/a", true },
		{ "a", "a/x", true },
		{ "a", "ab", false },
		{ "/a", "a", true },
		{ "/a", "x/a", false },
		{ "a/", "a", false },
		{ "a/", "a/", true },
		{ "a/", "x/a/", true },
		{ "a/b", "a/b", true },
		{ "a/b", "x/a/b", false },
		{ "a/b/", "a/b", false },
		{ "a/b/", "a/b/c", true },
		{ "#a", "#a", false },
		{ "\\#a", "#a", true },
		{ "\\!a", "!a", true },
		{ "a \n", "a", true },
		{ "a\\ ", "a ", true },
		{ "a\\ ", "a", false },
		{ "a\\  ", "a ", true },
		{ "a\t", "a\t", true },
		{ "*.o\n!b.o", "a.o", true },
		{ "*.o\n!b.o", "b.o", false },
		{ "!b.o\n*.o", "b.o", true },
		{ "d/\n!d/f", "d/f", true },
		{ "d/*\n!d/f", "d/f", false },
		{ "*", "a/b", true },
		{ "a*c", "abbc", true },
		{ "a*c", "ac", true },
		{ "a*c", "acx", false },
		{ "/a*c", "ab/c", false },
		{ "x/*", "x/a/b", true },
		{ "x/*/b", "x/a/b", true },
		{ "x/*/b", "x/a/c/b", false },
		{ "?", "a", true },
		{ "?", "ab", false },
		{ "?", "\xff", true },
		{ "[ab]", "b", true },
		{ "[!ab]", "b", false },
		{ "[^ab]", "c", true },
		{ "[a-c]x", "bx", true },
		{ "[]a]", "]", true },
		{ "[a-]", "-", true },
		{ "[\\]]", "]", true },
		{ "[[:digit:]]x", "7x", true },
		{ "[[:digit:]]x", "ax", false },
		{ "[[:nothing:]]", "a", false },
		{ "[a", "[a", false },
		{ "a[/]b", "a/b", false },
		{ "**/a", "a", true },
		{ "**/a", "x/y/a", true },
		{ "**/a/b", "x/a/b", true },
		{ "a/**", "a/x/y", true },
		{ "a/**", "a/", false },
		{ "a/**/b", "a/b", true },
		{ "a/**/b", "a/x/y/b", true },
		{ "a/**/b", "a/xb", false },
		{ "a/**/c/**/d", "a/c/x/c/y/d", true },
		{ "**", "a", true },
		{ "/**", "a/b", true },
		{ "a**b", "axxb", true },
		{ "x/a**b", "x/a/b", false },
		{ "a\\", "a\\", false },
		{ "a\\*b", "a*b", true },
		{ "a\\*b", "axb", false },
		{ "/", "a", false },
		{ "!", "a", false },
		{ "foo\n!foo\nfoo", "foo", true },
		{ "n\xff*", "n\xff\n", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (excluded(t[i].patterns, t[i].path) != t[i].want)
			fail_msg("row %zu: %s against %s", i, t[i].patterns, t[i].path);
}

static void
a_pattern_with_many_stars_takes_no_more_than_the_square_of_its_length(void **state)
{
	char pattern[201], path[2001];

	(void)state;
	for (size_t i = 0; i < 200; i += 2)
		(void)memcpy(pattern + i, "*a", 2);
	pattern[198] = 'b';
	pattern[200] = '\0';
	(void)memset(path, 'a', 250);
	path[250] = '\0';
	assert_false(excluded(pattern, path));	/* backtracking over each star would never end */
	for (size_t i = 0; i + 3 <= 198; i += 3)
		(void)memcpy(pattern + i, "**/", 3);
	(void)strcpy(pattern + 198, "b");
	for (size_t i = 0; i < 2000; i += 2)
		(void)memcpy(path + i, "a/", 2);
	path[1999] = '\0';
	assert_false(excluded(pattern, path));
}

static void
patterns_are_read_from_a_file_line_by_line(void **state)
{
	struct exclude *x = exclude_new();
	struct err e;
	struct tree t;

	(void)state;
	tree_make(&t);
	tree_file(&t, "list", "\xef\xbb\xbf" "first\n\n# not\n*.o\nlast");
	assert_false(exclude_any(x));
	assert_int_equal(exclude_add_file(x, t.fd, "list", NULL), 0);
	assert_true(exclude_any(x));
	assert_true(exclude_match(x, "first", 5, false));
	assert_true(exclude_match(x, "a.o", 3, false));
	assert_true(exclude_match(x, "last", 4, false));
	assert_false(exclude_match(x, "# not", 5, false));
	err_clear(&e);
	assert_int_equal(exclude_add_file(x, t.fd, "missing", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(exclude_add(x, "a\0b", 3, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	exclude_free(x);
	tree_remove(&t);
}

static uint64_t seed = 2463534242;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

/* Stars next to letters are left out where two stand together: there versions of git disagree. */
static void
random_pattern(char *out)
{
	static const char *const parts[] = { "a", "b", "ab", "*", "?", "a*", "*b", "[ab]", "[!a]", "[a-c]b", "a?",
		"\\a", "*a*", "**", "[[:alpha:]]", "c", "a.b", "*.b" };
	size_t n = 1 + random_below(3);

	*out = '\0';
	if (random_below(5) == 0)
		(void)strcat(out, "!");
	if (random_below(4) == 0)
		(void)strcat(out, "/");
	for (size_t i = 0; i < n; i++) {
		(void)strcat(out, parts[random_below(18)]);
		if (i + 1 < n || random_below(4) == 0)
			(void)strcat(out, "/");
	}
	if (random_below(10) == 0)
		(void)strcat(out, " ");
}

static void
random_path(char *out)
{
	static const char *const names[] = { "a", "b", "ab", "c", "aa", "bb", "a.b", "d" };
	size_t n = 1 + random_below(4);

	*out = '\0';
	for (size_t i = 0; i < n; i++) {
		(void)strcat(out, names[random_below(8)]);
		if (i + 1 < n)
			(void)strcat(out, "/");
	}
}

/* Make ${path}, a directory if it ends in a slash, so that git can see what it is; false: another is in the way. */
static bool
path_make(const struct tree *t, char *path)
{
	size_t len = strlen(path);
	struct stat st;

	for (size_t i = 1; i < len; i++)
		if (path[i] == '/') {
			path[i] = '\0';
			(void)mkdirat(t->fd, path, 0755);
			path[i] = '/';
		}
	if (path[len - 1] != '/') {
		int fd = openat(t->fd, path, O_WRONLY | O_CREAT, 0644);

		if (fd >= 0)
			(void)close(fd);
		return fd >= 0;
	}
	return fstatat(t->fd, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

#define ROUNDS	60u
#define PATHS	25u

/* Ask git what it ignores of the paths in the file "paths"; the answers come into "out". */
static int
ask_git(const struct tree *t)
{
	char command[700];

	(void)snprintf(command, sizeof(command), "cd '%s' && GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 "
	    "GIT_CEILING_DIRECTORIES=/ git check-ignore --no-index -v -n --stdin <paths >out 2>/dev/null", t->path);
	return system(command);
}

static void
git_agrees_on_generated_patterns(void **state)
{
	char pattern[64], path[64], line[256], list[1024], command[256];
	char paths[PATHS][64];
	struct tree t;
	FILE *out;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		tree_make(&t);
		(void)snprintf(command, sizeof(command), "git init -q '%s' >/dev/null 2>&1", t.path);
		if (system(command) != 0) {
			tree_remove(&t);
			skip();
		}
		list[0] = '\0';
		for (size_t n = 1 + random_below(4); n > 0; n--) {
			random_pattern(pattern);
			(void)strcat(strcat(list, pattern), "\n");
		}
		tree_file(&t, ".gitignore", list);
		assert_non_null(out = fopen(tree_join(&t, "paths"), "w"));
		for (size_t i = 0; i < PATHS;) {
			random_path(path);
			(void)snprintf(paths[i], sizeof(paths[i]), "%s%s", path, random_below(3) == 0 ? "/" : "");
			if (path_make(&t, paths[i])) {
				(void)fprintf(out, "%s\n", path);	/* git would match the slash itself */
				i++;
			}
		}
		(void)fclose(out);
		(void)ask_git(&t);
		assert_non_null(out = fopen(tree_join(&t, "out"), "r"));
		for (size_t i = 0; i < PATHS; i++) {
			const char *by;
			bool want;

			/* "FILE:LINE:PATTERN<tab>PATH"; "::<tab>PATH" where no pattern fits. */
			assert_non_null(fgets(line, sizeof(line), out));
			by = strchr(strchr(line, ':') + 1, ':') + 1;
			want = line[0] != ':' && *by != '!';
			if (excluded(list, paths[i]) != want)
				fail_msg("git says %d of %s by\n%s", want, paths[i], list);
		}
		(void)fclose(out);
		tree_remove(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_of_gitignore_holds),
		cmocka_unit_test(a_pattern_with_many_stars_takes_no_more_than_the_square_of_its_length),
		cmocka_unit_test(patterns_are_read_from_a_file_line_by_line),
		cmocka_unit_test(git_agrees_on_generated_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
