#ifndef SAMARA_FLOW_INGEST_LISTS_H
#define SAMARA_FLOW_INGEST_LISTS_H

/* Reference lists from a disk into the vault. */

#include "common/flow/ingest_job.h"

struct lists;

struct lists *lists_new(struct ingest *g, struct err *e);
void lists_free(struct lists *l);

/**
 * lists_file(l, x, e):
 * Put the list of the envelope ${x}, which no record names yet, into the
 * vault: as a delta against the newest older one of its set where that is less
 * than half of it, the chain of deltas is short and weighs less than a whole
 * list; else whole, from the first copy on the disk that is good.  It is read
 * back from the vault before it counts.  Return 0; 1 no copy on the disk can
 * be believed (nothing is left in the vault); -1 with ${e}.
 */
int lists_file(struct lists *l, const struct ingest_envelope *x, struct err *e);

#endif
