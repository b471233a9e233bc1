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

#include "common/flow/gaps.h"
#include "common/flow/id_list.h"
#include "common/flow/image_root.h"
#include "common/flow/receipt.h"
#include "common/pack/id_sorter.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "flow/vault_site.h"

/* The vault's side of an image's end. */

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
spoil_path(const char *path, off_t at)
{
	uint8_t b;
	int fd = open(path, O_RDWR);

	assert_true(fd != -1);
	at = lseek(fd, at, at < 0 ? SEEK_END : SEEK_SET);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 0x40;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	(void)close(fd);
}

static void
spoil(struct site *s, unsigned disk, unsigned pack, off_t at)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/samara/rm4k/packs/0000/%08u.pk", s->disk[disk], pack);
	spoil_path(path, at);
}

/* What vault_receipt returns; the receipt's bytes in ${out}. */
static int
receipt_of(struct site *s, struct buf *out, struct receipt_result *r)
{
	struct vault *v;
	int rc;

	err_clear(&s->e);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	rc = vault_receipt(v, "rm4k", 0, out, r, &s->e);
	vault_close(v);
	return rc;
}

/* The receipt, believed. */
static void
receipt_open(struct site *s, const struct buf *b, struct receipt *p)
{
	struct vault *v = vault_open(s->vault, VAULT_NO_KEY, &s->e);

	assert_non_null(v);
	assert_int_equal(statement_open(&receipt_schema, p, b->p, b->len, v->desc.sign_pub, &s->e), 0);
	vault_close(v);
}

static void
file_write(struct site *s, const char *name, const struct buf *b, char path[512])
{
	struct err e;

	err_clear(&e);
	(void)snprintf(path, 512, "%s/%s", s->root, name);
	assert_int_equal(file_replace(AT_FDCWD, path, b->p, b->len, 0600, &e), 0);
}

/* The machine's answer to ${p}, whose bytes are ${b}. */
static void
answer_make(struct site *s, const struct receipt *p, const struct buf *b, const uint8_t *secret, struct buf *out)
{
	struct handoff h = { .number = p->number, .whole = p->whole, .given_up = p->given_up, .time = 5 };

	memcpy(h.vault_id, p->vault_id, ID_LEN);
	memcpy(h.machine_id, s->m.id, ID_LEN);
	memcpy(h.image_id, p->image_id, ID_LEN);
	memcpy(h.short_name, p->short_name, sizeof(h.short_name));
	memcpy(h.root, p->root, DIGEST_LEN);
	memcpy(h.missing, p->missing, DIGEST_LEN);
	statement_digest(&receipt_schema, b->p, b->len, h.receipt);
	seed_sign(&handoff_schema, &h, secret, out);
}

static int
handoff_of(struct site *s, const char *path)
{
	struct handoff h;
	struct vault *v;
	int rc;

	err_clear(&s->e);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	rc = vault_handoff(v, path, 0, &h, &s->e);
	vault_close(v);
	return rc;
}

static void
an_image_that_is_all_there_gets_a_receipt_over_its_root(void **state)
{
	struct site *s = *state;
	struct receipt_snapshot snap;
	struct receipt_result r;
	struct seed_image im;
	struct receipt p;
	uint8_t root[DIGEST_LEN];
	static const uint8_t none[DIGEST_LEN];
	struct buf b;

	buf_init(&b);
	one_disk(s, &im, 20);
	assert_int_equal(site_ingest(s, 0), 0);
	if (receipt_of(s, &b, &r) != 0)
		fail_msg("%s", s->e.msg);
	assert_int_equal(r.packs, 3);
	assert_int_equal(r.whole, 1);
	receipt_open(s, &b, &p);
	assert_int_equal(p.number, 1);
	assert_int_equal(p.whole, 1);
	assert_int_equal(p.needed, 20);
	assert_int_equal(p.held, 20);
	assert_memory_equal(p.image_id, im.id, ID_LEN);
	assert_memory_equal(p.machine_id, s->m.id, ID_LEN);
	image_root(p.vault_id, im.id, (struct fmt_view){ im.envelopes[0], DIGEST_LEN }, none, root);
	assert_memory_equal(p.root, root, DIGEST_LEN);
	assert_int_equal(element_get(receipt_snapshot_fields, receipt_snapshot_nfields, p.snapshots, 0, &snap), FMT_OK);
	assert_memory_equal(snap.envelope, im.envelopes[0], DIGEST_LEN);
	assert_int_equal(snap.needed, 20);
	assert_int_equal(snap.held, 20);
	site_rebuild_agrees(s);
	buf_release(&b);
}

