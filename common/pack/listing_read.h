#ifndef SAMARA_PACK_LISTING_READ_H
#define SAMARA_PACK_LISTING_READ_H

/* Reads a listing in order, whole or from a place in it.  Everything read is hostile until checked. */

#include <stdint.h>

#include "formats/fmt_listing.h"

struct err;

/**
 * Where chunks come from: give the plaintext of chunk ${id}, which must be of
 * ${kind}, in a buffer that stays valid until the next call with the same
 * ${arg}.  0, or -1 with ${e} (ERR_MISSING: not to be had).
 */
typedef int (*chunk_get_fn)(void *arg, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t **plain, size_t *len, struct err *e);

/* Is told every chunk of the listing itself (leaves, nodes) when it is first read.  May be NULL. */
typedef int (*chunk_seen_fn)(void *arg, const uint8_t id[DIGEST_LEN], unsigned kind, struct err *e);

struct listing_reader;

/* The listing whose top chunk is ${top}, with ${levels} of index chunks above its leaves.  NULL without memory. */
struct listing_reader *listing_reader_new(const uint8_t top[DIGEST_LEN], uint8_t levels, chunk_get_fn get, void *arg,
    chunk_seen_fn seen, void *seen_arg);
/**
 * listing_reader_seek(r, path, e):
 * Go to the block of directory ${path}, or to the first item after the place
 * where it would be.  Reads only the chunks on the way.
 */
int listing_reader_seek(struct listing_reader *r, struct fmt_view path, struct err *e);
/**
 * listing_reader_next(r, dir, en, e):
 * 1: an entry ${en} of directory ${dir}; 2: a directory's block begins (${dir});
 * 0: the end; -1 with ${e}.  Order, form and levels are checked as it goes:
 * anything out of order is ERR_DAMAGE.  After -1 the next call goes on behind
 * the leaf or node that could not be read.  Views stay valid until the next call.
 */
int listing_reader_next(struct listing_reader *r, struct fmt_view *dir, struct entry *en, struct err *e);
void listing_reader_free(struct listing_reader *r);

/**
 * listing_find(top, levels, get, arg, path, en, copy, e):
 * The entry of absolute ${path} (not "/").  1 found (its views point into
 * ${copy}, ENTRY_LEN_MAX + 16 bytes of the caller), 0 not there, -1 with ${e}.
 */
int listing_find(const uint8_t top[DIGEST_LEN], uint8_t levels, chunk_get_fn get, void *arg, struct fmt_view path,
    struct entry *en, uint8_t *copy, struct err *e);

/* A spill tree's bytes, in order. */
struct spill_reader;
struct spill_reader *spill_reader_new(const struct spill *s, chunk_get_fn get, void *arg, chunk_seen_fn seen, void *seen_arg);
/* The next piece: 1 with ${p}, ${n}; 0 at the end (length checked); -1 with ${e}. */
int spill_reader_next(struct spill_reader *r, const uint8_t **p, size_t *n, struct err *e);
void spill_reader_free(struct spill_reader *r);

/**
 * extents_each(en, get, arg, seen, seen_arg, fn, fn_arg, e):
 * Call ${fn} for each extent of ${en}, from the entry or its spill tree, in
 * order, with the offset in the file; checks that they sum to the size.
 */
typedef int (*extent_fn)(void *arg, uint64_t at, const struct extent *x, struct err *e);
int extents_each(const struct entry *en, chunk_get_fn get, void *arg, chunk_seen_fn seen, void *seen_arg,
    extent_fn fn, void *fn_arg, struct err *e);

#endif
