#include "formats/fmt_line.h"

/* Do these ids rise, each once? */
static enum fmt_status
ids_rise(struct fmt_view ids)
{
	for (size_t i = 1; i < list_count(ids, DIGEST_LEN); i++)
		if (memcmp(ids.p + (i - 1) * DIGEST_LEN, ids.p + i * DIGEST_LEN, DIGEST_LEN) >= 0)
			return FMT_ORDER;
	return FMT_OK;
}

/* A backup is of one set. */
static enum fmt_status
session_open_check(const void *value)
{
	const struct session_open *o = value;

	return o->kind == LINE_BACKUP && o->set_name[0] == 0 ? FMT_CONTRADICTION : FMT_OK;
}

static const struct fmt_field session_open_fields[] = {
	FMT_BYTES(session_open, session_id),
	FMT_U8(session_open, kind, LINE_BACKUP, LINE_REFILL),
	FMT_STR(session_open, set_name, 0),
	FMT_BYTES(session_open, base),
};
const struct fmt_schema session_open_schema = {
	"opening of a session", "SAMLOPN\n", 1, NULL,
	sizeof(struct session_open), 0, FMT_FIELDS(session_open_fields), session_open_check
};

static const struct fmt_field session_opened_fields[] = {
	FMT_BYTES(session_opened, session_id),
	FMT_U64(session_opened, epoch, 0, INT64_MAX),
	FMT_U64(session_opened, head_seq, 0, INT64_MAX),
	FMT_BYTES(session_opened, head_id),
	FMT_BYTES(session_opened, head),
	FMT_U8(session_opened, base_whole, 0, 1),
	FMT_U32(session_opened, seconds, 1, UINT32_MAX),
};
const struct fmt_schema session_opened_schema = {
	"open session", "SAMLOPD\n", 1, NULL,
	sizeof(struct session_opened), 0, FMT_FIELDS(session_opened_fields), NULL
};

/* Where nothing is told, there is nothing above it. */
static enum fmt_status
id_page_check(const void *value)
{
	const struct id_page *p = value;

	return p->more && p->ids.len == 0 ? FMT_CONTRADICTION : ids_rise(p->ids);
}

static const struct fmt_field id_page_fields[] = {
	FMT_LIST(id_page, ids, DIGEST_LEN, 0, PAGE_IDS_MAX),
	FMT_U8(id_page, more, 0, 1),
};
const struct fmt_schema id_page_schema = {
	"page of ids", "SAMLIDS\n", 1, NULL,
	sizeof(struct id_page), 0, FMT_FIELDS(id_page_fields), id_page_check
};

static enum fmt_status
ask_check(const void *value)
{
	return ids_rise(((const struct ask *)value)->ids);
}

static const struct fmt_field ask_fields[] = {
	FMT_LIST(ask, ids, DIGEST_LEN, 1, ASK_IDS_MAX),
};
const struct fmt_schema ask_schema = {
	"question", "SAMLASK\n", 1, NULL,
	sizeof(struct ask), 0, FMT_FIELDS(ask_fields), ask_check
};

static enum fmt_status
answer_check(const void *value)
{
	const struct answer *a = value;

	for (uint32_t i = 0; i < a->states.len; i++)
		if (a->states.p[i] < ID_HELD || a->states.p[i] > ID_MISSING)
			return FMT_RANGE;
	return FMT_OK;
}

static const struct fmt_field answer_fields[] = {
	FMT_BLOB(answer, states, 1, ASK_IDS_MAX),
};
const struct fmt_schema answer_schema = {
	"answer", "SAMLANS\n", 1, NULL,
	sizeof(struct answer), 0, FMT_FIELDS(answer_fields), answer_check
};

enum fmt_status
commit_next(struct rd *r, struct fmt_view *envelope)
{
	uint16_t len = rd_u16(r);
	const uint8_t *p = rd_bytes(r, len);

	*envelope = (struct fmt_view){ NULL, 0 };
	if (r->bad)
		return FMT_SHORT;
	if (len == 0 || len > ENVELOPE_LEN_MAX)
		return FMT_RANGE;
	*envelope = (struct fmt_view){ p, len };
	return FMT_OK;
}

void
commit_put(struct wr *w, const void *envelope, size_t len)
{
	if (len == 0 || len > ENVELOPE_LEN_MAX) {
		w->bad = true;
		return;
	}
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, envelope, len);
}

static enum fmt_status
commit_check(const void *value)
{
	const struct commit *c = value;
	struct rd r = { .p = c->envelopes.p, .left = c->envelopes.len };
	struct fmt_view envelope;
	enum fmt_status st;

	for (uint32_t n = 0; r.left > 0; n++) {
		if (n == COMMIT_ENVELOPES_MAX)
			return FMT_RANGE;
		if ((st = commit_next(&r, &envelope)) != FMT_OK)
			return st;
	}
	return FMT_OK;
}

static const struct fmt_field commit_fields[] = {
	FMT_U64(commit, head_seq, 0, INT64_MAX),
	FMT_BYTES(commit, head_id),
	FMT_BLOB(commit, envelopes, 3, COMMIT_ENVELOPES_MAX * (ENVELOPE_LEN_MAX + 2)),
};
const struct fmt_schema commit_schema = {
	"commit", "SAMLCMT\n", 1, NULL,
	sizeof(struct commit), 0, FMT_FIELDS(commit_fields), commit_check
};

static const struct fmt_field committed_fields[] = {
	FMT_U64(committed, head_seq, 1, INT64_MAX),
	FMT_BYTES(committed, head_id),
	FMT_BYTES(committed, head),
	FMT_U8(committed, state, LINE_UNKNOWN, LINE_PARTIAL),
	FMT_I64(committed, time),
};
const struct fmt_schema committed_schema = {
	"answer to a commit", "SAMLCTD\n", 1, NULL,
	sizeof(struct committed), 0, FMT_FIELDS(committed_fields), NULL
};