static void
numbers_of_receipts_rise_also_after_a_rebuild(void **state)
{
	struct site *s = *state;
	struct receipt_result r;
	struct seed_image im;
	struct buf b;

	buf_init(&b);
	one_disk(s, &im, 8);
	assert_int_equal(site_ingest(s, 0), 0);
	for (uint64_t i = 1; i < 4; i++) {
		assert_int_equal(receipt_of(s, &b, &r), 0);
		assert_int_equal(r.number, i);
		site_rebuild_agrees(s);
	}
	buf_release(&b);
}

static void
a_gap_is_counted_and_gets_no_receipt(void **state)
{
	struct site *s = *state;
	struct receipt_result r;
	struct seed_image im;
	struct buf b;

	buf_init(&b);
	one_disk(s, &im, 20);
	spoil(s, 0, 1, PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(receipt_of(s, &b, &r), 1);
	assert_int_equal(b.len, 0);
	assert_int_equal(r.needed, 20);
	assert_int_equal(r.held, 19);
	assert_int_equal(r.missing, 1);
	buf_release(&b);
}

static int
first_pack(void *arg, const char *name, uint64_t len, struct err *e)
{
	(void)len, (void)e;
	(void)snprintf(arg, VAULT_NAME_MAX, "%s", name);
	return 1;
}

/* Bytes that went bad in the vault after they were taken in: no receipt, and states fall. */
static void
what_rots_in_the_vault_is_found_recorded_and_not_vouched_for(void **state)
{
	struct site *s = *state;
	struct receipt_result r;
	struct seed_image im;
	struct store *st;
	char name[VAULT_NAME_MAX], path[512];
	int64_t missing = 0;
	struct buf b;

	buf_init(&b);
	one_disk(s, &im, 20);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_non_null(st = store_dir_open(s->vault, 0, NULL));
	assert_int_equal(st->ops->list(st, "packs/", "", first_pack, name, NULL), 1);
	st->ops->free(st);
	(void)snprintf(path, sizeof(path), "%s/%s", s->vault, name);
	spoil_path(path, PACK_HEAD_LEN + 200);
	assert_int_equal(receipt_of(s, &b, &r), 1);
	assert_int_equal(r.packs_bad, 1);
	assert_int_equal(r.missing, 1);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal(missing, 1);
	site_rebuild_agrees(s);
	/* All of a pack whose table is bad, or that is gone. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(receipt_of(s, &b, &r), 1);
	assert_true(r.missing == 8 || r.missing == 4);
	assert_int_equal(site_snapshot(s, 1, &missing), SNAPSHOT_GAP);
	assert_int_equal((uint64_t)missing, r.missing);
	/* The disk comes again, and all is well. */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(receipt_of(s, &b, &r), 0);
	buf_release(&b);
}

static void
frames_that_were_moved_into_packs_of_the_vault_count(void **state)
{
	struct site *s = *state;
	struct receipt_result r;
	struct seed_image a, im;
	struct buf b;

	buf_init(&b);
	seed_image_make(&a, &s->m, "AAAA");
	seed_disk(&a, s->disk[0], 1, 0, 21);
	seed_snapshot(&a, s->disk[0], 1, 0, 21);
	seed_manifest(&a, s->disk[0], 1);
	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[1], 1, 16, 8);
	seed_snapshot(&im, s->disk[1], 2, 0, 24);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(s->r.packs_repacked, 1);
	if (receipt_of(s, &b, &r) != 0)
		fail_msg("%s: %d of %d", s->e.msg, (int)r.held, (int)r.needed);
	assert_int_equal(r.held, 24);
	buf_release(&b);
}

static void
an_answer_hands_the_image_off_once(void **state)
{
	struct site *s = *state;
	struct receipt_result r;
	struct seed_image im;
	struct receipt p;
	struct buf b, a;
	char path[512];

	buf_init(&b);
	buf_init(&a);
	one_disk(s, &im, 20);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(receipt_of(s, &b, &r), 0);
	receipt_open(s, &b, &p);
	answer_make(s, &p, &b, s->m.secret, &a);
	file_write(s, "answer", &a, path);
	if (handoff_of(s, path) != 0)
		fail_msg("%s", s->e.msg);
	assert_int_equal(site_image(s, &im), IMAGE_HANDED_OFF);
	assert_int_equal(handoff_of(s, path), 1);
	site_rebuild_agrees(s);
	/* It stays so when its disk comes again. */
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_image(s, &im), IMAGE_HANDED_OFF);
	buf_release(&b);
	buf_release(&a);
}

