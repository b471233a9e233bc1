#include "common/flow/chunk_fetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/queue.h"

#define BUCKETS		16384u
#define RUN_BYTES	(4u << 20)	/* one request, at most, unless one frame is longer */
#define RUN_FRAMES	1024u
#define SPARE_SHARE	4u		/* this part of the memory may hold what was used already */
#define GAP_BYTES	(32u << 10)	/* what lies between two frames is read with them up to here */

/* How far one chunk is. */
enum want_state {
	WANT_NEW,		/* its place is not known */
	WANT_ASKING,
	WANT_KNOWN,		/* its place is */
	WANT_READING,
	WANT_HERE,
	WANT_FAILED
};

struct want {
	struct want *next_in_bucket;
	struct want *next, *before;	/* of all, in the order in which they were wanted */
	uint8_t id[DIGEST_LEN];
	enum want_state state;
	unsigned refs;
	unsigned waiting;		/* threads in fetch_get */
	int again;			/* its place was asked for a second time */
	struct line_place place;
	uint8_t *frame;
	struct err *why;		/* failed */
};

struct fetch {
	struct fetch_ops ops;
	size_t memory;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct want *bucket[BUCKETS];
	struct want *first, *last;
	size_t fresh;			/* wants that are new */
	size_t held;			/* bytes of frames here and on their way, those that are spare left out */
	size_t spare;			/* bytes of frames here that nobody wants now: who reads two listings asks again */
	uint64_t bytes;
	unsigned reading;		/* requests under way; since: when the first of them began */
	int64_t since, busy_ns;
	int ended;
	uint8_t *known_id;		/* places that are known without asking, ids rising */
	struct line_place *known;
	size_t nknown;
	struct pool *asker, *readers;
};

/* --- the table; under the lock --- */

static struct want **
bucket_of(struct fetch *f, const uint8_t id[DIGEST_LEN])
{
	return &f->bucket[le16_get(id) % BUCKETS];
}

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

static struct want *
want_find(struct fetch *f, const uint8_t id[DIGEST_LEN])
{
	struct want *w = *bucket_of(f, id);

	while (w != NULL && memcmp(w->id, id, DIGEST_LEN) != 0)
		w = w->next_in_bucket;
	return w;
}

/* Where it lies, if that is known without asking. */
static const struct line_place *
place_known(const struct fetch *f, const uint8_t id[DIGEST_LEN])
{
	const uint8_t *at = f->nknown == 0 ? NULL : bsearch(id, f->known_id, f->nknown, DIGEST_LEN, id_order);
	const struct line_place *p = at == NULL ? NULL : &f->known[(size_t)(at - f->known_id) / DIGEST_LEN];

	return p != NULL && !line_place_is_none(p) ? p : NULL;
}

/* NULL without memory. */
static struct want *
want_add(struct fetch *f, const uint8_t id[DIGEST_LEN])
{
	struct want *w = calloc(1, sizeof(*w)), **b = bucket_of(f, id);
	const struct line_place *p;

	if (w == NULL)
		return NULL;
	memcpy(w->id, id, DIGEST_LEN);
	w->next_in_bucket = *b;
	*b = w;
	w->before = f->last;
	*(f->last != NULL ? &f->last->next : &f->first) = w;
	f->last = w;
	if ((p = place_known(f, id)) != NULL) {
		w->place = *p;
		w->state = WANT_KNOWN;
	} else {
		f->fresh++;
	}
	pthread_cond_broadcast(&f->changed);
	return w;
}

static void
want_free(struct want *w)
{
	free(w->frame);
	free(w->why);
	free(w);
}

/* Out of the list of all. */
static void
want_unlink(struct fetch *f, struct want *w)
{
	*(w->before != NULL ? &w->before->next : &f->first) = w->next;
	*(w->next != NULL ? &w->next->before : &f->last) = w->before;
	w->next = w->before = NULL;
}

static void
want_remove(struct fetch *f, struct want *w)
{
	struct want **at = bucket_of(f, w->id);

	while (*at != w)
		at = &(*at)->next_in_bucket;
	*at = w->next_in_bucket;
	want_unlink(f, w);
	want_free(w);
}

/* It is here and nobody wants it: it stays for a while, as the newest of its kind; the oldest go. */
static void
want_spare(struct fetch *f, struct want *w)
{
	struct want *o, *next;

	want_unlink(f, w);
	w->before = f->last;
	*(f->last != NULL ? &f->last->next : &f->first) = w;
	f->last = w;
	f->held -= w->place.len;
	f->spare += w->place.len;
	for (o = f->first; o != NULL && f->spare > f->memory / SPARE_SHARE; o = next) {
		next = o->next;
		if (o->state == WANT_HERE && o->refs == 0) {
			f->spare -= o->place.len;
			want_remove(f, o);
		}
	}
	pthread_cond_broadcast(&f->changed);
}

