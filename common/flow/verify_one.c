#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/flow/refs_read.h"
#include "common/flow/session.h"
#include "common/flow/verify_job.h"

#define BATCH	64u

/* A chunk that the snapshot needs. */
struct need {
	uint8_t id[DIGEST_LEN];
	uint64_t place;		/* packs and offsets in them, so that packs are read from front to back */
};

struct one {
	struct verify_job *j;
	struct session *se;
	const struct snapshot *snap;
	struct need *need;
	size_t n, cap, at;	/* at: atomic */
	uint64_t bytes;
};

static int
need_add(struct one *o, const uint8_t id[DIGEST_LEN], struct err *e)
{
	uint32_t len = 0;

	if (o->n == o->cap) {
		size_t cap = o->cap * 2 + 4096;
		struct need *more = realloc(o->need, cap * sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory for a list of chunks");
		o->need = more;
		o->cap = cap;
	}
	memcpy(o->need[o->n].id, id, DIGEST_LEN);
	o->need[o->n].place = source_place(o->se->source, id, &len);
	o->bytes += len;
	o->n++;
	return 0;
}

static int
place_order(const void *a, const void *b)
{
	const struct need *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

/* The reference list, sorted by where its chunks lie. */
static int
needs_read(struct one *o, struct err *e)
{
	const struct snapshot *snap = o->snap;
	int rc = err_set(e, ERR_NOT_FOUND, "no reference list of the snapshot is there");

	for (size_t i = 0; rc != 0 && i < snap->places; i++) {
		struct container *c = source_container(o->se->source, snap->at[i].container);
		struct refs_reader *r;
		uint8_t id[DIGEST_LEN];

		err_clear(e);
		o->n = 0;
		o->bytes = 0;
		if ((r = refs_reader_new(c, &snap->at[i].place, &snap->env, e)) == NULL)
			continue;
		while ((rc = refs_reader_next(r, id, e)) == 1 && (rc = need_add(o, id, e)) == 0)
			;
		refs_reader_free(r);
	}
	if (rc == 0 && o->n > 1)
		qsort(o->need, o->n, sizeof(*o->need), place_order);
	return rc;
}

/* One chunk: good, bad or missing. */
static void
need_look(struct one *o, struct source_reader *reader, const struct need *need)
{
	struct verify_job *j = o->j;
	const uint8_t *plain;
	struct err own;
	size_t len = 0;
	int rc;

	err_clear(&own);
	rc = source_get(reader, need->id, 0, &plain, &len, &own);
	source_unwant(o->se->source, need->id);
	pthread_mutex_lock(&j->lock);
	j->r->chunks++;
	j->r->bytes += len;
	j->r->bad_chunks += rc != 0;
	if (rc == 0 || own.code != ERR_MISSING)
		(void)chunk_map_add(rc == 0 ? j->good : j->bad, need->id, 0, (uint32_t)len, 0, 0, &j->failed);
	pthread_mutex_unlock(&j->lock);
	progress_add(len, 1);
	if (own.code != ERR_NONE)
		finding_err(j->found, SEV_LOST, "chunk", "", &own);
}

static void
needs_look(void *arg)
{
	struct one *o = arg;
	struct source_reader *reader;
	struct err own;

	err_clear(&own);
	if ((reader = source_reader_new(o->se->source, &own)) == NULL) {
		pthread_mutex_lock(&o->j->lock);
		o->j->failed = own;
		pthread_mutex_unlock(&o->j->lock);
		return;
	}
	while (!stop_asked()) {
		size_t from = __atomic_fetch_add(&o->at, BATCH, __ATOMIC_RELAXED);
		size_t to = from + BATCH < o->n ? from + BATCH : o->n;

		if (from >= o->n)
			break;
		for (size_t i = from; i < to; i++)
			source_want(o->se->source, o->need[i].id);
		for (size_t i = from; i < to; i++)
			need_look(o, reader, &o->need[i]);
	}
	source_reader_free(reader);
}

static int
one_run(struct one *o, struct err *e)
{
	struct verify_job *j = o->j;
	unsigned n = j->opt->workers != 0 ? j->opt->workers : pool_processors();
	struct refs_reader *refs;
	struct err bad;
	int rc;

	if (needs_read(o, e) != 0)
		return -1;
	progress_start("check", o->bytes);
	rc = pool_run(n, needs_look, o, e);
	progress_end();
	if (rc == 0)
		rc = stop_check(e);
	if (rc == 0 && j->failed.code != ERR_NONE) {
		if (e != NULL)
			*e = j->failed;
		rc = -1;
	}
	if (rc != 0)
		return -1;
	chunk_map_sort(j->good);
	chunk_map_sort(j->bad);
	for (size_t i = 0; i < o->snap->places; i++) {
		struct container *c = source_container(o->se->source, o->snap->at[i].container);

		err_clear(&bad);
		if ((refs = refs_reader_new(c, &o->snap->at[i].place, &o->snap->env, &bad)) == NULL)
			continue;
		rc = verify_refs(j, refs, &o->snap->env, c->name, NULL, &bad, e);
		refs_reader_free(refs);
		if (rc <= 0)
			break;
	}
	return rc == 0 ? verify_listing(j, o->se->source, o->se->reader, o->snap, e) : -1;
}

int
verify_snapshot(struct session *se, const struct snapshot *snap, const struct verify_options *opt, struct verify_result *r,
    struct err *e)
{
	struct verify_job j;
	struct one o = { .j = &j, .se = se, .snap = snap };
	char id[SNAPSHOT_SHORT_LEN];
	int rc;

	if (verify_job_init(&j, opt, r, e) != 0)
		return -1;
	(void)snprintf(r->name, sizeof(r->name), "snapshot %s", snapshot_short(id, snap->env.snapshot_id));
	j.keys_fit = 1;
	rc = one_run(&o, e);
	if (rc == 0)
		rc = verify_job_counts(&j, e);
	free(o.need);
	verify_job_release(&j);
	return rc;
}
