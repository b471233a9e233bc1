/* Keep rules over the vault's own time of receipt; clocks that jump hasten nothing and extend nothing. */

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

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

/* 6 January 2025, a Monday, noon UTC. */
#define MONDAY	INT64_C(1736164800)
#define SECONDS	INT64_C(1000000000)

/* The machine is known to the vault. */
static void
machine_known(struct site *s)
{
	struct seed_image im;

	seed_image_make(&im, &s->m, "AAAA");
	seed_disk(&im, s->disk[0], 1, 0, 8);
	seed_snapshot(&im, s->disk[0], 1, 0, 8);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	keep_hand_off(s, &im);
}

#define NOW	INT64_C(-1)

/* A row of a snapshot that came over the line. */
static void
snapshot_put(struct site *s, int64_t seq, const char *set, int64_t received, unsigned state)
{
	struct cat_snapshot row = { .seq = seq, .received = received == NOW ? io_now_ns() : received * SECONDS, .state = state };
	struct vault *v = keep_open(s);

	memcpy(row.machine_id, s->m.id, ID_LEN);
	memset(row.id, (int)seq, ID_LEN);
	(void)snprintf(row.set_name, sizeof(row.set_name), "%s", set);
	assert_int_equal(catalog_begin(v->catalog, 1, &s->e), 0);
	assert_int_equal(catalog_put(v->catalog, &cat_snapshots, &row, &s->e), 0);
	assert_int_equal(catalog_commit(v->catalog, &s->e), 0);
	vault_close(v);
}

static int
is_deleted(struct site *s, int64_t seq)
{
	struct cat_snapshot row = { .seq = seq };
	struct vault *v = keep_open(s);

	memcpy(row.machine_id, s->m.id, ID_LEN);
	assert_int_equal(catalog_get(v->catalog, &cat_snapshots, &row, &s->e), 0);
	vault_close(v);
	return row.deleted != 0;
}

static int
prune(struct site *s, struct prune_rules rules, int dry_run, struct prune_result *r)
{
	const struct prune_options o = { .rules = rules, .dry_run = dry_run };
	struct vault *v = keep_open(s);
	int rc = prune_run(v, &o, r, &s->e);

	vault_close(v);
	return rc;
}

/* Snapshots ${from} .. ${to} are deleted as ${gone} says, a character each: '-' it stays, 'x' it is deleted. */
static void
deleted_are(struct site *s, int64_t from, const char *gone)
{
	for (size_t i = 0; gone[i] != '\0'; i++)
		if (is_deleted(s, from + (int64_t)i) != (gone[i] == 'x'))
			fail_msg("snapshot %lld is %sdeleted", (long long)from + (long long)i, gone[i] == 'x' ? "not " : "");
}

static void
each_rule_keeps_the_newest_of_each_period(void **state)
{
	struct site *s = *state;
	struct prune_result r;

	machine_known(s);
	/* Numbers 10 to 25: one every twelve hours from Monday noon, in a set of its own. */
	for (int64_t i = 0; i < 16; i++)
		snapshot_put(s, 10 + i, "home", MONDAY + i * 43200, SNAPSHOT_WHOLE);
	assert_int_equal(prune(s, (struct prune_rules){ .last = 2 }, 1, &r), 0);
	assert_int_equal(r.deleted, 14);
	deleted_are(s, 10, "----------------");
	/* Days: noon and midnight; the midnight one belongs to the next day. */
	assert_int_equal(prune(s, (struct prune_rules){ .daily = 3, .weekly = 2 }, 0, &r), 0);
	/* 25 is of the Tuesday after, 24 and 23 of the Monday, 22 of the Sunday. */
	deleted_are(s, 10, "xxxxxxxxxxxx-x--");
	assert_int_equal(r.looked, 17);
}

static void
months_and_years(void **state)
{
	struct site *s = *state;
	struct prune_result r;

	machine_known(s);
	for (int64_t i = 0; i < 24; i++)
		snapshot_put(s, 10 + i, "home", MONDAY - 366 * 86400 + i * 86400 * 365 / 12, SNAPSHOT_WHOLE);
	assert_int_equal(prune(s, (struct prune_rules){ .yearly = 5, .monthly = 2 }, 0, &r), 0);
	for (int64_t i = 0; i < 24; i++)
		assert_int_equal(is_deleted(s, 10 + i), !(i == 23 || i == 22 || i == 11));
}

