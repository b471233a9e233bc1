#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/wait.h>

#include "flow/read_back.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, read_back_setup, read_back_teardown)

static void
everything_comes_back_as_it_was(void **state)
{
	struct read_back *t = *state;
	struct against_result r;
	struct stat a, b;
	char path[512];

	assert_int_equal(read_back_open(t), 0);
	if (read_back_restore(t, NULL) != 0)
		fail_msg("%s", t->e.msg);
	assert_int_equal(t->told, 0);
	assert_int_equal(t->r.failed, 0);
	assert_int_equal(t->r.links, 1);
	assert_int_equal(t->r.compared, t->r.compare_to);
	if (read_back_compare(t, "/", t->to, &r) != 0)
		fail_msg("%s", t->last);
	assert_int_equal(r.files, t->r.files + t->r.links);
	(void)snprintf(path, sizeof(path), "%s%s/hard", t->to, t->b.src);
	assert_int_equal(lstat(path, &a), 0);
	(void)snprintf(path, sizeof(path), "%s%s/deep/er/a", t->to, t->b.src);
	assert_int_equal(lstat(path, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	(void)snprintf(path, sizeof(path), "%s%s/hole", t->to, t->b.src);
	assert_int_equal(lstat(path, &a), 0);
	assert_true(a.st_blocks * 512 < 1000000);	/* the hole is one */
	(void)snprintf(path, sizeof(path), "%s/.samara-restore", t->to);
	assert_int_equal(access(path, F_OK), -1);
}

static void
a_directory_of_the_snapshot_can_be_the_root(void **state)
{
	struct read_back *t = *state;
	struct restore_options o = { .overwrite = -1 };
	struct against_result r;
	char root[512], path[512];

	(void)snprintf(root, sizeof(root), "%s/deep", t->b.src);
	o.root = root;
	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(read_back_compare(t, root, t->to, &r), 0);
	(void)snprintf(path, sizeof(path), "%s/er/a", t->to);
	assert_int_equal(access(path, F_OK), 0);
}

static void
single_paths_come_back_with_the_directories_above_them(void **state)
{
	struct read_back *t = *state;
	struct restore_options o = { .overwrite = -1, .nonly = 2 };
	char a[512], b[512], path[512];
	const char *only[2] = { a, b };
	struct stat st;

	(void)snprintf(a, sizeof(a), "%s/big", t->b.src);
	(void)snprintf(b, sizeof(b), "%s/small", t->b.src);
	o.only = only;
	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(t->r.files, 151);
	(void)snprintf(path, sizeof(path), "%s%s/deep", t->to, t->b.src);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof(path), "%s%s/small", t->to, t->b.src);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, -5);
	(void)snprintf(a, sizeof(a), "%s/not there", t->b.src);
	o.overwrite = PLACE_IF_DIFFERENT;
	assert_int_equal(read_back_restore(t, &o), -1);
	assert_int_equal(t->e.code, ERR_NOT_FOUND);
}