static void
answers_that_are_not_the_machines_or_to_nothing_are_refused(void **state)
{
	struct site *s = *state;
	struct receipt_result r;
	struct seed_image im;
	struct receipt p;
	struct buf b, a;
	char path[512];

	buf_init(&b);
	buf_init(&a);
	one_disk(s, &im, 20);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(receipt_of(s, &b, &r), 0);
	receipt_open(s, &b, &p);
	{
		uint8_t seed[KEY_LEN] = { 1 }, pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];

		sign_keys(seed, pub, secret);
		answer_make(s, &p, &b, secret, &a);
		file_write(s, "answer", &a, path);
		assert_int_equal(handoff_of(s, path), -1);
		assert_int_equal(s->e.code, ERR_SIGNATURE);
	}
	p.number = 2;
	buf_reset(&a);
	answer_make(s, &p, &b, s->m.secret, &a);
	file_write(s, "answer", &a, path);
	assert_int_equal(handoff_of(s, path), -1);
	assert_int_equal(s->e.code, ERR_RECEIPT);
	p.number = 1;
	p.vault_id[0] ^= 1;
	buf_reset(&a);
	answer_make(s, &p, &b, s->m.secret, &a);
	file_write(s, "answer", &a, path);
	assert_int_equal(handoff_of(s, path), -1);
	assert_int_equal(s->e.code, ERR_WRONG_VAULT);
	assert_int_equal(site_image(s, &im), IMAGE_WHOLE);
	buf_release(&b);
	buf_release(&a);
}

/* The gap list in ${path}, which the machine answers by giving up all of it. */
static void
give_up(struct site *s, const char *path, const char *out)
{
	struct id_list_reader *r = id_list_reader_new(AT_FDCWD, path, &gap_list_schema, NULL, &s->e);
	int root = open(s->root, O_RDONLY | O_DIRECTORY);
	struct id_sorter *ids = id_sorter_new(root, 1 << 16, &s->e);
	struct id_list about;
	uint8_t id[DIGEST_LEN];
	int rc;

	assert_non_null(r);
	about = *id_list_about(r);
	while ((rc = id_list_next(r, id, &s->e)) == 1)
		assert_int_equal(id_sorter_add(ids, id, &s->e), 0);
	assert_int_equal(rc, 0);
	id_list_reader_free(r);
	assert_int_equal(id_list_save(root, out, &given_up_schema, &about, ids, s->m.secret, &s->e), 0);
	id_sorter_free(ids);
	(void)close(root);
}

static void
what_the_machine_gives_up_makes_the_receipt_partial(void **state)
{
	struct site *s = *state;
	struct receipt_result r;
	struct seed_image im;
	struct receipt p;
	struct vault *v;
	struct buf b;
	char gaps[512], given[512];
	uint64_t n = 0;

	buf_init(&b);
	one_disk(s, &im, 20);
	spoil(s, 0, 1, PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	(void)snprintf(gaps, sizeof(gaps), "%s/gaps", s->root);
	(void)snprintf(given, sizeof(given), "%s/given", s->root);
	assert_non_null(v = vault_open(s->vault, 0, &s->e));
	assert_int_equal(gaps_save(v, s->m.id, NULL, gaps, &n, &s->e), 0);
	assert_int_equal(n, 1);
	give_up(s, gaps, "given");
	assert_int_equal(vault_is_given_up(gaps), 0);
	assert_int_equal(vault_is_given_up(given), 1);
	if (vault_given_up(v, given, 0, &n, &s->e) != 0)
		fail_msg("%s", s->e.msg);
	assert_int_equal(n, 1);
	/* The same again changes nothing; nothing is missing now. */
	n = v->number;
	assert_int_equal(vault_given_up(v, given, 0, &(uint64_t){ 0 }, &s->e), 0);
	assert_int_equal(v->number, n);
	(void)unlink(gaps);
	assert_int_equal(gaps_save(v, s->m.id, NULL, gaps, &n, &s->e), 0);
	assert_int_equal(n, 0);
	vault_close(v);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_PARTIAL);
	assert_int_equal(site_image(s, &im), IMAGE_PARTIAL);
	if (receipt_of(s, &b, &r) != 0)
		fail_msg("%s", s->e.msg);
	receipt_open(s, &b, &p);
	assert_int_equal(p.whole, 0);
	assert_int_equal(p.given_up, 1);
	assert_int_equal(p.held, 19);
	assert_int_equal(p.returned.len, 0);
	site_rebuild_agrees(s);
	/* It comes after all: whole. */
	spoil(s, 0, 1, PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	buf_reset(&b);
	assert_int_equal(receipt_of(s, &b, &r), 0);
	assert_int_equal(r.whole, 1);
	buf_release(&b);
}

static void
what_another_gives_up_counts_for_nothing(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	struct vault *v;
	char gaps[512], given[512];
	uint8_t seed[KEY_LEN] = { 9 }, pub[SIGN_PUB_LEN];
	uint64_t n = 0;

	one_disk(s, &im, 20);
	spoil(s, 0, 1, PACK_HEAD_LEN + 200);
	assert_int_equal(site_ingest(s, 0), 0);
	(void)snprintf(gaps, sizeof(gaps), "%s/gaps", s->root);
	(void)snprintf(given, sizeof(given), "%s/given", s->root);
	assert_non_null(v = vault_open(s->vault, 0, &s->e));
	assert_int_equal(gaps_save(v, s->m.id, NULL, gaps, &n, &s->e), 0);
	sign_keys(seed, pub, s->m.secret);	/* not the machine's any more */
	give_up(s, gaps, "given");
	assert_int_equal(vault_given_up(v, given, 0, &n, &s->e), -1);
	assert_int_equal(s->e.code, ERR_SIGNATURE);
	vault_close(v);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_GAP);
}

