#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/crypto/sign.h"
#include "common/flow/image_root.h"
#include "common/flow/machine_receipt.h"
#include "common/flow/state_refs.h"
#include "common/flow/topup.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/id_sorter.h"
#include "common/pack/refs.h"
#include "flow/build_maker.h"

/* The machine's side of an image's end: receipts it takes or not, chunks it makes again. */

struct world {
	struct build_maker b;
	struct state *s;
	struct domain_keys *k;
	struct image_state *im;
	struct topup_ids *want;
	unsigned put, lost, live, listings;
	char last[512];			/* the file that was named last */
	struct err e;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char name[32];

	assert_non_null(w);
	build_maker_start(&w->b);
	build_maker_dir(&w->b, "d");
	build_maker_dir(&w->b, "empty");
	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "d/s%02u", i);
		build_maker_file(&w->b, name, 100 + i * 50, i);
	}
	build_maker_file(&w->b, "big", 30000000, 100);	/* its extents fill a tree of their own */
	build_maker_file(&w->b, "mid", 900000, 101);
	if (build_maker_run(&w->b) != 0)
		fail_msg("%s", w->b.e.msg);
	assert_non_null(w->s = state_open(w->b.m.state, &w->e));
	assert_non_null(w->k = state_keys(w->s, &w->e));
	assert_non_null(w->im = image_state_load(w->s, w->b.r.short_name, NULL, NULL, &w->e));
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	topup_ids_free(w->want);
	image_state_free(w->im);
	domain_keys_free(w->k);
	state_free(w->s);
	build_maker_end(&w->b);
	free(w);
	return 0;
}

/* --- chunks made again --- */

static int
want_one(void *arg, const uint8_t id[DIGEST_LEN], struct err *e)
{
	return topup_ids_add(arg, id, e);
}

static int
was_put(void *arg, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e)
{
	struct world *w = arg;
	uint8_t again[DIGEST_LEN];

	(void)e;
	chunk_id(w->k, kind, plain, len, again);
	assert_memory_equal(again, id, DIGEST_LEN);
	w->put++;
	return 0;
}

static void
was_lost(void *arg, uint64_t seq, struct fmt_view dir, struct fmt_view name, bool live)
{
	struct world *w = arg;

	assert_int_equal(seq, 1);
	(void)dir;
	w->live += live;
	w->lost += !live && name.len > 0;
	w->listings += name.len == 0;
	if (!live)
		(void)snprintf(w->last, sizeof(w->last), "%.*s", (int)name.len, (const char *)name.p);
}

/* Ask for every chunk of the snapshot. */
static void
collect_all(struct world *w)
{
	const struct topup_calls calls = { was_put, was_lost, w };

	topup_ids_free(w->want);
	w->put = w->lost = w->live = w->listings = 0;
	assert_non_null(w->want = topup_ids_new());
	assert_int_equal(state_refs_each(w->s, &w->im->envelope, want_one, w->want, &w->e), 0);
	if (topup_collect(w->s, w->k, w->want, &calls, &w->e) != 0)
		fail_msg("%s", w->e.msg);
	assert_int_equal(w->put + topup_ids_left(w->want), topup_ids_count(w->want));
}

static void
every_chunk_of_a_snapshot_is_made_again_as_long_as_nothing_changed(void **state)
{
	struct world *w = *state;

	collect_all(w);
	assert_int_equal(topup_ids_left(w->want), 0);
	assert_int_equal(topup_ids_count(w->want), w->im->envelope.refs_count);
	assert_int_equal(w->lost + w->live + w->listings, 0);
}

static void
of_a_big_file_only_the_chunks_around_a_change_are_lost(void **state)
{
	struct world *w = *state;
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/big", w->b.src);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "changed", 7, 15000000), 7);
	(void)close(fd);
	collect_all(w);
	assert_in_range(topup_ids_left(w->want), 1, 2);
	assert_int_equal(w->lost, 1);
	assert_string_equal(w->last, "big");
}

