#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "common/flow/restore_keep.h"
#include "flow/read_back.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, read_back_setup, read_back_teardown)

/* What is wanted: all of the newest snapshot. */
static struct restore_options
all_of_it(struct read_back *t)
{
	return (struct restore_options){ .source = t->s.source, .keys = t->s.keys, .snap = &t->s.list.snap[t->s.list.n - 1],
	    .root = "/", .to = t->to, .overwrite = -1, .workers = 2, .disks_follow = 1, .tell = read_back_told, .arg = t };
}

/* Keep of the open disk what a run that ended so needs; then only that is at hand. */
static void
keep_and_take_away(struct read_back *t, const struct restore_report *r)
{
	const struct restore_options o = all_of_it(t);
	struct restore_keep k;
	char kept[160];
	const char *from[1] = { kept };

	(void)mkdir(t->to, 0755);
	assert_int_equal(restore_keep_make(&k, &o, "latest", &t->e), 0);
	if (restore_keep_chunks(&k, &o, r, &t->e) != 0)
		fail_msg("%s", t->e.msg);
	restore_keep_close(&k);
	(void)snprintf(kept, sizeof(kept), "%s/%s", t->to, RESTORE_KEEP_NAME);
	session_close(&t->s);
	if (read_back_open_places(t, from, 1) != 0)
		fail_msg("%s", t->e.msg);
}

static void
files_whose_chunks_are_away_wait_without_a_name_until_they_are_there(void **state)
{
	struct read_back *t = *state;
	struct restore_report r = { 0 };
	struct restore_options o;
	struct against_result same;
	char path[512];

	assert_int_equal(read_back_open(t), 0);
	keep_and_take_away(t, &r);	/* the listing alone */
	assert_int_equal(rmdir(t->to), -1);
	o = all_of_it(t);
	o.overwrite = PLACE_IF_DIFFERENT;
	if (restore_run(&o, &r, &t->e) != 0)
		fail_msg("%s", t->e.msg);
	assert_true(restore_waits(&r));
	assert_int_equal(r.unread, 0);
	assert_int_equal(r.waiting, 153);	/* all but those without content */
	assert_int_equal(r.failed, 0);
	assert_int_equal(t->told, 0);
	(void)snprintf(path, sizeof(path), "%s%s/big", t->to, t->b.src);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof(path), "%s%s/link", t->to, t->b.src);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof(path), "%s/.samara-restore", t->to);
	assert_int_equal(access(path, F_OK), 0);
	session_close(&t->s);

	assert_int_equal(read_back_open(t), 0);
	o = all_of_it(t);
	if (restore_run(&o, &r, &t->e) != 0)
		fail_msg("%s", t->e.msg);
	assert_int_equal(restore_waits(&r), 0);
	assert_int_equal(r.resumed, 1);
	assert_int_equal(r.compared, r.compare_to);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(read_back_compare(t, "/", t->to, &same), 0);
}

static void
what_is_kept_for_an_unknown_part_of_the_listing_does_for_the_disk(void **state)
{
	struct read_back *t = *state;
	struct restore_report r = { .unread = 1 };
	struct restore_keep k;
	struct restore_options o;
	struct against_result same;

	assert_int_equal(read_back_open(t), 0);
	keep_and_take_away(t, &r);
	o = all_of_it(t);
	o.overwrite = PLACE_IF_DIFFERENT;
	if (restore_run(&o, &r, &t->e) != 0)
		fail_msg("%s", t->e.msg);
	assert_int_equal(restore_waits(&r), 0);
	assert_int_equal(t->told, 0);
	assert_int_equal(restore_keep_open(&k, t->to, &t->e), 0);
	assert_string_equal(k.said, "latest");
	session_close(&t->s);
	assert_int_equal(restore_keep_remove(&k, t->to, &t->e), 0);
	assert_int_equal(restore_keep_open(&k, t->to, &t->e), 1);
	assert_int_equal(read_back_open(t), 0);
	assert_int_equal(read_back_compare(t, "/", t->to, &same), 0);
}

