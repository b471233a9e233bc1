#ifndef SAMARA_CATALOG_SEEN_H
#define SAMARA_CATALOG_SEEN_H

/*
 * The duplicate index of a build: the first 16 bytes of every id that is held
 * or already written, at most 24 bytes of memory a chunk.  Past its share of
 * memory it becomes sorted runs in the state directory, looked up in batches;
 * past its share of disk the oldest run is forgotten (duplicates, never a wrong image).
 */

#include <stddef.h>
#include <stdint.h>

struct err;
struct seen;

/* ${dirfd}: where runs go (borrowed); ${memory}: bytes; ${disk}: bytes of runs at most. */
struct seen *seen_new(int dirfd, size_t memory, uint64_t disk, struct err *e);
void seen_free(struct seen *s);

/**
 * seen_claim(s, ids, n, known, e):
 * For each of ${n} ids (32 bytes each, any order): known[i] = 1 if it is there,
 * else 0, and then it is added, in one step.  Safe from many threads: of two
 * that claim one id at once, one gets 0.  Return 0 or -1 with ${e}.
 */
int seen_claim(struct seen *s, const uint8_t *ids, size_t n, uint8_t *known, struct err *e);

/**
 * seen_has(s, id, e):
 * 1 if ${id} is there, 0 if not (or forgotten), -1 with ${e}.  Adds nothing;
 * safe from many threads.
 */
int seen_has(struct seen *s, const uint8_t *id, struct err *e);

/* Take back a claim whose chunk could not be stored (memory part only: used before it can have spilled). */
void seen_drop(struct seen *s, const uint8_t *id);

/* Ids held, and how many were forgotten. */
void seen_counts(const struct seen *s, uint64_t *held, uint64_t *forgotten, size_t *memory);

#endif
