/*
 * The vault's API: any requests, as they come from a stranger's connection, to the real parser, routes and vault.
 * Nothing is stored without a token, no answer is neither valid nor a problem document, nothing breaks.
 *
 * An input is text, requests with "%%" on a line of its own between them:
 *
 *	PUT /v1/vaults/demo/sessions/@S/packs/@P
 *	authorization: Bearer @T
 *	!flip: 100 1
 *
 *	@3
 *
 * @T is the machine's token, @S its open session, @P the id of a pack that is not in the vault yet, @Q of one that is,
 * @1 … @7 bodies as a real machine sends them (world_bodies below).  Lines with '!' are done to the body: "flip OFFSET
 * VALUE", "cut LENGTH".  A length that is not given is the body's.  With SAMARA_FUZZ_SAY set, replay_serve says how
 * each request is answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <strings.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mhd_inside.h"

#include "common/base/doc.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/catalog/catalog_chunks.h"
#include "common/flow/serve_frame.h"
#include "common/flow/vault_line.h"
#include "common/flow/vault_token.h"
#include "common/net/net_serving.h"
#include "common/net/tls_key.h"
#include "formats/fmt_receipt.h"
#include "flow/upload_maker.h"
#include "flow/vault_site.h"

#define BODIES		8u
#define REQUESTS_MOST	8u

static struct {
	struct site *s;
	char spare[96];				/* the vault as it was */
	struct serve *serve;
	struct net_server server;
	struct serving_conn conn;
	char token[2 * TOKEN_LEN + 1], session[2 * ID_LEN + 1], pack[2 * DIGEST_LEN + 1], held[2 * DIGEST_LEN + 1];
	uint8_t *pack_bytes;
	struct buf body[BODIES];
	uint8_t known[DIGEST_LEN];		/* the vault as the last request left it */
	int changed;				/* since the input began */
} world;

/* --- what stands in the vault --- */

static struct hash seen_hash;

static int
seen(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const char *name = path + strlen(world.s->vault);
	int64_t facts[2] = { type == FTW_F ? (int64_t)st->st_size : 0, 0 };

	(void)at;
	/* What readers of a catalog share, and locks, are nothing that is stored. */
	if (strstr(name, "-shm") != NULL || strstr(name, "lock") != NULL)
		return 0;
	if (type == FTW_F)
		facts[1] = (int64_t)st->st_mtim.tv_sec * 1000000000 + (int64_t)st->st_mtim.tv_nsec;
	hash_update(&seen_hash, name, strlen(name));
	hash_update(&seen_hash, facts, sizeof(facts));
	return 0;
}

/* Names, sizes and times of all that is stored. */
static void
fingerprint(uint8_t out[DIGEST_LEN])
{
	hash_init(&seen_hash);
	fuzz_true(nftw(world.s->vault, seen, 16, FTW_PHYS) == 0, "the vault can be looked at");
	hash_final(&seen_hash, out);
}

/* --- the world --- */

static void
encode(const struct fmt_schema *s, const void *value, struct buf *b)
{
	size_t need = schema_size(s, value), len = 0;

	buf_init(b);
	fuzz_true(need > 0 && schema_encode(s, value, buf_room(b, need), need, &len) == FMT_OK, "a body can be made");
	buf_grew(b, len);
}

static void
token_request_make(struct up *u, struct seed_machine *m, struct buf *b)
{
	struct token_request q = { .purpose = PURPOSE_NEW, .time = io_now() };

	memcpy(q.vault_id, u->v->desc.vault_id, ID_LEN);
	memcpy(q.machine_id, m->id, ID_LEN);
	memcpy(q.machine_pub, m->pub, SIGN_PUB_LEN);
	memcpy(q.tls_pin, u->v->desc.tls_pin, DIGEST_LEN);
	io_random(q.random, sizeof(q.random));
	q.registration = seed_view(&m->regist);
	buf_init(b);
	seed_sign(&token_request_schema, &q, m->secret, b);
}

static void
token_make(struct up *u, struct seed_machine *m)
{
	struct tls_key *key = vault_line_key(u->v, &u->e);
	struct token_grant g;
	struct buf b;

	fuzz_true(key != NULL, "the vault has a TLS key");
	tls_key_free(key);
	token_request_make(u, m, &b);
	if (vault_token_grant(u->v, b.p, b.len, u->v->desc.tls_pin, &g, &u->e) != 0)
		fail_msg("%s", u->e.msg);
	(void)text_hex(world.token, g.token, TOKEN_LEN);
	buf_release(&b);
}

