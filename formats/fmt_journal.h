#ifndef SAMARA_FORMATS_FMT_JOURNAL_H
#define SAMARA_FORMATS_FMT_JOURNAL_H

/*
 * Build journal: an append-only file in the machine's state.  A record counts
 * only if it is whole and its checksum agrees; what follows the first that is
 * not, is cut off.  Specification: docs/formats/journal.md.
 *
 *   file:    "SAMJRNL\n" | version u16 = 1 | zero u16 | zero u32
 *   record:  length u32 (of the payload) | type u8 | zero u8[3] | payload | XXH3-64 u64
 * The checksum covers the record before it, seeded with the checksum of the
 * record before (0 for the first), so records cannot be dropped or moved.
 */

#include "formats/schema.h"

#define JOURNAL_HEAD_LEN	16
#define JOURNAL_RECORD_HEAD	8
#define JOURNAL_RECORD_OVERHEAD	16

enum journal_type {
	JOURNAL_BEGIN = 1,	/* journal_begin */
	JOURNAL_DISK = 2,	/* the label of a disk that is used from here on, encoded */
	JOURNAL_PACK = 3,	/* disk u32 | number u32 | file length u32 | table | footer: durable on the disk */
	JOURNAL_ITEMS = 4,	/* items of the listing, as in a leaf without its head: below the watermark */
	JOURNAL_COUNTS = 5,	/* journal_counts: of the listing, which is complete; before the envelope; the last one counts */
	JOURNAL_ENVELOPE = 6,	/* the snapshot's envelope, encoded: number given, listing complete */
	JOURNAL_CLOSED = 7,	/* a disk statement, encoded: that disk is closed */
	JOURNAL_READ_BACK = 8,	/* disk u32: read back without error */
	JOURNAL_MANIFEST = 9,	/* the manifest, encoded: the image is sealed */
	JOURNAL_CANCELLED = 10,
	JOURNAL_SPILL = 11,	/* what u8 (LONG_*) | chunk id 32 | its plaintext: of the long entry in the next JOURNAL_ITEMS */
	JOURNAL_SEALED = 12,	/* snapshot kept, set moved on: nothing is left to do */
	JOURNAL_REPLACED = 13,	/* old u32 | new u32: disk old is gone, its packs count no more; new 0: none takes its place yet */
	JOURNAL_SHIPPED = 14,	/* the parcel, encoded; the last one counts */
	JOURNAL_LOST = 15,	/* the image is lost: its chunks count no more */
	JOURNAL_REOPENED = 16,	/* it turned up */
	JOURNAL_HANDED_OFF = 17,	/* the answer to a whole receipt, encoded */
	JOURNAL_OPTIONS = 18,	/* journal_options: what a build was asked for beside its beginning */
	JOURNAL_GROUP = 19,	/* disk u32 | group u32: read back, and its parity is durable and was read back too */
	JOURNAL_SNAPSHOT = 20,	/* disk u32: envelope and reference list stand on it */
	JOURNAL_TYPE_MAX = 20
};

/* JOURNAL_OPTIONS: parity u8 (percent) | flags u8 (JO_*) | zero u16 | reserve u64 (bytes to leave free on each disk). */
#define JOURNAL_OPTIONS_LEN	12
#define JO_SPREAD		1u
#define PARITY_DEFAULT		5u	/* where no options are recorded */
struct journal_options {
	uint8_t parity;
	uint8_t flags;
	uint64_t reserve;
};
/* Any ${len} bytes may be given; ${o} counts only where it says FMT_OK. */
enum fmt_status journal_options_decode(struct journal_options *o, const uint8_t *in, size_t len);
void journal_options_encode(const struct journal_options *o, uint8_t out[JOURNAL_OPTIONS_LEN]);

/* JOURNAL_COUNTS: the five as u64, in this order. */
#define JOURNAL_COUNTS_LEN	40
struct journal_counts {
	uint64_t entries, files, bytes;		/* in the snapshot */
	uint64_t unreadable;			/* items left out that should be in */
	uint64_t warnings;			/* of the run that completed the listing */
};
/* Any ${len} bytes may be given; ${c} counts only where it says FMT_OK. */
enum fmt_status journal_counts_decode(struct journal_counts *c, const uint8_t *in, size_t len);
void journal_counts_encode(const struct journal_counts *c, uint8_t out[JOURNAL_COUNTS_LEN]);

struct journal_record {
	uint8_t type;
	struct fmt_view payload;
	uint64_t xxh;		/* as stored; the caller compares */
	size_t len;		/* of the whole record */
};

/* Whether the ${len} untrusted bytes begin as a journal of this version does. */
enum fmt_status journal_head_decode(const uint8_t *in, size_t len);
void journal_head_encode(uint8_t out[JOURNAL_HEAD_LEN]);
/**
 * journal_record_decode(r, in, len):
 * The record at the start of ${len} untrusted bytes (more may follow).
 * FMT_SHORT: it is not all there.
 */
enum fmt_status journal_record_decode(struct journal_record *r, const uint8_t *in, size_t len);
/* The 8 bytes before a payload. */
void journal_record_head_encode(uint8_t out[JOURNAL_RECORD_HEAD], uint8_t type, uint32_t len);

/* What the build was asked for; enough for --resume without any option. */
struct journal_begin {
	uint8_t image_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint8_t machine_id[ID_LEN];
	uint8_t vault_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint8_t snapshot_id[ID_LEN];
	char set_name[SET_NAME_MAX + 1];
	uint8_t base[ID_LEN];		/* merge base; zeros: none */
	int64_t begin_ns;
	uint32_t flags;			/* JB_* */
	int32_t level_u;		/* zstd level, as u32 */
	struct fmt_view paths;		/* rows: path str16 */
	struct fmt_view excludes;	/* rows: pattern str16 */
};
#define JB_ONE_FILE_SYSTEM	1u
#define JB_EXCLUDE_CACHES	2u
#define JB_NETWORK_FS		4u
#define JB_PLAIN_DIRECTORY	8u
#define JB_NO_READ_BACK		16u
#define JB_NO_KEY_TEST		32u
#define JB_FULL			64u
extern const struct fmt_schema journal_begin_schema;

#endif