static void
a_chunk_that_something_waits_with_is_kept_and_one_that_is_used_up_is_not(void **state)
{
	struct read_back *t = *state;
	struct restore_report r = { .unread = 0 };
	struct source_standing at;
	uint8_t big[DIGEST_LEN], small[DIGEST_LEN];

	assert_int_equal(read_back_open(t), 0);
	read_back_spoil_file(t, "big", big);
	read_back_spoil_file_undo(t);
	read_back_spoil_file(t, "deep/er/a", small);
	read_back_spoil_file_undo(t);
	source_mark(t->s.source, big, SOURCE_WAITED);
	source_mark(t->s.source, small, SOURCE_USED);
	keep_and_take_away(t, &r);
	assert_int_equal(source_stands(t->s.source, big, &at), 1);
	assert_int_equal(at.kind, KIND_DATA);
	assert_int_equal(source_stands(t->s.source, small, &at), 0);
}

static void
disks_are_known_by_the_manifest_and_given_once(void **state)
{
	struct read_back *t = *state;
	struct restore_options o;
	struct restore_disks d;
	struct restore_disk *other;
	struct restore_keep k;

	assert_int_equal(read_back_open(t), 0);
	o = all_of_it(t);
	assert_int_equal(mkdir(t->to, 0755), 0);
	assert_int_equal(restore_keep_make(&k, &o, "latest:files", &t->e), 0);
	assert_int_equal(restore_disks_read(&d, t->s.source, o.snap, t->s.keys->machine_pub, &t->e), 0);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.disk[0].number, 1);
	assert_int_equal(d.disk[0].here, 1);
	assert_null(restore_disks_next(&d));
	assert_int_equal(restore_disks_useful(&d), 1);
	assert_non_null(other = restore_disks_add(&d, d.disk[0].image_id, t->b.r.short_name, 2));
	assert_ptr_equal(restore_disks_next(&d), other);
	/* Partly first: asked for again only when no other is new; twice partly is all. */
	assert_int_equal(restore_keep_done(&k, &d, 1, &t->e), 0);
	assert_int_equal(d.disk[0].done, RESTORE_DISK_PARTLY);
	d.disk[0].here = 0;
	assert_int_equal(restore_disks_next(&d)->number, 2);
	d.disk[1].here = 1;
	assert_int_equal(restore_keep_done(&k, &d, 0, &t->e), 0);
	assert_int_equal(restore_disks_next(&d)->number, 1);
	restore_disks_release(&d);
	restore_keep_close(&k);

	assert_int_equal(restore_keep_open(&k, t->to, &t->e), 0);
	assert_int_equal(restore_disks_read(&d, t->s.source, o.snap, t->s.keys->machine_pub, &t->e), 0);
	assert_int_equal(restore_keep_read(&k, &d, &t->e), 0);
	assert_int_equal(d.n, 2);
	assert_int_equal(d.disk[0].done, RESTORE_DISK_PARTLY);
	assert_int_equal(d.disk[1].done, RESTORE_DISK_WHOLE);
	assert_int_equal(restore_keep_done(&k, &d, 1, &t->e), 0);
	assert_int_equal(d.disk[0].done, RESTORE_DISK_WHOLE);
	assert_int_equal(restore_disks_useful(&d), 0);
	restore_disks_release(&d);
	restore_keep_close(&k);
}

static void
a_directory_of_that_name_that_is_somebodys_own_is_left_alone(void **state)
{
	struct read_back *t = *state;
	struct restore_options o;
	struct restore_keep k;
	char path[512];
	FILE *f;

	assert_int_equal(mkdir(t->to, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", t->to, RESTORE_KEEP_NAME);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(restore_keep_open(&k, t->to, &t->e), 1);
	(void)snprintf(path, sizeof(path), "%s/%s/state", t->to, RESTORE_KEEP_NAME);
	assert_non_null(f = fopen(path, "w"));
	(void)fputs("my own words\n", f);
	(void)fclose(f);
	assert_int_equal(restore_keep_open(&k, t->to, &t->e), 1);
	assert_int_equal(restore_keep_remove(&k, t->to, &t->e), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(read_back_open(t), 0);
	o = all_of_it(t);
	assert_int_equal(restore_keep_make(&k, &o, "latest", &t->e), -1);
	assert_int_equal(t->e.code, ERR_NOT_EMPTY);
	assert_int_equal(access(path, F_OK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(files_whose_chunks_are_away_wait_without_a_name_until_they_are_there),
		T(what_is_kept_for_an_unknown_part_of_the_listing_does_for_the_disk),
		T(a_chunk_that_something_waits_with_is_kept_and_one_that_is_used_up_is_not),
		T(disks_are_known_by_the_manifest_and_given_once),
		T(a_directory_of_that_name_that_is_somebodys_own_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
