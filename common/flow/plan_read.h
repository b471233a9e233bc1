#ifndef SAMARA_FLOW_PLAN_READ_H
#define SAMARA_FLOW_PLAN_READ_H

/*
 * Contents as a build would store them, but kept nowhere: cut, bundled, named
 * and compressed with keys made for one plan from its seed.
 */

#include <stddef.h>
#include <stdint.h>

struct err;
struct plan_keys;
struct plan_reader;

/* Keys and cutter for chunks of ${avg} bytes; NULL without memory.  Usable by many threads. */
struct plan_keys *plan_keys_new(uint64_t seed, uint32_t avg);
void plan_keys_free(struct plan_keys *k);

/* Files below this size go into bundles. */
uint32_t plan_small_below(const struct plan_keys *k);

/* What is done with each chunk or bundle; any thread that owns a reader.  0 or -1 with ${e}. */
struct plan_take {
	int (*chunk)(void *arg, struct plan_reader *r, const uint8_t *data, uint32_t len, struct err *e);
	void *arg;
};

/* A reader for one thread; NULL without memory. */
struct plan_reader *plan_reader_new(const struct plan_keys *k, int level);
void plan_reader_free(struct plan_reader *r);

/**
 * plan_read_range(r, fd, offset, len, take, got, e):
 * Read and cut ${len} bytes from ${offset} on (or up to the end of the file),
 * as one run of data.  ${got} is what was read.  Return 0, 1 when the file
 * could not be read on, -1 with ${e}.
 */
int plan_read_range(struct plan_reader *r, int fd, uint64_t offset, uint64_t len, const struct plan_take *take,
    uint64_t *got, struct err *e);

/**
 * plan_read_small(r, fd, size, take, got, e):
 * Read a small file to the end of the open bundle, by the rules of a build
 * (a bundle ends by content).  As plan_read_range.
 */
int plan_read_small(struct plan_reader *r, int fd, uint64_t size, const struct plan_take *take, uint64_t *got,
    struct err *e);

/* End the open bundle, if there is one.  0 or -1 with ${e}. */
int plan_bundle_end(struct plan_reader *r, const struct plan_take *take, struct err *e);

/* The first 8 bytes of the chunk's id. */
uint64_t plan_chunk_id(const struct plan_reader *r, const uint8_t *data, uint32_t len);

/* Bytes that the chunk takes on a disk: compressed, padded, sealed, with its rows in table and index. */
uint64_t plan_chunk_cost(struct plan_reader *r, const uint8_t *data, uint32_t len);

#endif
