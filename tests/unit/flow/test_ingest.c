#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/flow/vault_claim.h"
#include "common/flow/vault_status.h"
#include "common/store/store.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* One disk, one snapshot of ${n} chunks, sealed. */
static void
one_disk(struct site *s, struct seed_image *im, uint32_t n)
{
	seed_image_make(im, &s->m, "RM4K");
	seed_disk(im, s->disk[0], 1, 0, n);
	seed_snapshot(im, s->disk[0], 1, 0, n);
	seed_manifest(im, s->disk[0], 1);
}

/* Change a byte of ${name} on a disk, counted from its end where ${at} is negative. */
static void
spoil(const char *disk, const char *name, off_t at)
{
	char path[512];
	uint8_t b;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/samara/rm4k/%s", disk, name);
	fd = open(path, O_RDWR);
	assert_true(fd != -1);
	at = lseek(fd, at, at < 0 ? SEEK_END : SEEK_SET);
	assert_true(pread(fd, &b, 1, at) == 1);
	b ^= 0x40;
	assert_true(pwrite(fd, &b, 1, at) == 1);
	(void)close(fd);
}

/* How many objects of the vault lie below ${prefix}. */
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

static void
a_disk_of_a_new_machine_comes_in_whole(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 20);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 0);
	assert_int_equal(s->r.packs_whole, 3);
	assert_int_equal(s->r.chunks_new, 20);
	assert_int_equal(s->r.chunks_bad, 0);
	assert_int_equal(s->r.snapshots_new, 1);
	assert_int_equal(s->r.whole, 1);
	assert_int_equal(objects(s, "packs/"), 3);
	assert_int_equal(objects(s, "quarantine/"), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
the_same_disk_again_changes_nothing(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	size_t records;
	char *before, *after;

	one_disk(s, &im, 20);
	assert_int_equal(site_ingest(s, 0), 0);
	records = objects(s, "records/");
	before = site_dump(s);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.bytes_stored, 0);
	assert_int_equal(s->r.packs_read, 0);
	assert_int_equal(s->r.nothing_new, 1);
	after = site_dump(s);
	assert_string_equal(before, after);
	assert_int_equal(objects(s, "records/"), records);
	free(before);
	free(after);
}

