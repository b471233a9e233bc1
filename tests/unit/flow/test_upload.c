/* Sessions over the line: opening, asking, packs, parts of lists. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/flow/epoch.h"
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

static int
count_name(void *arg, const char *name, uint64_t len, struct err *e)
{
	(void)name;
	(void)len;
	(void)e;
	++*(unsigned *)arg;
	return 0;
}

/* Objects in the store below ${prefix}. */
static unsigned
objects(struct up *u, const char *prefix)
{
	unsigned n = 0;

	assert_int_equal(u->v->store->ops->list(u->v->store, prefix, "", count_name, &n, &u->e), 0);
	return n;
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
a_pack_is_there_when_it_was_acknowledged_and_twice_is_once(void **state)
{
	struct site *s = *state;
	struct pack_info info;
	struct up u;
	uint8_t *bytes;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	bytes = up_pack_make(&s->m, 0, 8, &info);
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), 0);
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), 1);
	assert_int_equal(objects(&u, "packs/"), 1);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(up_ask(&u, i), i < 8 ? ID_HELD : ID_MISSING);
	free(bytes);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
an_object_that_is_there_is_not_believed_unread(void **state)
{
	struct site *s = *state;
	char name[VAULT_NAME_MAX], path[256];
	struct pack_info info;
	uint8_t *bytes, b;
	struct up u;
	int fd;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	bytes = up_pack_make(&s->m, 0, 8, &info);
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), 0);
	vault_name_pack(name, info.id, 1);
	(void)snprintf(path, sizeof(path), "%s/%s", s->vault, name);
	fd = open(path, O_RDWR);
	assert_true(fd != -1);
	assert_true(pread(fd, &b, 1, 500) == 1);
	b ^= 1;
	assert_true(pwrite(fd, &b, 1, 500) == 1);
	(void)close(fd);
	/* It rotted: the same pack again stands beside it, and the bad one is put away. */
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), 0);
	assert_int_equal(objects(&u, "packs/"), 1);
	assert_int_equal(objects(&u, "quarantine/"), 1);
	vault_name_pack(name, info.id, 2);
	assert_int_equal(u.v->store->ops->stat(u.v->store, name, &(uint64_t){ 0 }, &u.e), 0);
	assert_int_equal(up_ask(&u, 3), ID_HELD);
	free(bytes);
	up_end(&u);
	site_rebuild_agrees(s);
}

static void
of_a_pack_that_is_not_right_nothing_stays(void **state)
{
	struct site *s = *state;
	struct pack_info info;
	uint8_t *bytes, *bad, id[DIGEST_LEN];
	struct up u;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	bytes = up_pack_make(&s->m, 0, 8, &info);
	bad = malloc(info.len);
	assert_non_null(bad);
	/* A byte anywhere: in the header, a frame, the table, the footer, the signature. */
	for (uint32_t at = 0; at < info.len; at += at < 64 || at > info.table_off - 8 ? 1 : 97) {
		memcpy(bad, bytes, info.len);
		bad[at] ^= 0x10;
		err_clear(&u.e);
		if (upload_pack(u.v, &u.m, u.session, info.id, bad, info.len, &u.e) != -1)
			fail_msg("byte %u of %u changed, and it was taken", at, info.len);
		assert_true(u.e.code == ERR_DAMAGE || u.e.code == ERR_FORMAT || u.e.code == ERR_SIGNATURE || u.e.code == ERR_VERSION);
	}
	for (uint32_t len = 0; len < info.len; len += 101)
		assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, len, &u.e), -1);
	memcpy(id, info.id, DIGEST_LEN);
	id[0] ^= 1;
	refused(&u, upload_pack(u.v, &u.m, u.session, id, bytes, info.len, &u.e), ERR_DAMAGE);
	assert_int_equal(objects(&u, "packs/"), 0);
	assert_int_equal(objects(&u, "quarantine/"), 0);
	assert_int_equal(up_ask(&u, 0), ID_MISSING);
	free(bad);
	free(bytes);
	up_end(&u);
}

static void
a_pack_by_another_machine_or_of_another_domain_is_refused(void **state)
{
	struct site *s = *state;
	struct seed_machine other, twin = s->m;
	struct pack_info info;
	struct credential c;
	uint8_t *bytes;
	struct up u;

	site_credential(s, "server", &c);
	seed_machine_make(&other, "server", &c);
	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	bytes = up_pack_make(&other, 0, 4, &info);
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), -1);
	free(bytes);
	/* This machine's id and key, over chunks of another domain. */
	twin.k = other.k;
	bytes = up_pack_make(&twin, 0, 4, &info);
	refused(&u, upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), ERR_DAMAGE);
	free(bytes);
	/* This machine's id, another's key. */
	twin = s->m;
	memcpy(twin.secret, other.secret, sizeof(twin.secret));
	bytes = up_pack_make(&twin, 0, 4, &info);
	refused(&u, upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), ERR_SIGNATURE);
	free(bytes);
	assert_int_equal(objects(&u, "packs/"), 0);
	seed_machine_drop(&other);
	up_end(&u);
}

struct hand {
	const struct site *s;
	const uint8_t *bytes, *session;
	const struct pack_info *info;
	int rc;
	char msg[256];
};

static void *
hand_run(void *arg)
{
	struct hand *h = arg;
	struct cat_machine m;
	struct vault *v;
	struct err e;

	err_clear(&e);
	h->rc = -1;
	if ((v = vault_open(h->s->vault, 0, &e)) != NULL && vault_machine(v, h->s->m.id, &m, &e) == 0)
		h->rc = upload_pack(v, &m, h->session, h->info->id, h->bytes, h->info->len, &e);
	(void)snprintf(h->msg, sizeof(h->msg), "%.250s", e.msg);
	vault_close(v);
	return NULL;
}

static void
the_same_pack_from_eight_hands_at_once_is_there_once(void **state)
{
	struct site *s = *state;
	struct pack_info info;
	struct hand h[8];
	pthread_t t[8];
	uint8_t *bytes;
	unsigned made = 0;
	struct up u;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	bytes = up_pack_make(&s->m, 0, 8, &info);
	for (unsigned i = 0; i < 8; i++) {
		h[i] = (struct hand){ s, bytes, u.session, &info, 0, "" };
		assert_int_equal(pthread_create(&t[i], NULL, hand_run, &h[i]), 0);
	}
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		if (h[i].rc < 0)
			fail_msg("%s", h[i].msg);
		made += h[i].rc == 0;
	}
	assert_int_equal(made, 1);
	assert_int_equal(objects(&u, "packs/"), 1);
	free(bytes);
	up_end(&u);
	site_rebuild_agrees(s);
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
		T(a_pack_is_there_when_it_was_acknowledged_and_twice_is_once),
		T(an_object_that_is_there_is_not_believed_unread),
		T(of_a_pack_that_is_not_right_nothing_stays),
		T(a_pack_by_another_machine_or_of_another_domain_is_refused),
		T(the_same_pack_from_eight_hands_at_once_is_there_once),
		T(what_is_in_the_mail_is_promised_until_it_is_there),
		T(a_part_of_a_list_must_be_what_its_name_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