static void
what_is_pending_protected_unfinished_or_of_the_future_is_left_alone(void **state)
{
	struct site *s = *state;
	struct prune_result r;

	machine_known(s);
	snapshot_put(s, 10, "home", MONDAY, SNAPSHOT_WHOLE);
	snapshot_put(s, 11, "home", MONDAY + 100, SNAPSHOT_WHOLE);
	snapshot_put(s, 12, "home", MONDAY + 200, SNAPSHOT_PENDING);
	snapshot_put(s, 13, "home", MONDAY + 300, SNAPSHOT_GAP);
	snapshot_put(s, 14, "home", MONDAY + 400, SNAPSHOT_PARTIAL);
	snapshot_put(s, 15, "home", MONDAY + 500, SNAPSHOT_UNKNOWN);
	/* Received by a vault whose clock was ten years ahead: they push nothing out. */
	snapshot_put(s, 16, "home", io_now() + 86400 * 3650, SNAPSHOT_WHOLE);
	snapshot_put(s, 17, "home", io_now() + 86400 * 3651, SNAPSHOT_WHOLE);
	assert_int_equal(keep_act(s, 10, RETAIN_PROTECT), 0);
	assert_int_equal(prune(s, (struct prune_rules){ .last = 1 }, 0, &r), 0);
	deleted_are(s, 10, "---x----");
	assert_int_equal(r.deleted, 1);
	/* The protected one counts: it is the newest of its day where 11 is not there. */
	assert_int_equal(keep_act(s, 11, RETAIN_DELETE), 0);
	assert_int_equal(prune(s, (struct prune_rules){ .last = 1 }, 0, &r), 0);
	deleted_are(s, 10, "-x-x----");
}

static void
the_newest_whole_one_stays_whatever_comes_after_it(void **state)
{
	struct site *s = *state;
	struct prune_result r;

	machine_known(s);
	snapshot_put(s, 10, "home", MONDAY + 900, SNAPSHOT_WHOLE);
	/* A higher number that was received earlier: by time it is the older one. */
	snapshot_put(s, 11, "home", MONDAY, SNAPSHOT_WHOLE);
	assert_int_equal(prune(s, (struct prune_rules){ .last = 1 }, 0, &r), 0);
	deleted_are(s, 10, "--");
}

static void
sets_and_machines_are_pruned_by_themselves(void **state)
{
	const struct prune_options one = { .rules = { .last = 1 }, .set = "home", .machine = "laptop" };
	const struct prune_options nobody = { .rules = { .last = 1 }, .machine = "nobody" };
	struct site *s = *state;
	struct prune_result r;
	struct vault *v;

	machine_known(s);
	for (int64_t i = 0; i < 4; i++)
		snapshot_put(s, 10 + i, i % 2 == 0 ? "home" : "work", MONDAY + i * 1000, SNAPSHOT_WHOLE);
	v = keep_open(s);
	assert_int_equal(prune_run(v, &nobody, &r, &s->e), -1);
	assert_int_equal(s->e.code, ERR_NOT_FOUND);
	assert_int_equal(prune_run(v, &one, &r, &s->e), 0);
	vault_close(v);
	deleted_are(s, 10, "x---");
	assert_int_equal(prune(s, (struct prune_rules){ .last = 0 }, 0, &r), -1);
	assert_int_equal(s->e.code, ERR_USAGE);
}

static void
an_image_that_is_not_handed_off_is_not_pruned(void **state)
{
	struct site *s = *state;
	struct prune_result r;
	struct seed_image im;

	machine_known(s);
	seed_image_make(&im, &s->m, "BBBB");
	seed_disk(&im, s->disk[1], 1, 8, 8);
	seed_snapshot(&im, s->disk[1], 2, 8, 8);
	seed_manifest(&im, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 1), 0);
	snapshot_put(s, 3, "files", NOW, SNAPSHOT_WHOLE);
	assert_int_equal(prune(s, (struct prune_rules){ .last = 1 }, 0, &r), 0);
	deleted_are(s, 1, "x--");
	keep_hand_off(s, &im);
	snapshot_put(s, 3, "files", NOW, SNAPSHOT_WHOLE);
	assert_int_equal(prune(s, (struct prune_rules){ .last = 1 }, 0, &r), 0);
	deleted_are(s, 1, "xx-");
}

/* ---- clocks ---- */

static struct timespec wall, up;

static int
clock_of_the_test(clockid_t id, struct timespec *ts)
{
	if (id == CLOCK_REALTIME)
		*ts = wall;
	else if (id == CLOCK_BOOTTIME)
		*ts = up;
	else
		return io_real()->clock_gettime(id, ts);
	return 0;
}

static void
go_on(int64_t wall_by, int64_t up_by)
{
	wall.tv_sec += wall_by;
	up.tv_sec += up_by;
}

struct clocks {
	int64_t late, slow;
	int jumped;
};

static struct clocks
clocks_now(struct site *s)
{
	struct vault *v = keep_open(s);
	struct clocks c;

	assert_int_equal(vault_begin(v, &s->e), 0);
	assert_int_equal(vault_commit(v, &s->e), 0);
	c = (struct clocks){ vault_late_seconds(v), v->slow / SECONDS, v->clock_jumped };
	vault_close(v);
	return c;
}

static void
clock_confirm(struct site *s)
{
	struct vault *v = keep_open(s);

	assert_int_equal(vault_clock_confirm(v, &s->e), 0);
	vault_close(v);
}

