/* Sessions over HTTPS: the routes, and a server that is killed while four hands send packs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/machine_fate.h"
#include "common/flow/serve.h"
#include "common/flow/vault_line.h"
#include "common/flow/vault_token.h"
#include "common/net/net_client.h"
#include "common/net/tls_key.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_receipt.h"
#include "flow/upload_maker.h"
#include "flow/vault_site.h"

#define HANDS		4u
#define ROUNDS		10u
#define PER_ROUND	12u	/* acknowledgements before the server is killed */
#define HAND_PACKS	60u	/* that each hand has to send */

struct talk {
	struct site *s;
	struct up u;			/* its vault is open beside the server's */
	uint8_t pin[DIGEST_LEN];
	char token[2 * TOKEN_LEN + 1], session[2 * ID_LEN + 1];
	struct net_client *client;
	struct net_answer r;		/* of the newest request */
};

/* A token for the machine, out of the vault. */
static void
token_get(struct talk *t)
{
	struct token_request q = { .purpose = PURPOSE_NEW, .time = io_now() };
	struct seed_machine *m = &t->s->m;
	struct tls_key *key = vault_line_key(t->u.v, &t->u.e);
	struct token_grant g;
	struct buf b;

	if (key == NULL)
		fail_msg("%s", t->u.e.msg);
	tls_key_free(key);
	memcpy(t->pin, t->u.v->desc.tls_pin, DIGEST_LEN);
	memcpy(q.vault_id, t->u.v->desc.vault_id, ID_LEN);
	memcpy(q.machine_id, m->id, ID_LEN);
	memcpy(q.machine_pub, m->pub, SIGN_PUB_LEN);
	memcpy(q.tls_pin, t->pin, DIGEST_LEN);
	io_random(q.random, sizeof(q.random));
	q.registration = seed_view(&m->regist);
	buf_init(&b);
	seed_sign(&token_request_schema, &q, m->secret, &b);
	if (vault_token_grant(t->u.v, b.p, b.len, t->pin, &g, &t->u.e) != 0)
		fail_msg("%s", t->u.e.msg);
	(void)text_hex(t->token, g.token, TOKEN_LEN);
	buf_release(&b);
}

static void
talk_begin(struct talk *t, struct site *s)
{
	memset(t, 0, sizeof(*t));
	t->s = s;
	up_start(&t->u, s->vault, &s->m);
	token_get(t);
}

static struct net_client *
client_make(const struct talk *t, unsigned port)
{
	struct net_client_options o = { .pin = t->pin, .token = t->token, .proxy = "", .connect_seconds = 10 };
	struct net_client *c;
	char url[64];
	struct err e;

	err_clear(&e);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", port);
	o.url = url;
	if ((c = net_client_new(&o, &e)) == NULL)
		fail_msg("%s", e.msg);
	return c;
}

static void
talk_end(struct talk *t)
{
	net_client_free(t->client);
	up_end(&t->u);
}

static struct serve *
server(const struct site *s, struct err *e)
{
	const char *vaults[1] = { s->vault };
	const struct serve_options o = { .vaults = vaults, .nvaults = 1, .listen = "127.0.0.1:0" };

	return serve_start(&o, e);
}

/* One request below the vault; what the server says. */
static unsigned
ask(struct talk *t, const char *method, const char *path, const void *body, size_t len)
{
	char full[512];
	struct net_ask a = { .method = method, .path = full, .body = body, .body_len = len, .answer_max = 4u << 20 };

	(void)snprintf(full, sizeof(full), "/v1/vaults/demo/%s", path);
	net_answer_free(&t->r);
	memset(&t->r, 0, sizeof(t->r));
	err_clear(&t->u.e);
	if (net_ask(t->client, &a, &t->r, &t->u.e) != 0)
		fail_msg("%s", t->u.e.msg);
	return t->r.status;
}

/* The same below the session. */
static unsigned
ask_session(struct talk *t, const char *method, const char *what, const void *body, size_t len)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "sessions/%s%s", t->session, what);
	return ask(t, method, path, body, len);
}

