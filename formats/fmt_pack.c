#include "formats/fmt_pack.h"

static const char frame_magic[4] = { 'S', 'M', 'C', 'K' };
static const char pack_magic[8] = { 'S', 'A', 'M', 'P', 'A', 'C', 'K', '\n' };
static const char foot_magic[8] = { 'S', 'A', 'M', 'P', 'E', 'N', 'D', '\n' };

enum fmt_status
frame_decode(struct frame *f, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 4);
	uint8_t format = rd_u8(&r), suite = rd_u8(&r);
	uint16_t kind = rd_u16(&r);
	uint32_t epoch = rd_u32(&r), n;
	const uint8_t *domain = rd_bytes(&r, DIGEST_LEN);

	memset(f, 0, sizeof(*f));
	n = rd_u32(&r);
	if (r.bad)
		return FMT_SHORT;
	if (memcmp(m, frame_magic, 4) != 0)
		return FMT_MAGIC;
	if (format != FORMAT_VERSION || suite != SUITE_1 || epoch != EPOCH_1)
		return FMT_VERSION;
	if (kind == 0 || kind > KIND_MAX || n < FRAME_SEALED_MIN || n > FRAME_SEALED_MAX)
		return FMT_RANGE;
	if (len < FRAME_OVERHEAD + (size_t)n)
		return FMT_SHORT;
	if (len > FRAME_OVERHEAD + (size_t)n)
		return FMT_TRAILING;
	f->kind = kind;
	f->epoch = epoch;
	memcpy(f->domain_id, domain, DIGEST_LEN);
	f->sealed_len = n;
	f->id = rd_bytes(&r, DIGEST_LEN);
	f->nonce = rd_bytes(&r, NONCE_LEN);
	f->sealed = rd_bytes(&r, n);
	f->xxh = rd_u64(&r);
	return FMT_OK;
}

void
frame_head_encode(uint8_t out[FRAME_HEAD_LEN], uint16_t kind, uint32_t epoch, const uint8_t domain_id[DIGEST_LEN],
    uint32_t sealed_len)
{
	struct wr w = { .p = out, .left = FRAME_HEAD_LEN };

	wr_bytes(&w, frame_magic, 4);
	wr_u8(&w, FORMAT_VERSION);
	wr_u8(&w, SUITE_1);
	wr_u16(&w, kind);
	wr_u32(&w, epoch);
	wr_bytes(&w, domain_id, DIGEST_LEN);
	wr_u32(&w, sealed_len);
}

uint64_t
padme(uint64_t len)
{
	unsigned e = 0, s = 0;
	uint64_t mask;

	if (len < 2)
		return len;
	for (uint64_t v = len; v > 1; v >>= 1)
		e++;
	for (uint64_t v = e; v > 0; v >>= 1)
		s++;
	mask = e > s ? (UINT64_C(1) << (e - s)) - 1 : 0;
	return (len + mask) & ~mask;
}

enum fmt_status
pack_head_decode(struct pack_head *h, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 8);
	uint16_t version = rd_u16(&r), flags = rd_u16(&r);
	uint32_t zero = rd_u32(&r);

	memset(h, 0, sizeof(*h));
	if (len < PACK_HEAD_LEN)
		return FMT_SHORT;
	if (memcmp(m, pack_magic, 8) != 0)
		return FMT_MAGIC;
	if (version != 1)
		return FMT_VERSION;
	if ((flags & ~PACK_REPACKED) != 0 || zero != 0)
		return FMT_RANGE;
	h->flags = flags;
	rd_copy(&r, h->domain_id, DIGEST_LEN);
	rd_copy(&r, h->maker, ID_LEN);
	return FMT_OK;
}

void
pack_head_encode(const struct pack_head *h, uint8_t out[PACK_HEAD_LEN])
{
	struct wr w = { .p = out, .left = PACK_HEAD_LEN };

	wr_bytes(&w, pack_magic, 8);
	wr_u16(&w, 1);
	wr_u16(&w, h->flags);
	wr_u32(&w, 0);
	wr_bytes(&w, h->domain_id, DIGEST_LEN);
	wr_bytes(&w, h->maker, ID_LEN);
}

static enum fmt_status
rows_check(struct pack_table *t)
{
	const uint8_t *p;
	uint32_t n;

	for (uint32_t i = 0; i < t->count; i++) {
		p = t->rows + (size_t)i * t->row_len + DIGEST_LEN;
		n = le32_get(p + 4);
		if (le16_get(p) == 0 || le16_get(p) > KIND_MAX || le16_get(p + 2) != 0 ||
		    n < FRAME_LEN_MIN || n > FRAME_LEN_MAX)
			return FMT_RANGE;
		t->body_len += n;
	}
	if (PACK_HEAD_LEN * 2 + t->body_len + (uint64_t)t->count * t->row_len + PACK_FOOT_LEN > PACK_LEN_MAX)
		return FMT_RANGE;
	return FMT_OK;
}