/* The bodies @1 … of a machine that goes on behind snapshot ${a}: open, ask, pack, list, commit, token request, given up. */
static void
world_bodies(struct up *u, const struct up_snap *a)
{
	static uint8_t rows[ENVELOPE_LEN_MAX + 2];
	struct session_open o = { .kind = LINE_BACKUP, .set_name = "files" };
	struct id_list l = { .count = 1, .parts = 1, .time = 7 };
	struct commit c = { .head_seq = a->env.seq };
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct refs_digest *d;
	struct pack_info info;
	struct up_snap x;
	struct ask q;
	uint8_t *ids;
	size_t n;

	memset(o.session_id, 9, ID_LEN);
	memcpy(o.base, a->env.snapshot_id, ID_LEN);
	encode(&session_open_schema, &o, &world.body[1]);
	up_snap(u, &x, 2, a, a, 0, 12);
	ids = up_ids(u->sm, 0, 12, NULL, &n);
	q.ids = (struct fmt_view){ ids, (uint32_t)(n * DIGEST_LEN) };
	encode(&ask_schema, &q, &world.body[2]);
	world.pack_bytes = up_pack_make(u->sm, 8, 4, &info);
	(void)text_hex(world.pack, info.id, DIGEST_LEN);
	buf_init(&world.body[3]);
	buf_add(&world.body[3], world.pack_bytes, info.len);
	up_list_make(u, &x, a, &world.body[4]);
	commit_put(&w, x.bytes.p, x.bytes.len);
	memcpy(c.head_id, a->env.snapshot_id, ID_LEN);
	c.envelopes = (struct fmt_view){ rows, (uint32_t)(w.p - rows) };
	encode(&commit_schema, &c, &world.body[5]);
	token_request_make(u, u->sm, &world.body[6]);
	memcpy(l.vault_id, u->v->desc.vault_id, ID_LEN);
	memcpy(l.machine_id, u->sm->id, ID_LEN);
	memcpy(l.domain_id, u->sm->k->domain_id, DIGEST_LEN);
	d = refs_digest_new(l.domain_id);
	fuzz_true(refs_digest_add(d, ids) == 0, "an id has its place");
	refs_digest_final(d, l.digest, &l.count);
	refs_digest_free(d);
	l.ids = (struct fmt_view){ ids, DIGEST_LEN };
	buf_init(&world.body[7]);
	seed_sign(&given_up_schema, &l, u->sm->secret, &world.body[7]);
	free(ids);
	free(world.pack_bytes);
	up_drop(&x);
}

/* Snapshot 1 is there, and a session on it is open. */
static void
world_fill(void)
{
	struct up_snap a;
	struct pack_info info;
	struct up u;
	uint8_t *bytes;

	up_start(&u, world.s->vault, &world.s->m);
	token_make(&u, &world.s->m);
	assert_int_equal(up_open(&u, NULL), 0);
	bytes = up_pack_make(u.sm, 0, 8, &info);
	assert_int_equal(upload_pack(u.v, &u.m, u.session, info.id, bytes, info.len, &u.e), 0);
	(void)text_hex(world.held, info.id, DIGEST_LEN);
	free(bytes);
	up_snap(&u, &a, 1, NULL, NULL, 0, 8);
	assert_int_equal(up_list(&u, &a, NULL), 0);
	assert_int_equal(up_commit(&u, NULL, &a), 0);
	assert_true(up_open(&u, &a) >= 0);
	(void)text_hex(world.session, u.session, ID_LEN);
	world_bodies(&u, &a);
	up_drop(&a);
	up_end(&u);
}

static void
copy_all(const char *from, const char *to)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
	fuzz_true(system(command) == 0, "a vault can be copied");
}

static void
world_open(void)
{
	const char *vaults[1] = { world.s->vault };
	const struct serve_options o = { .vaults = vaults, .nvaults = 1 };
	struct err e;

	err_clear(&e);
	if ((world.serve = serve_open(&o, &e)) == NULL)
		fail_msg("%s", e.msg);
	serve_ops(world.serve, &world.server.ops);
	world.server.tmpfd = world.serve->vaults[0].first->local;
	fingerprint(world.known);
}

static void
world_gone(void)
{
	serve_stop(world.serve, 0);
	for (size_t i = 0; i < BODIES; i++)
		buf_release(&world.body[i]);
	void *s = world.s;
	(void)site_teardown(&s);
}

static void
world_make(void)
{
	void *s = NULL;

	if (world.s != NULL)
		return;
	secret_init();
	say_level_set(SAY_QUIET);
	fuzz_true(site_setup(&s) == 0, "a vault can be made");
	world.s = s;
	(void)snprintf(world.spare, sizeof(world.spare), "%s/spare", world.s->root);
	world_fill();
	world.server.body_memory = 4096;
	world.server.idle_seconds = world.server.request_seconds = 60;
	(void)pthread_mutex_init(&world.server.lock, NULL);
	(void)pthread_cond_init(&world.server.changed, NULL);
	world.conn.s = &world.server;
	world.conn.fd = -1;
	(void)snprintf(world.conn.client, sizeof(world.conn.client), "192.0.2.1");
	copy_all(world.s->vault, world.spare);
	world_open();
	(void)atexit(world_gone);
}

