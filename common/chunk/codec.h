#ifndef SAMARA_CHUNK_CODEC_H
#define SAMARA_CHUNK_CODEC_H

/* zstd (RFC 8878), one context a thread; XXH3-64 for accidents. */

#include <stddef.h>
#include <stdint.h>

#define CODEC_STORED	0
#define CODEC_ZSTD	1

struct codec;

/* A context for compressing at ${level} and decompressing; NULL without memory.  One thread at a time. */
struct codec *codec_new(int level);
void codec_free(struct codec *c);

/**
 * codec_pack(c, in, len, out, codec):
 * Compress into ${out} (room for ${len} bytes).  Return the packed length and
 * CODEC_ZSTD, or ${len} and CODEC_STORED (copied) where compression would not
 * save at least 1/32.
 */
size_t codec_pack(struct codec *c, const uint8_t *in, size_t len, uint8_t *out, uint8_t *codec);

/**
 * codec_unpack(c, codec, in, len, out, plain_len):
 * Undo it into ${out}, which has room for exactly ${plain_len}.  Any bytes may
 * be fed to it; more than ${plain_len} is never written.  Return 0, or -1 if
 * the result is not exactly ${plain_len} bytes.
 */
int codec_unpack(struct codec *c, uint8_t codec, const uint8_t *in, size_t len, uint8_t *out, size_t plain_len);

/* XXH3-64 with seed 0, and with a seed. */
uint64_t checksum(const void *in, size_t len);
uint64_t checksum_seeded(const void *in, size_t len, uint64_t seed);

#endif
