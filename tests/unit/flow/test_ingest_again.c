/* A disk that comes a second time: what is held of it is read where it lies, and numbers that a key may not sign. */

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

#include "common/flow/vault_claim.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

static void
one_disk(struct site *s, struct seed_image *im, uint32_t n)
{
	seed_image_make(im, &s->m, "RM4K");
	seed_disk(im, s->disk[0], 1, 0, n);
	seed_snapshot(im, s->disk[0], 1, 0, n);
	seed_manifest(im, s->disk[0], 1);
}

static void
byte_change(const char *path, off_t at)
{
	uint8_t b;
	int fd = open(path, O_RDWR);

	assert_true(fd != -1);
	at = lseek(fd, at, at < 0 ? SEEK_END : SEEK_SET);
	assert_true(pread(fd, &b, 1, at) == 1);
	b ^= 0x40;
	assert_true(pwrite(fd, &b, 1, at) == 1);
	(void)close(fd);
}

/* The path of the copy of pack ${number} of the disk in the vault, by its id in the footer on the disk. */
static void
pack_path(struct site *s, unsigned number, uint32_t copy, char *out, size_t cap)
{
	char path[512], name[VAULT_NAME_MAX];
	uint8_t foot[PACK_FOOT_LEN];
	struct pack_foot f;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/samara/rm4k/packs/0000/%08u.pk", s->disk[0], number);
	fd = open(path, O_RDONLY);
	assert_true(fd != -1);
	assert_true(lseek(fd, -(off_t)PACK_FOOT_LEN, SEEK_END) > 0);
	assert_true(read(fd, foot, sizeof(foot)) == (ssize_t)sizeof(foot));
	(void)close(fd);
	assert_int_equal(pack_foot_decode(&f, foot, sizeof(foot)), FMT_OK);
	vault_name_pack(name, f.pack_id, copy);
	(void)snprintf(out, cap, "%s/%s", s->vault, name);
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

static void
rot_that_nobody_saw_is_found_and_healed(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char path[512];

	one_disk(s, &im, 20);
	assert_int_equal(site_ingest(s, 0), 0);
	pack_path(s, 1, 1, path, sizeof(path));
	byte_change(path, PACK_HEAD_LEN + 200);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);	/* who would know? */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.packs_read, 1);
	assert_int_equal(s->r.packs_repacked, 1);
	assert_int_equal(s->r.chunks_new, 1);
	assert_int_equal(s->r.nothing_new, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
	/* All is well: a third time changes nothing. */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.nothing_new, 1);
}

static void
rot_in_both_places_is_a_gap(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char path[512];
	int64_t missing = 0;

	/* Its second disk is in the mail and does not have what the first one had. */
	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_disk(&im, s->disk[1], 2, 16, 16);
	seed_snapshot(&im, s->disk[0], 1, 0, 32);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_PENDING);
	pack_path(s, 1, 1, path, sizeof(path));
	byte_change(path, PACK_HEAD_LEN + 200);
	(void)snprintf(path, sizeof(path), "%s/samara/rm4k/packs/0000/00000001.pk", s->disk[0]);
	byte_change(path, PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal(missing, 1);
	site_rebuild_agrees(s);
}

