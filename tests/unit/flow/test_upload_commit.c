/* Commits over the line: all or nothing, against a head and a base, and what is not there is never called whole. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/flow/vault_status.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "flow/upload_maker.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

static void
ok(const struct up *u, int rc)
{
	if (rc < 0)
		fail_msg("%s", u->e.msg);
}

static void
refused(const struct up *u, int rc, enum err_code code)
{
	assert_int_equal(rc, -1);
	if (u->e.code != code)
		fail_msg("S-%d, not S-%d: %s", u->e.code, code, u->e.msg);
}

/* Rows of a table. */
static int
count_row(void *arg, const void *row, struct err *e)
{
	(void)row;
	(void)e;
	++*(unsigned *)arg;
	return 0;
}

static unsigned
rows_of(struct up *u, const struct cat_table *t)
{
	unsigned n = 0;

	assert_int_equal(catalog_each(u->v->catalog, t, 0, NULL, count_row, &n, &u->e), 0);
	return n;
}

static unsigned
state_of(struct up *u, const struct up_snap *x)
{
	struct cat_snapshot row = { .seq = (int64_t)x->env.seq };

	memcpy(row.machine_id, u->m.id, ID_LEN);
	return catalog_get(u->v->catalog, &cat_snapshots, &row, &u->e) == 0 ? row.state : 0;
}

/* How the list of ${x} is stored. */
static unsigned
kind_of(struct up *u, const struct up_snap *x)
{
	char name[VAULT_NAME_MAX];
	uint64_t len;

	vault_name_refs(name, u->m.id, x->env.seq, REFS_DELTA, 0);
	if (u->v->store->ops->stat(u->v->store, name, &len, &u->e) == 0)
		return REFS_DELTA;
	vault_name_refs(name, u->m.id, x->env.seq, REFS_WHOLE, 0);
	assert_int_equal(u->v->store->ops->stat(u->v->store, name, &len, &u->e), 0);
	return REFS_WHOLE;
}

/* Chunks 0 to 31 and snapshot 1 of them all. */
static void
first(struct up *u, struct up_snap *x)
{
	ok(u, up_open(u, NULL));
	ok(u, up_pack(u, 0, 32));
	up_snap(u, x, 1, NULL, NULL, 0, 32);
	ok(u, up_list(u, x, NULL));
	ok(u, up_commit(u, NULL, x));
	assert_int_equal(u->done.state, LINE_WHOLE);
}

/* Snapshot ${seq} on ${base} of 32 chunks from ${from}; ${have} of them from the end are put, the list is a delta. */
static void
next_up(struct up *u, struct up_snap *x, uint64_t seq, const struct up_snap *base, uint32_t from, uint32_t have)
{
	ok(u, up_open(u, base));
	if (have > 0)
		ok(u, up_pack(u, from + 32 - have, have));
	up_snap(u, x, seq, base, base, from, 32);
	ok(u, up_list(u, x, base));
}

