#ifndef SAMARA_FORMATS_FMT_SNAPSHOT_H
#define SAMARA_FORMATS_FMT_SNAPSHOT_H

/* Snapshot envelope, root chunk, reference list.  Specification: docs/formats/snapshot.md. */

#include "formats/schema.h"

#define SNAP_FILES		1
#define SNAP_SYSTEM_STATE	2
#define SNAP_VOLUME		3
#define SNAP_STREAM		4

/* In clear, signed by the machine. */
struct envelope {
	uint8_t snapshot_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint64_t seq;			/* 1, 2, 3 … one chain a machine */
	uint8_t previous[ID_LEN];	/* snapshot seq - 1; zeros for the first */
	char set_name[SET_NAME_MAX + 1];
	uint8_t base[ID_LEN];		/* merge base; zeros: none */
	uint8_t kind;
	int64_t begin_ns, end_ns;	/* of the walk, since 1970 */
	uint8_t root_id[DIGEST_LEN];	/* chunk id of the root chunk */
	uint8_t refs_digest[DIGEST_LEN];
	uint64_t refs_count;
	uint8_t image_id[ID_LEN];	/* zeros: none */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema envelope_schema;

/* The root chunk's plaintext: repeats the envelope, points at the listing. */
struct snapshot_root {
	uint8_t snapshot_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint64_t seq;
	uint8_t previous[ID_LEN];
	char set_name[SET_NAME_MAX + 1];
	uint8_t base[ID_LEN];
	uint8_t kind;
	int64_t begin_ns, end_ns;
	uint8_t refs_digest[DIGEST_LEN];	/* of the same list without the root's own id */
	uint64_t refs_count;
	uint8_t image_id[ID_LEN];
	uint8_t signer_pub[SIGN_PUB_LEN];
	uint8_t top_id[DIGEST_LEN];	/* top of the listing */
	uint8_t levels;			/* 0: top is a leaf */
	uint64_t entries;		/* entries in the listing */
	uint64_t files;			/* of them regular files */
	uint64_t bytes;			/* their plain sizes together */
	uint64_t unreadable;		/* source items that could not be read */
	char host[TEXT_MAX_LEN + 1];
	char program[TEXT_MAX_LEN + 1];	/* "samara 0.1.0" */
	struct fmt_view filesystems;	/* rows: type str8, uuid str8, path str16, subvolume u64; see filesystem_next */
	struct fmt_view paths;		/* rows: path str16: what was asked for */
};
extern const struct fmt_schema snapshot_root_schema;

/* A row of the table of file systems; an entry names one by position. */
struct filesystem {
	struct fmt_view type, uuid, path;
	uint64_t subvolume;		/* btrfs; 0: none */
};
/**
 * filesystem_next(r, fs):
 * Read the next row at ${r}; views point into its bytes.  FMT_OK, FMT_SHORT at
 * the end (r->left == 0) or where it is cut, FMT_RANGE.
 */
enum fmt_status filesystem_next(struct rd *r, struct filesystem *fs);
/* Append a row; w->bad is set where there is no room or a part is too long. */
void filesystem_put(struct wr *w, const struct filesystem *fs);

/*
 * Reference list files, whole or delta, each in parts of at most PART_LEN_MAX:
 *
 *   off  len  field
 *     0    8  "SAMREFS\n"
 *     8    2  version = 1
 *    10    1  kind: 0 whole, 1 delta
 *    11    1  zero
 *    12    2  part, from 0
 *    14    2  parts
 *    16   32  domain id
 *    48   32  digest of the list (docs/formats/snapshot.md)
 *    80    8  ids in the list
 *    88   32  digest of the base list (delta; else zeros)
 *   120    8  ids added (whole: ids in the list), all parts together
 *   128    8  ids removed (whole: 0)
 *   136   32 each: ids added in rising order, then ids removed in rising order
 */
#define REFS_HEAD_LEN	136
#define REFS_WHOLE	0
#define REFS_DELTA	1
#define REFS_PART_IDS	((uint64_t)(PART_LEN_MAX - REFS_HEAD_LEN) / DIGEST_LEN)
struct refs_head {
	uint8_t kind;
	uint16_t part, parts;
	uint8_t domain_id[DIGEST_LEN];
	uint8_t digest[DIGEST_LEN];
	uint64_t count;
	uint8_t base[DIGEST_LEN];
	uint64_t added, removed;
};
/**
 * refs_head_decode(h, in, len):
 * The header from the first REFS_HEAD_LEN of ${len} untrusted bytes.  That
 * part, parts and counts fit together is checked; that the ids are in order is
 * the reader's, as they stream.
 */
enum fmt_status refs_head_decode(struct refs_head *h, const uint8_t *in, size_t len);
void refs_head_encode(const struct refs_head *h, uint8_t out[REFS_HEAD_LEN]);

/* Ids (added and removed together) that stand in part ${h}->part. */
uint64_t refs_part_ids(const struct refs_head *h);

#endif
