#ifndef SAMARA_FORMATS_FMT_PACK_H
#define SAMARA_FORMATS_FMT_PACK_H

/* Chunk frames and packs.  Specification: docs/formats/chunk.md, docs/formats/pack.md. */

#include "formats/fmt.h"
#include "formats/limits.h"

/* What a chunk holds; the kind chooses the id key and is authenticated. */
enum chunk_kind {
	KIND_DATA = 1,		/* a piece of one file */
	KIND_BUNDLE = 2,	/* many small files */
	KIND_LISTING = 3,	/* a leaf of a listing */
	KIND_INDEX = 4,		/* a node above leaves */
	KIND_SPILL = 5,		/* parts of long entries */
	KIND_ROOT = 6,		/* a snapshot's root */
	KIND_MAX = 6
};

/*
 * Frame (little-endian):
 *   off  len  field
 *     0    4  "SMCK"
 *     4    1  format = 1
 *     5    1  suite = 1
 *     6    2  kind
 *     8    4  key epoch = 1
 *    12   32  domain id
 *    44    4  length of the sealed part, tag included
 *    48   32  chunk id
 *    80   24  nonce
 *   104       sealed part
 *     …    8  XXH3-64 of all before it
 */
struct frame {
	uint16_t kind;
	uint32_t epoch;
	uint8_t domain_id[DIGEST_LEN];
	uint32_t sealed_len;
	const uint8_t *id;		/* into the input */
	const uint8_t *nonce;
	const uint8_t *sealed;
	uint64_t xxh;			/* as stored; the caller compares */
};

/**
 * frame_decode(f, in, len):
 * Parse the frame that is exactly the ${len} untrusted bytes at ${in}; the
 * pointers in ${f} live as long as ${in}.  The checksum is not compared.
 */
enum fmt_status frame_decode(struct frame *f, const uint8_t *in, size_t len);

/* Write the 48 bytes of a frame's head. */
void frame_head_encode(uint8_t out[FRAME_HEAD_LEN], uint16_t kind, uint32_t epoch, const uint8_t domain_id[DIGEST_LEN],
    uint32_t sealed_len);

/* Padme: ${len} rounded up so that only O(log log) bits of it show (PURB, Nikitin et al. 2019). */
uint64_t padme(uint64_t len);

/*
 * Pack header:
 *   0  8 "SAMPACK\n" | 8  2 version = 1 | 10  2 flags (1: re-packed by a vault)
 *  12  4 zero | 16  32 domain id | 48  16 maker: machine or vault id
 */
#define PACK_REPACKED	1u
struct pack_head {
	uint16_t flags;
	uint8_t domain_id[DIGEST_LEN];
	uint8_t maker[ID_LEN];
};
/* Any ${len} bytes may be given; ${h} counts only where it says FMT_OK. */
enum fmt_status pack_head_decode(struct pack_head *h, const uint8_t *in, size_t len);
void pack_head_encode(const struct pack_head *h, uint8_t out[PACK_HEAD_LEN]);

/*
 * Table: the header again, then per frame
 *   id 32 | kind u16 | zero u16 | stored length u32 | digest 32 | XXH3 u64
 * and in a re-packed one also
 *   writer 16 (machine id) | origin 32 (id of the table it was signed in)
 */
struct pack_row {
	uint8_t id[DIGEST_LEN];
	uint16_t kind;
	uint32_t len;			/* of the frame */
	uint8_t digest[DIGEST_LEN];
	uint64_t xxh;
	uint8_t writer[ID_LEN];		/* re-packed only; else the maker */
	uint8_t origin[DIGEST_LEN];	/* re-packed only; else zeros */
};
struct pack_table {
	struct pack_head head;
	uint32_t count;
	uint32_t row_len;
	const uint8_t *rows;		/* into the input */
	uint64_t body_len;		/* of all frames together */
};
/**
 * pack_table_decode(t, in, len):
 * Parse the table that is exactly the ${len} untrusted bytes at ${in}: every
 * row is checked (kind, length, zeros, that all fits into a pack).
 */
enum fmt_status pack_table_decode(struct pack_table *t, const uint8_t *in, size_t len);
/* Row ${i} < count of a decoded table. */
void pack_table_row(const struct pack_table *t, uint32_t i, struct pack_row *row);
/* Append a row to ${w} in the form that ${flags} asks for. */
void pack_row_put(struct wr *w, uint16_t flags, const struct pack_row *row);

/*
 * Footer, the last 176 bytes of a pack:
 *   0  8 "SAMPEND\n" | 8  2 version = 1 | 10  2 zero | 12  4 count | 16  4 table length | 20  4 body length
 *  24 32 domain id | 56 16 maker | 72 32 table digest (the pack's id) | 104 64 signature | 168 8 XXH3-64 of all before it
 * Signed: bytes 0 .. 103, context "samara pack v1".
 */
#define PACK_FOOT_SIGNED	104
#define PACK_FOOT_SUMMED	168
#define PACK_CONTEXT		"samara pack v1"
struct pack_foot {
	uint32_t count, table_len, body_len;
	uint8_t domain_id[DIGEST_LEN];
	uint8_t maker[ID_LEN];
	uint8_t pack_id[DIGEST_LEN];
	uint8_t sig[SIGN_LEN];
	uint64_t xxh;			/* as stored; the caller compares */
};
/*
 * The PACK_FOOT_LEN bytes at ${in}, untrusted; neither checksum nor signature
 * is checked.  ${f} counts only where it says FMT_OK.
 */
enum fmt_status pack_foot_decode(struct pack_foot *f, const uint8_t *in, size_t len);
void pack_foot_encode(const struct pack_foot *f, uint8_t out[PACK_FOOT_LEN]);

#endif