/* One more wants it. */
static void
want_hold(struct fetch *f, struct want *w)
{
	if (w->refs++ == 0 && w->state == WANT_HERE) {
		f->spare -= w->place.len;
		f->held += w->place.len;
	}
}

/* Does nobody want it?  Then it goes, unless a request for it is under way, which then takes it away. */
static void
want_drop(struct fetch *f, struct want *w)
{
	if (w->refs > 0 || w->state == WANT_ASKING || w->state == WANT_READING)
		return;
	if (w->state == WANT_HERE) {
		want_spare(f, w);
		return;
	}
	f->fresh -= w->state == WANT_NEW;
	want_remove(f, w);
}

static void
want_failed(struct want *w, const struct err *why)
{
	w->state = WANT_FAILED;
	if ((w->why = malloc(sizeof(*w->why))) != NULL)
		*w->why = *why;
}

/* --- asking where --- */

struct batch {
	struct want *want[ASK_IDS_MAX];
	uint8_t ids[ASK_IDS_MAX * DIGEST_LEN];
	struct line_place place[ASK_IDS_MAX];
	size_t n;
};

static int
want_order(const void *a, const void *b)
{
	return memcmp((*(struct want *const *)a)->id, (*(struct want *const *)b)->id, DIGEST_LEN);
}

/* All that are new, those that somebody waits for before others. */
static void
batch_take(struct fetch *f, struct batch *b)
{
	b->n = 0;
	for (int waiting = 1; waiting >= 0; waiting--)
		for (struct want *w = f->first; w != NULL && b->n < ASK_IDS_MAX; w = w->next)
			if (w->state == WANT_NEW && (w->waiting > 0) == waiting) {
				b->want[b->n++] = w;
				w->state = WANT_ASKING;
				f->fresh--;
			}
	qsort(b->want, b->n, sizeof(struct want *), want_order);
	for (size_t i = 0; i < b->n; i++)
		memcpy(b->ids + i * DIGEST_LEN, b->want[i]->id, DIGEST_LEN);
}

/* What came of it. */
static void
batch_settle(struct fetch *f, struct batch *b, int rc, const struct err *why)
{
	for (size_t i = 0; i < b->n; i++) {
		struct want *w = b->want[i];
		struct err none;

		w->place = b->place[i];
		w->state = WANT_KNOWN;
		if (rc != 0) {
			want_failed(w, why);
		} else if (line_place_is_none(&w->place)) {
			err_clear(&none);
			(void)err_set(&none, ERR_MISSING, "chunk %02x%02x%02x%02x… is not there", w->id[0], w->id[1], w->id[2], w->id[3]);
			want_failed(w, &none);
		}
		want_drop(f, w);
	}
	pthread_cond_broadcast(&f->changed);
}

static void
asker_run(void *arg)
{
	struct fetch *f = arg;
	struct batch *b = malloc(sizeof(*b));
	struct err own;
	int rc;

	pthread_mutex_lock(&f->lock);
	while (!f->ended) {
		if (f->fresh == 0) {
			pthread_cond_wait(&f->changed, &f->lock);
			continue;
		}
		err_clear(&own);
		if (b == NULL) {
			(void)err_set(&own, ERR_MEMORY, "no memory to ask where chunks are");
			for (struct want *w = f->first; w != NULL; w = w->next)
				if (w->state == WANT_NEW)
					want_failed(w, &own);
			f->fresh = 0;
			pthread_cond_broadcast(&f->changed);
			continue;
		}
		batch_take(f, b);
		pthread_mutex_unlock(&f->lock);
		rc = f->ops.places(f->ops.arg, b->ids, b->n, b->place, &own);
		pthread_mutex_lock(&f->lock);
		batch_settle(f, b, rc, &own);
	}
	pthread_mutex_unlock(&f->lock);
	free(b);
}

/* --- reading --- */

/* What one request reads. */
struct run {
	struct want *want[RUN_FRAMES];
	size_t n;
	uint8_t pack_id[DIGEST_LEN];
	uint32_t copy;
	uint64_t off, end;
};

static int
place_order(const void *a, const void *b)
{
	const struct want *x = *(struct want *const *)a, *y = *(struct want *const *)b;

	return (x->place.off > y->place.off) - (x->place.off < y->place.off);
}

