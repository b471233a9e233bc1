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

#include "common/flow/desk.h"
#include "common/store/store.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

static struct receive_result got;

static void
got_one(void *arg, const struct receive_result *r)
{
	(void)arg;
	got = *r;
}

static int
receive(struct site *s, unsigned disk, const char *tracking)
{
	const struct receive_options o = { .tracking = tracking };
	struct vault *v;
	int rc;

	err_clear(&s->e);
	memset(&got, 0, sizeof(got));
	if ((v = vault_open(s->vault, 0, &s->e)) == NULL)
		return -1;
	rc = receive_disk(v, s->disk[disk], &o, got_one, NULL, &s->e);
	vault_close(v);
	return rc;
}

static int
count_object(void *arg, const char *name, uint64_t len, struct err *e)
{
	(void)name, (void)len, (void)e;
	(*(size_t *)arg)++;
	return 0;
}

static size_t
objects(struct site *s, const char *prefix)
{
	struct store *st = store_dir_open(s->vault, 0, NULL);
	size_t n = 0;

	assert_non_null(st);
	assert_int_equal(st->ops->list(st, prefix, "", count_object, &n, NULL), 0);
	st->ops->free(st);
	return n;
}

/* How many records of ${type} the vault has, and the custody events among them of ${event}. */
static unsigned
records(struct site *s, unsigned type, unsigned event)
{
	struct vault *v = vault_open(s->vault, 0, &s->e);
	struct record r;
	struct custody c;
	uint8_t *bytes;
	unsigned n = 0;
	size_t len;

	assert_non_null(v);
	for (uint64_t k = 1; vault_record_read(v, k, &r, &bytes, &len, NULL) == 0; k++) {
		if (r.type == type && (event == 0 || (schema_decode(&custody_schema, &c, r.body.p, r.body.len) == FMT_OK &&
		    c.event == event)))
			n++;
		free(bytes);
	}
	vault_close(v);
	return n;
}

/* Nothing but records was added. */
static void
assert_untouched(struct site *s)
{
	assert_int_equal(objects(s, "packs/"), 0);
	assert_int_equal(objects(s, "snapshots/"), 0);
	assert_int_equal(objects(s, "keys/"), 0);
	assert_int_equal(objects(s, "images/"), 0);
	assert_int_equal(objects(s, "quarantine/"), 0);
}

/* Image RM4K on two disks, each with half; the manifest on the second. */
static void
two_disks(struct site *s, struct seed_image *im)
{
	seed_image_make(im, &s->m, "RM4K");
	seed_disk(im, s->disk[0], 1, 0, 16);
	seed_disk(im, s->disk[1], 2, 16, 16);
	seed_snapshot(im, s->disk[1], 1, 0, 32);
	seed_manifest(im, s->disk[1], 1);
}

static void
a_disk_is_received_without_being_read(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	two_disks(s, &im);
	assert_int_equal(receive(s, 0, "DHL 00340"), 0);
	assert_int_equal(got.refused, 0);
	assert_int_equal(got.registers, 1);
	assert_int_equal(got.disk, 1);
	assert_string_equal(got.machine_name, "laptop");
	assert_int_equal(got.disks, 0);		/* the manifest is on the other disk */
	assert_int_equal(got.image_state, IMAGE_RECEIVED);
	assert_int_equal(got.disk_state, DISK_RECEIVED);
	assert_untouched(s);
	assert_int_equal(records(s, REC_DISK_RECEIVED, 0), 1);
	assert_int_equal(records(s, REC_CUSTODY, CUSTODY_RECEIVED), 1);
	assert_int_equal(records(s, REC_MACHINE_REGISTERED, 0), 0);
	site_rebuild_agrees(s);

	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(got.again, 1);
	assert_int_equal(records(s, REC_DISK_RECEIVED, 0), 1);
}

static void
what_is_still_to_come_is_said(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	two_disks(s, &im);
	assert_int_equal(receive(s, 1, NULL), 0);
	assert_int_equal(got.disks, 2);
	assert_int_equal(got.disks_in, 0);
	assert_int_equal(got.disks_here, 1);
	assert_int_equal(got.disks_missing, 1);
	assert_int_equal(got.missing[0], 1);
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(got.registers, 0);
	assert_int_equal(got.disks, 2);
	assert_int_equal(got.disks_in, 1);
	assert_int_equal(got.disks_here, 1);
	assert_int_equal(got.disks_missing, 0);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	assert_int_equal(receive(s, 1, NULL), 0);
	assert_int_equal(got.complete, 1);
	assert_int_equal(got.image_state, IMAGE_WHOLE);
	/* Received once each, however often it was looked at. */
	assert_int_equal(records(s, REC_CUSTODY, CUSTODY_RECEIVED), 2);
	site_rebuild_agrees(s);
}

