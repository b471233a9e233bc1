#include "common/flow/plan.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/progress.h"
#include "common/flow/plan_exact.h"
#include "common/flow/plan_names.h"
#include "common/flow/plan_read.h"
#include "common/flow/plan_sample.h"

#define CHUNK_USUAL	(256u << 10)
#define CHUNK_LARGE	(1u << 20)
#define LARGE_SOURCE	UINT64_C(20000000000000)
#define TIME_NS		INT64_C(600000000000)
#define TIME_LEAST_NS	INT64_C(60000000000)	/* for contents, however long the names took */
#define SMALL_SOURCE	(UINT64_C(1) << 30)	/* so little is read whole */
#define LISTING_LOW	40u			/* bytes of listing an entry, compressed */
#define LISTING_HIGH	250u

/* The listing comes on top: names, attributes, extents, the index above them. */
static void
listing_add(struct plan_result *r)
{
	r->stored.low += r->entries * LISTING_LOW;
	r->stored.high += r->entries * LISTING_HIGH;
	/* Other keys cut elsewhere; nothing about a plan is exact. */
	if (r->stored.high - r->stored.low < r->stored.low / 100) {
		r->stored.low -= r->stored.low / 200;
		r->stored.high += r->stored.high / 200;
	}
}

static int
contents(const struct plan_options *o, struct plan_sample *s, int64_t begun, struct plan_result *r, struct err *e)
{
	int64_t start = io_mono_ns(), until = begun + (o->time_ns != 0 ? o->time_ns : TIME_NS);
	struct plan_keys *k = plan_keys_new(o->seed, r->chunk);
	bool exact = o->exact || (o->sample == 0 && r->bytes <= SMALL_SOURCE);
	int rc;

	if (k == NULL)
		return err_set(e, ERR_MEMORY, "no memory to read with");
	if (o->time_ns == 0 && until < start + TIME_LEAST_NS)
		until = start + TIME_LEAST_NS;
	progress_start(exact ? "read" : "read a sample", exact ? r->bytes : o->sample);
	rc = exact ? plan_exact(o, k, r, e) : plan_sample_read(s, k, until, r, e);
	progress_end();
	plan_keys_free(k);
	r->read_ns = io_mono_ns() - start;
	r->all_ns = io_mono_ns() - begun;
	return rc;
}

int
plan_run(const struct plan_options *o, struct plan_result *r, struct err *e)
{
	int64_t begun = io_mono_ns();
	struct plan_visit visit = { 0 };
	struct plan_sample *s;
	int rc = -1;

	memset(r, 0, sizeof(*r));
	/* What is chosen hangs little on the size of a chunk, which the names decide. */
	if ((s = plan_sample_new(o, o->chunk != 0 ? o->chunk : CHUNK_USUAL, e)) == NULL)
		return -1;
	visit = plan_sample_visit(s);
	progress_start("names", 0);
	rc = plan_names(o, o->exact ? NULL : &visit, r, e);
	progress_end();
	r->walk_ns = io_mono_ns() - begun;
	r->chunk = o->chunk != 0 ? o->chunk : r->bytes > LARGE_SOURCE ? CHUNK_LARGE : CHUNK_USUAL;
	if (rc == 0)
		rc = contents(o, s, begun, r, e);
	plan_sample_free(s);
	if (rc == 0)
		listing_add(r);
	else
		plan_release(r);
	return rc;
}

void
plan_release(struct plan_result *r)
{
	for (size_t i = 0; i < r->ntop; i++)
		free(r->top[i].path);
	r->ntop = 0;
}