/* The frame to be read first: one that somebody waits for, else the first where there is room. */
static struct want *
read_choose(const struct fetch *f)
{
	struct want *best = NULL;

	for (struct want *w = f->first; w != NULL; w = w->next) {
		if (w->state != WANT_KNOWN)
			continue;
		if (w->waiting > 0)
			return w;
		if (best == NULL && (f->held == 0 || f->held + w->place.len <= f->memory))
			best = w;
	}
	return best;
}

/* Those of the same pack that lie near: a stretch around ${w}, r->want[] sorted and cut. */
static void
run_around(const struct fetch *f, const struct want *w, struct run *r)
{
	size_t at = 0, low, high, room = f->memory > f->held ? f->memory - f->held : 0;
	uint64_t most = room < RUN_BYTES ? room : RUN_BYTES;

	for (struct want *o = f->first; o != NULL && r->n < RUN_FRAMES; o = o->next)
		if (o != w && o->state == WANT_KNOWN && o->place.copy == w->place.copy &&
		    memcmp(o->place.pack_id, w->place.pack_id, DIGEST_LEN) == 0 && r->n + 1 < RUN_FRAMES)
			r->want[r->n++] = o;
	r->want[r->n++] = (struct want *)(uintptr_t)w;
	qsort(r->want, r->n, sizeof(struct want *), place_order);
	while (r->want[at] != w)
		at++;
	low = high = at;
	r->off = w->place.off;
	r->end = w->place.off + w->place.len;
	for (; high + 1 < r->n; high++) {
		const struct line_place *p = &r->want[high + 1]->place;

		if (p->off < r->end || p->off - r->end > GAP_BYTES || p->off + p->len - r->off > most)
			break;
		r->end = p->off + p->len;
	}
	for (; low > 0; low--) {
		const struct line_place *p = &r->want[low - 1]->place;

		if (p->off + p->len > r->off || r->off - p->off - p->len > GAP_BYTES || r->end - p->off > most)
			break;
		r->off = p->off;
	}
	r->n = high - low + 1;
	memmove(r->want, r->want + low, r->n * sizeof(struct want *));
}

static void
run_take(struct fetch *f, struct want *w, struct run *r)
{
	r->n = 0;
	memcpy(r->pack_id, w->place.pack_id, DIGEST_LEN);
	r->copy = w->place.copy;
	run_around(f, w, r);
	for (size_t i = 0; i < r->n; i++) {
		r->want[i]->state = WANT_READING;
		f->held += r->want[i]->place.len;
	}
	if (f->reading++ == 0)
		f->since = io_mono_ns();
}

/* A frame that was to be read and was not. */
static void
run_missed(struct fetch *f, struct want *w, const struct err *why)
{
	f->held -= w->place.len;
	if (why->code == ERR_NOT_FOUND && !w->again) {	/* moved to another pack meanwhile: ask once more */
		w->again = 1;
		w->state = WANT_NEW;
		f->fresh++;
	} else {
		want_failed(w, why);
	}
}

static void
run_settle(struct fetch *f, struct run *r, const uint8_t *bytes, int rc, const struct err *why)
{
	for (size_t i = 0; i < r->n; i++) {
		struct want *w = r->want[i];
		struct err own;

		if (rc == 0 && (w->frame = malloc(w->place.len)) != NULL) {
			memcpy(w->frame, bytes + (w->place.off - r->off), w->place.len);
			w->state = WANT_HERE;
		} else if (rc != 0) {
			run_missed(f, w, why);
		} else {
			err_clear(&own);
			(void)err_set(&own, ERR_MEMORY, "no memory for a chunk");
			run_missed(f, w, &own);
		}
		want_drop(f, w);
	}
	if (rc == 0)
		f->bytes += r->end - r->off;
	if (--f->reading == 0)
		f->busy_ns += io_mono_ns() - f->since;
	pthread_cond_broadcast(&f->changed);
}

static void
reader_run(void *arg)
{
	struct fetch *f = arg;
	struct run *r = malloc(sizeof(*r));
	struct want *w;
	struct err own;
	uint8_t *bytes;
	int rc;

	pthread_mutex_lock(&f->lock);
	while (!f->ended && r != NULL) {
		if ((w = read_choose(f)) == NULL) {
			pthread_cond_wait(&f->changed, &f->lock);
			continue;
		}
		run_take(f, w, r);
		pthread_mutex_unlock(&f->lock);
		err_clear(&own);
		if ((bytes = malloc((size_t)(r->end - r->off))) == NULL)
			rc = err_set(&own, ERR_MEMORY, "no memory for chunks");
		else
			rc = f->ops.read(f->ops.arg, r->pack_id, r->copy, r->off, bytes, (size_t)(r->end - r->off), &own);
		pthread_mutex_lock(&f->lock);
		run_settle(f, r, bytes, rc, &own);
		free(bytes);
	}
	pthread_mutex_unlock(&f->lock);
	free(r);
}

