#include "common/flow/line_packs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/chunk/codec.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_build.h"

#define TRIES	5u
#define PARTS	16384u	/* in a pack; not more than one question may hold */

struct line_packs {
	struct line_talk *talk;
	struct state *s;
	const struct domain_keys *k;
	struct codec *codec;
	uint8_t *arena, *out;		/* inner chunks, PACK_LEN_MAX + one chunk; a pack */
	size_t used;
	uint64_t frames_len;
	struct pack_part parts[PARTS];
	uint32_t n, asked;		/* the first ${asked} are known to be wanted */
	struct line_packs_totals totals;
	int (*limit)(void *arg, uint64_t bytes, struct err *e);
	void *limit_arg;
};

/* --- sessions --- */

int
line_talk_open(struct line_talk *t, struct line *l, enum line_kind kind, const char *set, const uint8_t *base, struct err *e)
{
	struct session_open o = { .kind = (uint8_t)kind };
	uint8_t *bytes = NULL;
	int rc;

	memset(t, 0, sizeof(*t));
	t->l = l;
	io_random(t->id, ID_LEN);
	memcpy(o.session_id, t->id, ID_LEN);
	(void)snprintf(o.set_name, sizeof(o.set_name), "%s", set);
	if (base != NULL)
		memcpy(o.base, base, ID_LEN);
	rc = line_call(l, "POST", "sessions", TRIES, &session_open_schema, &o, &session_opened_schema, &t->opened, &bytes, e);
	free(bytes);
	if (rc == 0 && memcmp(t->opened.session_id, t->id, ID_LEN) != 0)
		rc = err_set(e, ERR_PROTOCOL, "%s answers for another session", line_name(l));
	return rc;
}

void
line_talk_path(const struct line_talk *t, char out[LINE_TALK_PATH], const char *what)
{
	char hex[2 * ID_LEN + 1];

	(void)snprintf(out, LINE_TALK_PATH, "sessions/%s%s%.120s", text_hex(hex, t->id, ID_LEN), what[0] != '\0' ? "/" : "", what);
}

void
line_talk_end(struct line_talk *t)
{
	char path[LINE_TALK_PATH];
	struct net_ask a = { .method = "DELETE", .path = path, .tries = 1 };
	struct net_answer r = { .status = 0 };
	struct err mine;

	err_clear(&mine);
	line_talk_path(t, path, "");
	if (line_ask(t->l, &a, &r, &mine) == 0)
		net_answer_free(&r);
}

/* --- packs --- */

static int
part_order(const void *a, const void *b)
{
	return memcmp(((const struct pack_part *)a)->id, ((const struct pack_part *)b)->id, DIGEST_LEN);
}

/* The states of the ${n} parts from ${from} on, which are in order. */
static int
parts_ask(struct line_packs *p, uint32_t from, uint32_t n, uint8_t *states, struct err *e)
{
	char path[LINE_TALK_PATH];
	struct answer answer;
	uint8_t *ids = malloc((size_t)n * DIGEST_LEN), *bytes = NULL;
	struct ask ask = { { ids, n * DIGEST_LEN } };
	int rc;

	if (ids == NULL)
		return err_errno(e, "chunks");
	for (uint32_t i = 0; i < n; i++)
		memcpy(ids + (size_t)i * DIGEST_LEN, p->parts[from + i].id, DIGEST_LEN);
	line_talk_path(p->talk, path, "ask");
	rc = line_call(p->talk->l, "POST", path, TRIES, &ask_schema, &ask, &answer_schema, &answer, &bytes, e);
	if (rc == 0 && answer.states.len != n)
		rc = err_set(e, ERR_PROTOCOL, "%s answers for %u chunks where %u were asked for", line_name(p->talk->l),
		    answer.states.len, n);
	if (rc == 0)
		memcpy(states, answer.states.p, n);
	free(bytes);
	free(ids);
	return rc;
}

static int
place_order(const void *a, const void *b)
{
	const uint8_t *x = ((const struct pack_part *)a)->inner, *y = ((const struct pack_part *)b)->inner;

	return x < y ? -1 : x > y;
}

/* Only what is wanted stays in the arena; moved in the order in which it lies there, so that nothing is written over. */
static void
arena_close_up(struct line_packs *p)
{
	uint8_t *at = p->arena;

	qsort(p->parts, p->n, sizeof(*p->parts), place_order);
	for (uint32_t i = 0; i < p->n; i++) {
		memmove(at, p->parts[i].inner, p->parts[i].inner_len);
		p->parts[i].inner = at;
		at += p->parts[i].inner_len;
	}
	p->used = (size_t)(at - p->arena);
}