static void
a_target_with_other_things_in_it_is_refused_until_it_is_said_what_to_do(void **state)
{
	struct read_back *t = *state;
	struct restore_options o = { .overwrite = PLACE_NEVER };
	char path[512];

	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(mkdir(t->to, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/mine", t->to);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(read_back_restore(t, NULL), -1);
	assert_int_equal(t->e.code, ERR_NOT_EMPTY);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(t->r.left, 0);
}

static void
somebodys_own_file_of_the_notes_name_stays_as_it_is(void **state)
{
	struct read_back *t = *state;
	struct restore_options o = { .overwrite = PLACE_ALWAYS };
	char path[512], line[64] = "";
	FILE *f;

	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(mkdir(t->to, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/.samara-restore", t->to);
	assert_non_null(f = fopen(path, "w"));
	(void)fputs("my own words", f);
	(void)fclose(f);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_non_null(f = fopen(path, "r"));
	assert_non_null(fgets(line, sizeof(line), f));
	(void)fclose(f);
	assert_string_equal(line, "my own words");
	/* The note that a restore of another snapshot left is samara's, and taken over. */
	assert_non_null(f = fopen(path, "w"));
	(void)fputs("samara-seed restores snapshot 00112233445566778899aabbccddeeff into this directory.\n", f);
	(void)fclose(f);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void
what_is_there_is_left_or_replaced_as_was_said(void **state)
{
	struct read_back *t = *state;
	struct restore_options o = { .overwrite = PLACE_NEVER };
	struct against_result r;
	char path[512];
	FILE *f;

	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(read_back_restore(t, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s%s/big", t->to, t->b.src);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs("changed", f);
	(void)fclose(f);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_true(t->r.left >= 1);			/* never: all files stay */
	assert_true(read_back_compare(t, "/", t->to, &r) >= 1);
	o.overwrite = PLACE_IF_DIFFERENT;
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(t->r.same, t->r.files - 1);	/* only the changed one is written */
	assert_int_equal(read_back_compare(t, "/", t->to, &r), 0);
	o.overwrite = PLACE_ALWAYS;
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(t->r.same, 0);
	assert_int_equal(read_back_compare(t, "/", t->to, &r), 0);
}

static void
a_dry_run_counts_and_writes_nothing(void **state)
{
	struct read_back *t = *state;
	struct restore_options o = { .overwrite = -1, .dry_run = 1 };

	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(read_back_restore(t, &o), 0);
	assert_int_equal(t->r.files, 156);	/* both names of the linked one */
	assert_int_equal(access(t->to, F_OK), -1);
}

static void
a_bad_chunk_costs_its_files_and_no_others(void **state)
{
	struct read_back *t = *state;
	struct against_result r;
	uint8_t id[DIGEST_LEN];

	assert_int_equal(read_back_open(t), 0);
	read_back_spoil_file(t, "big", id);
	assert_int_equal(read_back_restore(t, NULL), 0);
	assert_int_equal(t->r.failed, 1);
	assert_int_equal(t->r.damaged, 1);
	assert_int_equal(t->told, 1);
	assert_int_equal(t->bad, 1);
	assert_int_equal(t->r.files, 154);
	session_close(&t->s);
	read_back_spoil_file_undo(t);
	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(read_back_restore(t, NULL), 0);	/* goes on: the target holds this restore, unfinished */
	assert_int_equal(t->r.resumed, 1);
	assert_int_equal(t->r.failed, 0);
	assert_int_equal(t->r.same, 154);
	assert_int_equal(read_back_compare(t, "/", t->to, &r), 0);
}

static void
after_a_failure_the_same_again_with_a_good_place_completes_it(void **state)
{
	struct read_back *t = *state;
	struct against_result r;
	char copy[128], cmd[512];
	const char *from[2] = { t->b.disk, copy };

	(void)snprintf(copy, sizeof(copy), "%s/copy", t->b.m.root);
	(void)snprintf(cmd, sizeof(cmd), "cp -r '%s' '%s'", t->b.disk, copy);
	assert_int_equal(system(cmd), 0);
	(void)read_back_spoil_all(t);
	assert_int_equal(read_back_open(t), 0);
	(void)read_back_restore(t, NULL);	/* as far as it goes */
	session_close(&t->s);
	assert_int_equal(read_back_open_places(t, from, 2), 0);
	if (read_back_restore(t, NULL) != 0)
		fail_msg("%s", t->e.msg);
	assert_int_equal(t->r.failed, 0);
	if (read_back_compare(t, "/", t->to, &r) != 0)
		fail_msg("%s", t->last);
}

static void
packs_under_each_others_names_are_found_by_what_they_hold(void **state)
{
	struct read_back *t = *state;
	struct against_result r;
	char a[256], b[256];

	(void)snprintf(a, sizeof(a), "%s/packs/0000/00000000.pk", t->image);
	(void)snprintf(b, sizeof(b), "%s/packs/0000/00000077.pk", t->image);
	assert_int_equal(rename(a, b), 0);
	assert_int_equal(read_back_open(t), 0);
	if (read_back_restore(t, NULL) != 0)
		fail_msg("%s", t->e.msg);
	assert_int_equal(t->r.failed, 0);
	assert_int_equal(read_back_compare(t, "/", t->to, &r), 0);
}

static void
a_disk_without_index_is_read_by_its_packs(void **state)
{
	struct read_back *t = *state;
	struct against_result r;

	read_back_spoil(t, "index/p0000", 0, 60);
	read_back_spoil(t, "index2/p0000", 0, 60);
	assert_int_equal(read_back_open(t), 0);
	assert_true(t->bad >= 1);
	assert_int_equal(read_back_restore(t, NULL), 0);
	assert_int_equal(t->r.failed, 0);
	assert_int_equal(read_back_compare(t, "/", t->to, &r), 0);
}

static void
what_is_not_equal_is_named(void **state)
{
	struct read_back *t = *state;
	struct against_result r;
	char path[512];
	FILE *f;
	int fd;

	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(read_back_restore(t, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s%s/big", t->to, t->b.src);
	{
		struct timespec was[2];
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		was[0] = st.st_atim;
		was[1] = st.st_mtim;
		fd = open(path, O_WRONLY);
		assert_int_equal(pwrite(fd, "!", 1, 8000000), 1);
		assert_int_equal(futimens(fd, was), 0);
		(void)close(fd);
	}
	assert_int_equal(read_back_compare(t, "/", t->to, &r), 1);
	assert_non_null(strstr(t->last, "content"));
	(void)snprintf(path, sizeof(path), "%s%s/deep/extra", t->to, t->b.src);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fclose(f);
	(void)read_back_compare(t, "/", t->to, &r);
	assert_int_equal(r.extra, 1);
	assert_int_equal(r.different, 2);	/* and the directory's time */
}

/* --- a restore that is killed --- */

#define KILLED		7
#define KILL_EVERY	(SAMARA_SANITIZED ? 97u : 23u)	/* steps from one kill to the next */

static const struct io_ops *real;
static unsigned steps_left;

/* One step that changes the target: the last one that this process makes. */
static void
step(void)
{
	if (__atomic_sub_fetch(&steps_left, 1, __ATOMIC_RELAXED) == 0)
		_exit(KILLED);
}

static int
step_openat2(int dirfd, const char *path, const struct open_how *how)
{
	step();
	return real->openat2(dirfd, path, how);
}

static ssize_t
step_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	step();
	/* Also in the middle of a write. */
	if (n > 1 && __atomic_load_n(&steps_left, __ATOMIC_RELAXED) == 1)
		n /= 2;
	return real->pwrite(fd, buf, n, at);
}

static int
step_fchmod(int fd, mode_t mode)
{
	step();
	return real->fchmod(fd, mode);
}

static int
step_utimensat(int dirfd, const char *path, const struct timespec t[2], int flags)
{
	step();
	return real->utimensat(dirfd, path, t, flags);
}

static int
step_ftruncate(int fd, off_t len)
{
	step();
	return real->ftruncate(fd, len);
}

static int
step_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	step();
	return real->renameat2(from, old, to, new, flags);
}

/* Restore in a process that ends at its ${n}th step.  Whether it got that far. */
static bool
restore_killed(struct read_back *t, unsigned n)
{
	struct io_ops ops = *io;
	int status;
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		real = io;
		steps_left = n;
		ops.openat2 = step_openat2;
		ops.pwrite = step_pwrite;
		ops.fchmod = step_fchmod;
		ops.utimensat = step_utimensat;
		ops.ftruncate = step_ftruncate;
		ops.renameat2 = step_renameat2;
		(void)io_use(&ops);
		_exit(read_back_restore(t, NULL) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == KILLED || WEXITSTATUS(status) == 0));
	return WEXITSTATUS(status) == KILLED;
}

static void
target_remove(const struct read_back *t)
{
	char command[200];

	(void)snprintf(command, sizeof(command), "chmod -R u+rwx %s && rm -rf %s", t->to, t->to);
	assert_int_equal(system(command), 0);
}

static void
whenever_it_is_killed_the_same_again_completes_it(void **state)
{
	struct read_back *t = *state;
	struct against_result r;
	unsigned kills = 0;

#ifdef __SANITIZE_THREAD__
	print_message("not under ThreadSanitizer: the child that is killed has threads, and there a child may have none\n");
	skip();
#endif
	assert_int_equal(read_back_open(t), 0);
	for (unsigned n = 1; restore_killed(t, n); n += KILL_EVERY) {
		kills++;
		if (read_back_restore(t, NULL) != 0)
			fail_msg("killed at step %u: %s", n, t->e.msg);
		if (read_back_compare(t, "/", t->to, &r) != 0)
			fail_msg("killed at step %u: %s", n, t->last);
		target_remove(t);
	}
	assert_true(kills > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(everything_comes_back_as_it_was),
		T(a_directory_of_the_snapshot_can_be_the_root),
		T(single_paths_come_back_with_the_directories_above_them),
		T(a_target_with_other_things_in_it_is_refused_until_it_is_said_what_to_do),
		T(somebodys_own_file_of_the_notes_name_stays_as_it_is),
		T(what_is_there_is_left_or_replaced_as_was_said),
		T(a_dry_run_counts_and_writes_nothing),
		T(a_bad_chunk_costs_its_files_and_no_others),
		T(after_a_failure_the_same_again_with_a_good_place_completes_it),
		T(packs_under_each_others_names_are_found_by_what_they_hold),
		T(a_disk_without_index_is_read_by_its_packs),
		T(what_is_not_equal_is_named),
		T(whenever_it_is_killed_the_same_again_completes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
