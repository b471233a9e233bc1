#ifndef SAMARA_TESTS_FLOW_LINE_INSIDE_H
#define SAMARA_TESTS_FLOW_LINE_INSIDE_H

/*
 * A line that goes nowhere: what line.h promises, answered by the vault's own
 * functions in this process.  It can be torn at any request, before or after the
 * vault heard it.  After cmocka.h; in one program of one file.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/line.h"
#include "common/flow/upload.h"
#include "common/flow/vault_machine.h"
#include "formats/fmt_line_machine.h"
#include "formats/fmt_snapshot.h"

enum inside_cut { CUT_NONE, CUT_BEFORE, CUT_AFTER };

struct inside {
	pthread_mutex_t lock;
	struct vault *v;
	struct cat_machine m;
	/* What is seen. */
	unsigned requests, packs, asks;
	uint8_t ids[64][DIGEST_LEN], one[64][DIGEST_LEN];	/* of the first packs that were acknowledged, and of a chunk in each */
	uint64_t pack_bytes, ask_ids, list_bytes;
	struct {
		uint8_t ids[4096][DIGEST_LEN];	/* of chunks in packs that were acknowledged */
		unsigned n;
		unsigned twice;			/* acknowledged once more */
	} chunks;
	/* What is done to it. */
	unsigned cut_at;		/* the request with this number, from 1; 0: none */
	enum inside_cut cut;
	enum err_code cut_code;		/* what a cut request ends with; 0: ERR_LINE */
	unsigned cut_for;		/* as many requests from there on; they are all CUT_BEFORE but the first */
	unsigned stop_at;		/* the pack with this number: the machine is asked to stop; 0: none */
	void (*before_commit)(void *arg);
	void *arg;
};

static struct inside inside;

struct line {
	struct net_client *client;
};

static inline struct line *
line_open_inside(void)
{
	struct net_client_options o = { .url = "https://127.0.0.1:1", .proxy = "" };
	struct line *l = calloc(1, sizeof(*l));
	struct err e;

	assert_non_null(l);
	err_clear(&e);
	l->client = net_client_new(&o, &e);
	assert_non_null(l->client);
	return l;
}

struct line *
line_open(const struct line_options *o, struct err *e)
{
	(void)o;
	(void)e;
	return line_open_inside();
}

void
line_close(struct line *l)
{
	if (l == NULL)
		return;
	net_client_free(l->client);
	free(l);
}

struct net_client *
line_client(struct line *l)
{
	return l->client;
}

const char *
line_path(const struct line *l)
{
	(void)l;
	return "/v1/vaults/demo/";
}

const char *
line_name(const struct line *l)
{
	(void)l;
	return "vault demo";
}

/* The chunks of a pack that was acknowledged, to see whether one comes twice. */
static inline void
inside_pack(const uint8_t *bytes, uint64_t len)
{
	struct pack_foot f;
	struct pack_table t;
	struct pack_row row;
	unsigned k;

	assert_int_equal(pack_foot_decode(&f, bytes + len - PACK_FOOT_LEN, PACK_FOOT_LEN), FMT_OK);
	assert_int_equal(pack_table_decode(&t, bytes + len - PACK_FOOT_LEN - f.table_len, f.table_len), FMT_OK);
	for (uint32_t i = 0; i < t.count; i++) {
		pack_table_row(&t, i, &row);
		for (k = 0; k < inside.chunks.n && memcmp(inside.chunks.ids[k], row.id, DIGEST_LEN) != 0; k++)
			;
		if (k < inside.chunks.n)
			inside.chunks.twice++;
		else if (inside.chunks.n < 4096)
			memcpy(inside.chunks.ids[inside.chunks.n++], row.id, DIGEST_LEN);
	}
	if (inside.packs < 64) {
		memcpy(inside.ids[inside.packs], f.pack_id, DIGEST_LEN);
		pack_table_row(&t, 0, &row);
		memcpy(inside.one[inside.packs], row.id, DIGEST_LEN);
	}
	inside.packs++;
	inside.pack_bytes += len;
}

static inline int
inside_out(const struct fmt_schema *s, void *value, struct buf *out, struct err *e)
{
	return statement_make(s, value, NULL, out, e);
}