static void
a_received_image_is_taken_in_as_ever(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	two_disks(s, &im);
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(site_image(s, &im), IMAGE_RECEIVED);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_image(s, &im), IMAGE_INGESTING);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	assert_int_equal(records(s, REC_CUSTODY, CUSTODY_RECEIVED), 2);
	site_rebuild_agrees(s);
}

static void
a_disk_for_another_vault_is_refused_and_recorded_once(void **state)
{
	struct site *s = *state;
	struct vault_create o = { .name = "other", .redundancy = REDUNDANCY_LOCAL };
	struct seed_image im;

	two_disks(s, &im);
	(void)snprintf(s->vault, sizeof(s->vault), "%s/other", s->root);
	assert_int_equal(vault_create(s->vault, &o, &s->e), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(receive(s, 0, NULL), 0);
		assert_int_equal(got.refused, ERR_WRONG_VAULT);
		assert_non_null(strstr(got.why, "demo"));
	}
	assert_int_equal(records(s, REC_DISK_REFUSED, 0), 1);
	assert_int_equal(records(s, REC_CUSTODY, 0), 0);
	assert_untouched(s);
	site_rebuild_agrees(s);
}

static void
a_disk_of_an_unknown_machine_is_refused_and_can_be_claimed(void **state)
{
	struct site *s = *state;
	struct credential c = s->c;
	struct seed_machine stranger;
	struct seed_image im;

	c.credential_id[0] ^= 1;
	seed_machine_make(&stranger, "stranger", &c);
	seed_image_make(&im, &stranger, "RM4X");
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_snapshot(&im, s->disk[0], 1, 0, 16);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(got.refused, ERR_UNCLAIMED);
	assert_int_equal(got.unclaimed, 1);
	assert_non_null(strstr(got.why, "issued no such credential"));
	assert_int_equal(records(s, REC_UNCLAIMED, 0), 1);
	assert_int_equal(site_image(s, &im), IMAGE_UNCLAIMED);
	assert_untouched(s);
	site_rebuild_agrees(s);
	seed_machine_drop(&stranger);
}

static void
a_disk_that_is_not_closed_is_refused(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char path[256];

	two_disks(s, &im);
	for (int copy = 0; copy < 2; copy++) {
		(void)snprintf(path, sizeof(path), "%s/samara/rm4k/stmt%s", s->disk[0], copy == 0 ? "" : "2");
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(got.refused, ERR_WRONG_DISK);
	assert_non_null(strstr(got.why, "not closed"));
	assert_int_equal(records(s, REC_DISK_REFUSED, 0), 1);
	assert_int_equal(site_image(s, &im), 0);
	assert_untouched(s);
}

/* The row as cancelling leaves it. */
static void
image_state_set(struct site *s, const struct seed_image *im, unsigned state)
{
	struct cat_image row;
	struct vault *v = vault_open(s->vault, 0, &s->e);

	assert_non_null(v);
	memcpy(row.id, im->id, ID_LEN);
	assert_int_equal(vault_begin(v, &s->e), 0);
	assert_int_equal(catalog_get(v->catalog, &cat_images, &row, &s->e), 0);
	row.state = state;
	assert_int_equal(catalog_put(v->catalog, &cat_images, &row, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	vault_close(v);
}

static void
a_cancelled_image_is_neither_received_nor_taken_in(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	size_t packs;

	two_disks(s, &im);
	assert_int_equal(site_ingest(s, 1), 0);
	packs = objects(s, "packs/");
	image_state_set(s, &im, IMAGE_CANCELLED);
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(got.refused, ERR_RULE);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.refused, 1);
	assert_int_equal(objects(s, "packs/"), packs);
	assert_int_equal(records(s, REC_DISK_REFUSED, 0), 1);
	assert_int_equal(site_image(s, &im), IMAGE_CANCELLED);
}

static void
a_lost_image_that_turns_up_is_taken_in(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	two_disks(s, &im);
	assert_int_equal(site_ingest(s, 1), 0);
	image_state_set(s, &im, IMAGE_LOST);
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(got.refused, 0);
	assert_int_equal(got.image_state, IMAGE_RECEIVED);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
}

static void
a_handed_off_image_stays_so_when_a_disk_comes_again(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	two_disks(s, &im);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_ingest(s, 0), 0);
	image_state_set(s, &im, IMAGE_HANDED_OFF);
	assert_int_equal(receive(s, 0, NULL), 0);
	assert_int_equal(got.complete, 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_image(s, &im), IMAGE_HANDED_OFF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_disk_is_received_without_being_read),
		T(what_is_still_to_come_is_said),
		T(a_received_image_is_taken_in_as_ever),
		T(a_disk_for_another_vault_is_refused_and_recorded_once),
		T(a_disk_of_an_unknown_machine_is_refused_and_can_be_claimed),
		T(a_disk_that_is_not_closed_is_refused),
		T(a_cancelled_image_is_neither_received_nor_taken_in),
		T(a_lost_image_that_turns_up_is_taken_in),
		T(a_handed_off_image_stays_so_when_a_disk_comes_again),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
