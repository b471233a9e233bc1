
#include <string.h>

#include "common/base/err.h"
#include "common/check/pack_check.h"

/* Open the frame: NULL, or why that fails (in ${e}). */
static const char *
frame_open(const struct pack_checker *c, const struct pack_row *row, const uint8_t *frame, uint32_t *plain_len,
    struct err *e)
{
	size_t n;

	err_clear(e);
	if (chunk_open(c->opener, frame, row->len, row->id, row->kind, c->plain, CHUNK_PLAIN_MAX, &n, e) != 0)
		return e->msg;
	*plain_len = (uint32_t)n;
	return NULL;
}

uint32_t
pack_check_frames(const struct pack_checker *c, const struct pack_view *v, const uint8_t *bytes, size_t len)
{
	uint64_t off = PACK_HEAD_LEN;
	struct pack_row row;
	uint32_t bad = 0;
	struct err e;
	int open = c->opener != NULL && memcmp(c->domain_id, v->table.head.domain_id, DIGEST_LEN) == 0;

	for (uint32_t i = 0; i < v->table.count; i++, off += row.len) {
		uint32_t plain_len = 0;
		const char *why;

		pack_table_row(&v->table, i, &row);
		if (off > len || row.len > len - off)
			why = "the pack ends before it";
		else
			why = pack_frame_check(&row, bytes + off, v->table.head.domain_id, c->depth);
		if (why == NULL && open)
			why = frame_open(c, &row, bytes + off, &plain_len, &e);
		bad += why != NULL;
		c->fn(c->arg, &row, (uint32_t)off, plain_len, why);
	}
	return bad;
}
