/* Sessions (docs/api.yaml, docs/formats/line.md): what is asked for stands in upload.h; here it is only decoded and answered. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/flow/machine_fate.h"
#include "common/flow/serve_job.h"
#include "common/flow/upload.h"
#include "formats/fmt_snapshot.h"

#define PACKS_IN_HAND	4u	/* at once, of all vaults and machines: each takes up to PACK_LEN_MAX of memory */
#define OPEN_MAX	4096u
#define ASK_MAX		(ASK_IDS_MAX * DIGEST_LEN + 64u)
#define COMMIT_MAX	(COMMIT_ENVELOPES_MAX * (ENVELOPE_LEN_MAX + 2u) + 64u)

/* --- decoding --- */

static int
session_of(struct serve_call *c, uint8_t id[ID_LEN], struct err *e)
{
	return serve_part_hex(c, 0, id, ID_LEN, e);
}

/* The statement in the body: views in ${value} point into ${bytes} (serve_body_free). */
static int
statement_of(struct serve_call *c, uint64_t max, const struct fmt_schema *s, void *value, const uint8_t **bytes,
    struct err *e)
{
	enum fmt_status st;
	size_t len;

	if (serve_body(c, max, bytes, &len, e) != 0)
		return -1;
	if ((st = schema_decode(s, value, *bytes, len)) == FMT_OK)
		return 0;
	serve_body_free(c, *bytes);
	return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_FORMAT, "the request's %s: %s", s->name, fmt_status_text(st));
}

/* 32 bytes in hex behind "after=": 0, 1 it is not there, -1. */
static int
after_of(const struct serve_call *c, uint8_t after[DIGEST_LEN], struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * DIGEST_LEN + 2];

	if (serve_query(c, "after", text, sizeof(text)) == 1)
		return 1;
	if (strlen(text) != (size_t)2 * DIGEST_LEN || strspn(text, digits) != (size_t)2 * DIGEST_LEN)
		return err_set(e, ERR_USAGE, "\"after\" is no id in hex");
	for (size_t i = 0; i < DIGEST_LEN; i++)
		after[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 | (strchr(digits, text[2 * i + 1]) - digits));
	return 0;
}

/* A decimal number without zeros in front, ended by ${end}: 0 with ${at} behind it, or -1. */
static int
number_of(const char **at, char end, uint64_t most, uint64_t *v)
{
	const char *p = *at;

	*v = 0;
	if (*p < '0' || *p > '9' || (*p == '0' && p[1] != end))
		return -1;
	for (; *p >= '0' && *p <= '9'; p++)
		if (*v > most / 10 || (*v = *v * 10 + (uint64_t)(*p - '0')) > most)
			return -1;
	if (*p != end)
		return -1;
	*at = end == '\0' ? p : p + 1;
	return 0;
}

/* "12-delta-0" */
static int
part_of(const char *name, uint64_t *seq, unsigned *kind, unsigned *part, struct err *e)
{
	const char *at = name;
	uint64_t n = 0;
	int bad = number_of(&at, '-', INT64_MAX, seq) != 0;

	if (!bad && strncmp(at, "whole-", 6) == 0)
		*kind = REFS_WHOLE;
	else if (!bad && strncmp(at, "delta-", 6) == 0)
		*kind = REFS_DELTA;
	else
		bad = 1;
	at += bad ? 0 : 6;
	if (bad || number_of(&at, '\0', PARTS_MAX, &n) != 0)
		return err_set(e, ERR_USAGE, "\"%.60s\" does not name a part of a reference list", name);
	*part = (unsigned)n;
	return 0;
}

/* --- packs in hand --- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t free;
	unsigned in_hand;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

static void
gate_enter(void)
{
	(void)pthread_mutex_lock(&gate.lock);
	while (gate.in_hand == PACKS_IN_HAND)
		(void)pthread_cond_wait(&gate.free, &gate.lock);
	gate.in_hand++;
	(void)pthread_mutex_unlock(&gate.lock);
}

static void
gate_leave(void)
{
	(void)pthread_mutex_lock(&gate.lock);
	gate.in_hand--;
	(void)pthread_cond_signal(&gate.free);
	(void)pthread_mutex_unlock(&gate.lock);
}

/* --- routes --- */

