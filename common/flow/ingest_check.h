#ifndef SAMARA_FLOW_INGEST_CHECK_H
#define SAMARA_FLOW_INGEST_CHECK_H

/*
 * The threads that check packs, shared by all disks that are taken in at the
 * same time: each disk has its own reader and its own bounded number of packs
 * in hand, so a disk that is slow waits for itself alone, and what the others
 * bring has all processors.
 */

#include <stdint.h>

struct checkers;
struct err;
struct pack_slot;

/**
 * checkers_new(jobs, memory, disks, e):
 * ${jobs} threads (0: one a processor) for up to ${disks} disks at once, which
 * share ${memory} bytes for packs in hand (0: a default).  NULL with ${e}.
 * Free it when no disk uses it any more; NULL is allowed.
 */
struct checkers *checkers_new(unsigned jobs, uint64_t memory, unsigned disks, struct err *e);
void checkers_free(struct checkers *c);

/* How many packs each disk may have in hand, at least 2. */
unsigned checkers_slots(const struct checkers *c);

/* How much of its vault's catalog each disk may keep in memory, bytes. */
uint64_t checkers_catalog(const struct checkers *c);

/* Have ${s} checked; it comes out of the queue s->done then.  0, or -1 when they have ended. */
int checkers_put(struct checkers *c, struct pack_slot *s);

#endif
