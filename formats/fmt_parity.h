#ifndef SAMARA_FORMATS_FMT_PARITY_H
#define SAMARA_FORMATS_FMT_PARITY_H

/*
 * Parity packs, and how the packs of a disk fall into groups.
 * Specification: docs/formats/disk.md, "Parity".
 *
 * A parity pack is its table, its shards, and the table once more:
 *
 *   off  len  field
 *     0    8  "SAMPRTY\n"
 *     8    2  version = 1
 *    10    2  k             packs of the group, 1 .. PARITY_GROUP_MAX
 *    12    2  m             parity packs of the group, 1 .. PARITY_PACKS_MAX
 *    14    2  index         which of the m this is, from 0
 *    16   16  image id
 *    32    4  disk
 *    36    4  group         from 0
 *    40    4  groups        of the disk
 *    44    4  rows          shards in each pack, 1 .. PARITY_ROWS_MAX
 *    48    4  length of a shard = PARITY_SHARD_LEN
 *    52    4  zero
 *    56       k members: pack number u32, length of its file u32, pack id 32; rising numbers
 *     …       rows times (k + m) checksums, XXH3-64: of the shards of the members, then of those of parity
 *     …    8  XXH3-64 of all before it
 *     …       zeros up to a multiple of PARITY_ALIGN
 */

#include "formats/fmt.h"
#include "formats/limits.h"

#define PARITY_HEAD_LEN		56
#define PARITY_MEMBER_LEN	40

struct parity_member {
	uint32_t number, file_len;
	uint8_t id[DIGEST_LEN];
};

struct parity_table {
	uint16_t k, m, index;
	uint8_t image_id[ID_LEN];
	uint32_t disk, group, groups, rows;
	const uint8_t *members, *sums;	/* into the input */
	size_t summed;			/* bytes under the checksum */
	uint64_t xxh;			/* as stored; the caller compares */
};

/**
 * parity_table_decode(t, in, len):
 * Parse the table at the start of ${len} untrusted bytes (shards may follow).
 * On FMT_OK every field is within its limits, members rise by number, none is
 * longer than the rows and the longest needs them all, and what fills up the
 * last block is zero; the checksum is not compared.  On any other status ${t}
 * is all zero.
 */
enum fmt_status parity_table_decode(struct parity_table *t, const uint8_t *in, size_t len);

/* Member ${i} < k, and the checksum of shard ${i} < k + m of ${row} < rows. */
void parity_member_get(const struct parity_table *t, uint32_t i, struct parity_member *p);
uint64_t parity_sum_get(const struct parity_table *t, uint32_t row, uint32_t i);

/**
 * parity_table_encode(t, members, sums, out):
 * All of a table but its checksum, whose place is at t->summed, which is set:
 * ${members} has k of them, ${sums} rows times (k + m).  ${out} has room for
 * parity_table_len.
 */
void parity_table_encode(struct parity_table *t, const struct parity_member *members, const uint64_t *sums, uint8_t *out);

/* Bytes of a table up to the first shard, and of a whole parity pack. */
size_t parity_table_len(uint32_t k, uint32_t m, uint32_t rows);
uint64_t parity_pack_len(uint32_t k, uint32_t m, uint32_t rows);

/*
 * How ${packs} packs fall into groups: pack j, by position in the disk's
 * index, is in group j mod groups, as member j / groups of it.
 */
uint32_t parity_groups(uint32_t packs, uint32_t percent);			/* 0 where there is no parity */
uint32_t parity_group_packs(uint32_t packs, uint32_t groups, uint32_t group);	/* k */
uint32_t parity_group_parity(uint32_t k, uint32_t percent);			/* m */
/* The number of the first parity pack of ${group}; of ${groups}: how many there are on the disk. */
uint32_t parity_number(uint32_t packs, uint32_t groups, uint32_t percent, uint32_t group);
/* Bytes that parity of ${packs} packs takes, the longest of which is ${longest} bytes. */
uint64_t parity_room(uint32_t packs, uint32_t longest, uint32_t percent);

#endif
