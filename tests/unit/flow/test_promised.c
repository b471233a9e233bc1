/* What is promised while disks are in the mail: the ids that an image itself carries, and no others. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/flow/vault_status.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* Snapshot ${seq} is in ${state}, so many of its ids missing and promised. */
static void
snapshot_is(struct site *s, int64_t seq, unsigned state, int64_t missing, int64_t promised)
{
	struct cat_snapshot row;
	struct vault *v;

	err_clear(&s->e);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	memcpy(row.machine_id, s->m.id, ID_LEN);
	row.seq = seq;
	assert_int_equal(catalog_get(v->catalog, &cat_snapshots, &row, &s->e), 0);
	vault_close(v);
	assert_int_equal(row.missing, missing);
	assert_int_equal(row.promised, promised);
	assert_int_equal(row.state, state);
}

/* Change a byte in the first frame of pack ${number} of an image on a disk. */
static void
spoil_pack(const char *disk, const char *image, unsigned number)
{
	char path[512];
	uint8_t b;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/samara/%s/packs/0000/%08u.pk", disk, image, number);
	fd = open(path, O_RDWR);
	assert_true(fd != -1);
	assert_true(pread(fd, &b, 1, PACK_HEAD_LEN + 200) == 1);
	b ^= 0x40;
	assert_true(pwrite(fd, &b, 1, PACK_HEAD_LEN + 200) == 1);
	(void)close(fd);
}

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

/* Image B, chunks 32 to 63 on disks 2 and 3; its snapshot 2 needs the second half of A too. */
static void
image_b(struct site *s, struct seed_image *b, const struct seed_image *a)
{
	seed_image_make(b, &s->m, "BBBB");
	seed_disk(b, s->disk[2], 1, 32, 16);
	seed_disk(b, s->disk[3], 2, 48, 16);
	seed_snapshot(b, s->disk[2], 2, 16, 48);
	seed_leans(b, a);
	seed_manifest(b, s->disk[2], 1);
	seed_manifest(b, s->disk[3], 1);
}

static void
two_images_are_in_the_mail_and_one_arrives_damaged(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;

	image_a(s, &a);
	image_b(s, &b, &a);
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 16);
	assert_int_equal(site_ingest(s, 2), 0);
	/* What it needs of A is promised by A, what has not come of B by B. */
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 32);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 16);
	site_rebuild_agrees(s);
	spoil_pack(s->disk[1], "aaaa", 3);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.chunks_bad, 1);
	/* B's second disk still travels, and does not have it. */
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
	snapshot_is(s, 2, SNAPSHOT_GAP, 1, 16);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 3), 0);
	snapshot_is(s, 2, SNAPSHOT_GAP, 1, 0);
	spoil_pack(s->disk[1], "aaaa", 3);	/* undone */
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
	snapshot_is(s, 2, SNAPSHOT_WHOLE, 0, 0);
	site_rebuild_agrees(s);
}

/* The pledge of A ended with its last disk: what never stood on it is missing, whatever else is in the mail. */
static void
what_an_image_leans_on_is_not_promised_by_it(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;

	seed_image_make(&a, &s->m, "AAAA");
	seed_disk(&a, s->disk[0], 1, 0, 16);
	seed_snapshot(&a, s->disk[0], 1, 0, 32);	/* 16 to 31 are nowhere */
	seed_manifest(&a, s->disk[0], 1);
	image_b(s, &b, &a);
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 16, 0);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 2, SNAPSHOT_GAP, 16, 16);
	snapshot_is(s, 1, SNAPSHOT_GAP, 16, 0);
	assert_int_equal(site_image(s, &b), IMAGE_GAP);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 3), 0);
	snapshot_is(s, 2, SNAPSHOT_GAP, 16, 0);
	site_rebuild_agrees(s);
}

/* Without a word about A, B's missing chunks may be on the disk that is to come. */
static void
an_image_that_leans_on_nothing_promises_all_of_its_lists(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;

	seed_image_make(&a, &s->m, "AAAA");
	seed_disk(&a, s->disk[0], 1, 0, 16);
	seed_snapshot(&a, s->disk[0], 1, 0, 32);
	seed_manifest(&a, s->disk[0], 1);
	seed_image_make(&b, &s->m, "BBBB");
	seed_disk(&b, s->disk[2], 1, 32, 16);
	seed_disk(&b, s->disk[3], 2, 16, 16);
	seed_snapshot(&b, s->disk[2], 2, 16, 32);
	seed_manifest(&b, s->disk[2], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 16, 0);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 16);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 16);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 3), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
	snapshot_is(s, 2, SNAPSHOT_WHOLE, 0, 0);
}

