#ifndef SAMARA_FORMATS_FMT_LISTING_H
#define SAMARA_FORMATS_FMT_LISTING_H

/*
 * The listing: everything in a snapshot as one sorted table, cut into chunks.
 * Specification: docs/formats/listing.md.
 */

#include "formats/fmt.h"
#include "formats/limits.h"

enum entry_type {
	ENTRY_FILE = 1, ENTRY_DIR, ENTRY_SYMLINK, ENTRY_FIFO, ENTRY_CHAR, ENTRY_BLOCK,
	ENTRY_TYPE_MAX = ENTRY_BLOCK
};

#define ENTRY_UNSURE	1u	/* to be read again next time: changed while it was read, or its times were too fresh */
#define ENTRY_PARTIAL	2u	/* a part could not be read and stands as zeros */
#define ENTRY_ABOVE	4u	/* a directory above a given path: attributes only */
#define ENTRY_CHANGED	8u	/* changed while it was read: what stands there may never have been so; always unsure too */
#define ENTRY_FLAGS	15u

#define LONG_EXTENTS	1u	/* the extents stand in a spill tree */
#define LONG_XATTRS	2u	/* the extended attributes do */

/* A spill tree: a byte stream in chunks of kind spill, in levels. */
struct spill {
	uint8_t levels;		/* 0: id is the stream itself */
	uint64_t len;		/* bytes of the stream */
	uint8_t id[DIGEST_LEN];
};

/* An entry.  Views are borrowed: from a decoder's input, or from the caller. */
struct entry {
	uint8_t type;
	uint16_t flags;
	uint32_t mode;		/* permission and set-id bits (07777) */
	uint32_t uid, gid;
	int64_t mtime_s, ctime_s;
	uint32_t mtime_ns, ctime_ns;
	uint64_t size;		/* regular files; else 0 */
	uint64_t inode;
	uint32_t nlink;
	uint16_t fs;		/* position in the root's table of file systems */
	uint32_t major, minor;	/* devices */
	struct fmt_view name;	/* 1 .. 255 bytes, no '/', no zero, not "." or ".." */
	struct fmt_view user, group;	/* may be empty; at most 255 */
	struct fmt_view target;	/* symlinks */
	struct fmt_view xattrs;	/* rows: name str8, value blob u32; names rising; see xattr_next */
	struct fmt_view extents;	/* EXTENT_LEN each; see extent_get */
	uint8_t longs;		/* LONG_* bits: those parts are in spill trees below */
	struct spill long_extents, long_xattrs;
};

/* A stretch of a file: bytes ${offset} .. ${offset} + ${len} of a chunk's plaintext; id zero: a hole. */
struct extent {
	uint8_t id[DIGEST_LEN];
	uint32_t offset;
	uint64_t len;
};
/* The EXTENT_LEN bytes of an extent, both ways; any bytes are one. */
void extent_get(const uint8_t in[EXTENT_LEN], struct extent *x);
void extent_put(uint8_t out[EXTENT_LEN], const struct extent *x);
/* True for a stretch of zeros that no chunk carries. */
static inline bool
extent_is_hole(const struct extent *x)
{
	static const uint8_t zero[DIGEST_LEN];

	return memcmp(x->id, zero, DIGEST_LEN) == 0;
}

/**
 * xattr_next(r, name, value):
 * The next row at ${r}.  FMT_OK; FMT_SHORT at the end or where it is cut;
 * FMT_RANGE.  Order is not looked at.
 */
enum fmt_status xattr_next(struct rd *r, struct fmt_view *name, struct fmt_view *value);
/* Append a row; w->bad is set where there is no room or xattr_next would not take it. */
void xattr_put(struct wr *w, struct fmt_view name, struct fmt_view value);

/*
 * Items in a leaf: tag 1 = a directory's block begins (path str16), tag 2 = an
 * entry of it (length u32, entry).  Each leaf begins with tag 1.
 */
#define ITEM_DIR	1
#define ITEM_ENTRY	2
struct item {
	uint8_t tag;
	struct fmt_view path;	/* tag 1 */
	struct entry entry;	/* tag 2 */
};

/*
 * Leaf chunk:  "SAMLIST\n" | version u16 = 1 | zero u16 | items u32 | items
 */
#define LEAF_HEAD_LEN	16
/* Start reading a leaf: checks the head, leaves ${r} at the first item; ${n} items follow. */
enum fmt_status leaf_decode(const uint8_t *in, size_t len, struct rd *r, uint32_t *n);
/**
 * item_next(r, it):
 * The next item at ${r}: everything in it checked (names, counts, xattr rows,
 * extents summing to the size where they are not long).  Views point into the
 * input; on any status but FMT_OK ${it} is all zero.
 */
enum fmt_status item_next(struct rd *r, struct item *it);
void leaf_head_encode(uint8_t out[LEAF_HEAD_LEN], uint32_t items);
/* Append a directory item; w->bad is set where there is no room or ${path} is not valid. */
void item_dir_put(struct wr *w, struct fmt_view path);
/* Append an entry item; w->bad is set where there is no room or the entry is not encodable. */
void item_entry_put(struct wr *w, const struct entry *e);
/* Bytes that item_entry_put will take, at most. */
size_t item_entry_size(const struct entry *e);

/*
 * Index chunk:  "SAMLIDX\n" | version u16 = 1 | level u16 (1 ..) | rows u32 | rows
 * row: child id 32 | entries below u64 | first path str16 | first name str8
 * (first name empty: the child begins with the directory itself)
 */
#define NODE_HEAD_LEN	16
struct index_row {
	uint8_t child[DIGEST_LEN];
	uint64_t entries;
	struct fmt_view path, name;
};
/* The head of ${len} untrusted bytes; on FMT_OK ${r} stands at the first of ${n} rows. */
enum fmt_status node_decode(const uint8_t *in, size_t len, struct rd *r, unsigned *level, uint32_t *n);
/* The next row at ${r}, names checked; on any status but FMT_OK ${row} is all zero. */
enum fmt_status index_row_next(struct rd *r, struct index_row *row);
void node_head_encode(uint8_t out[NODE_HEAD_LEN], unsigned level, uint32_t rows);
/* Append a row; w->bad is set where there is no room or index_row_next would not take it. */
void index_row_put(struct wr *w, const struct index_row *row);

/*
 * Spill index chunk: "SAMSPIL\n" | version u16 = 1 | level u16 (1 ..) | rows u32
 * | rows of child id 32, stream bytes below u64.  Level 0 chunks are the bytes.
 */
#define SPILL_ROW_LEN	(DIGEST_LEN + 8)
enum fmt_status spill_node_decode(const uint8_t *in, size_t len, struct rd *r, unsigned *level, uint32_t *n);
void spill_node_head_encode(uint8_t out[NODE_HEAD_LEN], unsigned level, uint32_t rows);

/**
 * path_order(a, b):
 * Listing order of absolute directory names: bytewise with '/' lowest, so that
 * a directory comes before all below it and these before its later siblings.
 * < 0, 0, > 0.
 */
int path_order(struct fmt_view a, struct fmt_view b);
/* Bytewise order of names. */
int name_order(struct fmt_view a, struct fmt_view b);
/* True if ${name} can be an entry's name. */
bool name_is_valid(struct fmt_view name);
/* True if ${path} is "/" or "/a/b": absolute, no empty, "." or ".." component, no '/' at its end. */
bool path_is_valid(struct fmt_view path);

/* A view of the ${len} bytes at ${p}, which it does not own. */
static inline struct fmt_view
view_of(const void *p, size_t len)
{
	return (struct fmt_view){ .p = p, .len = (uint32_t)len };
}

#endif
