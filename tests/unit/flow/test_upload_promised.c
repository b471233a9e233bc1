/* Commits over the line while disks are in the mail. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/flow/vault_fate.h"
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

static unsigned
state_of(struct up *u, const struct up_snap *x)
{
	struct cat_snapshot row = { .seq = (int64_t)x->env.seq };

	memcpy(row.machine_id, u->m.id, ID_LEN);
	return catalog_get(u->v->catalog, &cat_snapshots, &row, &u->e) == 0 ? row.state : 0;
}

static void
what_is_promised_makes_a_pending_snapshot_that_becomes_whole_by_itself(void **state)
{
	struct site *s = *state;
	struct seed_image im;
	struct up_snap a, b;
	struct up u;

	seed_image_make(&im, &s->m, "AAAA");
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_disk(&im, s->disk[1], 2, 16, 16);
	seed_snapshot(&im, s->disk[0], 1, 0, 32);
	seed_manifest(&im, s->disk[0], 1);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	assert_int_equal(u.opened.head_seq, 1);
	up_snap(&u, &a, 1, NULL, NULL, 0, 32);
	memcpy(a.env.snapshot_id, u.opened.head_id, ID_LEN);
	/* An increment while the second disk is in the mail. */
	ok(&u, up_open(&u, &a));
	assert_int_equal(u.opened.base_whole, 0);
	ok(&u, up_pack(&u, 32, 4));
	up_snap(&u, &b, 2, &a, &a, 4, 32);
	ok(&u, up_list(&u, &b, NULL));
	ok(&u, up_commit(&u, &a, &b));
	assert_int_equal(u.done.state, LINE_PENDING);
	assert_int_equal(site_ingest(s, 1), 0);
	assert_int_equal(state_of(&u, &b), SNAPSHOT_WHOLE);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

/* The second disk of image AAAA is in the mail; a session was told so, and then it is lost. */
static void
what_was_promised_and_is_lost_before_the_commit_is_lacking(void **state)
{
	struct site *s = *state;
	struct cat_image lost;
	struct seed_image im;
	struct up_snap a, b;
	struct up u;

	seed_image_make(&im, &s->m, "AAAA");
	seed_disk(&im, s->disk[0], 1, 0, 16);
	seed_disk(&im, s->disk[1], 2, 16, 16);
	seed_snapshot(&im, s->disk[0], 1, 0, 32);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	assert_int_equal(up_ask(&u, 20), ID_PROMISED);
	up_snap(&u, &a, 1, NULL, NULL, 0, 32);
	memcpy(a.env.snapshot_id, u.opened.head_id, ID_LEN);
	up_snap(&u, &b, 2, &a, NULL, 4, 28);
	ok(&u, up_list(&u, &b, NULL));
	ok(&u, vault_fate(u.v, "AAAA", FATE_LOST, "fell off the lorry", 0, &lost, &u.e));
	assert_int_equal(up_ask(&u, 20), ID_MISSING);
	refused(&u, up_commit(&u, &a, &b), ERR_MISSING);
	/* It is found again, and what it carries is promised as before. */
	ok(&u, vault_fate(u.v, "AAAA", FATE_REOPENED, "it did not", 0, &lost, &u.e));
	assert_int_equal(up_ask(&u, 20), ID_PROMISED);
	ok(&u, up_commit(&u, &a, &b));
	assert_int_equal(u.done.state, LINE_PENDING);
	up_drop(&a);
	up_drop(&b);
	up_end(&u);
	site_rebuild_agrees(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_promised_makes_a_pending_snapshot_that_becomes_whole_by_itself),
		T(what_was_promised_and_is_lost_before_the_commit_is_lacking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