/* What was damaged on a disk is not promised by another disk of the same image. */
static void
a_chunk_that_a_disk_lost_is_not_on_the_next_one(void **state)
{
	struct site *s = *state;
	struct seed_image a;

	image_a(s, &a);
	spoil_pack(s->disk[0], "aaaa", 1);
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 16);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
}

/* A disk is taken in with a loss; then another takes its place, and promises all that it brings, until it is in. */
static void
a_disk_in_the_place_of_another_promises_what_that_one_lost(void **state)
{
	struct site *s = *state;
	struct seed_image a;

	image_a(s, &a);
	spoil_pack(s->disk[0], "aaaa", 1);
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 16);
	a.pack_chunks = 1;
	seed_disk(&a, s->disk[2], 3, 0, 16);
	a.replaces[2] = 1;
	seed_manifest(&a, s->disk[1], 2);
	seed_manifest(&a, s->disk[2], 2);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 1);
	site_rebuild_agrees(s);
	/* The old one comes once more, as it is: nothing is lost by that. */
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 1);
	site_rebuild_agrees(s);
	/* The new one loses the same chunk: now nobody promises it. */
	for (unsigned i = 1; i <= 8; i++)
		spoil_pack(s->disk[2], "aaaa", a.first_pack - i);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
	site_rebuild_agrees(s);
	for (unsigned i = 1; i <= 8; i++)
		spoil_pack(s->disk[2], "aaaa", a.first_pack - i);	/* undone */
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
}

/* A loss speaks against the image whose disk it was, and against no other that carries the same. */
static void
what_one_image_lost_another_still_brings(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;

	image_a(s, &a);
	spoil_pack(s->disk[0], "aaaa", 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
	seed_image_make(&b, &s->m, "BBBB");	/* in full: it leans on nothing */
	seed_disk(&b, s->disk[2], 1, 0, 32);
	seed_disk(&b, s->disk[3], 2, 32, 8);
	seed_snapshot(&b, s->disk[3], 2, 0, 40);
	seed_manifest(&b, s->disk[3], 1);
	assert_int_equal(site_ingest(s, 3), 0);
	snapshot_is(s, 2, SNAPSHOT_PENDING, 0, 1);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 1);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
	snapshot_is(s, 2, SNAPSHOT_WHOLE, 0, 0);
}

/* Image T without snapshots: chunks 8 to 15 on disk 4, 0 to 7 on disk 5, which has list and manifest too. */
static void
topup_t(struct site *s, struct seed_image *t)
{
	seed_image_make(t, &s->m, "TTTT");
	seed_disk(t, s->disk[4], 1, 8, 8);
	seed_disk(t, s->disk[5], 2, 0, 8);
	seed_carried(t, s->disk[5], 0, 16);
	seed_manifest(t, s->disk[5], 1);
}

static void
a_top_up_in_the_mail_promises_what_an_earlier_disk_lost(void **state)
{
	struct site *s = *state;
	struct seed_image a, t;

	image_a(s, &a);
	spoil_pack(s->disk[0], "aaaa", 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
	topup_t(s, &t);
	assert_int_equal(site_ingest(s, 5), 0);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 1);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 4), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
	site_rebuild_agrees(s);
}

