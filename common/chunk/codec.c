#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>
#if SAMARA_XXHASH_DISPATCH
#include <xxh_x86dispatch.h>	/* the widest instructions that the processor has */
#endif

#include "common/chunk/codec.h"

struct codec {
	ZSTD_CCtx *pack;
	ZSTD_DCtx *unpack;
	int level;
};

struct codec *
codec_new(int level)
{
	struct codec *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->level = level;
	c->pack = ZSTD_createCCtx();
	c->unpack = ZSTD_createDCtx();
	if (c->pack == NULL || c->unpack == NULL) {
		codec_free(c);
		return NULL;
	}
	return c;
}

void
codec_free(struct codec *c)
{
	if (c == NULL)
		return;
	ZSTD_freeCCtx(c->pack);
	ZSTD_freeDCtx(c->unpack);
	free(c);
}

size_t
codec_pack(struct codec *c, const uint8_t *in, size_t len, uint8_t *out, uint8_t *codec)
{
	size_t most = len - (len + 31) / 32, n;

	/* zstd refuses what would not fit into ${most}; so does it without memory. */
	n = most > 0 ? ZSTD_compressCCtx(c->pack, out, most, in, len, c->level) : 0;
	if (most > 0 && !ZSTD_isError(n)) {
		*codec = CODEC_ZSTD;
		return n;
	}
	memcpy(out, in, len);
	*codec = CODEC_STORED;
	return len;
}

int
codec_unpack(struct codec *c, uint8_t codec, const uint8_t *in, size_t len, uint8_t *out, size_t plain_len)
{
	size_t n;

	switch (codec) {
	case CODEC_STORED:
		if (len != plain_len)
			return -1;
		memcpy(out, in, len);
		return 0;
	case CODEC_ZSTD:
		n = ZSTD_decompressDCtx(c->unpack, out, plain_len, in, len);
		return !ZSTD_isError(n) && n == plain_len ? 0 : -1;
	default:
		return -1;
	}
}

uint64_t
checksum(const void *in, size_t len)
{
	return XXH3_64bits(in, len);
}

uint64_t
checksum_seeded(const void *in, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(in, len, seed);
}