static int
parts_sift(struct line_packs *p, struct err *e)
{
	uint32_t from = p->asked, left = p->asked, n = 0;
	uint8_t *states;

	/* The same chunk twice: once is enough. */
	qsort(p->parts + from, p->n - from, sizeof(*p->parts), part_order);
	for (uint32_t i = from; i < p->n; i++)
		if (i == from || memcmp(p->parts[i].id, p->parts[from + n - 1].id, DIGEST_LEN) != 0)
			p->parts[from + n++] = p->parts[i];
	p->n = from + n;
	if (n == 0)
		return 0;
	if ((states = malloc(n)) == NULL)
		return err_errno(e, "chunks");
	if (parts_ask(p, from, n, states, e) != 0) {
		free(states);
		return -1;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (states[i] == ID_HELD)
			p->totals.held++;
		else
			p->parts[left++] = p->parts[from + i];
	}
	free(states);
	p->n = p->asked = left;
	p->frames_len = 0;
	for (uint32_t i = 0; i < p->n; i++)
		p->frames_len += chunk_frame_len(p->parts[i].inner_len);
	arena_close_up(p);
	return 0;
}

static int
pack_send(struct line_packs *p, struct err *e)
{
	char path[LINE_TALK_PATH], what[80] = "packs/", hex[2 * DIGEST_LEN + 1];
	struct net_ask a = { .method = "PUT", .path = path, .body = p->out, .tries = TRIES };
	struct net_answer r = { .status = 0 };
	struct pack_info info;

	pack_build(p->k, p->s->id.machine_id, p->s->sign_secret, p->parts, p->n, p->out, &info);
	a.body_len = info.len;
	(void)snprintf(what + 6, sizeof(what) - 6, "%s", text_hex(hex, info.id, DIGEST_LEN));
	line_talk_path(p->talk, path, what);
	if (line_ask(p->talk->l, &a, &r, e) != 0)
		return err_during(e, "send chunks to %s", line_name(p->talk->l));
	net_answer_free(&r);
	p->totals.packs++;
	p->totals.bytes += info.len;
	p->totals.chunks += p->n;
	progress_add(info.len, 0);
	p->n = p->asked = 0;
	p->used = 0;
	p->frames_len = 0;
	if (p->limit != NULL && p->limit(p->limit_arg, p->totals.bytes, e) != 0)
		return -1;
	return stop_check(e);
}

int
line_packs_flush(struct line_packs *p, struct err *e)
{
	if (p->n > p->asked && parts_sift(p, e) != 0)
		return -1;
	return p->n > 0 ? pack_send(p, e) : 0;
}

int
line_packs_add(void *packs, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e)
{
	struct line_packs *p = packs;
	size_t bound = chunk_inner_bound(len);
	struct pack_part *t;

	if (p->n == PARTS || pack_len(p->n + 1, p->frames_len + chunk_frame_len(bound)) > PACK_LEN_MAX) {
		if (p->n > p->asked && parts_sift(p, e) != 0)
			return -1;
		/* Much of it was held: there may be room now. */
		if ((p->n > PARTS / 2 || pack_len(p->n + 1, p->frames_len + chunk_frame_len(bound)) > PACK_LEN_MAX / 2) && p->n > 0 &&
		    pack_send(p, e) != 0)
			return -1;
	}
	t = &p->parts[p->n++];
	memcpy(t->id, id, DIGEST_LEN);
	t->kind = (uint16_t)kind;
	t->inner = p->arena + p->used;
	t->inner_len = (uint32_t)chunk_inner(p->codec, plain, len, p->arena + p->used);
	p->used += t->inner_len;
	p->frames_len += chunk_frame_len(t->inner_len);
	return 0;
}

void
line_packs_totals(const struct line_packs *p, struct line_packs_totals *t)
{
	*t = p->totals;
}

void
line_packs_limit(struct line_packs *p, int (*fn)(void *arg, uint64_t bytes, struct err *e), void *arg)
{
	p->limit = fn;
	p->limit_arg = arg;
}

struct line_packs *
line_packs_new(struct line_talk *t, struct state *s, const struct domain_keys *k, int level, struct err *e)
{
	struct line_packs *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->codec = codec_new(level)) == NULL || (p->out = malloc(PACK_LEN_MAX)) == NULL ||
	    (p->arena = malloc(PACK_LEN_MAX + chunk_inner_bound(CHUNK_PLAIN_MAX))) == NULL) {
		line_packs_free(p);
		(void)err_set(e, ERR_MEMORY, "no memory for chunks");
		return NULL;
	}
	p->talk = t;
	p->s = s;
	p->k = k;
	return p;
}

void
line_packs_free(struct line_packs *p)
{
	if (p == NULL)
		return;
	codec_free(p->codec);
	free(p->arena);
	free(p->out);
	free(p);
}