static void
a_bundle_is_lost_with_one_of_its_files_and_only_that_one_is_named(void **state)
{
	struct world *w = *state;

	build_maker_file(&w->b, "d/s20", 100 + 20 * 50, 999);
	collect_all(w);
	assert_int_equal(topup_ids_left(w->want), 1);
	assert_int_equal(w->lost, 1);
	assert_string_equal(w->last, "s20");
	assert_int_equal(w->live, 39);
}

static void
a_listing_without_its_item_log_is_said_to_be_lost(void **state)
{
	struct world *w = *state;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/snaps/00000001.itm", w->b.m.state);
	assert_int_equal(unlink(path), 0);
	collect_all(w);
	assert_int_equal(w->put, 1);		/* the root, which stands for itself */
	assert_int_equal(w->listings, 1);
}

static void
a_root_that_the_state_does_not_keep_is_lost_alone(void **state)
{
	struct world *w = *state;
	char path[512];
	int had = 1;

	(void)snprintf(path, sizeof(path), "%s/snaps/00000001.root", w->b.m.state);
	assert_int_equal(unlink(path), 0);
	collect_all(w);
	assert_int_equal(topup_ids_left(w->want), 1);
	for (size_t i = 0; had; i++) {
		const uint8_t *id = topup_ids_at(w->want, i, &had);

		assert_non_null(id);
		assert_int_equal(had, memcmp(id, w->im->envelope.root_id, DIGEST_LEN) != 0);
	}
	assert_int_equal(w->listings, 1);
	assert_int_equal(w->lost + w->live, 0);
}

/* --- receipts --- */

/* A receipt that fits, as its vault would give it. */
static void
receipt_fill(struct world *w, struct receipt *p, uint8_t row[RECEIPT_SNAPSHOT_LEN])
{
	struct receipt_snapshot s = { .needed = w->im->envelope.refs_count, .held = w->im->envelope.refs_count };
	struct wr out = { .p = row, .left = RECEIPT_SNAPSHOT_LEN };

	memset(p, 0, sizeof(*p));
	memcpy(s.envelope, w->im->manifest.envelopes.p, DIGEST_LEN);
	element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &out, &s);
	memcpy(p->vault_id, w->s->trust.vault_id, ID_LEN);
	p->number = 5;
	memcpy(p->image_id, w->im->begin.image_id, ID_LEN);
	memcpy(p->short_name, w->im->begin.short_name, sizeof(p->short_name));
	memcpy(p->machine_id, w->s->id.machine_id, ID_LEN);
	memcpy(p->domain_id, w->s->id.domain_id, DIGEST_LEN);
	memcpy(p->root, w->im->manifest.root, DIGEST_LEN);
	p->whole = 1;
	p->redundancy = REDUNDANCY_LOCAL;
	p->snapshots = (struct fmt_view){ row, RECEIPT_SNAPSHOT_LEN };
	p->needed = p->held = s.needed;
	p->time = 7;
}

/* Sign it, hand it to the machine; what that says. */
static int
take(struct world *w, struct receipt *p, const uint8_t *secret, struct buf *answer)
{
	struct machine_receipt r;
	char path[512];
	struct buf b;
	int rc;

	buf_init(&b);
	err_clear(&w->e);
	buf_reset(answer);
	(void)snprintf(path, sizeof(path), "%s/receipt", w->b.m.root);
	assert_int_equal(statement_make(&receipt_schema, p, secret, &b, &w->e), 0);
	assert_int_equal(file_replace(AT_FDCWD, path, b.p, b.len, 0600, &w->e), 0);
	buf_release(&b);
	rc = machine_receipt(w->s, w->k, path, false, answer, &r, &w->e);
	return rc;
}

static bool
is_handed_off(struct world *w)
{
	struct image_state *im = image_state_load(w->s, w->b.r.short_name, NULL, NULL, &w->e);
	bool is = im != NULL && im->answer_bytes != NULL;

	image_state_free(im);
	return is;
}

