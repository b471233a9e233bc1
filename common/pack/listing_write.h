#ifndef SAMARA_PACK_LISTING_WRITE_H
#define SAMARA_PACK_LISTING_WRITE_H

/*
 * Makes a listing from directories and entries in listing order: leaves and
 * index nodes cut at item boundaries by content (16 / 64 / 256 KiB), as many
 * levels as it takes.  Memory: one chunk a level.  The same items always give
 * the same chunks, also when they are added in several sittings.
 */

#include <stdint.h>

#include "formats/fmt_listing.h"

struct err;

/* Where finished chunks go: store ${len} plain bytes as a chunk of ${kind}, give its id.  0, or -1 with ${e}. */
typedef int (*chunk_put_fn)(void *arg, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e);

struct listing_writer;

/* ${key}: the domain's cutting key, so that cut points are its own. */
struct listing_writer *listing_writer_new(const uint8_t key[32], chunk_put_fn put, void *arg);
/* A directory's block begins.  Out of order is ERR_INTERNAL. */
int listing_writer_dir(struct listing_writer *w, struct fmt_view path, struct err *e);
/* Its next entry.  Too long ones (over ENTRY_LONG) must have been spilled with entry_spill before. */
int listing_writer_entry(struct listing_writer *w, const struct entry *en, struct err *e);
/* The end: top chunk and levels (0: one leaf), number of entries.  Then only free. */
int listing_writer_finish(struct listing_writer *w, uint8_t top[DIGEST_LEN], uint8_t *levels, uint64_t *entries, struct err *e);
void listing_writer_free(struct listing_writer *w);

/*
 * Spill trees: a byte stream cut at record boundaries by content (16 / 64 / 256 KiB).
 */
struct spill_writer;
/* ${record}: bytes of a record (EXTENT_LEN for extents, 1 for free bytes). */
struct spill_writer *spill_writer_new(const uint8_t key[32], size_t record, chunk_put_fn put, void *arg);
int spill_writer_add(struct spill_writer *w, const uint8_t *in, size_t len, struct err *e);
int spill_writer_finish(struct spill_writer *w, struct spill *out, struct err *e);
void spill_writer_free(struct spill_writer *w);

/**
 * entry_spill(key, en, put, arg, e):
 * Where ${en} is longer than ENTRY_LONG, move its xattrs, and if that is not
 * enough its extents, into spill trees (views are cleared, longs set).  0 or -1.
 */
int entry_spill(const uint8_t key[32], struct entry *en, chunk_put_fn put, void *arg, struct err *e);

#endif