/* Of packs less than half of which is new, only the new frames are taken, with writer and origin. */
static void
packs_that_are_mostly_held_are_repacked(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;

	seed_image_make(&a, &s->m, "RM4K");
	seed_disk(&a, s->disk[0], 1, 0, 21);	/* the last pack: 16 .. 20 */
	seed_snapshot(&a, s->disk[0], 1, 0, 21);
	seed_manifest(&a, s->disk[0], 1);
	seed_image_make(&b, &s->m, "RM4L");
	seed_disk(&b, s->disk[1], 1, 16, 8);	/* 5 of 8 are held */
	seed_snapshot(&b, s->disk[1], 2, 0, 24);
	seed_manifest(&b, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.packs_whole, 0);
	assert_int_equal(s->r.packs_repacked, 1);
	assert_int_equal(s->r.chunks_new, 3);
	assert_int_equal(s->r.chunks_held, 5);
	assert_int_equal(objects(s, "origins/"), 1);
	assert_int_equal(objects(s, "packs/"), 4);
	assert_int_equal(site_snapshot(s, 2, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &b), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

/* Snapshot ${seq} of the chunks 0 .. ${n} - 1, on a disk of its own that carries the last few. */
static void
next_image(struct site *s, unsigned disk, uint64_t seq, uint32_t from, uint32_t n)
{
	char name[SHORT_LEN + 1];
	struct seed_image im;

	(void)snprintf(name, sizeof(name), "RM%02u", (unsigned)seq);
	seed_image_make(&im, &s->m, name);
	seed_disk(&im, s->disk[disk], 1, from, n - from);
	seed_snapshot(&im, s->disk[disk], seq, 0, n);
	seed_manifest(&im, s->disk[disk], 1);
	assert_int_equal(site_ingest(s, disk), 0);
	assert_int_equal(site_snapshot(s, (int64_t)seq, NULL), SNAPSHOT_WHOLE);
}

static size_t
lists_of_kind(struct site *s, char kind)
{
	char name[256], hex[2 * ID_LEN + 1];
	struct store *st = store_dir_open(s->vault, 0, NULL);
	size_t found = 0;

	assert_non_null(st);
	for (uint64_t seq = 1; seq < 40; seq++) {
		uint64_t len;

		(void)snprintf(name, sizeof(name), "snapshots/%s/%016llx.%c00", text_hex(hex, s->m.id, ID_LEN),
		    (unsigned long long)seq, kind);
		found += st->ops->stat(st, name, &len, NULL) == 0;
	}
	st->ops->free(st);
	return found;
}

static void
lists_are_stored_as_deltas_until_the_chain_is_long(void **state)
{
	struct site *s = *state;

	for (uint32_t i = 0; i < 20; i++)
		next_image(s, i % 2, i + 1, i == 0 ? 0 : 99 + i, 100 + i);
	assert_int_equal(lists_of_kind(s, 'r'), 3);	/* the first, and after each eight deltas */
	assert_int_equal(lists_of_kind(s, 'd'), 17);
	site_rebuild_agrees(s);
}

static void
a_list_that_changed_much_is_stored_whole(void **state)
{
	struct site *s = *state;

	next_image(s, 0, 1, 0, 20);
	next_image(s, 1, 2, 20, 60);
	assert_int_equal(lists_of_kind(s, 'r'), 2);
	assert_int_equal(lists_of_kind(s, 'd'), 0);
}

/* A snapshot that comes before its base is stored whole; one in between has a base all the same. */
static void
a_list_without_an_older_one_is_stored_whole(void **state)
{
	struct site *s = *state;

	next_image(s, 0, 5, 0, 40);
	next_image(s, 1, 3, 40, 41);
	next_image(s, 2, 4, 41, 42);
	assert_int_equal(lists_of_kind(s, 'r'), 2);
	assert_int_equal(lists_of_kind(s, 'd'), 1);
	site_rebuild_agrees(s);
}

/* Disks in any order; until the last has come the snapshot is pending, if its manifest is known. */
static void
disks_come_in_any_order(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_disk(&im, s->disk[1], 2, 16, 16);
	seed_snapshot(&im, s->disk[1], 1, 0, 32);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.disks, 2);
	assert_int_equal(s->r.disks_in, 1);
	assert_int_equal(s->r.pending, 1);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_PENDING);
	assert_int_equal(site_image(s, &im), IMAGE_INGESTING);
	site_rebuild_agrees(s);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.whole, 1);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_first_disk_without_manifest_waits_for_the_others(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_disk(&im, s->disk[1], 2, 16, 16);
	seed_snapshot(&im, s->disk[1], 1, 0, 32);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.snapshots_new, 0);
	assert_int_equal(site_image(s, &im), IMAGE_INGESTING);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_damaged_chunk_goes_into_the_gap_and_the_rest_is_kept(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	int64_t missing = 0;
	size_t records;

	one_disk(s, &im, 20);
	spoil(s->disk[0], "packs/0000/00000001.pk", PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.packs_bad, 1);
	assert_int_equal(s->r.chunks_bad, 1);
	assert_int_equal(s->r.chunks_new, 19);
	assert_int_equal(s->r.packs_whole, 2);
	assert_int_equal(s->r.packs_repacked, 1);
	assert_int_equal(objects(s, "quarantine/"), 1);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal(missing, 1);
	assert_int_equal(site_image(s, &im), IMAGE_GAP);
	site_rebuild_agrees(s);
	records = objects(s, "records/");
	/* The same disk again: nothing is recorded twice. */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.chunks_bad, 1);
	assert_int_equal(objects(s, "records/"), records);
}

