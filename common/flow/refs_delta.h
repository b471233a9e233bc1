#ifndef SAMARA_FLOW_REFS_DELTA_H
#define SAMARA_FLOW_REFS_DELTA_H

/* A reference list stored as what it adds to another, and what it removes. */

#include "common/flow/container.h"
#include "formats/fmt_snapshot.h"

struct err;
struct store;

/* Where a list can be read: container, place and envelope. */
struct refs_at {
	struct container *c;
	struct snap_place place;
	const struct envelope *env;
};

/**
 * refs_delta_put(s, fresh, base, most, e):
 * Put the list ${fresh} into the store ${s} as a delta against ${base}, in the
 * parts snapshots/MACHINE/SEQ.dNN, unless it would have more than ${most} ids.
 * Return 0; 1 it would (nothing was put) or one of the lists cannot be
 * believed; -1 with ${e}: then parts of it may be there.
 */
int refs_delta_put(struct store *s, const struct refs_at *fresh, const struct refs_at *base, uint64_t most,
    struct err *e);

/**
 * refs_whole_put(s, fresh, e):
 * Put the list ${fresh}, however it is stored where it is, whole into the store ${s}, in the
 * parts snapshots/MACHINE/SEQ.rNN.  0; 1 it cannot be believed; -1 with ${e}: parts of it may be
 * there in both cases.
 */
int refs_whole_put(struct store *s, const struct refs_at *fresh, struct err *e);

#endif
