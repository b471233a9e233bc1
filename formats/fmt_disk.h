#ifndef SAMARA_FORMATS_FMT_DISK_H
#define SAMARA_FORMATS_FMT_DISK_H

/* What stands on a disk beside packs.  Specification: docs/formats/disk.md. */

#include "formats/schema.h"

/* Names what is in samara/IMAGE/ on this disk; never changes.  Signed by the machine. */
struct label {
	uint8_t image_id[ID_LEN];
	char short_name[SHORT_LEN + 1];	/* RM4K */
	uint32_t disk;			/* 1, 2, 3 … */
	uint8_t vault_id[ID_LEN];
	char vault_name[NAME_MAX_LEN + 1];
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t machine_pub[SIGN_PUB_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint16_t format;
	uint16_t suite;
	char fs_type[32];		/* of the disk, as it was when the label was written */
	uint8_t fs_id[ID_LEN];		/* its identity: BLAKE3 of its UUID, cut; zeros: not known */
	int64_t created;
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema label_schema;

/*
 * 1 if it names an export: made by the vault, which stands where other labels
 * have their machine (machine_id, machine_pub); machine_name is whose data it is.
 */
int label_is_export(const struct label *l);

/*
 * Disk index: the concatenation of its parts' payloads is one stream of rows
 *   pack number u32 | file length u32 | table length u32 | table | footer
 * in rising order of numbers.  Each part is a file: this header, then payload.
 *
 *   off  len  field
 *     0    8  "SAMDIDX\n"
 *     8    2  version = 1
 *    10    2  part, from 0
 *    12    4  zero
 *    16   16  image id
 *    32    4  disk
 *    36    8  payload length
 *    44       payload
 */
#define INDEX_PART_HEAD_LEN	44
#define INDEX_ROW_HEAD_LEN	12
struct index_part {
	uint16_t part;
	uint8_t image_id[ID_LEN];
	uint32_t disk;
	uint64_t payload_len;
};
/**
 * index_part_decode(h, in, len): the header of a part from the first
 * INDEX_PART_HEAD_LEN of ${len} untrusted bytes.
 */
enum fmt_status index_part_decode(struct index_part *h, const uint8_t *in, size_t len);
void index_part_encode(const struct index_part *h, uint8_t out[INDEX_PART_HEAD_LEN]);

/* Closes a disk.  Signed by the machine. */
struct disk_statement {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint8_t image_id[ID_LEN];
	uint32_t disk;
	uint8_t label_digest[DIGEST_LEN];	/* BLAKE3 of the whole label file */
	uint32_t packs;
	uint64_t pack_bytes;
	uint64_t chunks;
	uint8_t index_digest[DIGEST_LEN];	/* BLAKE3 over the BLAKE3 digests of the part files, in order */
	uint16_t index_parts;
	uint64_t index_bytes;		/* all payloads together */
	uint8_t parity_percent;		/* 0: none */
	uint32_t parity_groups;
	int64_t closed;
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema disk_statement_schema;

struct manifest_disk {
	uint32_t disk;
	uint32_t replaces;		/* 0: none */
	uint8_t statement[DIGEST_LEN];	/* statement_digest of the disk statement */
};
extern const struct fmt_field manifest_disk_fields[];
extern const size_t manifest_disk_nfields;
#define MANIFEST_DISK_LEN	(4 + 4 + DIGEST_LEN)

/* Closes an image.  Signed by the machine. */
struct manifest {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint8_t image_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint32_t generation;
	struct fmt_view disks;		/* MANIFEST_DISK_LEN each, rising numbers */
	struct fmt_view envelopes;	/* envelope digests, DIGEST_LEN each, in byte order, unique */
	struct fmt_view leans_on;	/* image ids, ID_LEN each */
	uint8_t carried[DIGEST_LEN];	/* digest of the list of ids carried; zeros where there are snapshots */
	uint8_t root[DIGEST_LEN];	/* docs/formats/disk.md, "root" */
	uint8_t parity_across;		/* 0: none */
	uint8_t key_tested;		/* 1: a chunk was opened from the disk with passphrase or recovery key */
	int64_t sealed;
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema manifest_schema;

/* A sealed key slot header on a disk: whose it is, and the letter to the vault. */
struct disk_keys {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint8_t openable;		/* 1: the blob is a slot header itself (--self-contained) */
	struct fmt_view blob;
};
extern const struct fmt_schema disk_keys_schema;

#endif