enum fmt_status
pack_table_decode(struct pack_table *t, const uint8_t *in, size_t len)
{
	enum fmt_status st;

	memset(t, 0, sizeof(*t));
	if ((st = pack_head_decode(&t->head, in, len)) != FMT_OK)
		return st;
	t->row_len = (t->head.flags & PACK_REPACKED) != 0 ? PACK_ROW_REPACKED_LEN : PACK_ROW_LEN;
	if ((len - PACK_HEAD_LEN) % t->row_len != 0)
		st = FMT_SHORT;
	else if (len == PACK_HEAD_LEN || (len - PACK_HEAD_LEN) / t->row_len > PACK_FRAMES_MAX)
		st = FMT_RANGE;
	if (st == FMT_OK) {
		t->count = (uint32_t)((len - PACK_HEAD_LEN) / t->row_len);
		t->rows = in + PACK_HEAD_LEN;
		st = rows_check(t);
	}
	if (st != FMT_OK)
		memset(t, 0, sizeof(*t));
	return st;
}

void
pack_table_row(const struct pack_table *t, uint32_t i, struct pack_row *row)
{
	struct rd r = { .p = t->rows + (size_t)i * t->row_len, .left = t->row_len };

	rd_copy(&r, row->id, DIGEST_LEN);
	row->kind = rd_u16(&r);
	(void)rd_u16(&r);
	row->len = rd_u32(&r);
	rd_copy(&r, row->digest, DIGEST_LEN);
	row->xxh = rd_u64(&r);
	if ((t->head.flags & PACK_REPACKED) != 0) {
		rd_copy(&r, row->writer, ID_LEN);
		rd_copy(&r, row->origin, DIGEST_LEN);
	} else {
		memcpy(row->writer, t->head.maker, ID_LEN);
		memset(row->origin, 0, DIGEST_LEN);
	}
}

void
pack_row_put(struct wr *w, uint16_t flags, const struct pack_row *row)
{
	wr_bytes(w, row->id, DIGEST_LEN);
	wr_u16(w, row->kind);
	wr_u16(w, 0);
	wr_u32(w, row->len);
	wr_bytes(w, row->digest, DIGEST_LEN);
	wr_u64(w, row->xxh);
	if ((flags & PACK_REPACKED) != 0) {
		wr_bytes(w, row->writer, ID_LEN);
		wr_bytes(w, row->origin, DIGEST_LEN);
	}
}

static enum fmt_status
foot_check(const struct pack_foot *f)
{
	uint64_t rows;

	if (f->count == 0 || f->count > PACK_FRAMES_MAX || f->table_len > PACK_TABLE_MAX || f->body_len > PACK_LEN_MAX)
		return FMT_RANGE;
	rows = (uint64_t)f->table_len - PACK_HEAD_LEN;
	if (f->table_len < PACK_HEAD_LEN ||
	    (rows != (uint64_t)f->count * PACK_ROW_LEN && rows != (uint64_t)f->count * PACK_ROW_REPACKED_LEN))
		return FMT_CONTRADICTION;
	if ((uint64_t)PACK_HEAD_LEN + f->body_len + f->table_len + PACK_FOOT_LEN > PACK_LEN_MAX)
		return FMT_RANGE;
	return FMT_OK;
}

enum fmt_status
pack_foot_decode(struct pack_foot *f, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 8);
	uint16_t version = rd_u16(&r), zero = rd_u16(&r);
	enum fmt_status st;

	memset(f, 0, sizeof(*f));
	f->count = rd_u32(&r);
	f->table_len = rd_u32(&r);
	f->body_len = rd_u32(&r);
	rd_copy(&r, f->domain_id, DIGEST_LEN);
	rd_copy(&r, f->maker, ID_LEN);
	rd_copy(&r, f->pack_id, DIGEST_LEN);
	rd_copy(&r, f->sig, SIGN_LEN);
	f->xxh = rd_u64(&r);
	if (r.bad)
		st = FMT_SHORT;
	else if (memcmp(m, foot_magic, 8) != 0)
		st = FMT_MAGIC;
	else if (version != 1)
		st = FMT_VERSION;
	else if (r.left != 0)
		st = FMT_TRAILING;
	else
		st = zero != 0 ? FMT_RANGE : foot_check(f);
	if (st != FMT_OK)
		memset(f, 0, sizeof(*f));
	return st;
}

void
pack_foot_encode(const struct pack_foot *f, uint8_t out[PACK_FOOT_LEN])
{
	struct wr w = { .p = out, .left = PACK_FOOT_LEN };

	wr_bytes(&w, foot_magic, 8);
	wr_u16(&w, 1);
	wr_u16(&w, 0);
	wr_u32(&w, f->count);
	wr_u32(&w, f->table_len);
	wr_u32(&w, f->body_len);
	wr_bytes(&w, f->domain_id, DIGEST_LEN);
	wr_bytes(&w, f->maker, ID_LEN);
	wr_bytes(&w, f->pack_id, DIGEST_LEN);
	wr_bytes(&w, f->sig, SIGN_LEN);
	wr_u64(&w, f->xxh);
}
