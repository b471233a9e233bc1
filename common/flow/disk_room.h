#ifndef SAMARA_FLOW_DISK_ROOM_H
#define SAMARA_FLOW_DISK_ROOM_H

/* How much of an image still goes onto a disk: the same for whoever fills it. */

#include <stdint.h>

struct disk_target;
struct err;

/**
 * disk_closing_cost(percent, packs, longest, index_bytes, ids):
 * Bytes that closing a disk takes which carries ${packs} packs, the longest of them ${longest} bytes, with
 * ${percent} of parity, rows of ${index_bytes} in its index, and reference lists of ${ids} ids in all.
 */
uint64_t disk_closing_cost(unsigned percent, uint32_t packs, uint32_t longest, uint64_t index_bytes, uint64_t ids);

/**
 * disk_writable(t, packs, bytes, e):
 * Bytes that may still be written on ${t}, which carries ${packs} packs: without what its file system
 * keeps for itself, and 0 where it has no inodes left for closing.  0, or -1 with ${e}.
 */
int disk_writable(const struct disk_target *t, uint32_t packs, uint64_t *bytes, struct err *e);

#endif
