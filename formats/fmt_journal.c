#include "formats/fmt_journal.h"

#include "formats/names.h"

static const char journal_magic[8] = { 'S', 'A', 'M', 'J', 'R', 'N', 'L', '\n' };

enum fmt_status
journal_head_decode(const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 8);
	uint16_t version = rd_u16(&r), zero = rd_u16(&r);
	uint32_t zeros = rd_u32(&r);

	if (r.bad)
		return FMT_SHORT;
	if (memcmp(m, journal_magic, 8) != 0)
		return FMT_MAGIC;
	if (version != 1)
		return FMT_VERSION;
	return zero != 0 || zeros != 0 ? FMT_RANGE : FMT_OK;
}

void
journal_head_encode(uint8_t out[JOURNAL_HEAD_LEN])
{
	memset(out, 0, JOURNAL_HEAD_LEN);
	memcpy(out, journal_magic, 8);
	le16_put(out + 8, 1);
}

enum fmt_status
journal_record_decode(struct journal_record *rec, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	uint32_t n = rd_u32(&r);
	uint8_t type = rd_u8(&r);
	const uint8_t *zero = rd_bytes(&r, 3);

	memset(rec, 0, sizeof(*rec));
	if (r.bad)
		return FMT_SHORT;
	if (n > JOURNAL_RECORD_MAX || type == 0 || type > JOURNAL_TYPE_MAX || (zero[0] | zero[1] | zero[2]) != 0)
		return FMT_RANGE;
	rec->payload.p = rd_bytes(&r, n);
	rec->payload.len = n;
	rec->xxh = rd_u64(&r);
	if (r.bad) {
		memset(rec, 0, sizeof(*rec));
		return FMT_SHORT;
	}
	rec->type = type;
	rec->len = (size_t)n + JOURNAL_RECORD_OVERHEAD;
	return FMT_OK;
}

void
journal_record_head_encode(uint8_t out[JOURNAL_RECORD_HEAD], uint8_t type, uint32_t len)
{
	memset(out, 0, JOURNAL_RECORD_HEAD);
	le32_put(out, len);
	out[4] = type;
}

enum fmt_status
journal_options_decode(struct journal_options *o, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };

	o->parity = rd_u8(&r);
	o->flags = rd_u8(&r);
	if (rd_u16(&r) != 0)
		return FMT_RANGE;
	o->reserve = rd_u64(&r);
	if (r.bad)
		return FMT_SHORT;
	if (r.left != 0)
		return FMT_TRAILING;
	return o->parity > PARITY_PERCENT_MAX || (o->flags & ~JO_SPREAD) != 0 ? FMT_RANGE : FMT_OK;
}

void
journal_options_encode(const struct journal_options *o, uint8_t out[JOURNAL_OPTIONS_LEN])
{
	memset(out, 0, JOURNAL_OPTIONS_LEN);
	out[0] = o->parity;
	out[1] = o->flags;
	le64_put(out + 4, o->reserve);
}

enum fmt_status
journal_counts_decode(struct journal_counts *c, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };

	c->entries = rd_u64(&r);
	c->files = rd_u64(&r);
	c->bytes = rd_u64(&r);
	c->unreadable = rd_u64(&r);
	c->warnings = rd_u64(&r);
	if (!r.bad && r.left == 0)
		return FMT_OK;
	memset(c, 0, sizeof(*c));
	return r.bad ? FMT_SHORT : FMT_TRAILING;
}

void
journal_counts_encode(const struct journal_counts *c, uint8_t out[JOURNAL_COUNTS_LEN])
{
	le64_put(out, c->entries);
	le64_put(out + 8, c->files);
	le64_put(out + 16, c->bytes);
	le64_put(out + 24, c->unreadable);
	le64_put(out + 32, c->warnings);
}

static enum fmt_status
rows_are_whole(struct fmt_view v)
{
	struct rd r = { .p = v.p, .left = v.len };

	while (r.left > 0)
		if (rd_bytes(&r, rd_u16(&r)) == NULL)
			return FMT_RANGE;
	return FMT_OK;
}

static enum fmt_status
journal_begin_check(const void *value)
{
	const struct journal_begin *b = value;

	if (!short_name_is_valid(b->short_name))
		return FMT_RANGE;
	return rows_are_whole(b->paths) != FMT_OK ? FMT_RANGE : rows_are_whole(b->excludes);
}

static const struct fmt_field journal_begin_fields[] = {
	FMT_BYTES(journal_begin, image_id),
	FMT_STR(journal_begin, short_name, SHORT_LEN),
	FMT_BYTES(journal_begin, machine_id),
	FMT_BYTES(journal_begin, vault_id),
	FMT_BYTES(journal_begin, domain_id),
	FMT_BYTES(journal_begin, snapshot_id),
	FMT_STR(journal_begin, set_name, 1),
	FMT_BYTES(journal_begin, base),
	FMT_I64(journal_begin, begin_ns),
	FMT_U32(journal_begin, flags, 0, 127),
	FMT_U32(journal_begin, level_u, 0, UINT32_MAX),
	FMT_BLOB(journal_begin, paths, 0, 2u << 20),
	FMT_BLOB(journal_begin, excludes, 0, 2u << 20),
};
const struct fmt_schema journal_begin_schema = {
	"journal start", "SAMJBEG\n", 1, NULL,
	sizeof(struct journal_begin), 0, FMT_FIELDS(journal_begin_fields), journal_begin_check
};
