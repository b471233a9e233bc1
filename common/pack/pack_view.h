#ifndef SAMARA_PACK_PACK_VIEW_H
#define SAMARA_PACK_PACK_VIEW_H

/* Reading packs without any key: tables, footers, frames and what is wrong with them. */

#include <stdint.h>

#include "formats/fmt_pack.h"

struct err;

/* A table and footer that belong together. */
struct pack_view {
	struct pack_foot foot;
	struct pack_table table;
	uint32_t file_len;
};

/**
 * pack_view_open(v, table, table_len, foot, maker, pub, e):
 * Believe a table: its form; that the footer's digest is the table's, its
 * counts and lengths and checksum agree; domain and maker in head and footer
 * agree; the footer's signature is ${pub}'s and its maker ${maker}.  With ${pub}
 * NULL the signature is not checked.  Views point into the input.  Return 0,
 * or -1 with ${e}: ERR_FORMAT, ERR_VERSION, ERR_DAMAGE, ERR_SIGNATURE.
 */
int pack_view_open(struct pack_view *v, const uint8_t *table, size_t table_len, const uint8_t foot[PACK_FOOT_LEN],
    const uint8_t *maker, const uint8_t *pub, struct err *e) __attribute__((warn_unused_result));

/**
 * pack_view_bytes(v, in, len, maker, pub, e):
 * The same from a whole pack in memory: finds footer and table at its end, and
 * checks that head and length agree with them.  Frames are not looked at.
 */
int pack_view_bytes(struct pack_view *v, const uint8_t *in, size_t len, const uint8_t *maker, const uint8_t *pub,
    struct err *e) __attribute__((warn_unused_result));

/* How far a frame is checked. */
enum pack_depth {
	PACK_QUICK,	/* form, XXH3 */
	PACK_FULL	/* also the BLAKE3 digest of the signed table */
};

/**
 * pack_frame_check(row, frame, depth):
 * NULL if the bytes of the frame (row->len of them) are what the table says,
 * else in words what is wrong with them.
 */
const char *pack_frame_check(const struct pack_row *row, const uint8_t *frame, const uint8_t domain_id[DIGEST_LEN],
    enum pack_depth depth);

#endif
