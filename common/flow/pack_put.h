#ifndef SAMARA_FLOW_PACK_PUT_H
#define SAMARA_FLOW_PACK_PUT_H

/* A pack into a vault's store, believing no object that was there before without reading it. */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct store;

#define PACK_BAD_COPIES	8

struct pack_put {
	uint32_t copy;			/* the n under which the pack stands, whole */
	int made;			/* it was put now; else it was there, and was read and is equal */
	uint32_t bad[PACK_BAD_COPIES];	/* copies that were there and are not what they should be */
	unsigned nbad;
};

/**
 * pack_put(s, id, bytes, len, p, e):
 * Put the pack as packs/xx/ID.1; where that is there already and not equal to
 * ${bytes}, as the next.  A number that stands in quarantine is never used again:
 * records that speak of that copy mean that one.  Return 0 when a copy stands
 * durably, or -1 with ${e}.  From any thread.
 */
int pack_put(struct store *s, const uint8_t id[DIGEST_LEN], const uint8_t *bytes, size_t len, struct pack_put *p,
    struct err *e);

/**
 * pack_condemn(s, id, copy, e):
 * Move a bad copy to quarantine; its record is committed.  Where there is no room
 * for it there it stays, and is said.  0, also where it is not there, or -1 with ${e}.
 */
int pack_condemn(struct store *s, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e);

/* Mark the number of a copy as used up, by what is left of it in quarantine, or by a word where nothing is.  0 or -1. */
int pack_number_use(struct store *s, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e);

#endif