/* Does the problem document name this code? */
static int
says(struct talk *t, const char *code)
{
	buf_u8(&t->r.body, 0);
	return strcmp(t->r.type, "application/problem+json") == 0 && strstr((const char *)t->r.body.p, code) != NULL;
}

static void
encode(const struct fmt_schema *s, const void *value, struct buf *b)
{
	size_t need = schema_size(s, value), len;

	buf_init(b);
	assert_true(need > 0);
	assert_int_equal(schema_encode(s, value, buf_room(b, need), need, &len), FMT_OK);
	buf_grew(b, len);
}

static void
decoded(struct talk *t, const struct fmt_schema *s, void *value)
{
	assert_int_equal(schema_decode(s, value, t->r.body.p, t->r.body.len), FMT_OK);
}

/* Open a session on ${base}: the status. */
static unsigned
open_session(struct talk *t, const struct up_snap *base, struct session_opened *opened)
{
	struct session_open o = { .kind = LINE_BACKUP, .set_name = "files" };
	unsigned status;
	struct buf b;

	if (t->session[0] == '\0') {
		io_random(t->u.session, ID_LEN);
		(void)text_hex(t->session, t->u.session, ID_LEN);
	}
	memcpy(o.session_id, t->u.session, ID_LEN);
	if (base != NULL)
		memcpy(o.base, base->env.snapshot_id, ID_LEN);
	encode(&session_open_schema, &o, &b);
	status = ask(t, "POST", "sessions", b.p, b.len);
	buf_release(&b);
	if (status < 300)
		decoded(t, &session_opened_schema, opened);
	return status;
}

static unsigned
put_pack(struct talk *t, const struct pack_info *info, const uint8_t *bytes)
{
	char what[128], hex[2 * DIGEST_LEN + 1];

	(void)snprintf(what, sizeof(what), "/packs/%s", text_hex(hex, info->id, DIGEST_LEN));
	return ask_session(t, "PUT", what, bytes, info->len);
}

static unsigned
put_list(struct talk *t, const struct up_snap *x, const struct up_snap *base)
{
	unsigned status;
	char what[64];
	struct buf b;

	up_list_make(&t->u, x, base, &b);
	(void)snprintf(what, sizeof(what), "/lists/%u-%s-0", (unsigned)x->env.seq, base == NULL ? "whole" : "delta");
	status = ask_session(t, "PUT", what, b.p, b.len);
	buf_release(&b);
	return status;
}

static unsigned
commit(struct talk *t, const struct up_snap *head, const struct up_snap *x, struct committed *done)
{
	uint8_t rows[ENVELOPE_LEN_MAX + 2];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct commit c = { .head_seq = head == NULL ? 0 : head->env.seq };
	unsigned status;
	struct buf b;

	if (head != NULL)
		memcpy(c.head_id, head->env.snapshot_id, ID_LEN);
	commit_put(&w, x->bytes.p, x->bytes.len);
	c.envelopes = (struct fmt_view){ rows, (uint32_t)(w.p - rows) };
	encode(&commit_schema, &c, &b);
	status = ask_session(t, "POST", "/commit", b.p, b.len);
	buf_release(&b);
	if (status == 200)
		decoded(t, &committed_schema, done);
	return status;
}