static void
a_commit_makes_a_whole_snapshot_and_ends_the_session(void **state)
{
	struct site *s = *state;
	struct session_opened o;
	struct up_snap a, b;
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	assert_int_equal(u.done.head_seq, 1);
	assert_memory_equal(u.done.head_id, a.env.snapshot_id, ID_LEN);
	assert_int_equal(state_of(&u, &a), SNAPSHOT_WHOLE);
	refused(&u, upload_look(u.v, &u.m, u.session, &o, &u.e), ERR_SESSION);
	next_up(&u, &b, 2, &a, 4, 4);
	assert_int_equal(u.opened.head_seq, 1);
	assert_int_equal(u.opened.base_whole, 1);
	ok(&u, up_commit(&u, &a, &b));
	assert_int_equal(u.done.state, LINE_WHOLE);
	assert_int_equal(kind_of(&u, &b), REFS_DELTA);
	assert_int_equal(rows_of(&u, &cat_sessions), 0);
	/* And counting says the same. */
	assert_int_equal(vault_states(u.v, u.m.id, &u.e), 0);
	assert_int_equal(state_of(&u, &b), SNAPSHOT_WHOLE);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
the_same_commit_again_is_answered_as_before(void **state)
{
	struct site *s = *state;
	struct committed before;
	struct up_snap a;
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	before = u.done;
	ok(&u, up_commit(&u, NULL, &a));
	assert_memory_equal(&before, &u.done, sizeof(before));
	assert_int_equal(rows_of(&u, &cat_snapshots), 1);
	assert_int_equal(rows_of(&u, &cat_forks), 0);
	up_drop(&a);
	up_end(&u);
}

static void
what_lacks_is_named_and_nothing_is_changed(void **state)
{
	struct site *s = *state;
	uint8_t ids[8 * DIGEST_LEN], want[3 * DIGEST_LEN];
	struct upload_page p = { ids, 2, 0, 0 };
	struct up_snap a, b;
	struct up u;
	char *before, *after;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	next_up(&u, &b, 2, &a, 4, 1);	/* 32, 33 and 34 have not come */
	before = site_dump(s);
	refused(&u, up_commit(&u, &a, &b), ERR_MISSING);
	after = site_dump(s);
	assert_string_equal(before, after);
	for (uint32_t i = 0; i < 3; i++)
		seed_chunk(&s->m, 32 + i, want + i * DIGEST_LEN, NULL, NULL);
	qsort(want, 3, DIGEST_LEN, seed_id_order);
	ok(&u, upload_lacking(u.v, &u.m, u.session, NULL, &p, &u.e));
	assert_int_equal(p.n, 2);
	assert_int_equal(p.more, 1);
	assert_memory_equal(ids, want, 2 * DIGEST_LEN);
	ok(&u, upload_lacking(u.v, &u.m, u.session, want + DIGEST_LEN, &p, &u.e));
	assert_int_equal(p.n, 1);
	assert_int_equal(p.more, 0);
	assert_memory_equal(ids, want + 2 * DIGEST_LEN, DIGEST_LEN);
	/* In the same session what lacked can be brought. */
	ok(&u, up_pack(&u, 32, 3));
	ok(&u, up_commit(&u, &a, &b));
	assert_int_equal(u.done.state, LINE_WHOLE);
	free(before);
	free(after);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
of_two_commits_on_one_head_the_second_is_refused(void **state)
{
	struct site *s = *state;
	struct up_snap a, b, c;
	struct up u, w;

	up_start(&u, s->vault, &s->m);
	up_start(&w, s->vault, &s->m);
	first(&u, &a);
	next_up(&u, &b, 2, &a, 4, 4);
	next_up(&w, &c, 3, &a, 8, 8);
	memcpy(c.env.previous, b.env.snapshot_id, ID_LEN);
	up_sign(&w, &c);
	ok(&u, up_commit(&u, &a, &b));
	refused(&w, up_commit(&w, &a, &c), ERR_HEAD);
	/* The session is still open: the newer head is named. */
	ok(&w, up_commit(&w, &b, &c));
	assert_int_equal(w.done.state, LINE_WHOLE);
	up_drop(&a);
	up_drop(&b);
	up_drop(&c);
	up_end(&u);
	up_end(&w);
	site_rebuild_agrees(s);
}

static void
count_fork(void *arg, const struct attention *a)
{
	*(unsigned *)arg += strcmp(a->kind, "fork") == 0;
}

static void
a_number_that_stands_for_another_snapshot_is_a_fork(void **state)
{
	struct site *s = *state;
	struct up_snap a, b, c, d;
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	next_up(&u, &b, 2, &a, 4, 4);
	ok(&u, up_commit(&u, &a, &b));
	/* A clone that does not know of 2. */
	next_up(&u, &c, 2, &a, 8, 8);
	refused(&u, up_commit(&u, &a, &c), ERR_FORK);
	refused(&u, up_commit(&u, &b, &c), ERR_FORK);
	assert_int_equal(rows_of(&u, &cat_forks), 1);
	/* One that goes on behind its own 2. */
	up_snap(&u, &d, 3, &c, &a, 8, 32);
	ok(&u, up_list(&u, &d, &a));
	refused(&u, up_commit(&u, &b, &d), ERR_FORK);
	assert_int_equal(rows_of(&u, &cat_forks), 2);
	assert_int_equal(rows_of(&u, &cat_snapshots), 2);
	/* And the vault says so. */
	{
		struct vault_status st;
		unsigned forks = 0;

		assert_int_equal(vault_status(u.v, &st, count_fork, &forks, &u.e), 0);
		assert_int_equal(forks, 2);
	}
	up_drop(&a);
	up_drop(&b);
	up_drop(&c);
	up_drop(&d);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
the_last_snapshot_is_the_sessions(void **state)
{
	struct site *s = *state;
	struct up_snap a, b;
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	next_up(&u, &b, 2, &a, 4, 4);
	(void)strcpy(b.env.set_name, "other");
	up_sign(&u, &b);
	refused(&u, up_commit(&u, &a, &b), ERR_RULE);
	(void)strcpy(b.env.set_name, "files");
	memset(b.env.base, 0, ID_LEN);
	up_sign(&u, &b);
	refused(&u, up_commit(&u, &a, &b), ERR_RULE);
	memcpy(b.env.base, a.env.snapshot_id, ID_LEN);
	b.env.image_id[3] = 1;
	up_sign(&u, &b);
	refused(&u, up_commit(&u, &a, &b), ERR_RULE);
	b.env.image_id[3] = 0;
	b.env.machine_id[0] ^= 1;
	up_sign(&u, &b);
	refused(&u, up_commit(&u, &a, &b), ERR_SIGNATURE);
	b.env.machine_id[0] ^= 1;
	up_sign(&u, &b);
	b.bytes.p[b.bytes.len - 1] ^= 1;
	refused(&u, up_commit(&u, &a, &b), ERR_SIGNATURE);
	up_sign(&u, &b);
	b.env.seq = 4;
	up_sign(&u, &b);
	refused(&u, up_commit(&u, &a, &b), ERR_RULE);	/* no list of 4 */
	ok(&u, up_list(&u, &b, &a));
	refused(&u, up_commit(&u, &a, &b), ERR_HEAD);	/* 3 is not known */
	b.env.seq = 2;
	up_sign(&u, &b);
	ok(&u, up_commit(&u, &a, &b));
	assert_int_equal(rows_of(&u, &cat_forks), 0);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
a_list_that_is_not_its_envelopes_is_refused(void **state)
{
	struct site *s = *state;
	struct up_snap a, b;
	struct up u;
	unsigned before;
	struct buf list;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	next_up(&u, &b, 2, &a, 4, 4);
	before = rows_of(&u, &cat_snapshots);
	up_list_make(&u, &b, &a, &list);
	/* One id less is removed than the digest says. */
	for (size_t i = 0; i < DIGEST_LEN; i++)
		list.p[REFS_HEAD_LEN + 4 * DIGEST_LEN + i] ^= 0x55;
	ok(&u, upload_list(u.v, &u.m, u.session, 2, REFS_DELTA, 0, list.len, up_read, &list, &u.e));
	assert_int_equal(up_commit(&u, &a, &b), -1);
	assert_true(u.e.code == ERR_DAMAGE);
	/* Its root is not in it. */
	memset(b.env.root_id, 7, DIGEST_LEN);
	up_sign(&u, &b);
	ok(&u, up_list(&u, &b, &a));
	refused(&u, up_commit(&u, &a, &b), ERR_DAMAGE);
	assert_int_equal(rows_of(&u, &cat_snapshots), before);
	assert_int_equal(state_of(&u, &b), 0);
	buf_release(&list);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
what_was_not_acknowledged_goes_ahead_and_the_head_moves_over_it(void **state)
{
	struct site *s = *state;
	struct up_snap a, lost, b, late;
	const struct up_snap *all[] = { &lost, &b };
	struct cat_passed passed = { .seq = 2 };
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	ok(&u, up_open(&u, &a));
	ok(&u, up_pack(&u, 32, 4));
	/* Snapshot 2 stood on an image that was lost; its list does not come. */
	up_snap(&u, &lost, 2, &a, &a, 100, 32);
	lost.env.image_id[0] = 9;
	up_sign(&u, &lost);
	up_snap(&u, &b, 3, &lost, &a, 4, 32);
	ok(&u, up_list(&u, &b, &a));
	refused(&u, up_commit(&u, &a, &b), ERR_HEAD);
	ok(&u, up_commit_all(&u, &a, all, 2));
	assert_int_equal(u.done.head_seq, 3);
	assert_int_equal(u.done.state, LINE_WHOLE);
	assert_int_equal(rows_of(&u, &cat_snapshots), 2);
	memcpy(passed.machine_id, u.m.id, ID_LEN);
	assert_int_equal(catalog_get(u.v->catalog, &cat_passed, &passed, &u.e), 0);
	/* Another under the number that was passed over is a fork all the same. */
	ok(&u, up_open(&u, &a));
	up_snap(&u, &late, 2, &a, &a, 4, 32);
	ok(&u, up_list(&u, &late, &a));
	refused(&u, up_commit(&u, &b, &late), ERR_FORK);
	/* Its list comes after all: it is a snapshot like others. */
	ok(&u, up_open(&u, NULL));
	ok(&u, up_open_kind(&u, NULL, LINE_PLEDGE));
	ok(&u, up_list(&u, &lost, NULL));
	ok(&u, up_commit(&u, &b, &lost));
	assert_int_equal(u.done.head_seq, 3);
	assert_int_equal(state_of(&u, &lost), SNAPSHOT_GAP);
	assert_int_equal(rows_of(&u, &cat_passed), 0);
	up_drop(&a);
	up_drop(&lost);
	up_drop(&b);
	up_drop(&late);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
what_an_older_snapshot_lacked_heals_it_when_it_comes(void **state)
{
	struct site *s = *state;
	struct up_snap a, b;
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	/* By a pledge that never was: chunks 32 to 35 are nowhere. */
	ok(&u, up_open_kind(&u, NULL, LINE_PLEDGE));
	up_snap(&u, &b, 2, &a, NULL, 4, 32);
	ok(&u, up_list(&u, &b, NULL));
	ok(&u, up_commit(&u, &a, &b));
	assert_int_equal(u.done.state, LINE_GAP);
	ok(&u, up_open_kind(&u, NULL, LINE_REFILL));
	ok(&u, up_pack(&u, 32, 4));
	assert_int_equal(state_of(&u, &b), SNAPSHOT_GAP);
	ok(&u, upload_end(u.v, &u.m, u.session, &u.e));
	assert_int_equal(state_of(&u, &b), SNAPSHOT_WHOLE);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
chains_of_deltas_stay_short_and_are_read_back(void **state)
{
	struct site *s = *state;
	struct up_snap x[16];
	unsigned wholes = 0;
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &x[0]);
	for (uint32_t i = 1; i < 16; i++) {
		next_up(&u, &x[i], i + 1, &x[i - 1], i, 1);
		ok(&u, up_commit(&u, &x[i - 1], &x[i]));
		assert_int_equal(u.done.state, LINE_WHOLE);
		wholes += kind_of(&u, &x[i]) == REFS_WHOLE;
	}
	assert_true(wholes >= 1 && wholes <= 4);
	for (uint32_t i = 0; i < 16; i++)
		up_drop(&x[i]);
	up_end(&u);
	site_rebuild_agrees(s);
}

static int
pack_id(void *arg, const void *row, struct err *e)
{
	(void)e;
	memcpy(arg, ((const struct cat_pack *)row)->id, DIGEST_LEN);
	return 0;
}

static void
a_base_with_a_gap_tells_what_is_lost_and_the_next_snapshot_is_whole(void **state)
{
	struct site *s = *state;
	struct rec_damage d = { .copy = 1, .why = "rotten" };
	uint8_t id[DIGEST_LEN], ids[4 * DIGEST_LEN];
	struct upload_page p = { ids, 4, 0, 0 };
	struct up_snap a, b;
	struct up u;

	up_start(&u, s->vault, &s->m);
	first(&u, &a);
	ok(&u, up_open(&u, &a));
	ok(&u, upload_lost(u.v, &u.m, u.session, NULL, &p, &u.e));
	assert_int_equal(p.n, 0);
	/* Chunk 7 rots. */
	seed_chunk(&s->m, 7, id, NULL, NULL);
	d.chunk_ids = (struct fmt_view){ id, DIGEST_LEN };
	assert_int_equal(catalog_each(u.v->catalog, &cat_packs, 0, NULL, pack_id, d.pack_id, &u.e), 0);
	assert_int_equal(vault_begin(u.v, &u.e), 0);
	ok(&u, vault_record(u.v, REC_DAMAGE_FOUND, &rec_damage_schema, &d, &u.e));
	assert_int_equal(vault_commit(u.v, &u.e), 0);
	ok(&u, up_open(&u, &a));
	assert_int_equal(u.opened.base_whole, 0);
	ok(&u, upload_lost(u.v, &u.m, u.session, NULL, &p, &u.e));
	assert_int_equal(p.n, 1);
	assert_int_equal(p.more, 0);
	assert_memory_equal(p.ids, id, DIGEST_LEN);
	/* The machine brings it anew: both are whole again. */
	up_snap(&u, &b, 2, &a, &a, 4, 32);
	ok(&u, up_pack(&u, 7, 1));
	ok(&u, up_pack(&u, 32, 4));
	ok(&u, up_list(&u, &b, &a));
	ok(&u, up_commit(&u, &a, &b));
	assert_int_equal(u.done.state, LINE_WHOLE);
	assert_int_equal(state_of(&u, &a), SNAPSHOT_WHOLE);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_commit_makes_a_whole_snapshot_and_ends_the_session),
		T(the_same_commit_again_is_answered_as_before),
		T(what_lacks_is_named_and_nothing_is_changed),
		T(of_two_commits_on_one_head_the_second_is_refused),
		T(a_number_that_stands_for_another_snapshot_is_a_fork),
		T(the_last_snapshot_is_the_sessions),
		T(a_list_that_is_not_its_envelopes_is_refused),
		T(what_was_not_acknowledged_goes_ahead_and_the_head_moves_over_it),
		T(what_an_older_snapshot_lacked_heals_it_when_it_comes),
		T(chains_of_deltas_stay_short_and_are_read_back),
		T(a_base_with_a_gap_tells_what_is_lost_and_the_next_snapshot_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
