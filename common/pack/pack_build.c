#include <string.h>

#include "common/chunk/codec.h"
#include "common/crypto/hash.h"
#include "common/crypto/random.h"
#include "common/crypto/sign.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_build.h"

uint64_t
pack_len(uint32_t count, uint64_t frames_len)
{
	return 2 * PACK_HEAD_LEN + frames_len + (uint64_t)count * PACK_ROW_LEN + PACK_FOOT_LEN;
}

uint64_t
pack_rebuild_len(uint32_t count, uint64_t frames_len)
{
	return 2 * PACK_HEAD_LEN + frames_len + (uint64_t)count * PACK_ROW_REPACKED_LEN + PACK_FOOT_LEN;
}

/* A pack under construction: rows gather where the table will stand. */
struct draft {
	struct pack_head head;
	uint8_t *out;
	size_t row_len;
	uint32_t count;
};

/* Head of the pack in its place; the table begins ${body} bytes after it. */
static void
draft_start(struct draft *d, const uint8_t domain_id[DIGEST_LEN], const uint8_t maker[ID_LEN], uint16_t flags,
    uint64_t body, uint32_t count, uint8_t *out, struct pack_info *info)
{
	memset(d, 0, sizeof(*d));
	d->head.flags = flags;
	memcpy(d->head.domain_id, domain_id, DIGEST_LEN);
	memcpy(d->head.maker, maker, ID_LEN);
	d->out = out;
	d->count = count;
	d->row_len = flags != 0 ? PACK_ROW_REPACKED_LEN : PACK_ROW_LEN;
	pack_head_encode(&d->head, out);
	memset(info, 0, sizeof(*info));
	info->count = count;
	info->table_off = (uint32_t)(PACK_HEAD_LEN + body);
	info->table_len = (uint32_t)(PACK_HEAD_LEN + count * d->row_len);
	info->len = info->table_off + info->table_len + PACK_FOOT_LEN;
	pack_head_encode(&d->head, out + info->table_off);
}

static void
draft_row(const struct draft *d, const struct pack_info *info, uint32_t i, const struct pack_row *row)
{
	struct wr w = { .p = d->out + info->table_off + PACK_HEAD_LEN + i * d->row_len, .left = d->row_len };

	pack_row_put(&w, d->head.flags, row);
}

/* The footer: digest of the table, signature, checksum. */
static void
draft_finish(const struct draft *d, const uint8_t secret[64], struct pack_info *info)
{
	struct pack_foot f = { .count = d->count, .table_len = info->table_len };
	uint8_t *foot = d->out + info->table_off + info->table_len;

	f.body_len = info->table_off - PACK_HEAD_LEN;
	memcpy(f.domain_id, d->head.domain_id, DIGEST_LEN);
	memcpy(f.maker, d->head.maker, ID_LEN);
	hash_once(d->out + info->table_off, info->table_len, f.pack_id);
	pack_foot_encode(&f, foot);
	sign_make(f.sig, secret, PACK_CONTEXT, foot, PACK_FOOT_SIGNED);
	pack_foot_encode(&f, foot);
	f.xxh = checksum(foot, PACK_FOOT_SUMMED);
	pack_foot_encode(&f, foot);
	memcpy(info->id, f.pack_id, DIGEST_LEN);
}

/* Fisher and Yates: every order is as likely as the others. */
static void
parts_shuffle(struct pack_part *parts, uint32_t n)
{
	struct pack_part held;
	uint32_t j;

	for (uint32_t i = n; i > 1; i--) {
		j = random_below(i);
		held = parts[i - 1];
		parts[i - 1] = parts[j];
		parts[j] = held;
	}
}

void
pack_build(const struct domain_keys *k, const uint8_t maker[ID_LEN], const uint8_t secret[64], struct pack_part *parts,
    uint32_t n, uint8_t *out, struct pack_info *info)
{
	struct draft d;
	struct pack_row row;
	uint64_t body = 0;
	uint8_t *at = out + PACK_HEAD_LEN;

	parts_shuffle(parts, n);
	for (uint32_t i = 0; i < n; i++)
		body += chunk_frame_len(parts[i].inner_len);
	draft_start(&d, k->domain_id, maker, 0, body, n, out, info);
	for (uint32_t i = 0; i < n; i++) {
		chunk_frame(k, parts[i].kind, parts[i].id, parts[i].inner, parts[i].inner_len, at, &row);
		draft_row(&d, info, i, &row);
		at += row.len;
	}
	draft_finish(&d, secret, info);
}

void
pack_rebuild(const uint8_t domain_id[DIGEST_LEN], const uint8_t vault_id[ID_LEN], const uint8_t secret[64],
    const struct pack_frame *frames, uint32_t n, uint8_t *out, struct pack_info *info)
{
	struct draft d;
	uint64_t body = 0;
	uint8_t *at = out + PACK_HEAD_LEN;

	for (uint32_t i = 0; i < n; i++)
		body += frames[i].row.len;
	draft_start(&d, domain_id, vault_id, PACK_REPACKED, body, n, out, info);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(at, frames[i].bytes, frames[i].row.len);
		draft_row(&d, info, i, &frames[i].row);
		at += frames[i].row.len;
	}
	draft_finish(&d, secret, info);
}