static void
a_backup_goes_over_the_line_from_its_opening_to_its_commit(void **state)
{
	struct site *s = *state;
	struct session_opened opened;
	struct pack_info info;
	struct committed done;
	struct id_page page;
	struct up_snap a;
	struct serve *srv;
	struct talk t;
	uint8_t *bytes;

	talk_begin(&t, s);
	if ((srv = server(s, &t.u.e)) == NULL)
		fail_msg("%s", t.u.e.msg);
	t.client = client_make(&t, serve_port(srv));
	assert_int_equal(open_session(&t, NULL, &opened), 201);
	assert_int_equal(open_session(&t, NULL, &opened), 200);
	assert_int_equal(opened.base_whole, 1);
	assert_int_equal(ask_session(&t, "GET", "", NULL, 0), 200);
	decoded(&t, &session_opened_schema, &opened);
	assert_int_equal(ask_session(&t, "GET", "/lost", NULL, 0), 200);
	decoded(&t, &id_page_schema, &page);
	assert_int_equal(page.ids.len, 0);
	bytes = up_pack_make(&s->m, 0, 32, &info);
	assert_int_equal(put_pack(&t, &info, bytes), 201);
	assert_int_equal(put_pack(&t, &info, bytes), 200);
	bytes[700] ^= 1;
	assert_int_equal(put_pack(&t, &info, bytes), 422);
	assert_true(says(&t, "S-1501"));
	free(bytes);
	up_snap(&t.u, &a, 1, NULL, NULL, 0, 33);
	assert_int_equal(put_list(&t, &a, NULL), 201);
	assert_int_equal(put_list(&t, &a, NULL), 200);
	assert_int_equal(commit(&t, NULL, &a, &done), 409);
	assert_true(says(&t, "S-1506"));
	assert_int_equal(ask_session(&t, "GET", "/lacking", NULL, 0), 200);
	decoded(&t, &id_page_schema, &page);
	assert_int_equal(page.ids.len, DIGEST_LEN);
	{
		struct ask q = { page.ids };
		struct answer answer;
		struct buf b;

		encode(&ask_schema, &q, &b);
		assert_int_equal(ask_session(&t, "POST", "/ask", b.p, b.len), 200);
		decoded(&t, &answer_schema, &answer);
		assert_int_equal(answer.states.len, 1);
		assert_int_equal(answer.states.p[0], ID_MISSING);
		buf_release(&b);
	}
	bytes = up_pack_make(&s->m, 32, 1, &info);
	assert_int_equal(put_pack(&t, &info, bytes), 201);
	free(bytes);
	assert_int_equal(commit(&t, NULL, &a, &done), 200);
	assert_int_equal(done.state, LINE_WHOLE);
	assert_int_equal(commit(&t, NULL, &a, &done), 200);
	assert_int_equal(ask_session(&t, "GET", "", NULL, 0), 410);
	assert_true(says(&t, "S-1709"));
	assert_int_equal(ask_session(&t, "DELETE", "", NULL, 0), 204);
	up_drop(&a);
	net_answer_free(&t.r);
	serve_stop(srv, 5);
	talk_end(&t);
	site_rebuild_agrees(s);
}

/* Statements of all kinds go to one path; which one it is, the body says, and how long it may be. */
static void
a_long_list_of_what_is_given_up_is_taken(void **state)
{
	struct site *s = *state;
	struct id_list l = { .count = 5000, .parts = 1, .time = 7 };
	struct refs_digest *d;
	struct serve *srv;
	uint8_t *ids = malloc(5000 * DIGEST_LEN), *room = calloc(1, 100000);
	struct talk t;
	struct buf b;
	uint64_t n;

	assert_non_null(ids);
	assert_non_null(room);
	talk_begin(&t, s);
	if ((srv = server(s, &t.u.e)) == NULL)
		fail_msg("%s", t.u.e.msg);
	t.client = client_make(&t, serve_port(srv));
	memcpy(l.vault_id, t.u.v->desc.vault_id, ID_LEN);
	memcpy(l.machine_id, s->m.id, ID_LEN);
	memcpy(l.domain_id, s->m.k->domain_id, DIGEST_LEN);
	memset(l.list_id, 3, ID_LEN);
	d = refs_digest_new(l.domain_id);
	for (uint32_t i = 0; i < 5000; i++) {
		memset(ids + i * DIGEST_LEN, 0, DIGEST_LEN);
		ids[i * DIGEST_LEN] = (uint8_t)(i >> 8);
		ids[i * DIGEST_LEN + 1] = (uint8_t)i;
		assert_int_equal(refs_digest_add(d, ids + i * DIGEST_LEN), 0);
	}
	refs_digest_final(d, l.digest, &n);
	refs_digest_free(d);
	l.ids = (struct fmt_view){ ids, 5000 * DIGEST_LEN };
	buf_init(&b);
	seed_sign(&given_up_schema, &l, s->m.secret, &b);
	assert_true(b.len > SMALL_STATEMENT_MAX);
	if (ask(&t, "POST", "statements", b.p, b.len) != 201) {
		buf_u8(&t.r.body, 0);
		fail_msg("%u: %s", t.r.status, (const char *)t.r.body.p);
	}
	assert_int_equal(ask(&t, "POST", "statements", b.p, b.len), 200);
	/* One of another kind is as short as ever. */
	memcpy(room, "SAMPARC\n", 8);
	assert_int_equal(ask(&t, "POST", "statements", room, 100000), 400);
	assert_true(says(&t, "S-1101"));
	buf_release(&b);
	free(ids);
	free(room);
	net_answer_free(&t.r);
	serve_stop(srv, 5);
	talk_end(&t);
	site_rebuild_agrees(s);
}