static void
a_gap_heals_when_the_chunk_comes(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 20);
	spoil(s->disk[0], "packs/0000/00000001.pk", PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_GAP);
	spoil(s->disk[0], "packs/0000/00000001.pk", PACK_HEAD_LEN + 200);	/* undone */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.chunks_bad, 0);
	assert_int_equal(s->r.packs_read, 1);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_pack_whose_table_or_footer_is_damaged_still_gives_its_chunks(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 16);
	spoil(s->disk[0], "packs/0000/00000000.pk", -1);
	spoil(s->disk[0], "packs/0000/00000001.pk", -300);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.packs_bad, 2);
	assert_int_equal(s->r.chunks_bad, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
packs_that_are_no_packs_are_gaps(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char path[5][512];

	one_disk(s, &im, 40);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(path[i], sizeof(path[i]), "%s/samara/rm4k/packs/0000/%08d.pk", s->disk[0], i);
		assert_int_equal(unlink(path[i]), 0);
	}
	assert_int_equal(mkfifo(path[0], 0600), 0);
	assert_int_equal(mkdir(path[1], 0700), 0);
	assert_int_equal(symlink("/dev/zero", path[2]), 0);
	assert_int_equal(close(open(path[3], O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.chunks_bad, 40);
	assert_int_equal(s->r.packs_bad, 5);
	assert_int_equal(objects(s, "packs/"), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_GAP);
	site_rebuild_agrees(s);
}

static void
swapped_packs_are_found(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char a[512], b[512], c[512];

	one_disk(s, &im, 16);
	(void)snprintf(a, sizeof(a), "%s/samara/rm4k/packs/0000/00000000.pk", s->disk[0]);
	(void)snprintf(b, sizeof(b), "%s/samara/rm4k/packs/0000/00000001.pk", s->disk[0]);
	(void)snprintf(c, sizeof(c), "%s/keep", s->root);
	assert_int_equal(rename(a, c), 0);
	assert_int_equal(rename(b, a), 0);
	assert_int_equal(rename(c, b), 0);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.chunks_bad, 16);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_GAP);
}

static void
either_copy_of_what_stands_twice_is_enough(void **state)
{
	static const char *const names[] = { "label", "stmt", "index/p0000", "snap/00000000.env", "snap/00000000.r00",
		"manif/g0001", "keys/regist", "keys/slots" };
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 16);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		spoil(s->disk[0], names[i], -20);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
}

static void
a_disk_without_a_good_label_or_statement_is_refused(void **state)
{
	static const struct { const char *name[2]; } t[] = {
		{ { "label", "label2" } }, { { "stmt", "stmt2" } },
	};
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 16);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		spoil(s->disk[0], t[i].name[0], -20);
		spoil(s->disk[0], t[i].name[1], -20);
		assert_int_equal(site_ingest(s, 0), -1);
		assert_true(s->e.code == ERR_DAMAGE || s->e.code == ERR_SIGNATURE || s->e.code == ERR_FORMAT);
		assert_int_equal(objects(s, "packs/"), 0);
		spoil(s->disk[0], t[i].name[0], -20);
		spoil(s->disk[0], t[i].name[1], -20);
	}
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
}

static void
a_snapshot_whose_list_is_damaged_twice_is_not_filed(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 16);
	spoil(s->disk[0], "snap/00000000.r00", -20);
	spoil(s->disk[0], "snap2/00000000.r00", -20);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.damage, 1);
	assert_int_equal(site_snapshot(s, 1, NULL), 0);
	assert_int_equal(objects(s, "snapshots/"), 0);
	assert_int_equal(site_image(s, &im), IMAGE_GAP);	/* all chunks are there, and yet */
	spoil(s->disk[0], "snap2/00000000.r00", -20);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
damaged_twice(struct site *s, const char *a, const char *b)
{
	spoil(s->disk[0], a, -20);
	spoil(s->disk[0], b, -20);
}

