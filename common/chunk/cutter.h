#ifndef SAMARA_CHUNK_CUTTER_H
#define SAMARA_CHUNK_CUTTER_H

/*
 * Content-defined cutting with a gear hash and normalised cuts (Xia et al.,
 * FastCDC, USENIX ATC 2016); the gear table is derived from the key domain's
 * cutting key, so that cut points say nothing to who does not have it.
 * Minimum = average / 4, maximum = 4 * average.
 */

#include <stddef.h>
#include <stdint.h>

struct cutter;

/* A cutter for average size ${avg} (a power of two); usable by many threads at once. */
struct cutter *cutter_new(const uint8_t key[32], uint32_t avg);
void cutter_free(struct cutter *c);

/**
 * cutter_next(c, in, len, at_end):
 * Length of the first chunk of the ${len} bytes at ${in}: between minimum and
 * maximum, or what is left where ${at_end} says that the stream ends with
 * these bytes.  0: more bytes are needed to tell (never when ${len} is at
 * least the maximum or ${at_end}).  Depends on the bytes of that chunk alone.
 */
size_t cutter_next(const struct cutter *c, const uint8_t *in, size_t len, int at_end);

/* Bytes of the smallest chunk but the last, the average and the largest. */
uint32_t cutter_min(const struct cutter *c);
uint32_t cutter_avg(const struct cutter *c);
uint32_t cutter_max(const struct cutter *c);

/* The gear table's value for byte ${b}, for test vectors. */
uint64_t cutter_gear(const struct cutter *c, uint8_t b);

#endif
