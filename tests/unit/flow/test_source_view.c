#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/flow/source_note.h"
#include "common/flow/source_view.h"

struct place {
	char path[64];
	int fd;
	char hook[128], src[128], copy[128], log[160];
	const char *env[2];
};

static void
program_write(struct place *p, const char *name, const char *text)
{
	struct err e;

	err_clear(&e);
	assert_int_equal(file_put_new(p->fd, name, text, strlen(text), 0755, &e), 0);
}

static int
begin(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->fd = scratch_make(p->path);
	(void)snprintf(p->hook, sizeof(p->hook), "%s/hook", p->path);
	(void)snprintf(p->src, sizeof(p->src), "%s/src", p->path);
	(void)snprintf(p->copy, sizeof(p->copy), "%s/copy", p->path);
	(void)snprintf(p->log, sizeof(p->log), "SAMARA_LOG=%s/log", p->path);
	p->env[0] = p->log;
	assert_int_equal(mkdirat(p->fd, "src", 0755), 0);
	assert_int_equal(mkdirat(p->fd, "copy", 0755), 0);
	/* Where a note is all that is left, the hook is run without our environment. */
	program_write(p, "hook", "#!/bin/sh\nd=$(dirname \"$0\")\necho \"$*\" >>\"$d/log\"\n[ \"$1\" = remove ] || echo \"$d/copy\"\n"
	    "[ ! -e \"$d/fail-$1\" ]\n");
	program_write(p, "after", "#!/bin/sh\necho after >>\"$(dirname \"$0\")/log\"\n");
	*state = p;
	return 0;
}

static int
finish(void **state)
{
	struct place *p = *state;

	close(p->fd);
	scratch_remove(p->path);
	free(p);
	return 0;
}

/* What was called, in a new string; and the log is empty again. */
static char *
called(struct place *p)
{
	struct err e;
	uint8_t *bytes;
	size_t len;

	err_clear(&e);
	if (file_read(p->fd, "log", 1u << 20, &bytes, &len, &e) != 0)
		return strdup("");
	assert_int_equal(unlinkat(p->fd, "log", 0), 0);
	return (char *)bytes;
}

static void
was_called(struct place *p, const char *want)
{
	char *got = called(p);

	assert_string_equal(got, want);
	free(got);
}

static size_t
notes(struct place *p)
{
	struct err e;
	char **names;
	size_t n;

	err_clear(&e);
	assert_int_equal(dir_list(p->fd, "views", &names, &n, &e), 0);
	dir_list_free(names, n);
	return n;
}

static struct source_view *
view_open(struct place *p, struct err *e)
{
	char after[160];
	const char *paths[1] = { p->src };
	struct source_view_options o = { .kind = "hook", .hook = p->hook, .after = after, .env = p->env };

	(void)snprintf(after, sizeof(after), "%s/after", p->path);
	err_clear(e);
	return source_view_open(p->fd, &o, paths, 1, e);
}

static void
a_snapshot_is_taken_used_and_removed(void **state)
{
	struct walk_options w = { 0 };
	struct place *p = *state;
	struct source_view *v;
	char want[512];
	struct err e;

	assert_non_null(v = view_open(p, &e));
	source_view_apply(v, &w);
	assert_int_equal(w.ninstead, 1);
	assert_string_equal(w.instead[0].path, p->src);
	assert_string_equal(w.instead[0].real, p->copy);
	/* While it is used, nobody sweeps it. */
	assert_int_equal(source_view_sweep(p->fd, &e), 0);
	(void)snprintf(want, sizeof(want), "take %s\n", p->src);
	was_called(p, want);
	assert_int_equal(source_view_close(v, &e), 0);
	(void)snprintf(want, sizeof(want), "remove %s %s\nafter\n", p->src, p->copy);
	was_called(p, want);
	assert_int_equal(notes(p), 0);
}

static void
one_that_cannot_be_removed_is_removed_by_the_next(void **state)
{
	struct place *p = *state;
	struct source_view *v;
	char want[512];
	struct err e;

	assert_non_null(v = view_open(p, &e));
	program_write(p, "fail-remove", "");
	free(called(p));
	assert_int_equal(source_view_close(v, &e), -1);
	assert_int_equal(e.code, ERR_PROGRAM);
	assert_true(notes(p) > 0);
	err_clear(&e);
	assert_int_equal(source_view_sweep(p->fd, &e), 1);
	assert_int_equal(unlinkat(p->fd, "fail-remove", 0), 0);
	free(called(p));
	assert_int_equal(source_view_sweep(p->fd, &e), 0);
	(void)snprintf(want, sizeof(want), "remove %s %s\nafter\n", p->src, p->copy);
	was_called(p, want);
	assert_int_equal(notes(p), 0);
}