static int
session_post(struct serve_call *c, struct err *e)
{
	struct session_opened opened;
	struct session_open o;
	const uint8_t *bytes;
	int rc;

	if (statement_of(c, OPEN_MAX, &session_open_schema, &o, &bytes, e) != 0)
		return -1;
	rc = upload_open(c->v, &c->machine, &o, &opened, e);
	serve_body_free(c, bytes);
	if (rc < 0 || serve_reply(c, &session_opened_schema, &opened, e) != 0)
		return -1;
	c->out->status = rc == 0 ? 201 : 200;
	return 0;
}

static int
session_look(struct serve_call *c, struct err *e)
{
	struct session_opened opened;
	uint8_t id[ID_LEN];

	if (session_of(c, id, e) != 0 || upload_look(c->v, &c->machine, id, &opened, e) != 0)
		return -1;
	return serve_reply(c, &session_opened_schema, &opened, e);
}

static int
session_delete(struct serve_call *c, struct err *e)
{
	uint8_t id[ID_LEN];

	if (session_of(c, id, e) != 0 || upload_end(c->v, &c->machine, id, e) != 0)
		return -1;
	c->out->status = 204;
	return 0;
}

typedef int (*page_fn)(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t *after,
    struct upload_page *p, struct err *e);

static int
page_get(struct serve_call *c, page_fn get, struct err *e)
{
	uint8_t id[ID_LEN], after[DIGEST_LEN];
	struct upload_page p = { .cap = PAGE_IDS_MAX };
	struct id_page page;
	int rc;

	if (session_of(c, id, e) != 0 || (rc = after_of(c, after, e)) < 0)
		return -1;
	if ((p.ids = malloc((size_t)PAGE_IDS_MAX * DIGEST_LEN)) == NULL)
		return err_errno(e, "a page of ids");
	if (get(c->v, &c->machine, id, rc == 0 ? after : NULL, &p, e) == 0) {
		page = (struct id_page){ { p.ids, (uint32_t)(p.n * DIGEST_LEN) }, p.more != 0 };
		rc = serve_reply(c, &id_page_schema, &page, e);
	} else {
		rc = -1;
	}
	free(p.ids);
	return rc;
}

static int
lost_get(struct serve_call *c, struct err *e)
{
	return page_get(c, upload_lost, e);
}

static int
lacking_get(struct serve_call *c, struct err *e)
{
	return page_get(c, upload_lacking, e);
}

static int
ask_post(struct serve_call *c, struct err *e)
{
	uint8_t id[ID_LEN], *states;
	const uint8_t *bytes;
	struct answer answer;
	struct ask ask;
	size_t n;
	int rc = -1;

	if (session_of(c, id, e) != 0 || statement_of(c, ASK_MAX, &ask_schema, &ask, &bytes, e) != 0)
		return -1;
	n = list_count(ask.ids, DIGEST_LEN);
	if ((states = malloc(n)) == NULL) {
		(void)err_errno(e, "answer a question");
	} else if (upload_ask(c->v, &c->machine, id, ask.ids.p, n, states, e) == 0) {
		answer.states = (struct fmt_view){ states, (uint32_t)n };
		rc = serve_reply(c, &answer_schema, &answer, e);
	}
	free(states);
	serve_body_free(c, bytes);
	return rc;
}

/* Is there room for ${more} of this machine in its quota?  0; -1 with ERR_QUOTA and its figures. */
static int
quota_allows(struct serve_call *c, uint64_t more, struct err *e)
{
	struct quota_figures q;

	if (machine_quota(c->v, c->machine.id, more, &q, e) == 0)
		return 0;
	serve_figure(c, "quota", q.quota);
	serve_figure(c, "used", q.used);
	serve_figure(c, "more", q.more);
	return -1;
}

