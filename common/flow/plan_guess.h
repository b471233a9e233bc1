#ifndef SAMARA_FLOW_PLAN_GUESS_H
#define SAMARA_FLOW_PLAN_GUESS_H

/*
 * From a sample to a range.  The sample is made of classes: all pieces of the
 * source that could be copies of one another are in one class, and a class is
 * drawn as a whole (docs/design.md).  What classes share is bounded from both
 * sides: at least the share seen, at most what the pairs seen stand for
 * (compare Charikar, Chaudhuri, Motwani, Narasayya, PODS 2000).
 */

#include <stddef.h>
#include <stdint.h>

#include "common/flow/plan.h"

struct plan_class {
	uint64_t bytes;		/* read */
	uint64_t stored;	/* of its different chunks */
};

/* One chunk in one class. */
struct plan_chunk {
	uint64_t id;
	uint32_t cost, class;
};

/**
 * plan_guess(classes, n, chunks, m, total, all, out):
 * What ${total} bytes of source take, as ${n} >= 1 classes and their ${m}
 * chunks tell; ${all}: they are all there are.  Sorts ${chunks} and fills
 * classes[].stored.  Return 0, or -1 without memory.
 */
int plan_guess(struct plan_class *classes, size_t n, struct plan_chunk *chunks, size_t m, uint64_t total, int all,
    struct plan_range *out);

/* The square root of ${v} >= 0. */
double plan_root(double v);

#endif
