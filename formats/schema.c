#include "formats/schema.h"

#define HEAD_LEN	10	/* magic and version */

const char *
fmt_status_text(enum fmt_status s)
{
	switch (s) {
	case FMT_OK:
		return "in order";
	case FMT_SHORT:
		return "cut short";
	case FMT_MAGIC:
		return "not a file of this kind";
	case FMT_VERSION:
		return "written by a newer samara";
	case FMT_RANGE:
		return "a number or length in it is impossible";
	case FMT_TRAILING:
		return "there are bytes after its end";
	case FMT_ORDER:
		return "not in order, or something stands twice";
	case FMT_CHECKSUM:
		return "its checksum does not agree";
	case FMT_CONTRADICTION:
		return "its parts contradict each other";
	}
	return "unknown";
}

static uint64_t
number_get(const struct fmt_field *f, const uint8_t *at)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (f->type) {
	case FT_U8:
		memcpy(&v8, at, sizeof(v8));
		return v8;
	case FT_U16:
		memcpy(&v16, at, sizeof(v16));
		return v16;
	case FT_U32:
		memcpy(&v32, at, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, at, sizeof(v64));
		return v64;
	}
}

static void
number_set(const struct fmt_field *f, uint8_t *at, uint64_t v)
{
	uint8_t v8 = (uint8_t)v;
	uint16_t v16 = (uint16_t)v;
	uint32_t v32 = (uint32_t)v;

	switch (f->type) {
	case FT_U8:
		memcpy(at, &v8, sizeof(v8));
		break;
	case FT_U16:
		memcpy(at, &v16, sizeof(v16));
		break;
	case FT_U32:
		memcpy(at, &v32, sizeof(v32));
		break;
	default:
		memcpy(at, &v, sizeof(v));
	}
}

static bool
number_fits(const struct fmt_field *f, uint64_t v)
{
	return f->type == FT_I64 || (v >= f->min && v <= f->max);
}

static enum fmt_status
string_read(const struct fmt_field *f, struct rd *r, uint8_t *at)
{
	size_t n = rd_u16(r);
	const uint8_t *p;

	if (!r->bad && (n > f->size || n < f->min))
		return FMT_RANGE;
	p = rd_bytes(r, n);
	if (p == NULL)
		return FMT_SHORT;
	if (n > 0 && memchr(p, 0, n) != NULL)
		return FMT_RANGE;
	memcpy(at, p, n);
	at[n] = 0;
	return FMT_OK;
}

static enum fmt_status
view_read(const struct fmt_field *f, struct rd *r, uint8_t *at)
{
	uint64_t n = rd_u32(r), bytes;
	struct fmt_view v;

	if (r->bad)
		return FMT_SHORT;
	if (n < f->min || n > f->max)
		return FMT_RANGE;
	bytes = f->type == FT_LIST ? n * f->size : n;
	if (bytes > UINT32_MAX)
		return FMT_RANGE;
	v.len = (uint32_t)bytes;
	v.p = rd_bytes(r, v.len);
	if (v.p == NULL)
		return FMT_SHORT;
	memcpy(at, &v, sizeof(v));
	return FMT_OK;
}

static enum fmt_status
field_read(const struct fmt_field *f, struct rd *r, uint8_t *at)
{
	uint64_t v;
	const uint8_t *p;

	switch (f->type) {
	case FT_STR:
		return string_read(f, r, at);
	case FT_BLOB:
	case FT_LIST:
		return view_read(f, r, at);
	case FT_BYTES:
		p = rd_bytes(r, f->size);
		if (p == NULL)
			return FMT_SHORT;
		memcpy(at, p, f->size);
		return FMT_OK;
	default:
		v = f->size == 1 ? rd_u8(r) : f->size == 2 ? rd_u16(r) : f->size == 4 ? rd_u32(r) : rd_u64(r);
		if (r->bad)
			return FMT_SHORT;
		if (!number_fits(f, v))
			return FMT_RANGE;
		number_set(f, at, v);
		return FMT_OK;
	}
}

static enum fmt_status
fields_read(const struct fmt_schema *s, struct rd *r, uint8_t *value)
{
	enum fmt_status st;

	for (size_t i = 0; i < s->nfields; i++)
		if ((st = field_read(&s->fields[i], r, value + s->fields[i].off)) != FMT_OK)
			return st;
	if (s->context != NULL)
		rd_copy(r, value + s->sig_off, SIGN_LEN);
	if (r->bad)
		return FMT_SHORT;
	if (r->left != 0)
		return FMT_TRAILING;
	return s->check != NULL ? s->check(value) : FMT_OK;
}