static void
a_receipt_that_fits_is_answered_and_its_number_counts_from_then_on(void **state)
{
	struct world *w = *state;
	uint8_t row[RECEIPT_SNAPSHOT_LEN];
	struct buf a, again;
	struct receipt p;
	struct handoff h;

	buf_init(&a);
	buf_init(&again);
	receipt_fill(w, &p, row);
	if (take(w, &p, w->b.m.vault.sign_secret, &a) != 0)
		fail_msg("%s", w->e.msg);
	assert_int_equal(statement_open(&handoff_schema, &h, a.p, a.len, w->s->machine_pub, &w->e), 0);
	assert_int_equal(h.number, 5);
	assert_true(is_handed_off(w));
	assert_int_equal(state_trust_load(w->s, w->k, &w->e), 0);
	assert_int_equal(w->s->trust.receipt_number, 5);
	/* The same again gives the same answer; one with its number that says something else does not. */
	assert_int_equal(take(w, &p, w->b.m.vault.sign_secret, &again), 0);
	assert_int_equal(again.len, a.len);
	assert_memory_equal(again.p, a.p, a.len);
	p.time++;
	assert_int_equal(take(w, &p, w->b.m.vault.sign_secret, &again), -1);
	assert_int_equal(w->e.code, ERR_RECEIPT);
	p.number = 4;
	assert_int_equal(take(w, &p, w->b.m.vault.sign_secret, &again), -1);
	assert_int_equal(w->e.code, ERR_RECEIPT);
	p.number = 6;
	assert_int_equal(take(w, &p, w->b.m.vault.sign_secret, &again), 0);
	buf_release(&a);
	buf_release(&again);
}

static void
a_receipt_that_does_not_fit_is_refused_for_its_own_reason(void **state)
{
	struct world *w = *state;
	uint8_t row[RECEIPT_SNAPSHOT_LEN], seed[KEY_LEN] = { 3 }, pub[SIGN_PUB_LEN], other[SIGN_SECRET_LEN];
	static const enum err_code want[] = { ERR_SIGNATURE, ERR_WRONG_VAULT, ERR_WRONG_DISK, ERR_NO_IMAGE, ERR_RECEIPT, ERR_RECEIPT,
		ERR_RECEIPT, ERR_RECEIPT, ERR_RECEIPT };
	struct receipt p;
	struct buf a;

	buf_init(&a);
	sign_keys(seed, pub, other);
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct wr out = { .p = row, .left = sizeof(row) };
		struct receipt_snapshot s = { .needed = w->im->envelope.refs_count, .held = w->im->envelope.refs_count - 1, .given_up = 1 };

		receipt_fill(w, &p, row);
		memcpy(s.envelope, w->im->manifest.envelopes.p, DIGEST_LEN);
		if (i == 1)
			p.vault_id[0] ^= 1;
		if (i == 2)
			p.machine_id[0] ^= 1;
		if (i == 3)
			p.image_id[0] ^= 1;
		if (i == 4)
			p.root[0] ^= 1;
		if (i == 5)
			p.snapshots.len = 0;		/* about no snapshot */
		if (i == 6)
			row[0] ^= 1;			/* about another */
		if (i == 7) {				/* fewer chunks than the snapshot needs */
			s.needed--;
			s.given_up = 0;
			element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &out, &s);
		}
		if (i == 8) {				/* partial, and nothing was given up */
			element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &out, &s);
			p.whole = 0;
			p.given_up = 1;
			p.held--;
			p.missing[0] = 1;
		}
		if (take(w, &p, i == 0 ? other : w->b.m.vault.sign_secret, &a) != -1)
			fail_msg("case %u was taken", i);
		if (w->e.code != want[i])
			fail_msg("case %u: %s", i, w->e.msg);
		assert_int_equal(a.len, 0);
		assert_false(is_handed_off(w));
	}
	assert_int_equal(state_trust_load(w->s, w->k, &w->e), 0);
	assert_int_equal(w->s->trust.receipt_number, 0);
	buf_release(&a);
}

