#ifndef SAMARA_FLOW_CHUNK_FETCH_H
#define SAMARA_FLOW_CHUNK_FETCH_H

/*
 * Frames of chunks that are far away, got ahead of use.  What will be wanted is
 * said in time; one thread asks in batches where it lies, a few others read,
 * stretches of one pack that lie near each other in one request.  What was read
 * and not yet used is bounded; what somebody waits for is read in any case.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/fmt_line_read.h"

struct err;
struct fetch;

struct fetch_ops {
	/* Places of ${n} <= ASK_IDS_MAX rising ids. */
	int (*places)(void *arg, const uint8_t *ids, size_t n, struct line_place *out, struct err *e);
	/* Exactly these bytes of a pack.  ERR_NOT_FOUND: it is gone from there. */
	int (*read)(void *arg, const uint8_t pack_id[DIGEST_LEN], uint32_t copy, uint64_t off, void *out, size_t len,
	    struct err *e);
	void *arg;
};

/* ${memory}: bytes that frames read ahead may take; ${readers} at once.  NULL with ${e}. */
struct fetch *fetch_new(const struct fetch_ops *ops, size_t memory, unsigned readers, struct err *e);
/* Requests under way are waited for.  NULL is allowed. */
void fetch_free(struct fetch *f);

/**
 * fetch_know(f, ids, n, places):
 * Where ${n} rising ids lie was found out for another purpose: they are not asked for
 * again.  Takes the place of what was said before; a hint, copied, passed over without
 * memory.
 */
void fetch_know(struct fetch *f, const uint8_t *ids, size_t n, const struct line_place *places);

/* ${id} will be asked for; each want is taken back by one unwant.  Any thread, at once. */
void fetch_want(struct fetch *f, const uint8_t id[DIGEST_LEN]);
void fetch_unwant(struct fetch *f, const uint8_t id[DIGEST_LEN]);

/**
 * fetch_get(f, id, out, len, from, e):
 * The frame of ${id} as it came, FRAME_LEN_MAX bytes of room at ${out}; waits for it.
 * ${from}: where it was read (may be NULL).  Any thread.  0, or -1 with ${e}: ERR_MISSING
 * where there is no good copy, what the operations say.
 */
int fetch_get(struct fetch *f, const uint8_t id[DIGEST_LEN], uint8_t *out, size_t *len, struct line_place *from,
    struct err *e);

/* What came of ${id} is of no use: who gets it from now on gets what its place, asked for anew, gives.  Any thread. */
void fetch_again(struct fetch *f, const uint8_t id[DIGEST_LEN]);

/* Bytes that were read so far, what lies between frames too. */
uint64_t fetch_bytes(const struct fetch *f);

/* For how long, in nanoseconds, something was being read: what the rate of the line is reckoned by. */
int64_t fetch_busy_ns(struct fetch *f);

#endif