/* What one input stored is not there for the next. */
static void
world_back(void)
{
	if (!world.changed)
		return;
	serve_stop(world.serve, 0);
	copy_all(world.spare, world.s->vault);
	world_open();
	world.changed = 0;
}

/* --- an input --- */

/* ${*line} up to the next newline, zero-terminated; NULL at the end. */
static char *
line_take(char **at, const char *end)
{
	char *line = *at, *p = memchr(line, '\n', (size_t)(end - line));

	if (line >= end)
		return NULL;
	if (p == NULL)
		p = (char *)(uintptr_t)end;	/* there is a zero */
	*p = '\0';
	*at = p < end ? p + 1 : p;
	return line;
}

/* "@T" and the like; what else stands there stays. */
static void
names_put(const char *from, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len; i++) {
		const char *put = NULL;

		if (from[i] == '@' && i + 1 < len)
			put = from[i + 1] == 'T' ? world.token : from[i + 1] == 'S' ? world.session : from[i + 1] == 'P' ? world.pack :
			    from[i + 1] == 'Q' ? world.held : NULL;
		if (put != NULL) {
			buf_str(out, put);
			i++;
		} else if (from[i] == '@' && i + 1 < len && from[i + 1] > '0' && from[i + 1] < (char)('0' + BODIES)) {
			const struct buf *b = &world.body[from[++i] - '0'];

			buf_add(out, b->p, b->len);
		} else {
			buf_u8(out, (uint8_t)from[i]);
		}
	}
}

struct asked {
	struct inside mhd;
	struct buf text[INSIDE_HEADERS + 2];	/* method, path, and what headers say */
	unsigned ntexts;
	struct buf body;
	uint64_t flip, value, cut;
	int has_flip, has_cut, has_length;
	char length[24];
};

static const char *
text_keep(struct asked *a, const char *from, size_t len)
{
	struct buf *b = &a->text[a->ntexts++];

	buf_init(b);
	names_put(from, len, b);
	buf_u8(b, 0);
	return (const char *)b->p;
}

static void
header_take(struct asked *a, char *line)
{
	char *colon = strchr(line, ':');

	if (line[0] == '!') {
		unsigned long long x = 0, y = 0;

		if (sscanf(line, "!flip: %llu %llu", &x, &y) == 2) {
			a->flip = x;
			a->value = y;
			a->has_flip = 1;
		} else if (sscanf(line, "!cut: %llu", &x) == 1) {
			a->cut = x;
			a->has_cut = 1;
		}
		return;
	}
	if (colon == NULL || colon == line || a->mhd.nheaders >= INSIDE_HEADERS - 1)
		return;
	*colon++ = '\0';
	colon += *colon == ' ';
	a->has_length |= strcasecmp(line, "content-length") == 0;
	a->mhd.header[a->mhd.nheaders].name = line;
	a->mhd.header[a->mhd.nheaders++].value = text_keep(a, colon, strlen(colon));
}

static void
body_take(struct asked *a, const char *from, size_t len)
{
	buf_init(&a->body);
	names_put(from, len, &a->body);
	if (a->has_cut && a->cut < a->body.len)
		a->body.len = (size_t)a->cut;
	if (a->has_flip && a->body.len > 0)
		a->body.p[a->flip % a->body.len] ^= (uint8_t)a->value;
	if (!a->has_length && a->body.len > 0) {
		(void)snprintf(a->length, sizeof(a->length), "%zu", a->body.len);
		a->mhd.header[a->mhd.nheaders].name = "Content-Length";
		a->mhd.header[a->mhd.nheaders++].value = a->length;
	}
}

/* --- what must hold of an answer --- */

static void
problem_check(const struct buf *body, unsigned status)
{
	struct doc *d = doc_read(body->p, body->len, "an answer", NULL);
	const char *code = d == NULL ? NULL : doc_get_str(d, "code"), *type = d == NULL ? NULL : doc_get_str(d, "type");
	uint64_t said = 0;
	unsigned n = 0;

	fuzz_true(d != NULL && type != NULL && doc_get_str(d, "title") != NULL, "a problem is a document");
	fuzz_true(doc_get_u64(d, "status", &said) == 0 && said == status, "a problem says its status");
	if (strcmp(type, "about:blank") != 0)
		fuzz_true(code != NULL && sscanf(code, "S-%4u", &n) == 1 && err_cause((enum err_code)n)[0] != '\0' &&
		    n != (unsigned)ERR_INTERNAL, "a problem has a code that is known");
	doc_free(d);
}