/* Two ids are given up; the receipt may leave out those two, or the one that did not come back, and no other. */
static void
a_partial_receipt_leaves_out_what_was_given_up_and_nothing_else(void **state)
{
	struct world *w = *state;
	int root = open(w->b.m.root, O_RDONLY | O_DIRECTORY);
	struct id_sorter *ids = id_sorter_new(root, 1 << 16, &w->e);
	struct refs_digest *d = refs_digest_new(w->s->id.domain_id);
	uint8_t row[RECEIPT_SNAPSHOT_LEN], first[DIGEST_LEN], second[DIGEST_LEN];
	struct id_list about = { .time = 3 };
	struct receipt_snapshot s = { .needed = w->im->envelope.refs_count };
	struct wr out = { .p = row, .left = sizeof(row) };
	char name[GIVEN_UP_NAME];
	struct receipt p;
	uint64_t n;
	struct buf a;
	int had;

	buf_init(&a);
	assert_non_null(w->want = topup_ids_new());
	assert_int_equal(state_refs_each(w->s, &w->im->envelope, want_one, w->want, &w->e), 0);
	memcpy(first, topup_ids_at(w->want, 3, &had), DIGEST_LEN);
	memcpy(second, topup_ids_at(w->want, 9, &had), DIGEST_LEN);
	assert_int_equal(id_sorter_add(ids, second, &w->e) + id_sorter_add(ids, first, &w->e), 0);
	memcpy(about.vault_id, w->s->trust.vault_id, ID_LEN);
	memcpy(about.machine_id, w->s->id.machine_id, ID_LEN);
	memcpy(about.domain_id, w->s->id.domain_id, DIGEST_LEN);
	assert_int_equal(state_given_up_add(w->s, &about, ids, name, &w->e), 0);

	receipt_fill(w, &p, row);
	s.given_up = 1;
	s.held = s.needed - 1;
	memcpy(s.envelope, w->im->manifest.envelopes.p, DIGEST_LEN);
	element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &out, &s);
	p.whole = 0;
	p.given_up = 1;
	p.held--;
	assert_int_equal(refs_digest_add(d, second), 0);
	refs_digest_final(d, p.missing, &n);
	assert_int_equal(take(w, &p, w->b.m.vault.sign_secret, &a), -1);	/* where is the first? */
	assert_int_equal(w->e.code, ERR_RECEIPT);
	p.returned = (struct fmt_view){ second, DIGEST_LEN };
	assert_int_equal(take(w, &p, w->b.m.vault.sign_secret, &a), -1);	/* that is the other one */
	assert_int_equal(w->e.code, ERR_RECEIPT);
	p.returned = (struct fmt_view){ first, DIGEST_LEN };
	if (take(w, &p, w->b.m.vault.sign_secret, &a) != 0)
		fail_msg("%s", w->e.msg);
	assert_true(is_handed_off(w));
	refs_digest_free(d);
	id_sorter_free(ids);
	buf_release(&a);
	(void)close(root);
}

#define T(x)	cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_chunk_of_a_snapshot_is_made_again_as_long_as_nothing_changed),
		T(of_a_big_file_only_the_chunks_around_a_change_are_lost),
		T(a_bundle_is_lost_with_one_of_its_files_and_only_that_one_is_named),
		T(a_listing_without_its_item_log_is_said_to_be_lost),
		T(a_root_that_the_state_does_not_keep_is_lost_alone),
		T(a_receipt_that_fits_is_answered_and_its_number_counts_from_then_on),
		T(a_receipt_that_does_not_fit_is_refused_for_its_own_reason),
		T(a_partial_receipt_leaves_out_what_was_given_up_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
