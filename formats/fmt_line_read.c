#include "formats/fmt_line_read.h"

#include "formats/names.h"

#define ROW_FIXED	(8u + 1 + 1 + 3 * 8 + 8 + SHORT_LEN + 4)

/* A name of an image, or zeros. */
static bool
image_is_fit(const char name[SHORT_LEN + 1])
{
	return name[0] == 0 ? memcmp(name, "\0\0\0\0", SHORT_LEN) == 0 : short_name_is_valid(name);
}

/* What goes together: who is gone has no envelope, all others have one. */
static bool
row_is_fit(const struct line_snapshot *s)
{
	return s->seq > 0 && s->seq <= INT64_MAX && s->state >= LINE_UNKNOWN && s->state <= LINE_GONE &&
	    (s->flags & ~LINE_FLAGS) == 0 && s->missing <= REFS_MAX && s->promised <= REFS_MAX && s->given_up <= REFS_MAX &&
	    s->envelope.len <= SMALL_STATEMENT_MAX && (s->envelope.len == 0) == (s->state == LINE_GONE) && image_is_fit(s->image);
}

enum fmt_status
line_snapshot_next(struct rd *r, struct line_snapshot *s)
{
	uint32_t len;

	memset(s, 0, sizeof(*s));
	s->seq = rd_u64(r);
	s->state = rd_u8(r);
	s->flags = rd_u8(r);
	s->missing = rd_u64(r);
	s->promised = rd_u64(r);
	s->given_up = rd_u64(r);
	s->received = rd_i64(r);
	rd_copy(r, s->image, SHORT_LEN);
	len = rd_u32(r);
	s->envelope = (struct fmt_view){ .p = rd_bytes(r, len), .len = len };
	if (r->bad || !row_is_fit(s)) {
		memset(s, 0, sizeof(*s));
		return r->bad ? FMT_SHORT : FMT_RANGE;
	}
	return FMT_OK;
}

void
line_snapshot_put(struct wr *w, const struct line_snapshot *s)
{
	if (!row_is_fit(s) || w->left < ROW_FIXED + s->envelope.len) {
		w->bad = true;
		return;
	}
	wr_u64(w, s->seq);
	wr_u8(w, s->state);
	wr_u8(w, s->flags);
	wr_u64(w, s->missing);
	wr_u64(w, s->promised);
	wr_u64(w, s->given_up);
	wr_u64(w, (uint64_t)s->received);
	wr_bytes(w, s->image, SHORT_LEN);
	wr_u32(w, s->envelope.len);
	wr_bytes(w, s->envelope.p, s->envelope.len);
}

static enum fmt_status
page_check(const void *value)
{
	const struct line_page *p = value;
	struct rd r = { .p = p->rows.p, .left = p->rows.len };
	struct line_snapshot s;
	uint64_t last = p->after;
	enum fmt_status st;

	while (r.left > 0) {
		if ((st = line_snapshot_next(&r, &s)) != FMT_OK)
			return st;
		if (s.seq <= last)
			return FMT_ORDER;
		if (s.seq > p->head)
			return FMT_CONTRADICTION;
		last = s.seq;
	}
	/* More to come, and none of it here, would never end. */
	if (p->more && (p->rows.len == 0 || last >= p->head))
		return FMT_CONTRADICTION;
	return !p->more && p->after < p->head && last != p->head ? FMT_CONTRADICTION : FMT_OK;
}

static const struct fmt_field line_page_fields[] = {
	FMT_BYTES(line_page, vault_id),
	FMT_BYTES(line_page, machine_id),
	FMT_U64(line_page, after, 0, INT64_MAX),
	FMT_U64(line_page, head, 0, INT64_MAX),
	FMT_U8(line_page, more, 0, 1),
	FMT_BLOB(line_page, rows, 0, LINE_ROWS_MAX),
};
const struct fmt_schema line_page_schema = {
	"page of snapshots", "SAMLSNP\n", 1, NULL,
	sizeof(struct line_page), 0, FMT_FIELDS(line_page_fields), page_check
};

const struct fmt_field line_place_fields[] = {
	FMT_BYTES(line_place, pack_id),
	FMT_U32(line_place, copy, 0, UINT32_MAX),
	FMT_U64(line_place, off, 0, PACK_LEN_MAX),
	FMT_U32(line_place, len, 0, FRAME_LEN_MAX),
};
const size_t line_place_nfields = sizeof(line_place_fields) / sizeof(line_place_fields[0]);

bool
line_place_is_none(const struct line_place *p)
{
	static const uint8_t none[DIGEST_LEN];

	return memcmp(p->pack_id, none, DIGEST_LEN) == 0 && p->copy == 0 && p->off == 0 && p->len == 0;
}

static enum fmt_status
places_check(const void *value)
{
	const struct line_places *l = value;
	struct line_place p;
	enum fmt_status st;

	for (size_t i = 0; i < list_count(l->places, LINE_PLACE_LEN); i++) {
		if ((st = element_get(line_place_fields, line_place_nfields, l->places, i, &p)) != FMT_OK)
			return st;
		if (line_place_is_none(&p))
			continue;
		if (p.copy == 0 || p.len < FRAME_LEN_MIN || p.off < PACK_HEAD_LEN ||
		    p.off + p.len + PACK_HEAD_LEN + PACK_ROW_LEN + PACK_FOOT_LEN > PACK_LEN_MAX)
			return FMT_RANGE;
	}
	return FMT_OK;
}

static const struct fmt_field line_places_fields[] = {
	FMT_LIST(line_places, places, LINE_PLACE_LEN, 1, ASK_IDS_MAX),
};
const struct fmt_schema line_places_schema = {
	"places of chunks", "SAMLPLC\n", 1, NULL,
	sizeof(struct line_places), 0, FMT_FIELDS(line_places_fields), places_check
};
