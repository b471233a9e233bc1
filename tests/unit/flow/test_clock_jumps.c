/* A clock that jumps, far or back, hastens no end and extends no right: all that a vault has a time for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/text.h"
#include "common/flow/machine_fate.h"
#include "common/flow/vault_line.h"
#include "common/flow/vault_pledge.h"
#include "common/flow/vault_token.h"
#include "common/net/tls_key.h"
#include "flow/upload_maker.h"
#include "flow/vault_site.h"

#define DAY	INT64_C(86400)
#define NS	INT64_C(1000000000)
#define YEARS	(10 * 365 * DAY)

static const struct jump {
	const char *what;
	int64_t to, by;			/* a time, or (0) so many seconds */
} jumps[] = {
	{ "1970", 1000, 0 },
	{ "2038", INT64_C(0x7fffffff) + 10, 0 },
	{ "ten years on", 0, YEARS },
	{ "ten years back", 0, -YEARS },
	{ "two days on", 0, 2 * DAY },
	{ "a day and a half on", 0, DAY * 3 / 2 },	/* a credential is good for longer */
	{ "two days back", 0, -2 * DAY },
};

static struct io_ops ops;
static struct timespec wall, up;

static int
clock_of_the_test(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_REALTIME && id != CLOCK_BOOTTIME)
		return io_real()->clock_gettime(id, ts);
	*ts = id == CLOCK_REALTIME ? wall : up;
	return 0;
}

static void
goes_by(int64_t seconds)
{
	wall.tv_sec += (time_t)seconds;
	up.tv_sec += (time_t)seconds;
}

/* --- the world: a machine with a session, a snapshot, a lease, and a reader with a token --- */

struct world {
	struct site *s;
	struct up u;
	struct up_snap snap;
	struct cat_image image;
	struct credential fresh;	/* restore-only, not used */
	uint8_t pin[DIGEST_LEN];
	char token[2 * TOKEN_LEN + 1];	/* of a restore-only credential */
};

static int
setup(void **state)
{
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &wall), 0);
	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &up), 0);
	ops = *io_real();
	ops.clock_gettime = clock_of_the_test;
	(void)io_use(&ops);
	return site_setup(state);
}

static int
credential_for(struct world *w, unsigned purpose, const char *machine, struct credential *c)
{
	struct credential_order o = { .machine = machine, .purpose = purpose, .valid = CREDENTIAL_VALID,
	    .arrives_by = CREDENTIAL_ARRIVES };

	err_clear(&w->u.e);
	return vault_credential(w->u.v, &o, c, &w->u.e);
}

/* A token by the credential ${c}: 0 with ${g}, or -1. */
static int
token_by(struct world *w, const struct credential *c, struct token_grant *g)
{
	struct token_request q = { .purpose = c->purpose, .time = io_now() };
	uint8_t seed[KEY_LEN], secret[SIGN_SECRET_LEN];
	struct buf b;
	int rc;

	io_random(seed, sizeof(seed));
	sign_keys(seed, q.machine_pub, secret);
	memcpy(q.vault_id, c->vault_id, ID_LEN);
	memcpy(q.machine_id, c->machine_id, ID_LEN);
	memcpy(q.tls_pin, w->pin, DIGEST_LEN);
	memcpy(q.credential_id, c->credential_id, ID_LEN);
	io_random(q.random, sizeof(q.random));
	buf_init(&b);
	seed_sign(&token_request_schema, &q, secret, &b);
	mac_once(c->secret, b.p, b.len - SIGN_LEN - DIGEST_LEN, q.mac);
	buf_reset(&b);
	seed_sign(&token_request_schema, &q, secret, &b);
	err_clear(&w->u.e);
	rc = vault_token_grant(w->u.v, b.p, b.len, w->pin, g, &w->u.e);
	buf_release(&b);
	return rc;
}

static int
token_is_good(struct world *w)
{
	struct cat_machine m;
	struct cat_token t;

	err_clear(&w->u.e);
	return vault_token_find(w->u.v, w->token, &t, &m, &w->u.e) == 0;
}

static int
session_is_open(struct world *w)
{
	struct session_opened out;

	err_clear(&w->u.e);
	assert_int_equal(upload_sweep(w->u.v, &w->u.e), 0);
	return upload_look(w->u.v, &w->u.m, w->u.session, &out, &w->u.e) == 0;
}

