#include "formats/fmt_parity.h"

static const char magic[8] = { 'S', 'A', 'M', 'P', 'R', 'T', 'Y', '\n' };

static size_t
summed_len(uint32_t k, uint32_t m, uint32_t rows)
{
	return PARITY_HEAD_LEN + (size_t)k * PARITY_MEMBER_LEN + (size_t)rows * (k + m) * 8;
}

size_t
parity_table_len(uint32_t k, uint32_t m, uint32_t rows)
{
	return (summed_len(k, m, rows) + 8 + PARITY_ALIGN - 1) / PARITY_ALIGN * PARITY_ALIGN;
}

uint64_t
parity_pack_len(uint32_t k, uint32_t m, uint32_t rows)
{
	return 2 * (uint64_t)parity_table_len(k, m, rows) + (uint64_t)rows * PARITY_SHARD_LEN;
}

/* The numbers of the head; FMT_OK only if all are within their limits. */
static enum fmt_status
head_decode(struct parity_table *t, struct rd *r)
{
	const uint8_t *m = rd_bytes(r, 8), *image;
	uint16_t version = rd_u16(r);
	uint32_t shard, zero;

	t->k = rd_u16(r);
	t->m = rd_u16(r);
	t->index = rd_u16(r);
	image = rd_bytes(r, ID_LEN);
	t->disk = rd_u32(r);
	t->group = rd_u32(r);
	t->groups = rd_u32(r);
	t->rows = rd_u32(r);
	shard = rd_u32(r);
	zero = rd_u32(r);
	if (r->bad)
		return FMT_SHORT;
	if (memcmp(m, magic, 8) != 0)
		return FMT_MAGIC;
	if (version != 1)
		return FMT_VERSION;
	if (t->k == 0 || t->k > PARITY_GROUP_MAX || t->m == 0 || t->m > PARITY_PACKS_MAX || t->index >= t->m ||
	    t->disk == 0 || t->disk > DISKS_MAX || t->groups == 0 || t->groups > PACKS_PER_DISK_MAX ||
	    t->group >= t->groups || t->rows == 0 || t->rows > PARITY_ROWS_MAX || shard != PARITY_SHARD_LEN || zero != 0)
		return FMT_RANGE;
	memcpy(t->image_id, image, ID_LEN);
	return FMT_OK;
}

void
parity_member_get(const struct parity_table *t, uint32_t i, struct parity_member *p)
{
	const uint8_t *at = t->members + (size_t)i * PARITY_MEMBER_LEN;

	p->number = le32_get(at);
	p->file_len = le32_get(at + 4);
	memcpy(p->id, at + 8, DIGEST_LEN);
}

uint64_t
parity_sum_get(const struct parity_table *t, uint32_t row, uint32_t i)
{
	return le64_get(t->sums + ((size_t)row * (t->k + t->m) + i) * 8);
}

static enum fmt_status
members_check(const struct parity_table *t)
{
	struct parity_member p;
	uint32_t last = 0, longest = 0;

	for (uint32_t i = 0; i < t->k; i++) {
		parity_member_get(t, i, &p);
		if (p.number >= PACKS_PER_DISK_MAX || p.file_len == 0 || p.file_len > t->rows * PARITY_SHARD_LEN)
			return FMT_RANGE;
		if (i > 0 && p.number <= last)
			return FMT_ORDER;
		last = p.number;
		if (p.file_len > longest)
			longest = p.file_len;
	}
	return longest > (t->rows - 1) * PARITY_SHARD_LEN ? FMT_OK : FMT_CONTRADICTION;
}

static enum fmt_status
table_decode(struct parity_table *t, struct rd *r)
{
	enum fmt_status st = head_decode(t, r);
	const uint8_t *fill;
	size_t n;

	if (st != FMT_OK)
		return st;
	t->summed = summed_len(t->k, t->m, t->rows);
	n = parity_table_len(t->k, t->m, t->rows) - t->summed - 8;
	t->members = rd_bytes(r, (size_t)t->k * PARITY_MEMBER_LEN);
	t->sums = rd_bytes(r, (size_t)t->rows * (t->k + t->m) * 8);
	t->xxh = rd_u64(r);
	fill = rd_bytes(r, n);
	if (r->bad)
		return FMT_SHORT;
	for (size_t i = 0; i < n; i++)
		if (fill[i] != 0)
			return FMT_RANGE;
	return members_check(t);
}

enum fmt_status
parity_table_decode(struct parity_table *t, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	enum fmt_status st;

	memset(t, 0, sizeof(*t));
	if ((st = table_decode(t, &r)) != FMT_OK)
		memset(t, 0, sizeof(*t));
	return st;
}

void
parity_table_encode(struct parity_table *t, const struct parity_member *members, const uint64_t *sums, uint8_t *out)
{
	size_t len = parity_table_len(t->k, t->m, t->rows);
	struct wr w = { .p = out, .left = len };

	memset(out, 0, len);
	wr_bytes(&w, magic, 8);
	wr_u16(&w, 1);
	wr_u16(&w, t->k);
	wr_u16(&w, t->m);
	wr_u16(&w, t->index);
	wr_bytes(&w, t->image_id, ID_LEN);
	wr_u32(&w, t->disk);
	wr_u32(&w, t->group);
	wr_u32(&w, t->groups);
	wr_u32(&w, t->rows);
	wr_u32(&w, PARITY_SHARD_LEN);
	wr_u32(&w, 0);
	for (uint32_t i = 0; i < t->k; i++) {
		wr_u32(&w, members[i].number);
		wr_u32(&w, members[i].file_len);
		wr_bytes(&w, members[i].id, DIGEST_LEN);
	}
	for (size_t i = 0; i < (size_t)t->rows * (t->k + t->m); i++)
		wr_u64(&w, sums[i]);
	t->summed = summed_len(t->k, t->m, t->rows);
}

uint32_t
parity_groups(uint32_t packs, uint32_t percent)
{
	return percent == 0 ? 0 : packs / PARITY_GROUP_MAX + (packs % PARITY_GROUP_MAX != 0);
}

uint32_t
parity_group_packs(uint32_t packs, uint32_t groups, uint32_t group)
{
	return packs / groups + (group < packs % groups);
}

uint32_t
parity_group_parity(uint32_t k, uint32_t percent)
{
	return (k * percent + 99) / 100;
}

uint32_t
parity_number(uint32_t packs, uint32_t groups, uint32_t percent, uint32_t group)
{
	uint32_t k = packs / groups, larger = packs % groups;
	uint32_t first = group < larger ? group : larger;

	return first * parity_group_parity(k + 1, percent) + (group - first) * parity_group_parity(k, percent);
}

uint64_t
parity_room(uint32_t packs, uint32_t longest, uint32_t percent)
{
	uint32_t groups = parity_groups(packs, percent), rows = longest / PARITY_SHARD_LEN + 1, k, m;	/* a shard more at most */

	if (groups == 0)
		return 0;
	k = parity_group_packs(packs, groups, 0);
	m = parity_group_parity(k, percent);
	return (uint64_t)groups * m * parity_pack_len(k, m, rows);
}
