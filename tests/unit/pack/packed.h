#ifndef SAMARA_TESTS_PACK_PACKED_H
#define SAMARA_TESTS_PACK_PACKED_H

/* Small packs for tests.  After cmocka.h. */

#include "common/pack/pack_build.h"
#include "pack/sealed.h"

struct packed {
	struct domain_keys *keys;
	uint8_t maker[ID_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	uint8_t *bytes;		/* info.len of them */
	struct pack_info info;
};

/* A pack of ${n} chunks: chunk i is ${len} bytes that begin with i. */
static inline void
packed_make(struct packed *p, uint32_t n, size_t len)
{
	struct pack_part *parts = calloc(n, sizeof(*parts));
	uint8_t *plain = calloc(1, len), *room = malloc(PACK_LEN_MAX), *inner;
	struct codec *c = codec_new(1);

	p->keys = keys_make();
	maker_make(p->maker, p->pub, p->secret);
	for (uint32_t i = 0; i < n; i++) {
		le32_put(plain, i);
		inner = malloc(chunk_inner_bound(len));
		parts[i].kind = (uint16_t)(1 + i % KIND_MAX);
		chunk_id(p->keys, parts[i].kind, plain, len, parts[i].id);
		parts[i].inner = inner;
		parts[i].inner_len = (uint32_t)chunk_inner(c, plain, len, inner);
	}
	pack_build(p->keys, p->maker, p->secret, parts, n, room, &p->info);
	p->bytes = malloc(p->info.len);
	assert_non_null(p->bytes);
	memcpy(p->bytes, room, p->info.len);
	for (uint32_t i = 0; i < n; i++)
		free((void *)(uintptr_t)parts[i].inner);
	free(parts);
	free(plain);
	free(room);
	codec_free(c);
}

static inline void
packed_drop(struct packed *p)
{
	free(p->bytes);
	domain_keys_free(p->keys);
}

/* Where frame ${i} begins. */
static inline uint8_t *
packed_frame(const struct packed *p, const struct pack_table *t, uint32_t i)
{
	uint8_t *at = p->bytes + PACK_HEAD_LEN;
	struct pack_row row;

	for (uint32_t j = 0; j < i; j++) {
		pack_table_row(t, j, &row);
		at += row.len;
	}
	return at;
}

#endif
