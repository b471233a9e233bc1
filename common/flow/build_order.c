/* The order thread: finished units, in listing order, become bundles and go out. */

#include <stdlib.h>

#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/catalog/seen.h"
#include "common/chunk/codec.h"
#include "common/chunk/cutter.h"
#include "common/flow/build_order.h"
#include "common/flow/bundle_use.h"
#include "common/pack/chunk_seal.h"

#define HELD_UNITS	24u	/* so many wait for an open bundle, and it is closed */

/* Hand the open bundle to the workers. */
static void
bundle_close(struct order *o)
{
	struct bundle *b = o->open;
	struct engine *g = o->g;

	o->open = NULL;
	if (b == NULL)
		return;
	pthread_mutex_lock(&g->lock);
	if (g->tasks_last != NULL)
		g->tasks_last->next = b;
	else
		g->tasks = b;
	g->tasks_last = b;
	engine_tick_work(g);
	pthread_mutex_unlock(&g->lock);
}

static int
bundle_open(struct order *o, struct err *e)
{
	struct bundle *b = calloc(1, sizeof(*b));

	if (b == NULL || (b->data = malloc(cutter_max(o->g->cutter))) == NULL) {
		free(b);
		return err_errno(e, "bundle");
	}
	b->cap = cutter_max(o->g->cutter);
	b->live = o->live;
	o->live = b;
	o->open = b;
	return 0;
}

static void
bundle_free(struct order *o, struct bundle *b)
{
	struct bundle **at = &o->live;

	while (*at != b)
		at = &(*at)->live;
	*at = b->live;
	free(b->data);
	free(b);
}

/*
 * A bundle ends after a file whose content says so, with a probability that
 * grows with its size, so that bundles are about an average chunk long.
 */
static bool
bundle_ends(const struct order *o, const struct piece *p)
{
	uint64_t avg = cutter_avg(o->g->cutter);

	return o->open->len >= avg / 4 && (p->cut * avg) >> 32 < p->len;
}

static int
bundle_file(struct order *o, struct piece *p, struct err *e)
{
	if (o->open != NULL && o->open->len + p->len > o->open->cap)
		bundle_close(o);
	if (o->open == NULL && bundle_open(o, e) != 0)
		return -1;
	p->bundle = o->open;
	p->offset = o->open->len;
	memcpy(o->open->data + o->open->len, p->data, p->len);
	o->open->len += p->len;
	o->open->users++;
	if (bundle_ends(o, p))
		bundle_close(o);
	return 0;
}

/*
 * A small file whose content the base has, under another name as it seems: it
 * stays where it is.  1 it does, 0 it must go into a bundle, -1.
 */
static int
known_file(struct order *o, struct unit *u, struct piece *p, struct err *e)
{
	struct extent x;
	uint8_t *bytes;
	int held;

	if (!bundle_use_known(o->g->base_use, p->key, &x) || x.len != p->len)
		return 0;
	if ((held = seen_has(o->g->seen, x.id, e)) != 1)
		return held;
	if ((bytes = slab_get(&u->slab, EXTENT_LEN)) == NULL)
		return err_errno(e, "bundle");
	extent_put(bytes, &x);
	p->en.extents = view_of(bytes, EXTENT_LEN);
	return 1;
}

static int
small_enter(struct order *o, struct unit *u, struct piece *p, struct err *e)
{
	int known = known_file(o, u, p, e);

	return known == 0 ? bundle_file(o, p, e) : known == 1 ? 0 : -1;
}

/*
 * A directory larger than a bundle begins or ends: so does a bundle, unless it
 * has hardly begun.  Where its first end then falls hangs on the content alone.
 */
static void
bundle_break(struct order *o)
{
	if (o->open != NULL && o->open->len >= cutter_avg(o->g->cutter) / 4)
		bundle_close(o);
}