/* What passes is kept: the packs come in, and the rest when a good copy comes. */
static void
packs_come_in_without_manifest_and_envelopes(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 20);
	damaged_twice(s, "manif/g0001", "manif2/g0001");
	damaged_twice(s, "snap/00000000.env", "snap2/00000000.env");
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.damage, 2);
	assert_int_equal(s->r.packs_whole, 3);
	assert_int_equal(s->r.chunks_bad, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), 0);
	damaged_twice(s, "manif/g0001", "manif2/g0001");
	damaged_twice(s, "snap/00000000.env", "snap2/00000000.env");
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.packs_read, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
packs_speak_for_themselves_without_an_index(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 20);
	damaged_twice(s, "index/p0000", "index2/p0000");
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.damage, 1);
	assert_int_equal(s->r.packs_whole, 3);
	assert_int_equal(s->r.chunks_bad, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
without_an_index_a_lost_pack_is_counted_all_the_same(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char path[512];

	one_disk(s, &im, 20);
	damaged_twice(s, "index/p0000", "index2/p0000");
	(void)snprintf(path, sizeof(path), "%s/samara/rm4k/packs/0000/00000001.pk", s->disk[0]);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.chunks_bad, 8);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_GAP);
	site_rebuild_agrees(s);
}

static void
an_envelope_that_the_manifest_does_not_name_is_refused(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 20);
	seed_snapshot(&im, s->disk[0], 2, 0, 4);
	assert_int_equal(site_ingest(s, 0), -1);
	assert_int_equal(s->e.code, ERR_DAMAGE);
	assert_int_equal(objects(s, "packs/"), 0);
}

static void
a_disk_that_is_not_closed_goes_back(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char path[512];

	one_disk(s, &im, 16);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/samara/rm4k/stmt%s", s->disk[0], i == 0 ? "" : "2");
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(site_ingest(s, 0), -1);
	assert_int_equal(s->e.code, ERR_WRONG_DISK);
}

static void
a_disk_for_another_vault_is_refused(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	io_random(s->m.vault_id, ID_LEN);
	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), -1);
	assert_int_equal(s->e.code, ERR_WRONG_VAULT);
	assert_int_equal(objects(s, "packs/"), 0);
}

static struct io_ops small;

static int
little_room(int fd, struct statfs *fs)
{
	int rc = io_real()->fstatfs(fd, fs);

	fs->f_bavail = (fsblkcnt_t)(20000 / fs->f_bsize);
	return rc;
}

static void
what_does_not_fit_is_refused_before_the_first_byte(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	one_disk(s, &im, 40);
	small = *io_real();
	small.fstatfs = little_room;
	(void)io_use(&small);
	assert_int_equal(site_ingest(s, 0), -1);
	(void)io_use(io_real());
	assert_int_equal(s->e.code, ERR_NO_SPACE);
	assert_int_equal(err_exit(s->e.code), 13);
	assert_non_null(strstr(s->e.msg, "free"));
	assert_int_equal(objects(s, "packs/"), 0);
	assert_int_equal(objects(s, "images/"), 0);
	assert_int_equal(site_ingest(s, 0), 0);
}

