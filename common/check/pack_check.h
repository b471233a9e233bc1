#ifndef SAMARA_CHECK_PACK_CHECK_H
#define SAMARA_CHECK_PACK_CHECK_H

/* All that can be said of one pack in memory, without a key or with it. */

#include "common/pack/chunk_open.h"
#include "common/pack/pack_view.h"

struct err;

/* What is known of a frame: ${why} NULL: it is good, and ${plain_len} is set where it was opened (else 0). */
typedef void (*frame_told_fn)(void *arg, const struct pack_row *row, uint32_t off, uint32_t plain_len, const char *why);

struct pack_checker {
	enum pack_depth depth;
	struct opener *opener;	/* NULL: frames are not opened */
	const uint8_t *domain_id;	/* of the opener: frames of others are not opened */
	uint8_t *plain;		/* CHUNK_PLAIN_MAX, where there is an opener */
	frame_told_fn fn;
	void *arg;
};

/**
 * pack_check_frames(c, v, bytes, len):
 * Check every frame of the pack whose believed table is ${v} against its
 * ${len} bytes in memory (those of a whole pack, or fewer where it is cut
 * short) and tell of each.  Return the number of bad ones.
 */
uint32_t pack_check_frames(const struct pack_checker *c, const struct pack_view *v, const uint8_t *bytes, size_t len);

#endif