static int
pack_put_one(struct serve_call *c, struct err *e)
{
	uint8_t id[ID_LEN], pack[DIGEST_LEN];
	const uint8_t *bytes;
	size_t len;
	int rc;

	if (session_of(c, id, e) != 0 || serve_part_hex(c, 1, pack, DIGEST_LEN, e) != 0 ||
	    quota_allows(c, c->in->body_len, e) != 0)
		return -1;
	gate_enter();
	if ((rc = serve_body(c, PACK_LEN_MAX, &bytes, &len, e)) == 0) {
		rc = upload_pack(c->v, &c->machine, id, pack, bytes, len, e);
		serve_body_free(c, bytes);
	}
	gate_leave();
	if (rc < 0)
		return -1;
	c->out->status = rc == 0 ? 201 : 200;
	return 0;
}

static ssize_t
body_read(void *arg, uint64_t off, void *out, size_t cap)
{
	const struct net_request *r = arg;
	size_t n = off >= r->body_len ? 0 : r->body_len - off < cap ? (size_t)(r->body_len - off) : cap;

	if (r->body_fd != -1)
		return io_read_full(r->body_fd, out, n, (off_t)off);
	memcpy(out, r->body + off, n);
	return (ssize_t)n;
}

/* Lists are no packs, but a machine may have no more of them waiting than its quota leaves. */
static int
lists_allowed(struct serve_call *c, struct err *e)
{
	uint64_t waiting;

	if (c->machine.quota == 0)
		return 0;
	return upload_waiting(c->v, &c->machine, &waiting, e) != 0 ? -1 : quota_allows(c, waiting + c->in->body_len, e);
}

static int
list_put(struct serve_call *c, struct err *e)
{
	struct net_request in = *c->in;
	uint8_t id[ID_LEN];
	unsigned kind = 0, part = 0;
	uint64_t seq;
	int rc;

	if (session_of(c, id, e) != 0 || part_of(c->part[1], &seq, &kind, &part, e) != 0 || lists_allowed(c, e) != 0)
		return -1;
	if ((rc = upload_list(c->v, &c->machine, id, seq, kind, part, in.body_len, body_read, &in, e)) < 0)
		return -1;
	c->out->status = rc == 0 ? 201 : 200;
	return 0;
}

static int
carried_put(struct serve_call *c, struct err *e)
{
	struct net_request in = *c->in;
	uint8_t id[ID_LEN];
	int rc;

	if (session_of(c, id, e) != 0 || lists_allowed(c, e) != 0 || (rc = upload_carried(c->v, &c->machine, id, in.body_len, body_read, &in, e)) < 0)
		return -1;
	c->out->status = rc == 0 ? 201 : 200;
	return 0;
}

static int
commit_post(struct serve_call *c, struct err *e)
{
	struct committed done;
	struct commit commit;
	const uint8_t *bytes;
	uint8_t id[ID_LEN];
	int rc;

	if (session_of(c, id, e) != 0 || statement_of(c, COMMIT_MAX, &commit_schema, &commit, &bytes, e) != 0)
		return -1;
	rc = upload_commit(c->v, &c->machine, id, &commit, &done, e);
	serve_body_free(c, bytes);
	return rc != 0 ? -1 : serve_reply(c, &committed_schema, &done, e);
}

const struct serve_route serve_routes_session[] = {
	{ "POST", "sessions", SERVE_WRITE, OPEN_MAX, session_post, NULL },
	{ "GET", "sessions/*", SERVE_WRITE, 0, session_look, NULL },
	{ "DELETE", "sessions/*", SERVE_WRITE, 0, session_delete, NULL },
	{ "GET", "sessions/*/lost", SERVE_WRITE, 0, lost_get, NULL },
	{ "GET", "sessions/*/lacking", SERVE_WRITE, 0, lacking_get, NULL },
	{ "POST", "sessions/*/ask", SERVE_WRITE, ASK_MAX, ask_post, NULL },
	{ "PUT", "sessions/*/packs/*", SERVE_WRITE, PACK_LEN_MAX, pack_put_one, NULL },
	{ "PUT", "sessions/*/lists/*", SERVE_WRITE, PART_LEN_MAX, list_put, NULL },
	{ "PUT", "sessions/*/carried", SERVE_WRITE, PART_LEN_MAX, carried_put, NULL },
	{ "POST", "sessions/*/commit", SERVE_WRITE, COMMIT_MAX, commit_post, NULL },
	{ NULL, NULL, SERVE_ANYBODY, 0, NULL, NULL }
};
