/* Collections while machines add to the vault over the line: what a session relies on stays. */

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

#include "flow/vault_site.h"

#include "flow/keep_maker.h"
#include "flow/upload_maker.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

static void
ok(struct up *u, int rc)
{
	if (rc < 0)
		fail_msg("%s", u->e.msg);
}

/* Snapshot ${seq} of the chunks ${from} .. ${from} + ${n} - 1, of which those from ${fresh} on are put, eight in a pack. */
static void
snapshot_send(struct up *u, struct up_snap *x, uint64_t seq, const struct up_snap *base, uint32_t from, uint32_t n,
    uint32_t fresh)
{
	ok(u, up_open(u, base));
	for (uint32_t at = fresh; at < from + n; at += 8)
		ok(u, up_pack(u, at, from + n - at < 8 ? from + n - at : 8));
	up_snap(u, x, seq, base, base, from, n);
	ok(u, up_list(u, x, base));
	ok(u, up_commit(u, base, x));
	assert_int_equal(u->done.state, LINE_WHOLE);
}

/* Snapshots 1 (chunks 0 to 15) and 2 (8 to 23); the first is deleted, and its days are over. */
static void
first_is_over(struct site *s, struct up *u, struct up_snap *a, struct up_snap *b)
{
	up_start(u, s->vault, &s->m);
	snapshot_send(u, a, 1, NULL, 0, 16, 0);
	snapshot_send(u, b, 2, a, 8, 16, 16);
	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	keep_wait(s, RETAIN_SOFT + KEEP_DAY);
}

static void
end(struct up *u, struct up_snap *a, struct up_snap *b)
{
	up_drop(a);
	up_drop(b);
	up_end(u);
}

static void
what_a_session_was_told_is_held_is_there_at_its_commit(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct up_snap a, b, c;
	struct up u;

	first_is_over(s, &u, &a, &b);
	ok(&u, up_open(&u, &b));
	assert_int_equal(up_ask(&u, 3), ID_HELD);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 1);
	assert_int_equal(r.waits, 1);
	assert_int_equal(r.packs, 0);
	/* It needs all that only the first one needed, and nothing of it is sent again. */
	up_snap(&u, &c, 3, &b, &b, 0, 24);
	ok(&u, up_list(&u, &c, &b));
	ok(&u, up_commit(&u, &b, &c));
	assert_int_equal(u.done.state, LINE_WHOLE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(keep_collect(s, 0, &r), 0);
		assert_int_equal(r.packs + r.waits + r.condemned, 0);
	}
	assert_int_equal(site_snapshot(s, 3, NULL), SNAPSHOT_WHOLE);
	assert_int_equal(keep_objects(s, "packs/"), 3);
	up_drop(&c);
	end(&u, &a, &b);
	site_rebuild_agrees(s);
}

static void
packs_of_a_session_under_way_outlast_collections(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct up_snap a, b, c;
	struct up u;

	first_is_over(s, &u, &a, &b);
	ok(&u, up_open(&u, &b));
	ok(&u, up_pack(&u, 24, 8));
	for (int i = 0; i < 3; i++)
		assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.waits, 1);
	up_snap(&u, &c, 3, &b, &b, 8, 24);
	ok(&u, up_list(&u, &c, &b));
	ok(&u, up_commit(&u, &b, &c));
	assert_int_equal(u.done.state, LINE_WHOLE);
	/* Now what only the first one needed goes, and the new pack stays. */
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs, 1);
	assert_int_equal(site_snapshot(s, 3, NULL), SNAPSHOT_WHOLE);
	up_drop(&c);
	end(&u, &a, &b);
	site_rebuild_agrees(s);
}

static void
what_was_collected_is_missing_and_is_taken_again(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct up_snap a, b, c;
	struct up u;

	first_is_over(s, &u, &a, &b);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs, 1);
	ok(&u, up_open(&u, &b));
	assert_int_equal(up_ask(&u, 3), ID_MISSING);
	ok(&u, up_pack(&u, 0, 8));
	up_snap(&u, &c, 3, &b, &b, 0, 24);
	ok(&u, up_list(&u, &c, &b));
	ok(&u, up_commit(&u, &b, &c));
	assert_int_equal(u.done.state, LINE_WHOLE);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.packs + r.condemned, 0);
	up_drop(&c);
	end(&u, &a, &b);
	site_rebuild_agrees(s);
}

/* Bytes of what a machine put, less what was collected. */
static void
a_machines_room_is_what_its_packs_take(void **state)
{
	struct site *s = *state;
	struct collect_result r;
	struct up_snap a, b;
	uint64_t before, then;
	struct up u;

	first_is_over(s, &u, &a, &b);
	assert_int_equal(catalog_used(u.v->catalog, s->m.id, &before, &u.e), 0);
	assert_true(before > 24 * SEED_CHUNK_LEN);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(catalog_used(u.v->catalog, s->m.id, &then, &u.e), 0);
	assert_int_equal(before - then, r.bytes);
	assert_true(r.bytes > 8 * SEED_CHUNK_LEN);
	end(&u, &a, &b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_a_session_was_told_is_held_is_there_at_its_commit),
		T(packs_of_a_session_under_way_outlast_collections),
		T(what_was_collected_is_missing_and_is_taken_again),
		T(a_machines_room_is_what_its_packs_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