/* A machine that may have little cannot fill the vault with lists that nothing is made of. */
static void
lists_that_wait_count_against_the_quota(void **state)
{
	struct site *s = *state;
	struct machine_order order = { .fate = MFATE_QUOTA, .value = 3000 };
	struct session_opened opened;
	struct up_snap a;
	struct serve *srv;
	struct cat_machine m;
	unsigned taken = 0, status = 0;
	struct talk t;

	talk_begin(&t, s);
	if ((srv = server(s, &t.u.e)) == NULL)
		fail_msg("%s", t.u.e.msg);
	t.client = client_make(&t, serve_port(srv));
	assert_int_equal(machine_decide(t.u.v, s->m.name, &order, &m, &t.u.e), 0);
	assert_int_equal(open_session(&t, NULL, &opened), 201);
	for (uint64_t seq = 1; seq < 20; seq++) {
		up_snap(&t.u, &a, seq, NULL, NULL, 0, 16);
		if ((status = put_list(&t, &a, NULL)) == 201)
			taken++;
		up_drop(&a);
		if (status != 201)
			break;
	}
	assert_int_equal(status, 507);
	assert_true(says(&t, "S-1706"));
	assert_true(taken > 0 && taken < 5);
	/* With the session they go, and there is room again. */
	assert_int_equal(ask_session(&t, "DELETE", "", NULL, 0), 204);
	t.session[0] = '\0';
	assert_int_equal(open_session(&t, NULL, &opened), 201);
	up_snap(&t.u, &a, 1, NULL, NULL, 0, 16);
	assert_int_equal(put_list(&t, &a, NULL), 201);
	up_drop(&a);
	net_answer_free(&t.r);
	serve_stop(srv, 5);
	talk_end(&t);
}

static void
what_is_not_understood_is_refused(void **state)
{
	static const struct { const char *method, *what; unsigned want; } asked[] = {
		{ "PUT", "/lists/1-whole-x", 400 }, { "PUT", "/lists/01-whole-0", 400 }, { "PUT", "/lists/1-whole", 400 },
		{ "PUT", "/lists/1-half-0", 400 }, { "PUT", "/lists/99999999999999999999-whole-0", 400 },
		{ "PUT", "/lists/1-whole-0", 400 }, { "PUT", "/packs/00", 400 }, { "GET", "/lost?after=00", 400 },
		{ "GET", "/lost?after=zz", 400 }, { "POST", "/ask", 400 }, { "POST", "/commit", 400 },
	};
	struct site *s = *state;
	struct session_opened opened;
	struct serve *srv;
	struct talk t;

	talk_begin(&t, s);
	if ((srv = server(s, &t.u.e)) == NULL)
		fail_msg("%s", t.u.e.msg);
	t.client = client_make(&t, serve_port(srv));
	assert_int_equal(open_session(&t, NULL, &opened), 201);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const char *body = strcmp(asked[i].method, "GET") == 0 ? NULL : "nonsense";
		unsigned status = ask_session(&t, asked[i].method, asked[i].what, body, body == NULL ? 0 : 8);

		if (status != asked[i].want)
			fail_msg("%s %s: %u", asked[i].method, asked[i].what, status);
	}
	assert_int_equal(ask(&t, "POST", "sessions", "nonsense", 8), 400);
	/* What is asked for in words that are not understood is not taken for nothing. */
	assert_int_equal(ask(&t, "GET", "gaps?image=00112233445566778899aabbccddeeff0", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "gaps?image=", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "receipts?after=1x", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "receipts?after=", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "snapshots?after=-1", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "snapshots?after=99999999999999999999999", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "snapshots?after=18446744073709551615", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "sessions/00", NULL, 0), 400);
	assert_int_equal(ask(&t, "GET", "sessions/00000000000000000000000000000000", NULL, 0), 410);
	assert_int_equal(net_client_token(t.client, NULL, &t.u.e), 0);
	assert_int_equal(ask_session(&t, "GET", "", NULL, 0), 401);
	net_answer_free(&t.r);
	serve_stop(srv, 5);
	talk_end(&t);
}