/* Take a finished unit in hand: its small files go into bundles. */
static int
unit_enter(struct order *o, struct unit *u, struct err *e)
{
	struct piece *p;

	for (unsigned i = 0; i < u->n; i++) {
		p = &u->pieces[i];
		if (p->kind == PIECE_DIR) {
			if (p->large_dir || o->in_large)
				bundle_break(o);
			o->in_large = p->large_dir;
		} else if (p->kind == PIECE_SMALL && !p->skip && p->len > 0 && small_enter(o, u, p, e) != 0) {
			return -1;
		}
	}
	u->entered = true;
	o->entered++;
	return 0;
}

/* The next unit that can be taken in hand, or NULL. */
static struct unit *
unit_to_enter(struct order *o)
{
	struct unit *u;

	pthread_mutex_lock(&o->g->lock);
	for (u = o->g->first; u != NULL && u->entered; u = u->next)
		;
	if (u != NULL && u->big == NULL && u->state != UNIT_DONE)
		u = NULL;
	pthread_mutex_unlock(&o->g->lock);
	return u;
}

static int
small_out(struct order *o, struct piece *p, struct err *e)
{
	uint8_t extent[EXTENT_LEN];
	struct extent x = { .offset = p->offset, .len = p->len };
	struct bundle *b = p->bundle;
	uint64_t seq = 0;

	if (p->skip)
		return 0;
	if (b != NULL) {
		memcpy(x.id, b->id, DIGEST_LEN);
		extent_put(extent, &x);
		p->en.extents = view_of(extent, EXTENT_LEN);
		seq = b->seq;
		if (engine_news(o->g, p, e) != 0 || out_use(o, p, b->len, e) != 0 || bundle_use_remember(o->g->use, p->key, &x, e) != 0)
			return -1;
		if (--b->users == 0)
			bundle_free(o, b);
	} else if (p->len > 0 && out_use(o, p, 0, e) != 0) {
		return -1;
	}
	return out_entry(o, p, seq, e);
}

/* Whether the bundle of a piece is there; the lock is not held. */
static bool
bundle_is_done(struct order *o, const struct bundle *b)
{
	bool done;

	if (b == NULL)
		return true;
	pthread_mutex_lock(&o->g->lock);
	done = b->done;
	pthread_mutex_unlock(&o->g->lock);
	return done;
}

/* Big file: take what is stored.  1 it is out, 0 not yet, -1. */
static int
big_out(struct order *o, struct unit *u, struct err *e)
{
	struct engine *g = o->g;
	struct stretch *s;
	int rc = 0;

	while (rc == 0) {
		pthread_mutex_lock(&g->lock);
		s = u->big->head;
		if (s != NULL && s->done) {
			if ((u->big->head = s->next) == NULL)
				u->big->tail = NULL;
			stretch_taken(g, u->big);
		} else {
			s = NULL;
		}
		pthread_mutex_unlock(&g->lock);
		if (s == NULL)
			return 0;
		rc = out_stretch(o, u, s, e);
		free(s->extents);
		free(s);
	}
	return rc;
}

/* One piece: 1 it is out, 0 not ready, -1. */
static int
piece_out(struct order *o, struct unit *u, struct piece *p, struct err *e)
{
	int rc = 0;

	switch (p->kind) {
	case PIECE_DIR:
		rc = out_dir(o, p->path, e);
		break;
	case PIECE_READY:
		rc = out_reused(o, p, e);
		break;
	case PIECE_LINK:
		rc = out_link(o, p, e);
		break;
	case PIECE_SMALL:
		if (!bundle_is_done(o, p->bundle))
			return 0;
		rc = small_out(o, p, e);
		break;
	case PIECE_BIG:
		return big_out(o, u, e);
	}
	return rc != 0 ? -1 : 1;
}

