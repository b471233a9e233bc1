#ifndef SAMARA_FLOW_PLAN_SAMPLE_H
#define SAMARA_FLOW_PLAN_SAMPLE_H

/*
 * A sample of the source: pieces of big files, and runs of small ones.  Each
 * piece has a key that hangs on what copies of it have in common (the file's
 * size and the place in it; of a run the number of files and bytes), mixed
 * with the seed; those with the lowest keys are kept, as many as memory
 * allows, and read in the order of their keys.  So whatever was read when the
 * time is up is an even draw, and copies of one file are all in it or none is.
 */

#include "common/flow/plan_names.h"

struct err;
struct plan_keys;
struct plan_sample;

/* For the walk of ${o} with chunks of about ${avg} bytes; NULL with ${e}. */
struct plan_sample *plan_sample_new(const struct plan_options *o, uint32_t avg, struct err *e);
void plan_sample_free(struct plan_sample *s);

/* What to show the walk. */
struct plan_visit plan_sample_visit(struct plan_sample *s);

/**
 * plan_sample_read(s, k, until_ns, r, e):
 * Read until the range is narrow, the sample's bytes or the time (monotonic)
 * is up.  Fills r->stored (without the listing), read_bytes, unreadable and
 * whole.  0 or -1 with ${e}.
 */
int plan_sample_read(struct plan_sample *s, const struct plan_keys *k, int64_t until_ns, struct plan_result *r,
    struct err *e);

#endif
