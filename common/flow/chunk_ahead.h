#ifndef SAMARA_FLOW_CHUNK_AHEAD_H
#define SAMARA_FLOW_CHUNK_AHEAD_H

/*
 * Who reads a listing (or a long entry) reads the children of an index one
 * after the other: once that is seen, the next ones are wanted ahead, twice as
 * many each time.  Who only looks something up causes nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct ahead;
struct fetch;

/* NULL without memory.  ${f} is borrowed; ahead_free takes every want back. */
struct ahead *ahead_new(struct fetch *f);
void ahead_free(struct ahead *a);

/* A chunk of ${kind} was opened: where it is an index its children are noted.  Any thread. */
void ahead_opened(struct ahead *a, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t *plain, size_t len);

/* ${id} is going to be read. */
void ahead_asked(struct ahead *a, const uint8_t id[DIGEST_LEN]);

#endif
