/* Packs over the line: believed frame by frame, and there when they were acknowledged. */

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

#include "common/catalog/catalog_doubt.h"
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

/* A collection has condemned all that there is. */
static void
condemn_all(struct up *u)
{
	struct cat_place at[64];
	uint8_t to[64];
	size_t n;

	assert_int_equal(vault_begin(u->v, &u->e), 0);
	assert_int_equal(chunks_walk(u->v->catalog, u->m.domain_id, NULL, at, 64, &n, &u->e), 0);
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)copy_condemned(at[i].state);
	assert_int_equal(chunks_turn(u->v->catalog, u->m.domain_id, at, to, n, &u->e), 0);
	assert_int_equal(vault_commit(u->v, &u->e), 0);
}

/* How many copies are still in view of a collection. */
static size_t
condemned(struct up *u)
{
	struct cat_place at[64];
	size_t n, bad = 0;

	assert_int_equal(chunks_walk(u->v->catalog, u->m.domain_id, NULL, at, 64, &n, &u->e), 0);
	for (size_t i = 0; i < n; i++)
		bad += (at[i].state & (COPY_SUSPECT | COPY_CONDEMNED)) != 0;
	return bad;
}

static void
what_was_condemned_comes_back_by_an_answer_a_pack_or_a_commit(void **state)
{
	struct site *s = *state;
	struct pack_info info;
	struct up_snap x;
	uint8_t *bytes;
	struct up u;

	up_start(&u, s->vault, &s->m);
	ok(&u, up_open(&u, NULL));
	bytes = up_pack_make(&s->m, 0, 16, &info);
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), 0);
	condemn_all(&u);
	assert_int_equal(condemned(&u), 16);
	/* In a session that opened after that. */
	ok(&u, up_open(&u, NULL));
	assert_int_equal(up_ask(&u, 3), ID_HELD);
	assert_int_equal(condemned(&u), 15);
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), 1);
	assert_int_equal(condemned(&u), 0);
	condemn_all(&u);
	up_snap(&u, &x, 1, NULL, NULL, 0, 12);
	ok(&u, up_list(&u, &x, NULL));
	ok(&u, up_commit(&u, NULL, &x));
	assert_int_equal(u.done.state, LINE_WHOLE);
	assert_int_equal(condemned(&u), 4);
	free(bytes);
	up_drop(&x);
	up_end(&u);
	site_rebuild_agrees(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_pack_is_there_when_it_was_acknowledged_and_twice_is_once),
		T(an_object_that_is_there_is_not_believed_unread),
		T(of_a_pack_that_is_not_right_nothing_stays),
		T(a_pack_by_another_machine_or_of_another_domain_is_refused),
		T(the_same_pack_from_eight_hands_at_once_is_there_once),
		T(what_was_condemned_comes_back_by_an_answer_a_pack_or_a_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