/* A list over several parts, cut, spoilt and with its parts in another order. */
static void
a_list_of_many_parts_is_read_whole_or_not_at_all(void **state)
{
	struct site *s = *state;
	int root = open(s->root, O_RDONLY | O_DIRECTORY);
	struct id_sorter *ids = id_sorter_new(root, 1 << 20, &s->e);
	struct id_list about = { .time = 1 };
	struct id_list_reader *r;
	uint8_t id[DIGEST_LEN] = { 0 }, *bytes;
	uint32_t n = ID_LIST_PART + 3, got = 0;
	struct stat st;
	size_t len, first;
	int rc;

	for (uint32_t i = 0; i < n; i++) {
		le32_put(id, i * 2654435761u);
		assert_int_equal(id_sorter_add(ids, id, &s->e), 0);
	}
	memcpy(about.vault_id, s->m.vault_id, ID_LEN);
	assert_int_equal(id_list_save(root, "list", &carried_schema, &about, ids, s->m.secret, &s->e), 0);
	assert_int_equal(id_list_save(root, "list", &carried_schema, &about, ids, s->m.secret, &s->e), 1);
	id_sorter_free(ids);
	assert_non_null(r = id_list_reader_new(root, "list", &carried_schema, s->m.pub, &s->e));
	assert_int_equal(id_list_about(r)->count, n);
	while ((rc = id_list_next(r, id, &s->e)) == 1)
		got++;
	assert_int_equal(rc, 0);
	assert_int_equal(got, n);
	id_list_reader_free(r);
	assert_int_equal(file_read(root, "list", 1 << 24, &bytes, &len, &s->e), 0);
	assert_int_equal(fstatat(root, "list", &st, 0), 0);
	first = 4 + le32_get(bytes);
	for (unsigned kind = 0; kind < 4; kind++) {
		uint8_t *b = malloc(len);
		size_t m = len;

		memcpy(b, bytes, len);
		if (kind == 0)
			m = first;				/* the second part is not there */
		else if (kind == 1)
			m = len - 1;				/* it is cut */
		else if (kind == 2)
			b[len - 100] ^= 1;			/* its signature is wrong */
		else {
			memcpy(b, bytes + first, len - first);	/* the parts change places */
			memcpy(b + len - first, bytes, first);
		}
		assert_int_equal(file_replace(root, "bad", b, m, 0600, &s->e), 0);
		err_clear(&s->e);
		r = id_list_reader_new(root, "bad", &carried_schema, s->m.pub, &s->e);
		rc = r == NULL ? -1 : 1;
		while (rc == 1)
			rc = id_list_next(r, id, &s->e);
		assert_int_equal(rc, -1);
		assert_true(s->e.code == ERR_DAMAGE || s->e.code == ERR_FORMAT || s->e.code == ERR_SIGNATURE);
		id_list_reader_free(r);
		free(b);
	}
	free(bytes);
	(void)close(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_image_that_is_all_there_gets_a_receipt_over_its_root),
		T(numbers_of_receipts_rise_also_after_a_rebuild),
		T(a_gap_is_counted_and_gets_no_receipt),
		T(what_rots_in_the_vault_is_found_recorded_and_not_vouched_for),
		T(frames_that_were_moved_into_packs_of_the_vault_count),
		T(an_answer_hands_the_image_off_once),
		T(answers_that_are_not_the_machines_or_to_nothing_are_refused),
		T(what_the_machine_gives_up_makes_the_receipt_partial),
		T(what_another_gives_up_counts_for_nothing),
		T(a_list_of_many_parts_is_read_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