static void
one_that_cannot_be_taken_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct err e;

	program_write(p, "fail-take", "");
	assert_null(view_open(p, &e));
	assert_int_equal(e.code, ERR_PROGRAM);
	assert_int_equal(notes(p), 0);
	assert_int_equal(source_view_sweep(p->fd, &e), 0);
}

static void
a_note_says_after_a_kill_what_there_is_to_remove(void **state)
{
	struct source_view_options o = { .kind = "hook" };
	struct place *p = *state;
	struct source_note note, back;
	struct source_snap *s;
	struct err e;
	int fd;

	err_clear(&e);
	o.hook = p->hook;
	assert_int_equal(source_note_init(&note, &o, &e), 0);
	assert_non_null(s = source_note_add(&note, "/odd\nname \xff", &e));
	(void)snprintf(s->real, sizeof(s->real), "/else\\where");
	assert_int_equal(mkdirat(p->fd, "views", 0700), 0);
	assert_true((fd = dir_open(p->fd, "views", &e)) != -1);
	assert_int_equal(source_note_save(fd, &note, &e), 0);
	assert_int_equal(source_note_load(fd, note.name, &back, &e), 0);
	assert_string_equal(back.kind, "hook");
	assert_string_equal(back.hook, p->hook);
	assert_int_equal(back.n, 1);
	assert_string_equal(back.snap[0].path, "/odd\nname \xff");
	assert_string_equal(back.snap[0].real, "/else\\where");
	assert_string_equal(back.snap[0].name, s->name);
	source_note_release(&back);
	source_note_release(&note);
	close(fd);
}

static void
a_note_that_is_damaged_stays_and_removes_nothing(void **state)
{
	static const char *const bad[] = { "", "{}\n", "{\"kind\":\"btrfs\",\"hook\":\"\",\"after\":\"zz\"}\n",
	    "{\"after\":\"\",\"hook\":\"\",\"kind\":\"hook\",\"names\":[\"61\"],\"paths\":[],\"tops\":[],\"devices\":[],\"reals\":[]}\n" };
	struct place *p = *state;
	char name[64];
	struct err e;

	err_clear(&e);
	assert_int_equal(mkdirat(p->fd, "views", 0700), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(name, sizeof(name), "views/%08x.json", i);
		assert_int_equal(file_put_new(p->fd, name, bad[i], strlen(bad[i]), 0600, &e), 0);
		(void)snprintf(name, sizeof(name), "views/%08x.lock", i);
		assert_int_equal(file_put_new(p->fd, name, "", 0, 0600, &e), 0);
	}
	assert_int_equal(source_view_sweep(p->fd, &e), 4);
	assert_int_equal(notes(p), 8);
	was_called(p, "");
}

static void
words_that_make_no_sense_are_refused(void **state)
{
	const struct source_view_options bad[] = { { .kind = "zfs" }, { .kind = "hook" }, { .hook = "h" }, { .kind = "btrfs", .hook = "h" } };
	const struct source_view_options good[] = { { 0 }, { .kind = "btrfs" }, { .kind = "lvm", .before = "b" }, { .kind = "hook", .hook = "h" } };
	struct err e;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		err_clear(&e);
		assert_int_equal(source_view_check(&bad[i], &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
		assert_int_equal(source_view_check(&good[i], &e), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_snapshot_is_taken_used_and_removed, begin, finish),
		cmocka_unit_test_setup_teardown(one_that_cannot_be_removed_is_removed_by_the_next, begin, finish),
		cmocka_unit_test_setup_teardown(one_that_cannot_be_taken_leaves_nothing, begin, finish),
		cmocka_unit_test_setup_teardown(a_note_says_after_a_kill_what_there_is_to_remove, begin, finish),
		cmocka_unit_test_setup_teardown(a_note_that_is_damaged_stays_and_removes_nothing, begin, finish),
		cmocka_unit_test(words_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
