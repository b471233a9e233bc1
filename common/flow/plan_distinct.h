#ifndef SAMARA_FLOW_PLAN_DISTINCT_H
#define SAMARA_FLOW_PLAN_DISTINCT_H

/*
 * What all different chunks take together, in bounded memory: while there is
 * room every id is kept; when it is full, half of all ids are left out from
 * then on, chosen by the id itself, and so on.  An id is a hash, so what is
 * kept is an even draw from the different chunks, however often each comes
 * (Flajolet, On adaptive sampling, Computing 43, 1990).
 */

#include <stdint.h>
#include <stddef.h>

struct plan_distinct;

/* A table of at most ${memory} bytes; NULL without memory. */
struct plan_distinct *plan_distinct_new(size_t memory);
void plan_distinct_free(struct plan_distinct *d);

/**
 * plan_distinct_claim(d, id):
 * 1 if ${id} is new and kept: the caller finds out what it takes and says so
 * with plan_distinct_cost.  0 if it was there, or is one of those left out.
 * Any thread.
 */
int plan_distinct_claim(struct plan_distinct *d, uint64_t id);
void plan_distinct_cost(struct plan_distinct *d, uint64_t id, uint32_t cost);

/* The bytes of all different chunks together, and the relative error to expect (0: none; one in 20 is beyond twice this). */
uint64_t plan_distinct_sum(struct plan_distinct *d, double *error);

#endif
