#ifndef SAMARA_FLOW_REPAIR_GROUP_H
#define SAMARA_FLOW_REPAIR_GROUP_H

/* One group of packs whose missing shards are found from its parity.  For repair.c. */

#include <stddef.h>
#include <stdint.h>

#include "common/disk/image_dir.h"
#include "formats/fmt_parity.h"

struct err;
struct repair_group;

/* Room for groups of up to ${k} packs with ${m} of parity: m + 1 packs of memory.  NULL with ${e}. */
struct repair_group *repair_group_new(uint32_t k, uint32_t m, struct err *e);
void repair_group_free(struct repair_group *g);

/**
 * repair_group_load(g, d, want, members, first, e):
 * Read the group that ${want} (k, m, image, disk, group, groups, rows) and
 * ${members} describe, as the disk's index has them, with its parity packs,
 * numbered from ${first}; find what is missing.  0; 1 where no table of the
 * group can be read, so nothing is known of its shards; -1 with ${e}.
 */
int repair_group_load(struct repair_group *g, const struct image_dir *d, const struct parity_table *want,
    const struct parity_member *members, uint32_t first, struct err *e);

/**
 * repair_group_make(g, d, i, out, had):
 * Member ${i} into ${out} (PACK_LEN_MAX): what is good of it on the disk, what
 * came back, zeros for the rest; ${had} shards are not such zeros.  Return how many of its shards are still missing.
 */
uint32_t repair_group_make(struct repair_group *g, const struct image_dir *d, uint32_t i, uint8_t *out, uint32_t *had);

/**
 * repair_parity_is_whole(in, len, want, members, index):
 * Whether these bytes are parity pack ${index} of the group, with both tables,
 * and its shards have the checksums that stand in them.
 */
int repair_parity_is_whole(const uint8_t *in, size_t len, const struct parity_table *want, const struct parity_member *members,
    uint32_t index);

#endif