static inline int
inside_pages(const char *what, const uint8_t *id, struct buf *out, struct err *e)
{
	uint8_t ids[64 * DIGEST_LEN], after[DIGEST_LEN], *from = NULL;
	struct upload_page p = { .ids = ids, .cap = 64 };
	const char *q = strstr(what, "?after=");
	struct id_page page;
	int rc;

	if (q != NULL) {
		for (size_t i = 0; i < DIGEST_LEN; i++) {
			unsigned v;

			assert_int_equal(sscanf(q + 7 + 2 * i, "%2x", &v), 1);
			after[i] = (uint8_t)v;
		}
		from = after;
	}
	rc = strncmp(what, "lost", 4) == 0 ? upload_lost(inside.v, &inside.m, id, from, &p, e) :
	    upload_lacking(inside.v, &inside.m, id, from, &p, e);
	page = (struct id_page){ .ids = { ids, (uint32_t)(p.n * DIGEST_LEN) }, .more = p.more != 0 };
	return rc != 0 ? -1 : inside_out(&id_page_schema, &page, out, e);
}

struct inside_body {
	const struct net_ask *a;
	const uint8_t *bytes;
};

static inline ssize_t
inside_body_read(void *arg, uint64_t off, void *out, size_t cap)
{
	const struct inside_body *b = arg;
	size_t n = off < b->a->body_len ? (size_t)(b->a->body_len - off) : 0;

	n = n < cap ? n : cap;
	memcpy(out, b->bytes + off, n);
	return (ssize_t)n;
}

/* "lists/SEQ-KIND-PART" */
static inline int
inside_list(const char *what, const uint8_t *id, const struct inside_body *b, struct err *e)
{
	unsigned long long seq;
	unsigned part;
	char kind[8];

	assert_int_equal(sscanf(what, "lists/%llu-%5[a-z]-%u", &seq, kind, &part), 3);
	inside.list_bytes += b->a->body_len;
	return upload_list(inside.v, &inside.m, id, seq, strcmp(kind, "delta") == 0 ? REFS_DELTA : REFS_WHOLE, part, b->a->body_len,
	    inside_body_read, (void *)(uintptr_t)b, e) < 0 ? -1 : 0;
}

static inline int
inside_session(const struct net_ask *a, const char *what, const uint8_t *id, const struct inside_body *b, struct buf *out,
    struct err *e)
{
	struct session_opened opened;
	struct committed done;
	struct commit c;
	struct ask q;
	struct answer s;
	uint8_t states[ASK_IDS_MAX], pack[DIGEST_LEN];
	unsigned v;
	int rc;

	if (strcmp(a->method, "DELETE") == 0)
		return upload_end(inside.v, &inside.m, id, e);
	if (what[0] == '\0')
		return upload_look(inside.v, &inside.m, id, &opened, e) != 0 ? -1 : inside_out(&session_opened_schema, &opened, out, e);
	if (strcmp(what, "ask") == 0) {
		assert_int_equal(schema_decode(&ask_schema, &q, b->bytes, a->body_len), FMT_OK);
		inside.asks++;
		inside.ask_ids += list_count(q.ids, DIGEST_LEN);
		s.states = (struct fmt_view){ states, (uint32_t)list_count(q.ids, DIGEST_LEN) };
		return upload_ask(inside.v, &inside.m, id, q.ids.p, s.states.len, states, e) != 0 ? -1 : inside_out(&answer_schema, &s, out, e);
	}
	if (strncmp(what, "lost", 4) == 0 || strncmp(what, "lacking", 7) == 0)
		return inside_pages(what, id, out, e);
	if (strncmp(what, "lists/", 6) == 0)
		return inside_list(what, id, b, e);
	if (strcmp(what, "commit") == 0) {
		if (inside.before_commit != NULL)
			inside.before_commit(inside.arg);
		assert_int_equal(schema_decode(&commit_schema, &c, b->bytes, a->body_len), FMT_OK);
		return upload_commit(inside.v, &inside.m, id, &c, &done, e) != 0 ? -1 : inside_out(&committed_schema, &done, out, e);
	}
	if (strncmp(what, "packs/", 6) != 0)
		return err_set(e, ERR_NOT_FOUND, "nobody answers that here");	/* and waiting for it is of no use */
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		assert_int_equal(sscanf(what + 6 + 2 * i, "%2x", &v), 1);
		pack[i] = (uint8_t)v;
	}
	if (inside.stop_at != 0 && inside.packs + 1 == inside.stop_at)
		stop_ask();
	if ((rc = upload_pack(inside.v, &inside.m, id, pack, b->bytes, a->body_len, e)) >= 0)
		inside_pack(b->bytes, a->body_len);
	return rc < 0 ? -1 : 0;
}