enum fmt_status
schema_decode(const struct fmt_schema *s, void *value, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 8);
	enum fmt_status st = FMT_OK;
	uint16_t version;

	memset(value, 0, s->struct_size);
	if (m == NULL)
		return FMT_SHORT;
	if (memcmp(m, s->magic, 8) != 0)
		return FMT_MAGIC;
	version = rd_u16(&r);
	if (r.bad)
		return FMT_SHORT;
	if (version != s->version)
		return FMT_VERSION;
	if ((st = fields_read(s, &r, value)) != FMT_OK)
		memset(value, 0, s->struct_size);
	return st;
}

/* Bytes that a field takes, or SIZE_MAX when it is out of its limits. */
static size_t
field_size(const struct fmt_field *f, const uint8_t *at)
{
	struct fmt_view v;
	size_t n;

	switch (f->type) {
	case FT_STR:
		n = strnlen((const char *)at, f->size + 1);
		return n > f->size || n < f->min ? SIZE_MAX : 2 + n;
	case FT_BLOB:
		memcpy(&v, at, sizeof(v));
		return v.len < f->min || v.len > f->max ? SIZE_MAX : 4 + (size_t)v.len;
	case FT_LIST:
		memcpy(&v, at, sizeof(v));
		if (v.len % f->size != 0 || v.len / f->size < f->min || v.len / f->size > f->max)
			return SIZE_MAX;
		return 4 + (size_t)v.len;
	case FT_BYTES:
		return f->size;
	default:
		return number_fits(f, number_get(f, at)) ? f->size : SIZE_MAX;
	}
}

size_t
schema_size(const struct fmt_schema *s, const void *value)
{
	size_t total = HEAD_LEN + (s->context != NULL ? SIGN_LEN : 0), n;

	if (s->check != NULL && s->check(value) != FMT_OK)
		return 0;
	for (size_t i = 0; i < s->nfields; i++) {
		n = field_size(&s->fields[i], (const uint8_t *)value + s->fields[i].off);
		if (n == SIZE_MAX)
			return 0;
		total += n;
	}
	return total;
}

static void
field_write(const struct fmt_field *f, struct wr *w, const uint8_t *at)
{
	struct fmt_view v;
	uint64_t n;

	switch (f->type) {
	case FT_STR:
		n = strlen((const char *)at);
		wr_u16(w, (uint16_t)n);
		wr_bytes(w, at, n);
		break;
	case FT_BLOB:
	case FT_LIST:
		memcpy(&v, at, sizeof(v));
		wr_u32(w, f->type == FT_LIST ? (uint32_t)(v.len / f->size) : v.len);
		wr_bytes(w, v.p, v.len);
		break;
	case FT_BYTES:
		wr_bytes(w, at, f->size);
		break;
	default:
		n = number_get(f, at);
		if (f->size == 1)
			wr_u8(w, (uint8_t)n);
		else if (f->size == 2)
			wr_u16(w, (uint16_t)n);
		else if (f->size == 4)
			wr_u32(w, (uint32_t)n);
		else
			wr_u64(w, n);
	}
}

enum fmt_status
schema_encode(const struct fmt_schema *s, const void *value, uint8_t *out, size_t cap, size_t *len)
{
	struct wr w = { .p = out, .left = cap };

	*len = 0;
	if (schema_size(s, value) == 0)
		return FMT_RANGE;
	wr_bytes(&w, s->magic, 8);
	wr_u16(&w, s->version);
	for (size_t i = 0; i < s->nfields; i++)
		field_write(&s->fields[i], &w, (const uint8_t *)value + s->fields[i].off);
	if (s->context != NULL)
		wr_bytes(&w, (const uint8_t *)value + s->sig_off, SIGN_LEN);
	if (w.bad)
		return FMT_SHORT;
	*len = cap - w.left;
	return FMT_OK;
}

size_t
element_size(const struct fmt_field *f, size_t nf)
{
	size_t n = 0;

	for (size_t i = 0; i < nf; i++)
		n += f[i].size;
	return n;
}

enum fmt_status
element_get(const struct fmt_field *f, size_t nf, struct fmt_view list, size_t i, void *value)
{
	size_t n = element_size(f, nf);
	struct rd r;
	enum fmt_status st;

	if (n == 0 || i >= list.len / n)
		return FMT_RANGE;
	r = (struct rd){ .p = list.p + i * n, .left = n };
	for (size_t k = 0; k < nf; k++)
		if ((st = field_read(&f[k], &r, (uint8_t *)value + f[k].off)) != FMT_OK)
			return st;
	return FMT_OK;
}

void
element_put(const struct fmt_field *f, size_t nf, struct wr *w, const void *value)
{
	for (size_t k = 0; k < nf; k++)
		field_write(&f[k], w, (const uint8_t *)value + f[k].off);
}