/* A jump of the wall clock by ${by} seconds: nothing is hastened, nothing is extended, until a person has looked. */
static void
jump_is_overcome(struct site *s, int64_t to)
{
	struct clocks before = clocks_now(s), then;
	struct collect_result r;
	struct prune_result p;
	int64_t was = wall.tv_sec;

	assert_int_equal(keep_act(s, 1, RETAIN_DELETE), 0);
	wall.tv_sec = to;
	up.tv_sec += 60;
	then = clocks_now(s);
	assert_true(then.jumped);
	assert_int_equal(then.slow, before.slow);
	assert_true(then.late >= before.late);		/* a credential never lives longer */
	assert_int_equal(keep_collect(s, 0, &r), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	assert_int_equal(prune(s, (struct prune_rules){ .last = 1 }, 0, &p), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	/* It stays so, also when time goes on. */
	go_on(20 * 86400, 20 * 86400);
	then = clocks_now(s);
	assert_true(then.jumped);
	assert_int_equal(then.slow, before.slow);
	assert_int_equal(keep_collect(s, 0, &r), -1);
	/* Set right again and confirmed: the deleted snapshot has all of its days still. */
	wall.tv_sec = was + 100;
	clock_confirm(s);
	then = clocks_now(s);
	assert_false(then.jumped);
	assert_true(then.slow - before.slow < 60);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 0);
	go_on(13 * 86400, 13 * 86400);
	assert_int_equal(keep_collect(s, 0, &r), 0);
	assert_int_equal(r.snapshots_gone, 0);
	assert_int_equal(keep_act(s, 1, RETAIN_UNDELETE), 0);
}

static int
clock_setup(void **state)
{
	static struct io_ops ops;
	struct site *s;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &wall), 0);
	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &up), 0);
	ops = *io_real();
	ops.clock_gettime = clock_of_the_test;
	(void)io_use(&ops);
	assert_int_equal(site_setup(state), 0);
	s = *state;
	machine_known(s);
	snapshot_put(s, 2, "files", wall.tv_sec - 1, SNAPSHOT_UNKNOWN);
	snapshot_put(s, 3, "files", wall.tv_sec, SNAPSHOT_WHOLE);
	/* Rows without envelopes hold the machine back, which is no matter here. */
	return 0;
}

static void
a_jump_to_1970_hastens_and_extends_nothing(void **state)
{
	jump_is_overcome(*state, 1000);
}

static void
a_jump_to_2038_hastens_and_extends_nothing(void **state)
{
	jump_is_overcome(*state, INT64_C(0x7fffffff) + 10);
}

static void
ten_years_forward_hasten_and_extend_nothing(void **state)
{
	jump_is_overcome(*state, wall.tv_sec + INT64_C(3652) * 86400);
}

static void
ten_years_back_hasten_and_extend_nothing(void **state)
{
	jump_is_overcome(*state, wall.tv_sec - INT64_C(3652) * 86400);
}

static void
a_pause_is_no_jump_and_hours_back_and_forth_count_once(void **state)
{
	struct site *s = *state;
	struct clocks before = clocks_now(s), then;

	go_on(40 * 86400, 40 * 86400);
	then = clocks_now(s);
	assert_false(then.jumped);
	assert_int_equal(then.slow, before.slow + 40 * 86400);
	/* The wall clock goes back by 20 hours and forward again: no more than went by. */
	before = then;
	go_on(-20 * 3600, 60);
	then = clocks_now(s);
	assert_false(then.jumped);
	assert_int_equal(then.slow, before.slow);
	assert_true(then.late >= before.late);
	go_on(20 * 3600, 60);
	then = clocks_now(s);
	assert_false(then.jumped);
	assert_true(then.slow <= before.slow + 120);
	/* 61 days in which nobody decided anything: somebody must look. */
	go_on(61 * 86400, 61 * 86400);
	assert_true(clocks_now(s).jumped);
}

static void
a_credential_does_not_live_again_when_the_clock_is_set_back(void **state)
{
	struct site *s = *state;
	int64_t use_by = s->c.use_by;

	go_on(3 * 86400, 3 * 86400);
	assert_true(clocks_now(s).late > use_by);
	wall.tv_sec -= 3 * 86400 - 3600;
	assert_true(clocks_now(s).late > use_by);
}

int
main(void)
{
#define C(x)	cmocka_unit_test_setup_teardown(x, clock_setup, site_teardown)
	const struct CMUnitTest tests[] = {
		T(each_rule_keeps_the_newest_of_each_period),
		T(months_and_years),
		T(what_is_pending_protected_unfinished_or_of_the_future_is_left_alone),
		T(the_newest_whole_one_stays_whatever_comes_after_it),
		T(sets_and_machines_are_pruned_by_themselves),
		T(an_image_that_is_not_handed_off_is_not_pruned),
		C(a_jump_to_1970_hastens_and_extends_nothing),
		C(a_jump_to_2038_hastens_and_extends_nothing),
		C(ten_years_forward_hasten_and_extend_nothing),
		C(ten_years_back_hasten_and_extend_nothing),
		C(a_pause_is_no_jump_and_hours_back_and_forth_count_once),
		C(a_credential_does_not_live_again_when_the_clock_is_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