/* Housekeeping has its turn. */
static unsigned
image_state(struct world *w)
{
	struct cat_image i = w->image;

	err_clear(&w->u.e);
	assert_int_equal(vault_leases(w->u.v, &w->u.e), 0);
	assert_int_equal(catalog_get(w->u.v->catalog, &cat_images, &i, &w->u.e), 0);
	assert_int_equal(i.pledge_until, w->image.pledge_until);
	return (unsigned)i.state;
}

struct clocks {
	int64_t late, slow;		/* seconds */
	int jumped;
};

static struct clocks
clocks_now(struct world *w)
{
	struct vault *v = w->u.v;

	assert_int_equal(vault_begin(v, &w->u.e), 0);
	assert_int_equal(vault_commit(v, &w->u.e), 0);
	return (struct clocks){ v->late / NS, v->slow / NS, v->clock_jumped };
}

static void
world_begin(struct world *w, struct site *s)
{
	struct credential used;
	struct token_grant g;
	struct tls_key *key;

	memset(w, 0, sizeof(*w));
	w->s = s;
	up_start(&w->u, s->vault, &s->m);
	key = vault_line_key(w->u.v, &w->u.e);
	assert_non_null(key);
	tls_key_pin(key, w->pin);
	tls_key_free(key);
	assert_int_equal(up_open(&w->u, NULL), 0);
	assert_int_equal(up_pack(&w->u, 0, 4), 0);
	up_snap(&w->u, &w->snap, 1, NULL, NULL, 0, 4);
	assert_int_equal(up_list(&w->u, &w->snap, NULL), 0);
	assert_int_equal(credential_for(w, PURPOSE_RESTORE_ONLY, "laptop", &used), 0);
	assert_int_equal(token_by(w, &used, &g), 0);
	(void)text_hex(w->token, g.token, TOKEN_LEN);
	assert_int_equal(credential_for(w, PURPOSE_RESTORE_ONLY, "laptop", &w->fresh), 0);
	memset(w->image.id, 5, ID_LEN);
	memcpy(w->image.machine_id, s->m.id, ID_LEN);
	(void)snprintf(w->image.short_name, sizeof(w->image.short_name), "RM4K");
	w->image.state = IMAGE_SHIPPED;
	w->image.generation = 1;
	w->image.pledge_until = w->u.v->slow + 60 * DAY * NS;
	assert_int_equal(catalog_begin(w->u.v->catalog, 1, &w->u.e), 0);
	assert_int_equal(catalog_put(w->u.v->catalog, &cat_images, &w->image, &w->u.e), 0);
	assert_int_equal(catalog_commit(w->u.v->catalog, &w->u.e), 0);
}

static void
world_end(struct world *w)
{
	up_drop(&w->snap);
	up_end(&w->u);
}

static void
jumps_to(const struct jump *j)
{
	up.tv_sec += 60;
	wall.tv_sec = j->to != 0 ? (time_t)j->to : wall.tv_sec + (time_t)j->by;
}

/* --- what must hold of each --- */

/* While the clock is wrong. */
static void
nothing_moves(struct world *w, const struct jump *j, struct clocks before)
{
	struct cat_snapshot row = { .seq = 1 };
	struct clocks now = clocks_now(w);
	struct credential c;
	struct token_grant g;

	print_message("%s\n", j->what);
	assert_true(now.jumped);
	assert_int_equal(now.late, before.late);
	assert_int_equal(now.slow, before.slow);
	/* A right that is given ends as if nothing had happened. */
	if (token_by(w, &w->fresh, &g) == 0)
		assert_true(g.until <= before.late + TOKEN_READING);
	else
		assert_int_equal(w->u.e.code, ERR_CRED_EXPIRED);
	/* Weeks of it, and nothing that waits ends. */
	goes_by(45 * DAY);
	now = clocks_now(w);
	assert_int_equal(now.slow, before.slow);
	assert_true(session_is_open(w));
	assert_int_equal(image_state(w), IMAGE_SHIPPED);
	/* No credential is made. */
	assert_int_equal(credential_for(w, PURPOSE_NEW, "other", &c), -1);
	assert_int_equal(w->u.e.code, ERR_RULE);
	assert_non_null(strstr(w->u.e.next, "clock"));
	/* What comes now is not older than what came before. */
	err_clear(&w->u.e);
	if (up_commit(&w->u, NULL, &w->snap) != 0)
		fail_msg("%s", w->u.e.msg);
	memcpy(row.machine_id, w->s->m.id, ID_LEN);
	assert_int_equal(catalog_get(w->u.v->catalog, &cat_snapshots, &row, &w->u.e), 0);
	assert_true(row.received / NS >= before.late);
}