/* Gone, spoilt at its end, spoilt again: each copy has a number of its own, which the records speak of. */
static void
a_copys_number_is_never_used_again(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	char path[512];

	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	pack_path(s, 0, 1, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	for (uint32_t copy = 2; copy < 5; copy++) {
		assert_int_equal(site_ingest(s, 0), 0);
		assert_int_equal(s->r.packs_whole, 1);
		assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
		site_rebuild_agrees(s);
		assert_int_equal(objects(s, "packs/"), 2);
		assert_int_equal(objects(s, "quarantine/"), copy - 1);
		pack_path(s, 0, copy, path, sizeof(path));
		byte_change(path, -1);
	}
}

/* It counts by the catalog, and records nothing. */
static void
a_dry_run_does_not_read_the_vault_again(void **state)
{
	const struct ingest_options o = { .dry_run = 1, .jobs = 1 };
	struct site *s = *state;
	struct seed_image im;
	struct vault *v;
	char path[512];
	size_t records;

	one_disk(s, &im, 16);
	assert_int_equal(site_ingest(s, 0), 0);
	pack_path(s, 0, 1, path, sizeof(path));
	byte_change(path, PACK_HEAD_LEN + 200);
	records = objects(s, "records/");
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(ingest_disk(v, s->disk[0], &o, site_done, s, &s->e), 0);
	vault_close(v);
	assert_int_equal(objects(s, "records/"), records);
}

/* The machine's domain lets its key sign from number ${from} on. */
static void
member_from(struct site *s, uint64_t from)
{
	struct membership member = { .from_seq = from, .made = 1000 };

	memcpy(member.domain_pub, s->m.k->domain_pub, SIGN_PUB_LEN);
	memcpy(member.machine_id, s->m.id, ID_LEN);
	memcpy(member.machine_name, s->m.name, sizeof(member.machine_name));
	memcpy(member.machine_pub, s->m.pub, SIGN_PUB_LEN);
	buf_reset(&s->m.member);
	seed_sign(&membership_schema, &member, s->m.k->sign_secret, &s->m.member);
	seed_register(&s->m, &s->c, io_now());
}

static void
a_key_signs_no_number_before_its_first(void **state)
{
	struct site *s = *state;
	struct seed_image im, more;
	struct cat_image claimed;
	struct vault *v;

	member_from(s, 5);
	/* Before it is registered, and not even if somebody claims the image. */
	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 8);
	seed_snapshot(&im, s->disk[0], 4, 0, 8);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_non_null(strstr(s->r.why, "snapshot 4 is signed with a key that its domain lets sign from number 5 on"));
	assert_int_equal(objects(s, "packs/"), 0);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_claim(v, "RM4K", &claimed, &s->e), 0);
	vault_close(v);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_int_equal(objects(s, "packs/"), 0);
	/* One in order, then another below. */
	seed_image_make(&more, &s->m, "AAAA");
	seed_disk(&more, s->disk[1], 1, 0, 8);
	seed_snapshot(&more, s->disk[1], 5, 0, 8);
	seed_manifest(&more, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.unclaimed, 0);
	assert_int_equal(site_snapshot(s, 5, NULL), SNAPSHOT_WHOLE);
	seed_image_make(&more, &s->m, "BBBB");
	seed_disk(&more, s->disk[2], 1, 8, 8);
	seed_snapshot(&more, s->disk[2], 3, 8, 8);
	seed_manifest(&more, s->disk[2], 1);
	assert_int_equal(site_ingest(s, 2), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_int_equal(site_snapshot(s, 3, NULL), 0);
	site_rebuild_agrees(s);
}

static void
numbers_that_a_vault_cannot_file_are_refused(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 8);
	seed_snapshot(&im, s->disk[0], UINT64_C(1) << 63, 0, 8);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), -1);
	assert_int_equal(s->e.code, ERR_FORMAT);
	assert_non_null(strstr(s->e.msg, "9223372036854775808"));
	assert_int_equal(objects(s, "packs/"), 0);
	/* The highest that there is. */
	seed_image_make(&im, &s->m, "AAAA");
	seed_disk(&im, s->disk[1], 1, 0, 8);
	seed_snapshot(&im, s->disk[1], INT64_MAX, 0, 8);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(site_snapshot(s, INT64_MAX, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
a_membership_from_such_a_number_admits_nobody(void **state)
{
	struct site *s = *state;
	struct seed_image im;

	member_from(s, UINT64_MAX);
	one_disk(s, &im, 8);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.unclaimed, 1);
	assert_int_equal(objects(s, "packs/"), 0);
}

/* A record of such a snapshot, from wherever it came, is no snapshot with a negative number after a rebuild. */
static void
a_rebuild_passes_over_such_a_number(void **state)
{
	struct site *s = *state;
	struct envelope env = { .seq = UINT64_MAX, .set_name = "files", .kind = SNAP_FILES, .refs_count = 1 };
	struct rebuild_result r;
	struct vault *v;
	struct buf b;

	memcpy(env.machine_id, s->m.id, ID_LEN);
	buf_init(&b);
	seed_sign(&envelope_schema, &env, s->m.secret, &b);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_begin(v, &s->e), 0);
	assert_int_equal(vault_record_bytes(v, REC_SNAPSHOT_RECEIVED, b.p, b.len, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	vault_close(v);
	buf_release(&b);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), 0);
	assert_int_equal(r.snapshots, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rot_that_nobody_saw_is_found_and_healed),
		T(rot_in_both_places_is_a_gap),
		T(a_copys_number_is_never_used_again),
		T(a_dry_run_does_not_read_the_vault_again),
		T(a_key_signs_no_number_before_its_first),
		T(numbers_that_a_vault_cannot_file_are_refused),
		T(a_membership_from_such_a_number_admits_nobody),
		T(a_rebuild_passes_over_such_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