static void
answer_check(struct asked *a, const struct serving_request *q, const char *marked)
{
	struct MHD_Response *m = a->mhd.answer;
	unsigned status = a->mhd.status;
	struct buf body;

	fuzz_true(m != NULL && status >= 200 && status < 600, "every request is answered");
	buf_init(&body);
	fuzz_true(inside_body(&a->mhd, &body) == 0, "an answer does not break off");
	if (status == 206)
		fuzz_true(m->range[0] != '\0' && m->length <= q->r.range_to - q->r.range_from + 1, "a part is the one that was asked for");
	if (status >= 400 && status != 416)
		fuzz_true(strcmp(m->type, "application/problem+json") == 0, "what is refused is a problem");
	if (status >= 400 && status != 416)
		problem_check(&body, status);
	fuzz_true(status != 500, "nobody from outside makes the vault fail");
	fuzz_true(m->mark[0] == '\0' || (marked != NULL && strcmp(m->mark, marked) == 0), "its own mark comes back");
	buf_u8(&body, 0);
	fuzz_true(memmem(body.p, body.len, world.token, 2 * TOKEN_LEN) == NULL, "no token is told");
	buf_release(&body);
}

/* A request from its head to its answer, as net_server.c has it. */
static void
request_run(struct asked *a, const char *method, const char *uri)
{
	struct serving_request *q = calloc(1, sizeof(*q));
	struct MHD_Connection *connection = (struct MHD_Connection *)(void *)&a->mhd;
	uint8_t after[DIGEST_LEN];
	struct net_reply out;
	int refused, open_to_all, knows;

	fuzz_true(q != NULL, "there is memory");
	memset(&out, 0, sizeof(out));
	q->conn = &world.conn;
	q->too_long = strlen(uri) > NET_PATH_MAX;
	q->uri = strdup(q->too_long ? "/" : uri);
	refused = request_begin(q, connection, method, &out);
	if (!refused) {
		size_t half = a->body.len / 2;

		/* More than was said cuts the connection, as does less when the client goes. */
		if ((half > 0 && request_body(q, a->body.p, half) != 0) ||
		    (a->body.len > half && request_body(q, a->body.p + half, a->body.len - half) != 0))
			goto over;
		out.status = 500;
		if (request_whole(q, &out) == 0)
			world.server.ops.handle(world.server.ops.arg, &q->r, &out);
	}
	fuzz_true(reply_send(q, connection, &out) == MHD_YES, "an answer can be sent");
	answer_check(a, q, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, NET_MARK));
	if (getenv("SAMARA_FUZZ_SAY") != NULL)
		fprintf(stderr, "%u %s %s\n", a->mhd.status, method, uri);
over:
	open_to_all = q->r.path != NULL && strstr(q->r.path, "/machines") != NULL;
	knows = q->r.token != NULL && strcasecmp(q->r.token, world.token) == 0;
	fingerprint(after);
	if (memcmp(world.known, after, DIGEST_LEN) != 0) {
		fuzz_true(knows || (open_to_all && a->mhd.status == 200), "nothing is stored for who has no token");
		memcpy(world.known, after, DIGEST_LEN);
		world.changed = 1;
	}
	if (q->begun)
		world.server.ops.done(world.server.ops.arg, &q->r, a->mhd.status, q->got, q->sent, 1);
	inside_end(&a->mhd);
	request_free(q);
}

static void
request_take(char *at, const char *end)
{
	struct asked *a = calloc(1, sizeof(*a));
	char *line = line_take(&at, end), *blank;
	const char *method, *uri = "";

	fuzz_true(a != NULL, "there is memory");
	if (line != NULL && line[0] != '\0') {
		blank = strchr(line, ' ');
		method = text_keep(a, line, blank == NULL ? strlen(line) : (size_t)(blank - line));
		if (blank != NULL)
			uri = text_keep(a, blank + 1, strcspn(blank + 1, " "));
		while ((line = line_take(&at, end)) != NULL && line[0] != '\0')
			header_take(a, line);
		body_take(a, at, (size_t)(end - at));
		request_run(a, method, uri);
	}
	for (unsigned i = 0; i < a->ntexts; i++)
		buf_release(&a->text[i]);
	buf_release(&a->body);
	free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *at = text;

	world_make();
	fuzz_true(text != NULL, "there is memory");
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	for (unsigned n = 0; n < REQUESTS_MOST && at < text + size; n++) {
		char *next = memmem(at, (size_t)(text + size - at), "\n%%\n", 4), *end = next == NULL ? text + size : next;

		*end = '\0';
		request_take(at, end);
		at = next == NULL ? end : next + 4;
	}
	free(text);
	world_back();
	return 0;
}
