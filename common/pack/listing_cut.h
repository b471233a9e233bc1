#ifndef SAMARA_PACK_LISTING_CUT_H
#define SAMARA_PACK_LISTING_CUT_H

/*
 * Where listings are cut (docs/formats/listing.md).  Whether an item may begin
 * a chunk depends on the key, the level and the item's own identity, its
 * directory's path and its name, so that no change of attributes moves a cut:
 *
 *   place of a directory   BLAKE3 keyed (cutting key; path)
 *   value of an item       BLAKE3 keyed (cutting key; level u8 | place | name)
 *
 * the name being empty for the beginning of the directory itself; the item may
 * begin a chunk where the low bits of the value's first eight bytes are zero.
 * Chunks have at least LISTING_MIN bytes and at most LISTING_MAX; past
 * LISTING_AVG fewer bits are asked for.
 */

#include <stdint.h>

#include "formats/fmt_listing.h"

/* The place of the directory ${path}. */
void listing_place(const uint8_t key[KEY_LEN], struct fmt_view path, uint8_t place[DIGEST_LEN]);

/**
 * listing_cuts(key, level, place, name, have, more):
 * 1 if a chunk of ${level} (0: leaves) that has ${have} bytes ends before the
 * item (${place}, ${name}) of ${more} bytes, else 0.
 */
int listing_cuts(const uint8_t key[KEY_LEN], unsigned level, const uint8_t place[DIGEST_LEN], struct fmt_view name,
    size_t have, size_t more);

#endif
