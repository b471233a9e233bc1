#ifndef SAMARA_FLOW_CHUNK_MAP_H
#define SAMARA_FLOW_CHUNK_MAP_H

/*
 * Where chunks lie: a sorted table of the first 16 bytes of each id with pack,
 * offset, length and kind, 32 bytes a copy.  Filled, sorted once, then only
 * read, by any number of threads.  Past its share of memory the table lives in
 * a temporary file that is mapped (and unlinked), so that the system may take
 * its pages away.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct chunk_map;

#define CHUNK_PREFIX_LEN	16

struct chunk_at {
	uint8_t prefix[CHUNK_PREFIX_LEN];	/* of the id */
	uint32_t pack;		/* the caller's number */
	uint32_t off;		/* of the frame in the pack */
	uint32_t len;		/* of the frame */
	uint16_t kind;
	uint8_t mark;		/* the caller's bits, none at first; see chunk_map_mark */
	uint8_t zero;
};

/* An empty table; ${memory}: bytes it may hold in memory of its own.  NULL without memory. */
struct chunk_map *chunk_map_new(size_t memory);
void chunk_map_free(struct chunk_map *m);

/* Add a copy of ${id}.  Return 0, or -1 with ${e} (ERR_MEMORY, ERR_NO_SPACE). */
int chunk_map_add(struct chunk_map *m, const uint8_t id[DIGEST_LEN], uint32_t pack, uint32_t off, uint32_t len,
    unsigned kind, struct err *e);

/* No more copies: sort, by id and within it by pack.  Needed before any look-up; may be called again after more were added. */
void chunk_map_sort(struct chunk_map *m);

/**
 * chunk_map_find(m, id, n):
 * The copies of ${id}, ${n} of them, in a row; NULL with 0 where there is none.
 * They live until the table is added to or freed.
 */
const struct chunk_at *chunk_map_find(const struct chunk_map *m, const uint8_t id[DIGEST_LEN], size_t *n);

/* Set these bits of one copy's mark; another thread may be reading or marking it.  chunk_map_marked: all that were set. */
void chunk_map_mark(struct chunk_map *m, const struct chunk_at *at, uint8_t bits);
uint8_t chunk_map_marked(const struct chunk_at *at);

/* All copies, sorted. */
const struct chunk_at *chunk_map_all(const struct chunk_map *m, size_t *n);

#endif