/* Let the first unit go out as far as it can.  1 something went, 0 nothing, -1. */
static int
units_out(struct order *o, struct err *e)
{
	struct engine *g = o->g;
	struct unit *u;
	int rc, any = 0;

	for (;;) {
		pthread_mutex_lock(&g->lock);
		u = g->first;
		pthread_mutex_unlock(&g->lock);
		if (u == NULL || !u->entered)
			return any;
		while (o->piece < u->n) {
			if ((rc = piece_out(o, u, &u->pieces[o->piece], e)) == -1)
				return -1;
			if (rc == 0)
				return any;
			o->piece++;
			any = 1;
		}
		pthread_mutex_lock(&g->lock);
		if ((g->first = u->next) == NULL)
			g->last = NULL;
		else if (g->first->big != NULL)
			pthread_cond_signal(&g->work);	/* it need not wait for room any more */
		if (--g->nunits == UNITS_FEW)
			pthread_cond_signal(&g->room);
		pthread_mutex_unlock(&g->lock);
		unit_free(u);
		o->piece = 0;
		o->entered--;
	}
}

/* Nothing moved: what are we waiting for?  1 all is out, 0 go on, -1. */
static int
order_wait(struct order *o, struct err *e)
{
	struct engine *g = o->g;
	struct unit *u;
	struct timespec until;
	int rc = 0;

	pthread_mutex_lock(&g->lock);
	for (u = g->first; u != NULL && u->entered; u = u->next)
		;
	if (g->failed) {
		*e = g->err;
		rc = -1;
	} else if (g->walked && g->first == NULL) {
		rc = 1;
	} else if (o->open != NULL && ((u == NULL && g->walked) || o->entered >= HELD_UNITS)) {
		pthread_mutex_unlock(&g->lock);
		bundle_close(o);
		return 0;
	} else if (u == NULL || (u->big == NULL && u->state != UNIT_DONE)) {
		io->clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		if (g->tick == o->tick)
			(void)pthread_cond_timedwait(&g->changed, &g->lock, &until);
	}
	pthread_mutex_unlock(&g->lock);
	return rc;
}

static int
order_loop(struct order *o, struct err *e)
{
	struct unit *u;
	int rc, moved;

	for (;;) {
		/* Here too: the walker may be at its end, or wait, long before a big file is read. */
		if (stop_check(e) != 0)
			return -1;
		moved = 0;
		pthread_mutex_lock(&o->g->lock);
		o->tick = o->g->tick;
		pthread_mutex_unlock(&o->g->lock);
		if ((u = unit_to_enter(o)) != NULL) {
			if (unit_enter(o, u, e) != 0)
				return -1;
			moved = 1;
		}
		if ((rc = units_out(o, e)) == -1)
			return -1;
		if (rc == 0 && !moved && (rc = order_wait(o, e)) != 0)
			return rc == 1 ? 0 : -1;
		if (out_drain(o, false, e) != 0)
			return -1;
	}
}

int
order_begin(struct order *o, struct engine *g, int tmpfd, struct err *e)
{
	size_t max = cutter_max(g->cutter);

	g->runs_fd = tmpfd;
	if (out_init(o, g, tmpfd, e) != 0 || bundle_use_runs(g->use, tmpfd, e) != 0)
		return -1;
	o->w.g = g;
	o->w.codec = codec_new(g->src->level);
	o->w.inner = malloc(chunk_inner_bound(max > STATEMENT_MAX / 2 ? max : STATEMENT_MAX / 2));
	if (o->w.codec == NULL || o->w.inner == NULL)
		return err_set(e, ERR_MEMORY, "no memory for the listing");
	return 0;
}

int
order_run(struct order *o, struct err *e)
{
	struct err ignored;
	int rc = order_loop(o, e);

	err_clear(&ignored);
	out_close_block(o);
	if (rc == 0)
		rc = pack_sink_flush(o->g->sink, e);
	else
		(void)pack_sink_flush(o->g->sink, &ignored);	/* keep what was read */
	if (rc == 0)
		return out_drain(o, true, e);
	(void)out_drain(o, true, &ignored);
	return rc;
}

void
order_end(struct order *o)
{
	if (o->g == NULL)
		return;
	while (o->live != NULL)
		bundle_free(o, o->live);
	codec_free(o->w.codec);
	free(o->w.inner);
	out_release(o);
}
