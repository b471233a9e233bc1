#ifndef SAMARA_FLOW_PARITY_GROUP_H
#define SAMARA_FLOW_PARITY_GROUP_H

/* Writing the parity of one group of packs onto a disk (docs/formats/disk.md, "Parity"). */

#include <stddef.h>
#include <stdint.h>

#include "formats/fmt_parity.h"

struct err;
struct medium;
struct parity_group;

/**
 * parity_group_new(k, percent, e):
 * Room for groups of up to ${k} packs: as many packs of memory as they have of
 * parity.  NULL with ${e}.
 */
struct parity_group *parity_group_new(uint32_t k, uint32_t percent, struct err *e);
void parity_group_free(struct parity_group *g);

/* Begin the group that ${t} (its index apart) and ${members} describe, copied.  0 or -1. */
int parity_group_begin(struct parity_group *g, const struct parity_table *t, const struct parity_member *members, struct err *e);

/**
 * parity_group_add(g, i, in, len):
 * Code member ${i}: ${len} bytes that were verified.  What lies behind them in
 * ${in}, up to a whole shard, is made zero: there is room.  Each member once;
 * from several threads.
 */
void parity_group_add(struct parity_group *g, uint32_t i, uint8_t *in, size_t len);

/**
 * parity_group_write(g, imagefd, first, e):
 * Write the parity packs with the numbers from ${first}: temporary name, sync,
 * rename, directories synced.  What has such a name already is of a run that
 * was stopped, and is replaced.  After 0 a power cut does not lose them.
 */
int parity_group_write(struct parity_group *g, int imagefd, uint32_t first, struct err *e);

/* Read them back and compare them with what is in memory.  0, or -1 with ERR_MEDIUM. */
int parity_group_read_back(struct parity_group *g, int imagefd, uint32_t first, struct medium *m, struct err *e);

#endif