/* Disk 0 never comes; the top-up's first disk is damaged too: its chunk is promised by nobody any more. */
static void
what_a_top_up_loses_itself_is_promised_no_more(void **state)
{
	struct site *s = *state;
	struct seed_image a, t;

	seed_image_make(&a, &s->m, "AAAA");
	seed_disk(&a, s->disk[0], 1, 16, 16);
	seed_snapshot(&a, s->disk[0], 1, 0, 32);	/* 0 to 15 are nowhere */
	seed_manifest(&a, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 16, 0);
	seed_image_make(&t, &s->m, "TTTT");
	seed_disk(&t, s->disk[4], 1, 0, 4);
	seed_disk(&t, s->disk[5], 2, 4, 4);
	seed_disk(&t, s->disk[6], 3, 8, 8);
	seed_carried(&t, s->disk[6], 0, 16);
	seed_manifest(&t, s->disk[6], 1);
	assert_int_equal(site_ingest(s, 6), 0);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 8);
	spoil_pack(s->disk[4], "tttt", 0);
	assert_int_equal(site_ingest(s, 4), 0);
	assert_int_equal(s->r.chunks_bad, 1);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 4);
	site_rebuild_agrees(s);
	/* A second top-up brings that one once more. */
	seed_image_make(&a, &s->m, "UUUU");
	seed_disk(&a, s->disk[1], 1, 0, 4);
	seed_disk(&a, s->disk[2], 2, 40, 4);
	seed_carried(&a, s->disk[2], 0, 4);
	seed_manifest(&a, s->disk[2], 1);
	assert_int_equal(site_ingest(s, 5), 0);
	snapshot_is(s, 1, SNAPSHOT_GAP, 1, 0);
	assert_int_equal(site_ingest(s, 2), 0);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 1);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
}

static void
tell_nobody(void *arg, const struct attention *a)
{
	(void)arg, (void)a;
}

/* Sixty days and more on the slow clock; whoever looks at the vault then finds out. */
static void
a_lease_that_ran_out_promises_nothing(void **state)
{
	struct site *s = *state;
	struct vault_status st;
	struct seed_image a;
	struct vault *v;
	int64_t slow;

	image_a(s, &a);
	assert_int_equal(site_ingest(s, 0), 0);
	snapshot_is(s, 1, SNAPSHOT_PENDING, 0, 16);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	assert_int_equal(catalog_begin(v->catalog, 1, &s->e), 0);
	assert_int_equal(catalog_number(v->catalog, "clock slow", &slow, &s->e), 0);
	slow += INT64_C(61) * 86400 * 1000000000;
	assert_int_equal(catalog_number_set(v->catalog, "clock slow", slow, &s->e), 0);
	assert_int_equal(catalog_commit(v->catalog, &s->e), 0);
	assert_int_equal(vault_status(v, &st, tell_nobody, NULL, &s->e), 0);
	vault_close(v);
	assert_int_equal(st.pending, 0);
	assert_int_equal(st.gap, 1);
	snapshot_is(s, 1, SNAPSHOT_GAP, 16, 0);
	assert_int_equal(site_image(s, &a), IMAGE_EXPIRED);
	/* Late, and welcome. */
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_is(s, 1, SNAPSHOT_WHOLE, 0, 0);
	assert_int_equal(site_image(s, &a), IMAGE_WHOLE);
}

static void
more_snapshots_than_are_counted_together(void **state)
{
	struct site *s = *state;
	struct seed_image im[5];
	char name[SHORT_LEN + 1] = "AAA0";

	/* Chunk 40 is nowhere; snapshot 9 needs it. */
	for (unsigned i = 0; i < 5; i++) {
		name[3] = (char)('2' + i);
		seed_image_make(&im[i], &s->m, name);
		seed_disk(&im[i], s->disk[i], 1, i * 8, 8);
		for (unsigned k = 0; k < SEED_SNAPS; k++)
			seed_snapshot(&im[i], s->disk[i], i * SEED_SNAPS + k + 1, i == 1 && k == 0 ? 39 : i * 8 + k, i == 1 && k == 0 ? 2 : 8 - k);
		seed_manifest(&im[i], s->disk[i], 1);
	}
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(site_ingest(s, i), 0);
	for (unsigned i = 0; i < 5 * SEED_SNAPS; i++)
		snapshot_is(s, i + 1, i == SEED_SNAPS ? SNAPSHOT_GAP : SNAPSHOT_WHOLE, i == SEED_SNAPS, 0);
	site_rebuild_agrees(s);		/* all 40 at once */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(two_images_are_in_the_mail_and_one_arrives_damaged),
		T(what_an_image_leans_on_is_not_promised_by_it),
		T(an_image_that_leans_on_nothing_promises_all_of_its_lists),
		T(a_chunk_that_a_disk_lost_is_not_on_the_next_one),
		T(a_disk_in_the_place_of_another_promises_what_that_one_lost),
		T(what_one_image_lost_another_still_brings),
		T(a_top_up_in_the_mail_promises_what_an_earlier_disk_lost),
		T(what_a_top_up_loses_itself_is_promised_no_more),
		T(a_lease_that_ran_out_promises_nothing),
		T(more_snapshots_than_are_counted_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