/* --- for who uses it --- */

struct fetch *
fetch_new(const struct fetch_ops *ops, size_t memory, unsigned readers, struct err *e)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to read ahead");
		return NULL;
	}
	f->ops = *ops;
	f->memory = memory - memory / SPARE_SHARE;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	if ((f->asker = pool_start(1, asker_run, f, e)) == NULL || (f->readers = pool_start(readers, reader_run, f, e)) == NULL) {
		fetch_free(f);
		return NULL;
	}
	return f;
}

void
fetch_free(struct fetch *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&f->lock);
	f->ended = 1;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pool_wait(f->asker);
	pool_wait(f->readers);
	while (f->first != NULL) {
		struct want *w = f->first;

		f->first = w->next;
		want_free(w);
	}
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f->known_id);
	free(f->known);
	free(f);
}

void
fetch_know(struct fetch *f, const uint8_t *ids, size_t n, const struct line_place *places)
{
	uint8_t *id = malloc(n * DIGEST_LEN + 1), *old_id;
	struct line_place *p = malloc((n + 1) * sizeof(*p)), *old;

	if (id == NULL || p == NULL)
		n = 0;
	else {
		memcpy(id, ids, n * DIGEST_LEN);
		memcpy(p, places, n * sizeof(*p));
	}
	pthread_mutex_lock(&f->lock);
	old_id = f->known_id;
	old = f->known;
	f->known_id = id;
	f->known = p;
	f->nknown = n;
	pthread_mutex_unlock(&f->lock);
	free(old_id);
	free(old);
}

void
fetch_want(struct fetch *f, const uint8_t id[DIGEST_LEN])
{
	struct want *w;

	pthread_mutex_lock(&f->lock);
	if ((w = want_find(f, id)) != NULL || (w = want_add(f, id)) != NULL)
		want_hold(f, w);
	pthread_mutex_unlock(&f->lock);
}

void
fetch_unwant(struct fetch *f, const uint8_t id[DIGEST_LEN])
{
	struct want *w;

	pthread_mutex_lock(&f->lock);
	if ((w = want_find(f, id)) != NULL && w->refs > 0) {
		w->refs--;
		want_drop(f, w);
	}
	pthread_mutex_unlock(&f->lock);
}

void
fetch_again(struct fetch *f, const uint8_t id[DIGEST_LEN])
{
	struct want *w;

	pthread_mutex_lock(&f->lock);
	if ((w = want_find(f, id)) != NULL && (w->state == WANT_HERE || w->state == WANT_FAILED)) {
		if (w->state == WANT_HERE)
			*(w->refs > 0 ? &f->held : &f->spare) -= w->place.len;
		free(w->frame);
		free(w->why);
		w->frame = NULL;
		w->why = NULL;
		w->again = 0;
		w->state = WANT_NEW;
		f->fresh++;
		want_drop(f, w);
		pthread_cond_broadcast(&f->changed);
	}
	pthread_mutex_unlock(&f->lock);
}

int
fetch_get(struct fetch *f, const uint8_t id[DIGEST_LEN], uint8_t *out, size_t *len, struct line_place *from, struct err *e)
{
	struct want *w;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	if ((w = want_find(f, id)) == NULL && (w = want_add(f, id)) == NULL) {
		pthread_mutex_unlock(&f->lock);
		return err_set(e, ERR_MEMORY, "no memory for a chunk");
	}
	want_hold(f, w);
	w->waiting++;
	pthread_cond_broadcast(&f->changed);
	while (w->state != WANT_HERE && w->state != WANT_FAILED)
		pthread_cond_wait(&f->changed, &f->lock);
	w->waiting--;
	if (w->state == WANT_HERE) {
		memcpy(out, w->frame, w->place.len);
		*len = w->place.len;
		if (from != NULL)
			*from = w->place;
	} else if (w->why != NULL) {
		if (e != NULL)
			*e = *w->why;
		rc = -1;
	} else {
		rc = err_set(e, ERR_MEMORY, "no memory for a chunk");
	}
	w->refs--;
	want_drop(f, w);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

int64_t
fetch_busy_ns(struct fetch *f)
{
	int64_t ns;

	pthread_mutex_lock(&f->lock);
	ns = f->busy_ns + (f->reading > 0 ? io_mono_ns() - f->since : 0);
	pthread_mutex_unlock(&f->lock);
	return ns;
}

uint64_t
fetch_bytes(const struct fetch *f)
{
	return __atomic_load_n(&f->bytes, __ATOMIC_RELAXED);
}
