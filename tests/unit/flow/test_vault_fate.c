/* What becomes of images on their way, and of disks that go back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/io_crash.h"
#include "common/base/io_fault.h"
#include "common/flow/vault_fate.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* Image A, chunks 0 to 31 on disks 0 and 1, needed by snapshot 1. */
static void
image_a(struct site *s, struct seed_image *a)
{
	seed_image_make(a, &s->m, "AAAA");
	seed_disk(a, s->disk[0], 1, 0, 16);
	seed_disk(a, s->disk[1], 2, 16, 16);
	seed_snapshot(a, s->disk[0], 1, 0, 32);
	seed_manifest(a, s->disk[0], 1);
	seed_manifest(a, s->disk[1], 1);
}

static int
fate(struct site *s, enum vault_fate f)
{
	struct cat_image i;
	struct vault *v;
	int rc;

	err_clear(&s->e);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	rc = vault_fate(v, "aaaa", f, "told by the carrier", 0, &i, &s->e);
	vault_close(v);
	return rc;
}

static void
foreign_count(void *arg, const char *path)
{
	(void)path;
	++*(unsigned *)arg;
}

static void
wiped(void *arg, const struct wipe_result *r)
{
	(void)arg;
	assert_true(r->files > 0);
}

static int
wipe(struct site *s, unsigned disk, const char *force, unsigned *foreign)
{
	struct wipe_options o = { .force = force, .foreign = foreign_count, .done = wiped, .arg = foreign };
	struct vault *v;
	int rc;

	*foreign = 0;
	err_clear(&s->e);
	if ((v = vault_open(s->vault, 0, &s->e)) == NULL)
		return -1;
	rc = vault_wipe(v, s->disk[disk], &o, &s->e);
	vault_close(v);
	return rc;
}

static void
what_a_lost_image_promised_is_a_gap_until_it_turns_up(void **state)
{
	struct site *s = *state;
	struct seed_image a;
	int64_t missing = 0;

	image_a(s, &a);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_PENDING);
	assert_int_equal(fate(s, FATE_LOST), 0);
	assert_int_equal(site_image(s, &a), IMAGE_LOST);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal(missing, 16);
	assert_int_equal(fate(s, FATE_LOST), 1);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &a), IMAGE_WHOLE);
	assert_int_equal(fate(s, FATE_LOST), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	assert_int_equal(fate(s, FATE_REOPENED), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	site_rebuild_agrees(s);
}

static void
disks_of_a_cancelled_image_come_in_after_it_was_reopened_alone(void **state)
{
	struct site *s = *state;
	struct seed_image a;
	int64_t missing = 0;

	image_a(s, &a);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(fate(s, FATE_CANCELLED), 0);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	(void)site_ingest(s, 1);
	assert_int_equal(site_image(s, &a), IMAGE_CANCELLED);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal(fate(s, FATE_REOPENED), 0);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_PENDING);
	assert_int_equal(missing, 0);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
nothing_is_erased_or_given_back_before_the_answer_unless_somebody_says_why(void **state)
{
	struct site *s = *state;
	struct release_options o = { .force = NULL };
	struct seed_image a;
	struct cat_image i;
	struct vault *v;
	unsigned foreign;

	image_a(s, &a);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(wipe(s, 0, NULL, &foreign), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	assert_non_null(strstr(s->e.msg, "do not erase AAAA-1"));
	assert_int_equal(wipe(s, 0, "asked for", &foreign), 0);
	assert_int_equal(foreign, 0);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_release(v, "aaaa", &o, &i, &s->e), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	o.force = "asked for";
	err_clear(&s->e);
	assert_int_equal(vault_release(v, "aaaa", &o, &i, &s->e), 0);
	assert_int_equal(i.state, IMAGE_RELEASED);
	vault_close(v);
	/* What was taken in stays as it is. */
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

/* A file that is not the image's, in the middle of it. */
static void
stranger_put(const char *disk)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/samara/aaaa/packs/0000/mine.txt", disk);
	assert_true((fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) != -1);
	(void)close(fd);
}

static void
after_any_call_that_fails_the_same_command_wipes_the_rest_and_nothing_else(void **state)
{
	struct fault_plan plan = { .kind = FAULT_ANY, .sys = EIO, .every = 1 };
	struct site *s = *state;
	struct seed_image a, fresh;
	char path[160];
	unsigned failed = 0, foreign;
	int fd, rc = -1;

	seed_image_make(&fresh, &s->m, "AAAA");
	a = fresh;
	seed_disk(&a, s->disk[0], 1, 0, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	for (plan.nth = 1; rc != 0; plan.nth += 5) {
		assert_true(plan.nth < 5000);
		assert_true((fd = open(s->disk[0], O_RDONLY | O_DIRECTORY)) != -1);
		assert_int_equal(crash_clear(fd, &s->e), 0);
		(void)close(fd);
		a = fresh;
		seed_disk(&a, s->disk[0], 1, 0, 16);
		stranger_put(s->disk[0]);
		fault_start(&plan);
		rc = wipe(s, 0, "asked for", &foreign);
		fault_stop();
		failed += rc != 0;
		(void)snprintf(path, sizeof(path), "%s/samara/aaaa/label", s->disk[0]);
		if (access(path, F_OK) == 0 && wipe(s, 0, "asked for", &foreign) != 0)
			fail_msg("after call %llu failed: %s", (unsigned long long)plan.nth, s->e.msg);
		assert_int_not_equal(access(path, F_OK), 0);
		(void)snprintf(path, sizeof(path), "%s/samara/aaaa/packs/0000/00000000.pk", s->disk[0]);
		assert_int_not_equal(access(path, F_OK), 0);
		(void)snprintf(path, sizeof(path), "%s/samara/aaaa/packs/0000/mine.txt", s->disk[0]);
		assert_int_equal(access(path, F_OK), 0);
	}
	assert_int_equal(foreign, 1);
	assert_true(failed > 10);
	site_rebuild_agrees(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_a_lost_image_promised_is_a_gap_until_it_turns_up),
		T(disks_of_a_cancelled_image_come_in_after_it_was_reopened_alone),
		T(nothing_is_erased_or_given_back_before_the_answer_unless_somebody_says_why),
		T(after_any_call_that_fails_the_same_command_wipes_the_rest_and_nothing_else),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