/* Set right, and confirmed: all has the time that it had. */
static void
all_goes_on(struct world *w, struct clocks before, int64_t before_wall)
{
	struct credential c;
	struct clocks now;

	wall.tv_sec = (time_t)before_wall + 120;
	assert_int_equal(vault_clock_confirm(w->u.v, &w->u.e), 0);
	now = clocks_now(w);
	assert_false(now.jumped);
	assert_true(now.late >= before.late && now.late <= before.late + 600);
	assert_true(now.slow >= before.slow && now.slow <= before.slow + 600);
	assert_true(token_is_good(w));
	assert_int_equal(credential_for(w, PURPOSE_NEW, "other", &c), 0);
	assert_true(c.use_by <= before_wall + 120 + CREDENTIAL_VALID && c.arrive_by <= before_wall + 120 + CREDENTIAL_ARRIVES);
	/* Thirty days later the reader's token is at its end, and not before. */
	goes_by(29 * DAY);
	(void)clocks_now(w);
	assert_true(token_is_good(w));
	assert_int_equal(image_state(w), IMAGE_SHIPPED);
	goes_by(2 * DAY);
	(void)clocks_now(w);
	assert_false(token_is_good(w));
	assert_int_equal(w->u.e.code, ERR_TOKEN);
}

static void
no_jump_hastens_an_end_or_extends_a_right(void **state)
{
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct clocks before;
		struct world w;
		int64_t before_wall;

		if (i > 0) {
			assert_int_equal(site_teardown(state), 0);
			assert_int_equal(setup(state), 0);
		}
		world_begin(&w, *state);
		before = clocks_now(&w);
		before_wall = wall.tv_sec;
		jumps_to(&jumps[i]);
		nothing_moves(&w, &jumps[i], before);
		all_goes_on(&w, before, before_wall);
		world_end(&w);
	}
}

/* Whoever waits for the end of a right and sets the clock back has it no longer. */
static void
a_clock_set_back_revives_nothing(void **state)
{
	struct credential old;
	struct token_grant g;
	struct world w;

	world_begin(&w, *state);
	assert_int_equal(credential_for(&w, PURPOSE_RESTORE_ONLY, "laptop", &old), 0);
	goes_by(31 * DAY);
	(void)clocks_now(&w);
	assert_false(token_is_good(&w));
	for (int64_t back = DAY / 2; back <= YEARS; back *= 9) {
		wall.tv_sec -= (time_t)back;
		(void)clocks_now(&w);
		assert_false(token_is_good(&w));
		assert_int_equal(token_by(&w, &old, &g), -1);
		assert_int_equal(w.u.e.code, ERR_CRED_EXPIRED);
		assert_true(vault_late_seconds(w.u.v) >= old.issued + 31 * DAY - 600);
		wall.tv_sec += (time_t)back;
	}
	world_end(&w);
}

/* A clock that is pushed on in steps too small for a jump ends rights sooner, and nothing that waits. */
static void
small_steps_end_rights_and_hasten_nothing(void **state)
{
	struct clocks before, now;
	struct world w;

	world_begin(&w, *state);
	before = clocks_now(&w);
	for (unsigned i = 0; i < 100; i++) {
		wall.tv_sec += 20 * 3600;
		up.tv_sec += 1;
		now = clocks_now(&w);
		assert_false(now.jumped);
	}
	assert_true(now.late >= before.late + 80 * DAY);
	assert_true(now.slow <= before.slow + 100);
	assert_false(token_is_good(&w));
	assert_true(session_is_open(&w));
	assert_int_equal(image_state(&w), IMAGE_SHIPPED);
	world_end(&w);
}

/* A pause of the computer is no jump, and one that nobody can tell from a jump waits for a person. */
static void
a_pause_is_no_jump_until_it_is_two_months(void **state)
{
	struct world w;

	world_begin(&w, *state);
	goes_by(59 * DAY);
	assert_false(clocks_now(&w).jumped);
	goes_by(61 * DAY);
	assert_true(clocks_now(&w).jumped);
	world_end(&w);
}

#define T(x)	cmocka_unit_test_setup_teardown(x, setup, site_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_jump_hastens_an_end_or_extends_a_right),
		T(a_clock_set_back_revives_nothing),
		T(small_steps_end_rights_and_hasten_nothing),
		T(a_pause_is_no_jump_until_it_is_two_months),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
