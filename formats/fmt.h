#ifndef SAMARA_FORMATS_FMT_H
#define SAMARA_FORMATS_FMT_H

/*
 * What every decoder and encoder shares: a status, a bounded reading cursor, a
 * bounded writing cursor, and little-endian numbers.  No I/O, no allocation,
 * no globals.  Any bytes may be fed to any decoder in this directory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum fmt_status {
	FMT_OK = 0,
	FMT_SHORT,	/* ends before it should (decode), or no room left (encode) */
	FMT_MAGIC,	/* something else altogether */
	FMT_VERSION,	/* a version this samara does not know */
	FMT_RANGE,	/* a number, length or count outside its limits */
	FMT_TRAILING,	/* bytes after the end */
	FMT_ORDER,	/* not sorted, or not unique, where it must be */
	FMT_CHECKSUM,	/* the checksum inside does not agree */
	FMT_CONTRADICTION /* two parts of it disagree */
};

/* The status in words for a person ("written by a newer samara"). */
const char *fmt_status_text(enum fmt_status s);

/* A reading cursor over untrusted bytes; once bad it stays bad and reads zeros. */
struct rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

/* The next ${n} bytes, in place; NULL, and ${r} is bad, where there are not that many. */
static inline const uint8_t *
rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *at = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return at;
}

/* Little-endian numbers at any address. */
static inline uint16_t
le16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* As le16_get, 4 bytes. */
static inline uint32_t
le32_get(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* As le16_get, 8 bytes. */
static inline uint64_t
le64_get(const uint8_t *p)
{
	return (uint64_t)le32_get(p) | (uint64_t)le32_get(p + 4) << 32;
}

/* The same, written: 2 bytes. */
static inline void
le16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* As le16_put, 4 bytes. */
static inline void
le32_put(uint8_t *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put(p + 2, (uint16_t)(v >> 16));
}

/* As le16_put, 8 bytes. */
static inline void
le64_put(uint8_t *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put(p + 4, (uint32_t)(v >> 32));
}

/* The next number; 0 where ${r} is or becomes bad. */
static inline uint8_t
rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p != NULL ? p[0] : 0;
}

/* As rd_u8, 2 bytes. */
static inline uint16_t
rd_u16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return p != NULL ? le16_get(p) : 0;
}

/* As rd_u8, 4 bytes. */
static inline uint32_t
rd_u32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p != NULL ? le32_get(p) : 0;
}

/* As rd_u8, 8 bytes. */
static inline uint64_t
rd_u64(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 8);

	return p != NULL ? le64_get(p) : 0;
}

/* As rd_u8, 8 bytes, two's complement. */
static inline int64_t
rd_i64(struct rd *r)
{
	return (int64_t)rd_u64(r);
}

/* Copy ${n} bytes to ${out}, zeros if there are not that many. */
static inline void
rd_copy(struct rd *r, void *out, size_t n)
{
	const uint8_t *p = rd_bytes(r, n);

	if (p != NULL)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

/* A writing cursor into a caller's buffer; once bad it stays bad. */
struct wr {
	uint8_t *p;
	size_t left;
	bool bad;
};

/* Room for ${n} bytes, which the caller fills; NULL, and ${w} is bad, where there is none. */
static inline uint8_t *
wr_room(struct wr *w, size_t n)
{
	uint8_t *at = w->p;

	if (w->bad || n > w->left) {
		w->bad = true;
		return NULL;
	}
	w->p += n;
	w->left -= n;
	return at;
}

/* Append ${n} bytes, or nothing: then ${w} is bad. */
static inline void
wr_bytes(struct wr *w, const void *in, size_t n)
{
	uint8_t *p;

	if (n == 0 || (p = wr_room(w, n)) == NULL)
		return;
	memcpy(p, in, n);
}

/* Append a number, as wr_bytes does. */
static inline void
wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

/* As wr_u8, 2 bytes. */
static inline void
wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *p = wr_room(w, 2);

	if (p != NULL)
		le16_put(p, v);
}

/* As wr_u8, 4 bytes. */
static inline void
wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_room(w, 4);

	if (p != NULL)
		le32_put(p, v);
}

/* As wr_u8, 8 bytes. */
static inline void
wr_u64(struct wr *w, uint64_t v)
{
	uint8_t *p = wr_room(w, 8);

	if (p != NULL)
		le64_put(p, v);
}

/* Bytes that live somewhere else; a decoder's views point into its input. */
struct fmt_view {
	const uint8_t *p;
	uint32_t len;
};

#endif
