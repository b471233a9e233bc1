#include "common/flow/pack_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/seen.h"
#include "common/flow/journal.h"
#include "common/flow/pack_sink_job.h"
#include "common/pack/chunk_seal.h"
#include "formats/fmt_listing.h"

#define PARTS_MAX_PACK	8192u

static int
sink_failed_locked(struct pack_sink *s, struct err *e)
{
	if (!s->failed)
		return 0;
	if (e != NULL)
		*e = s->err;
	return -1;
}

void
sink_fail(struct pack_sink *s, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (!s->failed) {
		s->failed = true;
		s->err = *e;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static struct flight **
flight_find_locked(struct pack_sink *s, const uint8_t *id)
{
	struct flight **f = &s->flights[le16_get(id)];

	while (*f != NULL && memcmp((*f)->id, id, DIGEST_LEN) != 0)
		f = &(*f)->next;
	return f;
}

/* An id of the caller's, who will pack it or say that it need not. */
static int
flight_add_locked(struct pack_sink *s, const uint8_t *id, struct err *e)
{
	struct flight *f = malloc(sizeof(*f));

	if (f == NULL)
		return err_errno(e, "claim a chunk");
	memcpy(f->id, id, DIGEST_LEN);
	f->seq = 0;
	f->next = s->flights[le16_get(id)];
	s->flights[le16_get(id)] = f;
	return 0;
}

/* Take an id out of those on their way. */
static void
flight_land_locked(struct pack_sink *s, const uint8_t *id)
{
	struct flight **f = flight_find_locked(s, id), *gone = *f;

	if (gone != NULL) {
		*f = gone->next;
		free(gone);
	}
}

/* Of what nobody here has, the other side may have some.  Not under the lock: others go on, and wait only for these ids. */
static int
claim_ask(struct pack_sink *s, unsigned kind, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	uint8_t *want = malloc(n * (DIGEST_LEN + 1)), *has;
	size_t m = 0;
	int rc = 0;

	if (want == NULL)
		return err_errno(e, "claim a chunk");
	has = want + n * DIGEST_LEN;
	for (size_t i = 0; i < n; i++)
		if (!known[i])
			memcpy(want + m++ * DIGEST_LEN, ids + i * DIGEST_LEN, DIGEST_LEN);
	if (m > 0)
		rc = s->o.line->ask(s->o.line->arg, kind, want, m, has, e);
	if (m > 0 && rc == 0) {
		pthread_mutex_lock(&s->lock);
		m = 0;
		for (size_t i = 0; i < n; i++)
			if (!known[i] && (known[i] = has[m++]) != 0)
				flight_land_locked(s, ids + i * DIGEST_LEN);
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
	free(want);
	return rc;
}

int
pack_sink_claim(struct pack_sink *s, unsigned kind, const uint8_t *ids, size_t n, uint8_t *known, struct err *e)
{
	int rc = -1;

	pthread_mutex_lock(&s->lock);
	if (sink_failed_locked(s, e) == 0 && seen_claim(s->o.seen, ids, n, known, e) == 0)
		rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		if (!known[i])
			rc = flight_add_locked(s, ids + i * DIGEST_LEN, e);
	pthread_mutex_unlock(&s->lock);
	if (rc == 0 && s->o.line != NULL && s->o.line->ask != NULL)
		rc = claim_ask(s, kind, ids, n, known, e);
	/* Some ids may count as claimed now, with nobody to pack them: nothing may be believed any more. */
	if (rc != 0)
		sink_fail(s, e);
	return rc;
}

/* Take the filling pack away and wait for its place among the finished ones. */
static struct arena *
arena_detach_locked(struct pack_sink *s)
{
	struct arena *a = s->filling;

	s->filling = NULL;
	a->seq = s->next_seq++;
	while (!s->failed && (s->slots[a->seq % s->nslots].turn != a->seq || a->seq - s->durable >= RING))
		pthread_cond_wait(&s->changed, &s->lock);
	return a;
}

/* Seal ${a} into its slot; the lock is not held. */
static int
arena_seal(struct pack_sink *s, struct arena *a, struct err *e)
{
	struct slot *slot = &s->slots[a->seq % s->nslots];
	uint8_t *ids = malloc((size_t)a->n * DIGEST_LEN);

	if (ids == NULL)
		return err_errno(e, "seal a pack");
	for (uint32_t i = 0; i < a->n; i++)
		memcpy(ids + (size_t)i * DIGEST_LEN, a->parts[i].id, DIGEST_LEN);
	pack_build(s->o.keys, s->o.maker, s->o.secret, a->parts, a->n, slot->bytes, &slot->info);
	memset(slot->bytes + slot->info.len, 0, BLOCK - slot->info.len % BLOCK);
	slot->ids = ids;
	return 0;
}

/* Seal the filling pack and give its arena back. */
static int
sink_push_locked(struct pack_sink *s, struct err *e)
{
	struct arena *a = arena_detach_locked(s);
	int rc = s->failed ? sink_failed_locked(s, e) : 0;

	if (rc == 0) {
		pthread_mutex_unlock(&s->lock);
		rc = arena_seal(s, a, e);
		pthread_mutex_lock(&s->lock);
	}
	if (rc == 0) {
		s->slots[a->seq % s->nslots].state = SLOT_READY;
	} else if (!s->failed) {
		s->failed = true;
		s->err = *e;
	}
	a->used = 0;
	a->frames_len = 0;
	a->n = 0;
	a->next = s->spare;
	s->spare = a;
	pthread_cond_broadcast(&s->changed);
	return rc;
}

/*
 * How long the next pack may get.  The first ones over a line are short, 1, 2, 4 and 8 MiB: so
 * it has something to carry while the next is being filled, which may take long where each
 * chunk is asked for from afar.
 */
static uint64_t
pack_most_locked(const struct pack_sink *s)
{
	return s->o.line == NULL || s->next_seq > LINE_RAMP ? PACK_LEN_MAX : PACK_LEN_MAX >> (LINE_RAMP + 1 - s->next_seq);
}

/* Have a pack being filled that takes ${len} more inner bytes. */
static int
sink_room_locked(struct pack_sink *s, uint32_t len, struct err *e)
{
	uint64_t frame = chunk_frame_len(len), most;

	for (;;) {
		if (sink_failed_locked(s, e) != 0)
			return -1;
		if (s->filling == NULL && s->spare != NULL) {
			s->filling = s->spare;
			s->spare = s->filling->next;
		}
		if (s->filling == NULL) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		most = s->filling->n > 0 ? pack_most_locked(s) : PACK_LEN_MAX;
		if (s->filling->n < PARTS_MAX_PACK && s->filling->used + len <= most &&
		    pack_len(s->filling->n + 1, s->filling->frames_len + frame) <= most)
			return 0;
		if (sink_push_locked(s, e) != 0)
			return -1;
	}
}

/* Nothing is sent: what it would take is counted. */
static void
sink_count_locked(struct pack_sink *s, const uint8_t *id, uint32_t len)
{
	s->totals.chunks++;
	s->totals.bytes += pack_len(1, chunk_frame_len(len)) - pack_len(0, 0);
	flight_land_locked(s, id);
	pthread_cond_broadcast(&s->changed);
}

int
pack_sink_add(struct pack_sink *s, unsigned kind, const uint8_t *id, const uint8_t *inner, uint32_t len, struct err *e)
{
	struct flight **f;
	struct arena *a;
	struct pack_part *p;
	int rc;

	pthread_mutex_lock(&s->lock);
	if (s->o.line != NULL && s->o.line->put == NULL) {
		sink_count_locked(s, id, len);
		rc = sink_failed_locked(s, e);
	} else if ((rc = sink_room_locked(s, len, e)) == 0) {
		a = s->filling;
		p = &a->parts[a->n++];
		memcpy(p->id, id, DIGEST_LEN);
		p->kind = (uint16_t)kind;
		p->inner = memcpy(a->bytes + a->used, inner, len);
		p->inner_len = len;
		a->used += len;
		a->frames_len += chunk_frame_len(len);
		f = flight_find_locked(s, id);
		if (*f != NULL)
			(*f)->seq = s->next_seq;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
pack_sink_seq(struct pack_sink *s, const uint8_t *ids, size_t n, uint64_t *seq, struct err *e)
{
	struct flight *f;
	uint64_t high = 0;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	rc = sink_failed_locked(s, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		while ((f = *flight_find_locked(s, ids + i * DIGEST_LEN)) != NULL && f->seq == 0) {
			if ((rc = sink_failed_locked(s, e)) != 0)
				break;
			pthread_cond_wait(&s->changed, &s->lock);
		}
		if (f != NULL && f->seq > high)
			high = f->seq;
	}
	pthread_mutex_unlock(&s->lock);
	*seq = high;
	return rc;
}

uint64_t
pack_sink_durable(struct pack_sink *s)
{
	uint64_t d;

	pthread_mutex_lock(&s->lock);
	d = s->durable;
	pthread_mutex_unlock(&s->lock);
	return d;
}

/* Seal what is being filled and want all of it published. */
static int
sink_want_locked(struct pack_sink *s, struct err *e)
{
	int rc = 0;

	if (s->filling != NULL && s->filling->n > 0)
		rc = sink_push_locked(s, e);
	s->wanted = s->next_seq - 1;
	pthread_cond_broadcast(&s->changed);
	return rc;
}

void
pack_sink_hurry(struct pack_sink *s)
{
	struct err e;

	err_clear(&e);
	pthread_mutex_lock(&s->lock);
	if (s->wanted < s->next_seq - 1 || (s->filling != NULL && s->filling->n > 0))
		(void)sink_want_locked(s, &e);
	pthread_mutex_unlock(&s->lock);
}

int
pack_sink_flush(struct pack_sink *s, struct err *e)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = sink_want_locked(s, e);
	while (rc == 0 && s->durable < s->wanted) {
		if ((rc = sink_failed_locked(s, e)) == 0)
			pthread_cond_wait(&s->changed, &s->lock);
	}
	if (rc == 0)
		rc = sink_failed_locked(s, e);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
pack_sink_totals(struct pack_sink *s, struct pack_sink_totals *t)
{
	pthread_mutex_lock(&s->lock);
	*t = s->totals;
	pthread_mutex_unlock(&s->lock);
}

void
sink_landed(struct pack_sink *s, struct pending *b, unsigned n)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < n; i++) {
		s->totals.packs++;
		s->totals.bytes += b[i].info.len;
		s->totals.chunks += b[i].info.count;
		s->published[b[i].seq % RING] = 1;
		for (uint32_t k = 0; k < b[i].info.count; k++)
			flight_land_locked(s, b[i].ids + (size_t)k * DIGEST_LEN);
	}
	while (s->published[(s->durable + 1) % RING]) {
		s->durable++;
		s->published[s->durable % RING] = 0;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

struct slot *
slot_ready_locked(struct pack_sink *s)
{
	struct slot *found = NULL;

	for (unsigned i = 0; i < s->nslots; i++)
		if (s->slots[i].state == SLOT_READY && (found == NULL || s->slots[i].turn < found->turn))
			found = &s->slots[i];
	return found;
}

void
slot_done(struct pack_sink *s, struct slot *slot, bool written)
{
	pthread_mutex_lock(&s->lock);
	slot->state = written ? SLOT_EMPTY : SLOT_READY;
	if (written) {
		slot->turn += s->nslots;
		s->nwritten++;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

int
sink_journal(struct pack_sink *s, uint32_t disk, uint32_t number, const struct pack_info *info, const uint8_t *table,
    struct err *e)
{
	uint8_t head[12];
	const struct fmt_view parts[2] = { view_of(head, sizeof(head)), view_of(table, info->table_len + PACK_FOOT_LEN) };

	le32_put(head, disk);
	le32_put(head + 4, number);
	le32_put(head + 8, info->len);
	return journal_add(s->o.journal, JOURNAL_PACK, parts, 2, e);
}

static int
sink_memory(struct pack_sink *s)
{
	struct arena *a;

	for (unsigned i = 0; i < s->nslots; i++) {
		/* Sequences begin with 1. */
		s->slots[i].turn = i == 0 ? s->nslots : i;
		if ((s->slots[i].bytes = aligned_alloc(BLOCK, SLOT_CAP)) == NULL)
			return -1;
	}
	for (unsigned i = 0; i < ARENAS; i++) {
		if ((a = calloc(1, sizeof(*a))) == NULL)
			return -1;
		a->next = s->spare;
		s->spare = a;
		a->bytes = malloc(PACK_LEN_MAX);
		a->parts = malloc(PARTS_MAX_PACK * sizeof(*a->parts));
		if (a->bytes == NULL || a->parts == NULL)
			return -1;
	}
	return 0;
}

size_t
pack_sink_memory(unsigned ndisks)
{
	return (size_t)(SINK_SLOTS + ndisks + ARENAS) * PACK_LEN_MAX;
}

static int
writers_start(struct pack_sink *s, struct err *e)
{
	struct writer *w;
	int rc;

	s->live = s->nwriters;
	for (unsigned i = 0; i < s->nwriters; i++) {
		w = &s->writers[i];
		w->s = s;
		w->d = s->o.disks[i];
		if ((rc = pthread_create(&w->thread, NULL, s->o.line != NULL ? upload_main : writer_main, w)) != 0) {
			errno = rc;
			return err_errno(e, "start a pack writer");
		}
		w->running = true;
	}
	return 0;
}

struct pack_sink *
pack_sink_new(const struct pack_sink_options *o, struct err *e)
{
	struct pack_sink *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_errno(e, "pack writer");
		return NULL;
	}
	s->o = *o;
	s->next_seq = 1;
	s->nwriters = o->line == NULL ? o->ndisks : o->line->put != NULL ? o->line->uploads : 0;
	s->nslots = o->line != NULL && o->line->put == NULL ? 0 : SINK_SLOTS + s->nwriters;
	err_clear(&s->err);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	if (s->nslots > 0 && sink_memory(s) != 0)
		err_errno(e, "memory for packs");
	else if (writers_start(s, e) == 0)
		return s;
	pack_sink_free(s);
	return NULL;
}

static bool
sink_runs(const struct pack_sink *s)
{
	for (unsigned i = 0; i < s->nwriters; i++)
		if (s->writers[i].running)
			return true;
	return false;
}

int
pack_sink_stop(struct pack_sink *s, int drop, struct err *e)
{
	int rc = drop ? 0 : pack_sink_flush(s, e);

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	s->dropping = drop;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nwriters; i++) {
		if (s->writers[i].running)
			pthread_join(s->writers[i].thread, NULL);
		s->writers[i].running = false;
	}
	return rc;
}

void
pack_sink_free(struct pack_sink *s)
{
	struct arena *a;
	struct flight *f;

	if (s == NULL)
		return;
	if (sink_runs(s))
		(void)pack_sink_stop(s, 1, NULL);
	for (unsigned i = 0; i < s->nslots; i++) {
		free(s->slots[i].bytes);
		free(s->slots[i].ids);
	}
	if (s->filling != NULL) {
		s->filling->next = s->spare;
		s->spare = s->filling;
	}
	while ((a = s->spare) != NULL) {
		s->spare = a->next;
		free(a->bytes);
		free(a->parts);
		free(a);
	}
	for (unsigned i = 0; i < FLIGHT_BUCKETS; i++)
		while ((f = s->flights[i]) != NULL) {
			s->flights[i] = f->next;
			free(f);
		}
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
