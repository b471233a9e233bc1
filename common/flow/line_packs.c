#include "common/flow/line_packs.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/chunk/codec.h"
#include "common/flow/line_session.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_build.h"

#define PARTS	16384u	/* in a pack; not more than one question may hold */

struct line_packs {
	struct line_session *session;
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
	uint8_t *ids = malloc((size_t)n * DIGEST_LEN);
	int rc;

	if (ids == NULL)
		return err_errno(e, "chunks");
	for (uint32_t i = 0; i < n; i++)
		memcpy(ids + (size_t)i * DIGEST_LEN, p->parts[from + i].id, DIGEST_LEN);
	rc = line_session_ask(p->session, ids, n, states, e);
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
	struct pack_info info;

	pack_build(p->k, p->s->id.machine_id, p->s->sign_secret, p->parts, p->n, p->out, &info);
	if (line_session_pack(p->session, info.id, p->out, (uint32_t)info.len, e) != 0)
		return err_during(e, "%s", line_name(p->session->l));
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
line_packs_new(struct line_session *t, struct state *s, const struct domain_keys *k, int level, struct err *e)
{
	struct line_packs *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->codec = codec_new(level)) == NULL || (p->out = malloc(PACK_LEN_MAX)) == NULL ||
	    (p->arena = malloc(PACK_LEN_MAX + chunk_inner_bound(CHUNK_PLAIN_MAX))) == NULL) {
		line_packs_free(p);
		(void)err_set(e, ERR_MEMORY, "no memory for chunks");
		return NULL;
	}
	p->session = t;
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
