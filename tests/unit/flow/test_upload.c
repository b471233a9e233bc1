/* Sessions over the line: opening, ending, asking, parts of lists. */

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

#include "common/base/text.h"
#include "common/flow/epoch.h"
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

/* Is there a directory for the session? */
static int
dir_is_there(struct up *u)
{
	char hex[2 * ID_LEN + 1], name[128];
	struct stat st;

	(void)snprintf(name, sizeof(name), "sessions/%s", text_hex(hex, u->session, ID_LEN));
	return fstatat(u->v->local, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
asking_twice_opens_once(void **state)
{
	struct site *s = *state;
	struct session_open o = { .kind = LINE_BACKUP, .set_name = "files" };
	struct session_opened again;
	struct up u;

	up_start(&u, s->vault, &s->m);
	assert_int_equal(up_open(&u, NULL), 0);
	assert_int_equal(u.opened.head_seq, 0);
	assert_int_equal(u.opened.base_whole, 1);
	assert_int_equal(u.opened.seconds, 86400);
	memcpy(o.session_id, u.session, ID_LEN);
	assert_int_equal(upload_open(u.v, &u.m, &o, &again, &u.e), 1);
	assert_memory_equal(&again, &u.opened, sizeof(again));
	(void)strcpy(o.set_name, "other");
	refused(&u, upload_open(u.v, &u.m, &o, &again, &u.e), ERR_USAGE);
	io_random(o.base, ID_LEN);
	io_random(o.session_id, ID_LEN);
	refused(&u, upload_open(u.v, &u.m, &o, &again, &u.e), ERR_NO_SNAPSHOT);
	up_end(&u);
}

static void
a_session_that_ended_takes_nothing(void **state)
{
	struct site *s = *state;
	struct up u;
	uint8_t id[DIGEST_LEN] = { 1 }, what;
	struct session_opened o;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	ok(&u, up_pack(&u, 0, 4));
	assert_int_equal(upload_end(u.v, &u.m, u.session, &u.e), 0);
	assert_int_equal(upload_end(u.v, &u.m, u.session, &u.e), 0);
	refused(&u, up_pack(&u, 8, 4), ERR_SESSION);
	refused(&u, upload_ask(u.v, &u.m, u.session, id, 1, &what, &u.e), ERR_SESSION);
	refused(&u, upload_look(u.v, &u.m, u.session, &o, &u.e), ERR_SESSION);
	assert_false(dir_is_there(&u));
	/* What was acknowledged before is there in the next one. */
	ok(&u, up_open(&u, NULL));
	assert_int_equal(up_ask(&u, 0), ID_HELD);
	up_end(&u);
}

static void
a_session_belongs_to_its_machine(void **state)
{
	struct site *s = *state;
	struct seed_machine other;
	struct session_opened o;
	struct credential c;
	struct up u, w;

	site_credential(s, "server", &c);
	seed_machine_make(&other, "server", &c);
	up_start(&u, s->vault, &s->m);
	up_start(&w, s->vault, &other);
	ok(&u, up_open(&u, NULL));
	memcpy(w.session, u.session, ID_LEN);
	refused(&w, upload_look(w.v, &w.m, w.session, &o, &w.e), ERR_SESSION);
	refused(&w, up_pack(&w, 0, 4), ERR_SESSION);
	assert_int_equal(upload_end(w.v, &w.m, w.session, &w.e), 0);
	assert_int_equal(upload_look(u.v, &u.m, u.session, &o, &u.e), 0);
	/* What another machine wrote is not held by this one. */
	ok(&w, up_open(&w, NULL));
	ok(&u, up_pack(&u, 0, 4));
	assert_int_equal(up_ask(&u, 1), ID_HELD);
	assert_int_equal(up_ask(&w, 1), ID_MISSING);
	up_end(&u);
	up_end(&w);
	seed_machine_drop(&other);
}

/* Move the vault's slow clock on. */
static void
let_time_pass(struct up *u, int64_t ns)
{
	int64_t slow;

	assert_int_equal(vault_begin(u->v, &u->e), 0);
	assert_true(catalog_number(u->v->catalog, "clock slow", &slow, &u->e) >= 0);
	assert_int_equal(catalog_number_set(u->v->catalog, "clock slow", slow + ns, &u->e), 0);
	assert_int_equal(vault_commit(u->v, &u->e), 0);
}

static void
a_session_ends_when_nobody_touches_it_for_a_day(void **state)
{
	struct site *s = *state;
	struct session_opened o;
	struct up_snap x;
	struct up u;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	up_snap(&u, &x, 1, NULL, NULL, 0, 4);
	assert_int_equal(up_list(&u, &x, NULL), 0);
	let_time_pass(&u, SESSION_IDLE - INT64_C(60000000000));
	assert_int_equal(upload_look(u.v, &u.m, u.session, &o, &u.e), 0);	/* a touch */
	let_time_pass(&u, SESSION_IDLE - INT64_C(60000000000));
	assert_int_equal(upload_sweep(u.v, &u.e), 0);
	assert_int_equal(upload_look(u.v, &u.m, u.session, &o, &u.e), 0);
	assert_true(dir_is_there(&u));
	let_time_pass(&u, SESSION_IDLE + 1);
	assert_int_equal(upload_sweep(u.v, &u.e), 0);
	refused(&u, upload_look(u.v, &u.m, u.session, &o, &u.e), ERR_SESSION);
	assert_false(dir_is_there(&u));
	up_drop(&x);
	up_end(&u);
}

static void
who_opens_more_than_is_allowed_loses_the_oldest(void **state)
{
	struct site *s = *state;
	uint8_t first[ID_LEN], second[ID_LEN];
	struct session_opened o;
	struct up u;

	up_start(&u, s->vault, &s->m);
	for (unsigned i = 0; i <= UPLOAD_SESSIONS_MOST; i++) {
		ok(&u, up_open(&u, NULL));
		if (i < 2)
			memcpy(i == 0 ? first : second, u.session, ID_LEN);
	}
	refused(&u, upload_look(u.v, &u.m, first, &o, &u.e), ERR_SESSION);
	assert_int_equal(upload_look(u.v, &u.m, second, &o, &u.e), 0);
	up_end(&u);
}

static void
what_is_in_the_mail_is_promised_until_it_is_there(void **state)
{
	struct site *s = *state;
	struct seed_image a;
	struct up u;

	seed_image_make(&a, &s->m, "AAAA");
	seed_disk(&a, s->disk[0], 1, 0, 16);
	seed_disk(&a, s->disk[1], 2, 16, 16);
	seed_snapshot(&a, s->disk[0], 1, 0, 32);
	seed_manifest(&a, s->disk[0], 1);
	seed_manifest(&a, s->disk[1], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	assert_int_equal(up_ask(&u, 0), ID_HELD);
	assert_int_equal(up_ask(&u, 16), ID_PROMISED);
	assert_int_equal(up_ask(&u, 31), ID_PROMISED);
	assert_int_equal(up_ask(&u, 32), ID_MISSING);
	/* The same session, and the disk comes with a pack spoilt. */
	{
		char path[256];
		uint8_t b;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/samara/aaaa/packs/0000/%08u.pk", s->disk[1], 3);
		fd = open(path, O_RDWR);
		assert_true(fd != -1);
		assert_true(pread(fd, &b, 1, PACK_HEAD_LEN + 200) == 1);
		b ^= 0x40;
		assert_true(pwrite(fd, &b, 1, PACK_HEAD_LEN + 200) == 1);
		(void)close(fd);
	}
	assert_int_equal(site_ingest(s, 1), 0);
	{
		unsigned held = 0, missing = 0;

		for (uint32_t i = 0; i < 32; i++) {
			unsigned what = up_ask(&u, i);

			held += what == ID_HELD;
			missing += what == ID_MISSING;
		}
		assert_int_equal(held, 31);
		assert_int_equal(missing, 1);
	}
	up_end(&u);
}

static void
a_part_of_a_list_must_be_what_its_name_says(void **state)
{
	struct site *s = *state;
	struct up_snap x, base;
	struct buf b;
	struct up u;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	up_snap(&u, &base, 1, NULL, NULL, 0, 8);
	up_snap(&u, &x, 2, &base, &base, 4, 8);
	assert_int_equal(up_list(&u, &x, NULL), 0);
	assert_int_equal(up_list(&u, &x, NULL), 1);
	assert_int_equal(up_list(&u, &x, &base), 0);
	up_list_make(&u, &x, &base, &b);
	refused(&u, upload_list(u.v, &u.m, u.session, 2, REFS_WHOLE, 0, b.len, up_read, &b, &u.e), ERR_FORMAT);
	refused(&u, upload_list(u.v, &u.m, u.session, 2, REFS_DELTA, 1, b.len, up_read, &b, &u.e), ERR_FORMAT);
	refused(&u, upload_list(u.v, &u.m, u.session, 0, REFS_DELTA, 0, b.len, up_read, &b, &u.e), ERR_FORMAT);
	refused(&u, upload_list(u.v, &u.m, u.session, 2, REFS_DELTA, 0, b.len - 32, up_read, &b, &u.e), ERR_FORMAT);
	for (b.len = 0; b.len < REFS_HEAD_LEN + 40; b.len++)
		refused(&u, upload_list(u.v, &u.m, u.session, 2, REFS_DELTA, 0, b.len, up_read, &b, &u.e), ERR_FORMAT);
	buf_release(&b);
	up_drop(&x);
	up_drop(&base);
	up_end(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(asking_twice_opens_once),
		T(a_session_that_ended_takes_nothing),
		T(a_session_belongs_to_its_machine),
		T(a_session_ends_when_nobody_touches_it_for_a_day),
		T(who_opens_more_than_is_allowed_loses_the_oldest),
		T(what_is_in_the_mail_is_promised_until_it_is_there),
		T(a_part_of_a_list_must_be_what_its_name_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
