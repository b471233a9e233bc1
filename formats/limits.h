#ifndef SAMARA_FORMATS_LIMITS_H
#define SAMARA_FORMATS_LIMITS_H

/* Every size and limit of every format.  No other file repeats one. */

#define ID_LEN		16	/* vault, machine, image, snapshot, credential */
#define DIGEST_LEN	32	/* chunk id, domain id, pack id, BLAKE3 digests */
#define SIGN_PUB_LEN	32	/* Ed25519 public key */
#define SIGN_LEN	64	/* Ed25519 signature */
#define BOX_PUB_LEN	32	/* X25519 public key */
#define KEY_LEN		32

#define FORMAT_VERSION	1	/* the format of chunks, packs, images */
#define SUITE_1		1	/* BLAKE3 keyed ids, gear cutter, XChaCha20-Poly1305, zstd */
#define EPOCH_1		1

/* Chunks.  A key domain's average is a power of two between these. */
#define CHUNK_AVG_MIN		(64u << 10)
#define CHUNK_AVG_DEFAULT	(256u << 10)
#define CHUNK_AVG_MAX		(2u << 20)
#define CHUNK_PLAIN_MAX		(8u << 20)	/* four times the largest average */
#define INNER_HEAD_LEN		9		/* plain u32, packed u32, codec u8 */
#define SEAL_TAG_LEN		16
#define NONCE_LEN		24
#define FRAME_HEAD_LEN		48
#define FRAME_OVERHEAD		(FRAME_HEAD_LEN + DIGEST_LEN + NONCE_LEN + 8)	/* around the sealed part */
#define FRAME_SEALED_MIN	(INNER_HEAD_LEN + SEAL_TAG_LEN)
#define FRAME_SEALED_MAX	((9u << 20) + SEAL_TAG_LEN)
#define FRAME_LEN_MIN		(FRAME_OVERHEAD + FRAME_SEALED_MIN)
#define FRAME_LEN_MAX		(FRAME_OVERHEAD + FRAME_SEALED_MAX)

/* Packs. */
#define PACK_LEN_MAX		(16u << 20)
#define PACK_HEAD_LEN		64
#define PACK_ROW_LEN		80
#define PACK_ROW_REPACKED_LEN	128
#define PACK_FOOT_LEN		176
#define PACK_FRAMES_MAX		65536u
#define PACK_TABLE_MAX		(PACK_HEAD_LEN + PACK_FRAMES_MAX * PACK_ROW_REPACKED_LEN)

/* Parity within a disk. */
#define PARITY_PERCENT_MAX	20u
#define PARITY_GROUP_MAX	100u		/* packs that are coded together */
#define PARITY_PACKS_MAX	20u		/* parity packs of a group */
#define PARITY_SHARD_LEN	(64u << 10)
#define PARITY_ROWS_MAX		(PACK_LEN_MAX / PARITY_SHARD_LEN)
#define PARITY_ALIGN		4096u		/* shards begin at sectors */

/* Listing. */
#define PATH_LEN_MAX		65535u		/* a directory's absolute name */
#define NAME_LEN_MAX		255u
#define LINK_LEN_MAX		4095u
#define XATTR_NAME_MAX_LEN	255u
#define XATTR_VALUE_MAX		65536u
#define XATTRS_MAX		4096u
#define ENTRY_LONG		8192u		/* longer entries put parts into chunks of their own */
#define ENTRY_LEN_MAX		(16u << 10)
#define LISTING_MIN		(16u << 10)
#define LISTING_AVG		(64u << 10)
#define LISTING_MAX		(256u << 10)
#define LISTING_CHUNK_MAX	(512u << 10)	/* what a reader accepts */
#define LISTING_LEVELS_MAX	12
#define SPILL_CHUNK_MAX		(256u << 10)
#define SPILL_LEVELS_MAX	8
#define SPILL_LEN_MAX		(UINT64_C(1) << 40)
#define EXTENT_LEN		44
#define FILESYSTEMS_MAX		4096u

/* Snapshots, disks, vaults. */
#define SET_NAME_MAX		64
#define NAME_MAX_LEN		50	/* vault and machine names: 2 .. 50 */
#define SHORT_LEN		4	/* an image's short name: RM4K */
#define PART_LEN_MAX		(UINT64_C(1) << 30)	/* index and lists are written in parts */
#define PARTS_MAX		65535u
#define REFS_MAX		(UINT64_C(1) << 40)
#define DISKS_MAX		4096u
#define SNAPS_PER_IMAGE_MAX	65536u
#define PACKS_PER_DIR		1000u
#define PACKS_PER_DISK_MAX	10000000u
#define STATEMENT_MAX		(16u << 20)	/* one statement with its lists */
#define SMALL_STATEMENT_MAX	(64u << 10)
#define SLOTS_MAX		16u
#define RECORD_BODY_MAX		(8u << 20)
#define ID_LIST_PART		65536u	/* ids in a part of a gap list */
#define ID_LIST_PARTS_MAX	(1u << 24)
#define ID_LIST_PART_LEN	((2u << 20) + 512)	/* bytes of such a part, at most */
#define RECEIPT_RETURNED_MAX	131072u
#define ASK_IDS_MAX		16384u	/* ids in one question of a session */
#define PAGE_IDS_MAX		65536u	/* ids in one page */
#define COMMIT_ENVELOPES_MAX	4096u	/* that one commit brings */
#define ENVELOPE_LEN_MAX	512u
#define URL_MAX_LEN		255
#define TEXT_MAX_LEN		255

/* Argon2id parameters that a reader accepts from a file. */
#define KDF_OPS_MIN		3u
#define KDF_OPS_MAX		16u
#define KDF_MEM_MIN		(256u << 20)	/* libsodium's MODERATE */
#define KDF_MEM_MAX		(UINT64_C(1) << 30)

#define JOURNAL_RECORD_MAX	(24u << 20)
#define ARMOR_TEXT_MAX		(4u << 20)

#endif