/* --- a server that is killed --- */

/* A server in a process of its own: its port. */
static unsigned
child_start(const struct site *s, pid_t *pid)
{
	unsigned port = 0;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	if ((*pid = fork()) == 0) {
		struct serve *srv;
		struct err e;

		err_clear(&e);
		(void)close(fd[0]);
		if ((srv = server(s, &e)) != NULL)
			port = serve_port(srv);
		if (write(fd[1], &port, sizeof(port)) != (ssize_t)sizeof(port))
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_true(*pid > 0);
	(void)close(fd[1]);
	assert_int_equal(read(fd[0], &port, sizeof(port)), sizeof(port));
	(void)close(fd[0]);
	assert_true(port != 0);
	return port;
}

struct hand {
	struct talk *t;
	struct net_client *client;
	struct pack_info info[HAND_PACKS];
	uint8_t *bytes[HAND_PACKS];
	unsigned acknowledged;		/* the first so many */
	sem_t *all;			/* posted for each acknowledgement of any hand */
};

/* Send on until the server goes away. */
static void *
hand_send(void *arg)
{
	struct hand *h = arg;

	while (h->acknowledged < HAND_PACKS) {
		char path[256], hex[2 * DIGEST_LEN + 1];
		const struct pack_info *info = &h->info[h->acknowledged];
		struct net_ask a = { .method = "PUT", .path = path, .body = h->bytes[h->acknowledged], .body_len = info->len };
		struct net_answer r;
		struct err e;
		int ok;

		err_clear(&e);
		(void)snprintf(path, sizeof(path), "/v1/vaults/demo/sessions/%s/packs/%s", h->t->session,
		    text_hex(hex, info->id, DIGEST_LEN));
		if (net_ask(h->client, &a, &r, &e) != 0)
			break;
		ok = r.status == 201 || r.status == 200;
		net_answer_free(&r);
		if (!ok)
			break;
		h->acknowledged++;
		(void)sem_post(h->all);
	}
	return NULL;
}

static void
hands_make(struct hand *h, struct talk *t, sem_t *all)
{
	for (uint32_t i = 0; i < HANDS; i++) {
		memset(&h[i], 0, sizeof(h[i]));
		h[i].t = t;
		h[i].all = all;
		for (uint32_t k = 0; k < HAND_PACKS; k++) {
			uint8_t *bytes = up_pack_make(&t->s->m, (i * HAND_PACKS + k) * 2, 2, &h[i].info[k]);

			assert_non_null(h[i].bytes[k] = malloc(h[i].info[k].len));
			memcpy(h[i].bytes[k], bytes, h[i].info[k].len);
			free(bytes);
		}
	}
}

/* What was acknowledged is in the store and held. */
static void
acknowledged_are_there(struct talk *t, const struct hand *h)
{
	for (uint32_t i = 0; i < HANDS; i++)
		for (uint32_t k = 0; k < h[i].acknowledged; k++) {
			char name[VAULT_NAME_MAX];
			uint8_t *there;
			size_t len;

			assert_int_equal(up_ask(&t->u, (i * HAND_PACKS + k) * 2), ID_HELD);
			assert_int_equal(up_ask(&t->u, (i * HAND_PACKS + k) * 2 + 1), ID_HELD);
			vault_name_pack(name, h[i].info[k].id, 1);
			if (store_read(t->u.v->store, name, PACK_LEN_MAX, &there, &len, &t->u.e) != 0)
				fail_msg("acknowledged, and %s", t->u.e.msg);
			assert_int_equal(len, h[i].info[k].len);
			assert_memory_equal(there, h[i].bytes[k], len);
			free(there);
		}
}

/* One life of a server: it is killed when so many packs were acknowledged, whatever is under way then. */
static void
killed_once(struct talk *t, struct hand *h, sem_t *all)
{
	pthread_t id[HANDS];
	unsigned port;
	pid_t pid;

	port = child_start(t->s, &pid);
	assert_int_equal(sem_init(all, 0, 0), 0);
	for (unsigned i = 0; i < HANDS; i++) {
		h[i].client = client_make(t, port);
		assert_int_equal(pthread_create(&id[i], NULL, hand_send, &h[i]), 0);
	}
	for (unsigned i = 0; i < PER_ROUND; i++)
		assert_int_equal(sem_wait(all), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (unsigned i = 0; i < HANDS; i++) {
		assert_int_equal(pthread_join(id[i], NULL), 0);
		net_client_free(h[i].client);
	}
	(void)sem_destroy(all);
}

static void
a_server_that_is_killed_has_all_that_it_acknowledged(void **state)
{
	static struct hand h[HANDS];
	struct site *s = *state;
	struct session_opened opened;
	struct committed done;
	sem_t all;
	struct up_snap a;
	struct serve *srv;
	struct talk t;

	talk_begin(&t, s);
	io_random(t.u.session, ID_LEN);
	(void)text_hex(t.session, t.u.session, ID_LEN);
	{
		struct session_open o = { .kind = LINE_BACKUP, .set_name = "files" };

		memcpy(o.session_id, t.u.session, ID_LEN);
		assert_int_equal(upload_open(t.u.v, &t.u.m, &o, &opened, &t.u.e), 0);
	}
	hands_make(h, &t, &all);
	for (unsigned i = 0; i < ROUNDS; i++) {
		killed_once(&t, h, &all);
		acknowledged_are_there(&t, h);
	}
	/* The same session goes on with another server, and is committed. */
	if ((srv = server(s, &t.u.e)) == NULL)
		fail_msg("%s", t.u.e.msg);
	t.client = client_make(&t, serve_port(srv));
	assert_int_equal(open_session(&t, NULL, &opened), 200);
	for (unsigned i = 0; i < HANDS; i++)
		for (; h[i].acknowledged < HAND_PACKS; h[i].acknowledged++)
			assert_true(put_pack(&t, &h[i].info[h[i].acknowledged], h[i].bytes[h[i].acknowledged]) < 300);
	up_snap(&t.u, &a, 1, NULL, NULL, 0, HANDS * HAND_PACKS * 2);
	assert_int_equal(put_list(&t, &a, NULL), 201);
	assert_int_equal(commit(&t, NULL, &a, &done), 200);
	assert_int_equal(done.state, LINE_WHOLE);
	for (unsigned i = 0; i < HANDS; i++)
		for (unsigned k = 0; k < HAND_PACKS; k++)
			free(h[i].bytes[k]);
	up_drop(&a);
	net_answer_free(&t.r);
	serve_stop(srv, 5);
	talk_end(&t);
	site_rebuild_agrees(s);
}

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_server_that_is_killed_has_all_that_it_acknowledged),
		T(a_backup_goes_over_the_line_from_its_opening_to_its_commit),
		T(a_long_list_of_what_is_given_up_is_taken),
		T(lists_that_wait_count_against_the_quota),
		T(what_is_not_understood_is_refused),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
