#ifndef SAMARA_PACK_CHUNK_SEAL_H
#define SAMARA_PACK_CHUNK_SEAL_H

/* From plaintext to frame (docs/formats/chunk.md), in the three steps that a build has. */

#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "formats/fmt_pack.h"

struct codec;

/* The id of ${len} plain bytes as a chunk of ${kind}. */
void chunk_id(const struct domain_keys *k, unsigned kind, const void *plain, size_t len, uint8_t id[DIGEST_LEN]);

/* Most bytes that chunk_inner can write for ${len} plain ones. */
size_t chunk_inner_bound(size_t len);

/**
 * chunk_inner(c, plain, len, out):
 * Compress and pad: plain length u32 | packed length u32 | codec u8 | packed |
 * zeros up to Padme.  1 <= ${len} <= CHUNK_PLAIN_MAX.  Return the bytes written.
 */
size_t chunk_inner(struct codec *c, const uint8_t *plain, size_t len, uint8_t *out);

/* Bytes of the frame around ${inner_len} inner bytes. */
size_t chunk_frame_len(size_t inner_len);

/**
 * chunk_frame(k, kind, id, inner, inner_len, out, row):
 * Seal: write the whole frame (chunk_frame_len bytes) to ${out} and what the
 * pack's table says of it to ${row}.  A fresh nonce each time.
 */
void chunk_frame(const struct domain_keys *k, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *inner,
    size_t inner_len, uint8_t *out, struct pack_row *row);

#endif
