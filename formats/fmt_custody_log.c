#include "formats/fmt_custody_log.h"

static const char log_magic[8] = { 'S', 'A', 'M', 'C', 'L', 'O', 'G', '\n' };

enum fmt_status
custody_log_head_decode(const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 8);
	uint16_t version = rd_u16(&r), zero = rd_u16(&r);
	uint32_t more = rd_u32(&r);

	if (r.bad)
		return FMT_SHORT;
	if (memcmp(m, log_magic, 8) != 0)
		return FMT_MAGIC;
	if (version != 1)
		return FMT_VERSION;
	return zero != 0 || more != 0 ? FMT_RANGE : FMT_OK;
}

void
custody_log_head_encode(uint8_t out[CUSTODY_LOG_HEAD_LEN])
{
	struct wr w = { .p = out, .left = CUSTODY_LOG_HEAD_LEN };

	wr_bytes(&w, log_magic, 8);
	wr_u16(&w, 1);
	wr_u16(&w, 0);
	wr_u32(&w, 0);
}

enum fmt_status
custody_log_next(struct rd *r, struct fmt_view *record)
{
	uint32_t n = rd_u32(r);

	*record = (struct fmt_view){ NULL, 0 };
	if (r->bad)
		return FMT_SHORT;
	if (n == 0 || n > CUSTODY_RECORD_MAX)
		return FMT_RANGE;
	record->p = rd_bytes(r, n);
	record->len = record->p != NULL ? n : 0;
	return record->p != NULL ? FMT_OK : FMT_SHORT;
}
