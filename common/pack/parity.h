#ifndef SAMARA_PACK_PARITY_H
#define SAMARA_PACK_PARITY_H

/*
 * Reed-Solomon over a group of packs, with ISA-L's Cauchy matrix (Bloemer et
 * al. 1995; ISA-L's gf_gen_cauchy1_matrix, field polynomial 0x11d): any m of
 * the k + m shards of a row can be missing.  (The other generator of that
 * library makes matrices some of which cannot be inverted.)  Row by row, so
 * what one pack lost in one place and another in another comes back although
 * both are damaged.
 *
 * Coding and decoding are one pass each over the packs, in any order, in m
 * times rows shards of memory: to decode, what is good of the packs is coded
 * again; the difference to the parity that was stored depends on the missing
 * shards alone.
 */

#include <stdint.h>

struct err;
struct parity;

/**
 * parity_new(k, m, rows, shard, e):
 * Room for the code of ${k} packs into ${m} of ${rows} shards of ${shard}
 * bytes (a multiple of 64), zero; what no pack has bytes in is not touched.
 * NULL with ${e}.  Free with parity_free.
 */
struct parity *parity_new(uint32_t k, uint32_t m, uint32_t rows, uint32_t shard, struct err *e);
/* Drop ${p} and its memory; NULL is allowed. */
void parity_free(struct parity *p);

/* Begin another group in the same memory; at most the k, m and rows of parity_new.  0, or -1 with ${e}. */
int parity_reset(struct parity *p, uint32_t k, uint32_t m, uint32_t rows, struct err *e);

/**
 * parity_add(p, i, row, in, len):
 * Code shard ${row} of pack ${i}: ${len} bytes of ${in}, zeros behind them.
 * From several threads, for different shards.  Each shard once.
 */
void parity_add(struct parity *p, uint32_t i, uint32_t row, const uint8_t *in, uint32_t len);

/* After all packs: shard ${row} of parity pack ${i}.  It is ${p}'s, until the next reset or free. */
const uint8_t *parity_shard(struct parity *p, uint32_t i, uint32_t row);
/* The same for all rows: the shards of parity pack ${i} one behind the other (rows of them). */
const uint8_t *parity_shards(struct parity *p, uint32_t i);

/* To decode: the stored shard ${row} of parity pack ${i}, after or before the packs were added. */
void parity_take(struct parity *p, uint32_t i, uint32_t row, const uint8_t *in);

/**
 * parity_solve(p, row, lost, n, good, e):
 * Find the ${n} shards of ${row} whose packs ${lost} names in rising order
 * (they were not added) from the parity packs of which ${good}[i] is true
 * (their shard of this row was taken).  0: parity_shard(p, j, row) is now that
 * of lost[j].  1: there are more missing than good ones.  -1 with ${e}.
 */
int parity_solve(struct parity *p, uint32_t row, const uint32_t *lost, uint32_t n, const uint8_t *good, struct err *e);

#endif