/* Whatever is wrong with a registration, nothing of the image enters. */
static void
assert_unclaimed(struct site *s, struct seed_image *im, const char *why)
{
	one_disk(s, im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 1);
	if (strstr(s->r.why, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", s->r.why, why);
	assert_non_null(strstr(s->r.why, s->r.manifest));
	assert_int_equal(objects(s, "packs/"), 0);
	assert_int_equal(objects(s, "snapshots/"), 0);
	assert_int_equal(objects(s, "keys/"), 0);
	assert_int_equal(objects(s, "images/"), 0);
	assert_int_equal(site_image(s, im), IMAGE_UNCLAIMED);
	site_rebuild_agrees(s);
}

static void
a_credential_that_this_vault_did_not_issue_admits_nobody(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	io_random(s->c.credential_id, ID_LEN);
	seed_register(&s->m, &s->c, io_now());
	assert_unclaimed(s, &im, "issued no such credential");
}

static void
a_registration_made_without_the_secret_admits_nobody(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	s->c.secret[3] ^= 1;
	seed_register(&s->m, &s->c, io_now());
	assert_unclaimed(s, &im, "was not made with the credential");
}

static void
a_registration_of_another_machine_admits_nobody(void **state)
{
	struct site *s = *state;
	struct seed_machine other;
	struct seed_image im;

	seed_machine_make(&other, "db2", &s->c);
	buf_reset(&s->m.regist);
	buf_add(&s->m.regist, other.regist.p, other.regist.len);
	seed_machine_drop(&other);
	assert_unclaimed(s, &im, "registration");
}

static void
a_registration_made_too_late_admits_nobody(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	seed_register(&s->m, &s->c, s->c.use_by + 1);
	assert_unclaimed(s, &im, "had expired");
}

static struct io_ops later;
static int64_t later_by;

static int
clock_later(clockid_t id, struct timespec *t)
{
	int rc = io_real()->clock_gettime(id, t);

	t->tv_sec += (time_t)later_by;
	return rc;
}

static void
a_registration_that_comes_too_late_admits_nobody(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	/* In steps that are no jumps of the clock. */
	later = *io_real();
	later.clock_gettime = clock_later;
	(void)io_use(&later);
	for (later_by = 0; later_by < 91 * 86400; later_by += 30 * 86400)
		free(site_dump(s)), site_credential(s, "other", &(struct credential){ .purpose = 0 });
	later_by = 91 * 86400;
	assert_unclaimed(s, &im, "came later than");
}

static void
a_newer_credential_in_use_shuts_out_the_older(void **state)
{
	struct site *s = *state;
	struct credential newer;
	struct seed_machine second;
	struct seed_image im;

	site_credential(s, "laptop", &newer);
	seed_machine_make(&second, "laptop", &newer);
	seed_image_make(&im, &second, "RM4N");
	seed_disk(&im, s->disk[1], 1, 0, 8);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.unclaimed, 0);
	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_non_null(strstr(s->r.why, "newer credential"));
	seed_machine_drop(&second);
}

/* A superseded credential still admits what was registered with it, if the newer one was not used. */
static void
a_superseded_credential_in_the_mail_is_good(void **state)
{
	struct site *s = *state;
	struct credential newer;
	struct seed_image im;

	site_credential(s, "laptop", &newer);
	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 0);
	site_rebuild_agrees(s);
}

static void
a_credential_registers_one_machine(void **state)
{
	struct site *s = *state;
	struct seed_machine second;
	struct seed_image im;

	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	seed_machine_make(&second, "laptop", &s->c);
	seed_image_make(&im, &second, "RM4N");
	seed_disk(&im, s->disk[1], 1, 0, 8);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_non_null(strstr(s->r.why, "was used before"));
	seed_machine_drop(&second);
}

static void
another_key_in_the_name_of_a_machine_admits_nobody(void **state)
{
	struct site *s = *state;
	struct seed_machine thief = s->m;
	struct seed_image im;

	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	io_random(thief.seed, KEY_LEN);
	sign_keys(thief.seed, thief.pub, thief.secret);
	seed_image_make(&im, &thief, "RM4T");
	seed_disk(&im, s->disk[1], 1, 100, 8);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_int_equal(objects(s, "packs/"), 2);
}