static inline int
inside_route(const struct net_ask *a, const struct inside_body *b, struct buf *out, struct err *e)
{
	struct session_opened opened;
	struct session_open o;
	uint8_t id[ID_LEN];
	const char *what;
	unsigned v;

	if (strcmp(a->path, "sessions") == 0) {
		assert_int_equal(schema_decode(&session_open_schema, &o, b->bytes, a->body_len), FMT_OK);
		return upload_open(inside.v, &inside.m, &o, &opened, e) < 0 ? -1 : inside_out(&session_opened_schema, &opened, out, e);
	}
	assert_int_equal(strncmp(a->path, "sessions/", 9), 0);
	for (size_t i = 0; i < ID_LEN; i++) {
		assert_int_equal(sscanf(a->path + 9 + 2 * i, "%2x", &v), 1);
		id[i] = (uint8_t)v;
	}
	what = a->path + 9 + 2 * ID_LEN;
	return inside_session(a, what[0] == '/' ? what + 1 : what, id, b, out, e);
}

/* What every contact asks besides: there is no receipt, and nothing is missing.  Not counted among the requests. */
static inline int
inside_contact(const struct net_ask *a, struct buf *out, struct err *e)
{
	struct contact c = { .generation = 1, .machine_name = "db1", .purpose = PURPOSE_NEW, .subscription = SUBSCRIPTION_ACTIVE };

	if (strcmp(a->path, "contact") != 0)
		return 0;
	return inside_out(&contact_schema, &c, out, e);
}

int
line_ask(struct line *l, const struct net_ask *a, struct net_answer *r, struct err *e)
{
	struct inside_body b = { a, a->body };
	uint8_t *whole = NULL;
	enum inside_cut cut;
	int rc = -1;

	(void)l;
	memset(r, 0, sizeof(*r));
	if (strncmp(a->path, "sessions", 8) != 0)
		return err_set(e, ERR_LINE, "nobody answers that here");
	buf_init(&r->body);
	r->status = 200;
	if (strncmp(a->path, "sessions", 8) != 0)
		return inside_contact(a, &r->body, e);
	if (a->body == NULL && a->body_len > 0) {
		assert_non_null(whole = malloc(a->body_len));
		assert_int_equal(a->send(a->send_arg, 0, whole, a->body_len), (long)a->body_len);
		b.bytes = whole;
	}
	pthread_mutex_lock(&inside.lock);
	inside.requests++;
	cut = inside.cut_at == 0 || inside.requests < inside.cut_at || inside.requests >= inside.cut_at + inside.cut_for ? CUT_NONE :
	    inside.requests == inside.cut_at ? inside.cut : CUT_BEFORE;
	if (cut != CUT_BEFORE)
		rc = inside_route(a, &b, &r->body, e);
	if (cut != CUT_NONE)
		rc = err_set(e, inside.cut_code != ERR_NONE ? inside.cut_code : ERR_LINE, "vault demo is out of reach");
	pthread_mutex_unlock(&inside.lock);
	free(whole);
	if (rc != 0)
		buf_release(&r->body);
	r->status = 200;
	return rc;
}

int
line_call(struct line *l, const char *method, const char *path, unsigned tries, const struct fmt_schema *in_schema, const void *in,
    const struct fmt_schema *out_schema, void *out, uint8_t **bytes, struct err *e)
{
	struct net_ask a = { .method = method, .path = path };
	struct net_answer r;
	struct buf body;
	size_t len;
	int rc;

	(void)tries;
	buf_init(&body);
	if (in_schema != NULL)
		assert_int_equal(statement_make(in_schema, (void *)(uintptr_t)in, NULL, &body, e), 0);
	a.body = body.p;
	a.body_len = body.len;
	if ((rc = line_ask(l, &a, &r, e)) == 0) {
		*bytes = buf_take(&r.body, &len);
		assert_int_equal(schema_decode(out_schema, out, *bytes, len), FMT_OK);
	}
	buf_release(&body);
	return rc;
}

/* What nobody here asks. */
int
line_problem(const struct net_answer *r, struct err *e)
{
	(void)r;
	return err_set(e, ERR_INTERNAL, "no line");
}

int
line_token(struct line *l, struct err *e)
{
	(void)l;
	return err_set(e, ERR_INTERNAL, "no line");
}

int
line_repin(struct line *l, struct err *e)
{
	(void)l;
	return err_set(e, ERR_INTERNAL, "no line");
}

void
line_facts(struct line *l, struct line_facts *f)
{
	(void)l;
	memset(f, 0, sizeof(*f));
}

#endif
