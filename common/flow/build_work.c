/* Workers: whoever is free takes the oldest work there is. */

#include <stdlib.h>

#include "common/base/io.h"
#include "common/base/pace.h"
#include "common/base/stop.h"
#include "common/chunk/codec.h"
#include "common/chunk/cutter.h"
#include "common/flow/build_engine.h"
#include "common/pack/chunk_seal.h"
#include "common/walk/meta.h"

#define CLAIM_MAX	STRETCH_CHUNKS

int
store_chunks(struct worker *w, unsigned kind, const uint8_t *data, const uint32_t *lens, uint32_t n, uint8_t *ids,
    uint64_t *seq, struct err *e)
{
	uint8_t known[CLAIM_MAX];
	const uint8_t *p = data;
	size_t inner;

	for (uint32_t i = 0; i < n; i++) {
		chunk_id(w->g->keys, kind, p, lens[i], ids + (size_t)i * DIGEST_LEN);
		p += lens[i];
	}
	if (pack_sink_claim(w->g->sink, kind, ids, n, known, e) != 0)
		return -1;
	p = data;
	for (uint32_t i = 0; i < n; i++) {
		if (!known[i]) {
			inner = chunk_inner(w->codec, p, lens[i], w->inner);
			if (pack_sink_add(w->g->sink, kind, ids + (size_t)i * DIGEST_LEN, w->inner, (uint32_t)inner, e) != 0)
				return -1;
		}
		p += lens[i];
	}
	return pack_sink_seq(w->g->sink, ids, n, seq, e);
}

int
work_bundle(struct worker *w, struct bundle *b, struct err *e)
{
	uint64_t seq;

	if (store_chunks(w, KIND_BUNDLE, b->data, &b->len, 1, b->id, &seq, e) != 0)
		return -1;
	pthread_mutex_lock(&w->g->lock);
	free(b->data);
	b->data = NULL;
	b->seq = seq;
	b->done = true;
	engine_tick(w->g);
	pthread_mutex_unlock(&w->g->lock);
	return 0;
}

/*
 * Whether a stretch of the file may be read: what lies before it may take long,
 * and what was read of it waits in memory until then.  The first unit is waited
 * for by nobody but the order thread, so it goes on whatever the others hold.
 */
static bool
big_may_go(const struct engine *g, const struct unit *u)
{
	if (u->big->busy || u->big->eof)
		return false;
	return u == g->first ? u->big->untaken < STRETCHES_MAX : g->untaken < STRETCHES_MAX;
}

struct unit *
unit_take_locked(struct engine *g)
{
	for (struct unit *u = g->first; u != NULL; u = u->next) {
		if (u->big != NULL && big_may_go(g, u)) {
			u->big->busy = true;
			u->big->untaken++;
			g->untaken++;
			return u;
		}
		if (u->big == NULL && u->state == UNIT_NEW) {
			u->state = UNIT_TAKEN;
			return u;
		}
	}
	return NULL;
}

/* Take work: 1 with a bundle or a unit, 0 when there will be none. */
static int
work_take(struct engine *g, struct bundle **b, struct unit **u)
{
	int got = 0;

	*b = NULL;
	*u = NULL;
	pthread_mutex_lock(&g->lock);
	for (;;) {
		if (g->failed)
			break;
		if ((*b = g->tasks) != NULL) {
			g->tasks = (*b)->next;
			if (g->tasks == NULL)
				g->tasks_last = NULL;
			got = 1;
			break;
		}
		if ((*u = unit_take_locked(g)) != NULL) {
			got = 1;
			break;
		}
		if (g->ending)
			break;
		pthread_cond_wait(&g->work, &g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return got;
}

static int
worker_init(struct worker *w, struct engine *g, struct err *e)
{
	size_t max = cutter_max(g->cutter);

	memset(w, 0, sizeof(*w));
	w->g = g;
	w->buf_cap = STRETCH_LEN + max;
	w->codec = codec_new(g->src->level);
	w->buf = malloc(w->buf_cap);
	w->inner = malloc(chunk_inner_bound(max > LISTING_CHUNK_MAX ? max : LISTING_CHUNK_MAX));
	w->xattrs = calloc(1, sizeof(*w->xattrs));
	if (w->codec == NULL || w->buf == NULL || w->inner == NULL || w->xattrs == NULL)
		return err_set(e, ERR_MEMORY, "no memory for a worker");
	return 0;
}

static void
worker_release(struct worker *w)
{
	codec_free(w->codec);
	free(w->buf);
	free(w->inner);
	if (w->xattrs != NULL)
		xattr_rows_release(w->xattrs);
	free(w->xattrs);
}

void
engine_work(void *arg)
{
	struct engine *g = arg;
	struct worker w;
	struct bundle *b;
	struct unit *u;
	struct err e;
	int rc;

	err_clear(&e);
	pace_idle();		/* disks are written by threads of their own */
	rc = worker_init(&w, g, &e);
	while (rc == 0 && work_take(g, &b, &u) == 1) {
		if (b != NULL)
			rc = work_bundle(&w, b, &e);
		else if (u->big != NULL)
			rc = work_big(&w, u, &e);
		else
			rc = work_small(&w, u, &e);
	}
	if (rc != 0)
		engine_fail(g, &e);
	worker_release(&w);
}