static void
a_second_snapshot_with_one_number_is_a_fork(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;

	one_disk(s, &a, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	seed_image_make(&b, &s->m, "RM4F");
	seed_disk(&b, s->disk[1], 1, 200, 8);
	seed_snapshot(&b, s->disk[1], 1, 200, 8);
	seed_manifest(&b, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_true(strncmp(s->r.why, "fork", 4) == 0);
	assert_int_equal(objects(s, "packs/"), 2);
	assert_int_equal(site_image(s, &a), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

/* Ids stand in clear on every disk; a stranger puts this image's on one of his own. */
static void
an_image_is_of_the_machine_that_made_it(void **state)
{
	struct site *s = *state;
	struct seed_machine stranger;
	struct seed_image im, his;
	struct credential c;

	seed_image_make(&im, &s->m, "RM4K");
	site_credential(s, "stranger", &c);
	seed_machine_make(&stranger, "stranger", &c);
	seed_register(&stranger, &c, c.use_by + 1);	/* and he is not admitted */
	seed_image_make(&his, &stranger, "RM4K");
	memcpy(his.id, im.id, ID_LEN);
	seed_disk(&his, s->disk[1], 1, 500, 8);
	seed_snapshot(&his, s->disk[1], 1, 500, 8);
	seed_manifest(&his, s->disk[1], 7);
	/* He comes first: that does not keep the machine's own image out. */
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.unclaimed, 1);
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_snapshot(&im, s->disk[0], 1, 0, 16);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 0);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	/* He comes again: nothing is taken from it. */
	assert_int_equal(site_ingest(s, 1), -1);
	assert_int_equal(s->e.code, ERR_WRONG_DISK);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
	seed_machine_drop(&stranger);
}

/* Whoever holds the domain's key can make a membership for any key: a credential for a new machine is no way to take the place of one. */
static void
a_new_credential_takes_nobodys_place(void **state)
{
	struct site *s = *state;
	struct membership member = { .from_seq = 1, .made = 2000 };
	struct seed_machine again;
	struct seed_image im, his;
	struct credential c;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_snapshot(&im, s->disk[0], 1, 0, 16);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 0);

	site_credential(s, NULL, &c);	/* good for any name */
	seed_machine_make(&again, s->m.name, &c);
	memcpy(again.id, s->m.id, ID_LEN);
	memcpy(member.domain_pub, s->m.k->domain_pub, SIGN_PUB_LEN);
	memcpy(member.machine_id, again.id, ID_LEN);
	memcpy(member.machine_name, again.name, sizeof(member.machine_name));
	memcpy(member.machine_pub, again.pub, SIGN_PUB_LEN);
	domain_keys_free(again.k);
	again.k = domain_keys_new(s->m.k->master);
	buf_reset(&again.domain);
	buf_add(&again.domain, s->m.domain.p, s->m.domain.len);
	buf_reset(&again.member);
	seed_sign(&membership_schema, &member, again.k->sign_secret, &again.member);
	seed_register(&again, &c, io_now());
	seed_image_make(&his, &again, "QX7P");
	seed_disk(&his, s->disk[1], 1, 500, 8);
	seed_snapshot(&his, s->disk[1], 2, 500, 8);
	seed_manifest(&his, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_non_null(strstr(s->r.why, "registered already"));
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
	seed_machine_drop(&again);
}

static void
what_was_not_admitted_can_be_claimed(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	struct cat_image row;
	struct vault *v;

	seed_register(&s->m, &s->c, s->c.use_by + 1);
	assert_unclaimed(s, &im, "had expired");
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_claim(v, "rm4k", &row, &s->e), 0);
	assert_int_equal(vault_claim(v, "RM4K", &row, &s->e), 1);
	vault_close(v);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_claim_does_not_heal_a_wrong_signature(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	struct cat_image row;
	struct vault *v;

	seed_register(&s->m, &s->c, s->c.use_by + 1);
	s->m.regist.p[s->m.regist.len - 1] ^= 1;
	assert_unclaimed(s, &im, "not signed");
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	err_clear(&s->e);
	assert_int_equal(vault_claim(v, "RM4K", &row, &s->e), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	vault_close(v);
}

static void
the_kit_comes_out_of_what_the_vault_keeps(void **state)
{
	struct site *s = *state;
	struct cat_machine m;
	struct seed_image im;
	struct vault *v;
	struct buf text;
	size_t records;

	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	records = objects(s, "records/");
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	memcpy(m.id, s->m.id, ID_LEN);
	assert_int_equal(catalog_get(v->catalog, &cat_machines, &m, &s->e), 0);
	buf_init(&text);
	assert_int_equal(vault_kit(v, &m, &text, &s->e), 0);
	buf_u8(&text, 0);
	assert_non_null(strstr((const char *)text.p, "BEGIN SAMARA RECOVERY KIT"));
	assert_non_null(strstr((const char *)text.p, "laptop"));
	buf_release(&text);
	vault_close(v);
	assert_int_equal(objects(s, "records/"), records + 1);
}

/* Anybody can seal a letter to the vault: one that the machine did not sign does not displace its own. */
static void
slots_that_the_machine_did_not_sign_are_not_kept(void **state)
{
	struct site *s = *state;
	struct seed_image a, b;
	struct buf forged;

	one_disk(s, &a, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(objects(s, "keys/"), 4);
	buf_init(&forged);
	seed_slots(&s->m, s->c.vault_box_pub, &forged);
	seed_disk_keys(&s->m, &forged);
	buf_release(&forged);
	seed_image_make(&b, &s->m, "RM4L");
	seed_disk(&b, s->disk[1], 1, 100, 8);
	seed_snapshot(&b, s->disk[1], 2, 100, 8);
	seed_manifest(&b, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(objects(s, "keys/"), 4);
}

/* An object that is not what its name says does not count as held. */
static void
a_bad_object_in_the_way_is_replaced_by_the_next_copy(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	struct rebuild_result r;
	char command[512];

	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	/* Both packs rot at their ends, and the catalog is made anew: it leaves them out. */
	(void)snprintf(command, sizeof(command), "for f in %s/packs/*/*.1; do printf x | dd of=$f bs=1 seek=$(($(stat -c %%s $f) - 1))"
	    " conv=notrunc status=none; done", s->vault);
	assert_int_equal(system(command), 0);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), 0);
	assert_int_equal(r.packs_bad, 2);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_GAP);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.packs_whole, 2);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(objects(s, "packs/"), 2);
	assert_int_equal(objects(s, "quarantine/"), 2);
	site_rebuild_agrees(s);
}

static void
two_processes_take_in_one_disk_at_once(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	pid_t child[2];

	one_disk(s, &im, 160);
	for (int i = 0; i < 2; i++) {
		child[i] = fork();
		assert_true(child[i] != -1);
		if (child[i] == 0)
			_exit(site_ingest(s, 0) == 0 && s->r.unclaimed == 0 && s->r.whole == 1 ? 0 : 1);
	}
	for (int i = 0; i < 2; i++) {
		int status;

		assert_true(waitpid(child[i], &status, 0) == child[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(objects(s, "packs/"), 20);
	site_rebuild_agrees(s);
}

static void
two_processes_take_in_two_disks_of_one_image_at_once(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	pid_t child[2];

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 80);
	seed_disk(&im, s->disk[1], 2, 80, 80);
	seed_snapshot(&im, s->disk[1], 1, 0, 160);
	seed_manifest(&im, s->disk[0], 1);
	seed_manifest(&im, s->disk[1], 1);
	for (unsigned i = 0; i < 2; i++) {
		child[i] = fork();
		assert_true(child[i] != -1);
		if (child[i] == 0)
			_exit(site_ingest(s, i) == 0 && s->r.unclaimed == 0 ? 0 : 1);
	}
	for (int i = 0; i < 2; i++) {
		int status;

		assert_true(waitpid(child[i], &status, 0) == child[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	site_rebuild_agrees(s);
}

static void
count_attention(void *arg, const struct attention *a)
{
	char *kinds = arg;

	(void)strcat(kinds, a->kind);
	(void)strcat(kinds, " ");
}

static void
status_names_what_needs_a_hand(void **state)
{
	struct site *s = *state;
	struct vault_status st;
	struct seed_image im;
	struct vault *v;
	char kinds[256] = "";

	one_disk(s, &im, 20);
	spoil(s->disk[0], "packs/0000/00000001.pk", PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_status(v, &st, count_attention, kinds, &s->e), 0);
	vault_close(v);
	assert_string_equal(kinds, "key disk gap ");
	assert_int_equal(st.attention, 3);
	assert_int_equal(st.gap, 1);
	assert_int_equal(st.machines, 1);
	assert_int_equal(st.active, 1);
}

static void
a_dry_run_stores_nothing(void **state)
{
	const struct ingest_options o = { .dry_run = 1, .jobs = 1 };
	struct site *s = *state;
	struct seed_image im;
	struct vault *v;
	size_t all = objects(s, "");

	one_disk(s, &im, 20);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(ingest_disk(v, s->disk[0], &o, site_done, s, &s->e), 0);
	vault_close(v);
	assert_int_equal(s->r.chunks_new, 20);
	assert_true(s->r.needed > 20 * SEED_CHUNK_LEN);
	assert_int_equal(objects(s, ""), all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_disk_of_a_new_machine_comes_in_whole),
		T(the_same_disk_again_changes_nothing),
		T(packs_that_are_mostly_held_are_repacked),
		T(lists_are_stored_as_deltas_until_the_chain_is_long),
		T(a_list_that_changed_much_is_stored_whole),
		T(a_list_without_an_older_one_is_stored_whole),
		T(disks_come_in_any_order),
		T(a_first_disk_without_manifest_waits_for_the_others),
		T(a_damaged_chunk_goes_into_the_gap_and_the_rest_is_kept),
		T(a_gap_heals_when_the_chunk_comes),
		T(a_pack_whose_table_or_footer_is_damaged_still_gives_its_chunks),
		T(packs_that_are_no_packs_are_gaps),
		T(swapped_packs_are_found),
		T(either_copy_of_what_stands_twice_is_enough),
		T(a_disk_without_a_good_label_or_statement_is_refused),
		T(a_snapshot_whose_list_is_damaged_twice_is_not_filed),
		T(packs_come_in_without_manifest_and_envelopes),
		T(packs_speak_for_themselves_without_an_index),
		T(without_an_index_a_lost_pack_is_counted_all_the_same),
		T(an_envelope_that_the_manifest_does_not_name_is_refused),
		T(a_disk_that_is_not_closed_goes_back),
		T(a_disk_for_another_vault_is_refused),
		T(what_does_not_fit_is_refused_before_the_first_byte),
		T(a_credential_that_this_vault_did_not_issue_admits_nobody),
		T(a_registration_made_without_the_secret_admits_nobody),
		T(a_registration_of_another_machine_admits_nobody),
		T(a_registration_made_too_late_admits_nobody),
		T(a_registration_that_comes_too_late_admits_nobody),
		T(a_newer_credential_in_use_shuts_out_the_older),
		T(a_superseded_credential_in_the_mail_is_good),
		T(a_credential_registers_one_machine),
		T(another_key_in_the_name_of_a_machine_admits_nobody),
		T(a_second_snapshot_with_one_number_is_a_fork),
		T(an_image_is_of_the_machine_that_made_it),
		T(a_new_credential_takes_nobodys_place),
		T(what_was_not_admitted_can_be_claimed),
		T(a_claim_does_not_heal_a_wrong_signature),
		T(the_kit_comes_out_of_what_the_vault_keeps),
		T(slots_that_the_machine_did_not_sign_are_not_kept),
		T(a_bad_object_in_the_way_is_replaced_by_the_next_copy),
		T(two_processes_take_in_one_disk_at_once),
		T(two_processes_take_in_two_disks_of_one_image_at_once),
		T(status_names_what_needs_a_hand),
		T(a_dry_run_stores_nothing),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
