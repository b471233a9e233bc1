#ifndef SAMARA_FORMATS_SCHEMA_H
#define SAMARA_FORMATS_SCHEMA_H

/*
 * Statements: fixed binary encodings, each described by a table of fields.
 * One codec serves all of them, so that each limit is checked in one place:
 *
 *   magic 8 | version u16 | the fields, in order | signature 64 where signed
 *
 * Numbers are little-endian.  A string is its length u16 and its bytes; a blob
 * its length u32 and its bytes; a list its count u32 and its elements, all of
 * one fixed length.  What is signed is everything before the signature; it is
 * signed as Ed25519(context, zero-filled to 32 bytes | BLAKE3 of it).
 */

#include "formats/fmt.h"
#include "formats/limits.h"

enum fmt_type {
	FT_U8, FT_U16, FT_U32, FT_U64, FT_I64,
	FT_BYTES,	/* uint8_t[size] */
	FT_STR,		/* char[size + 1], zero-terminated, no zero inside */
	FT_BLOB,	/* struct fmt_view, at most size bytes */
	FT_LIST		/* struct fmt_view, elements of size bytes, count within min..max */
};

struct fmt_field {
	const char *name;
	enum fmt_type type;
	size_t off;		/* in the struct */
	uint64_t size;
	uint64_t min, max;	/* numbers: value; strings and blobs: min length; lists: count */
};

struct fmt_schema {
	const char *name;	/* "disk statement" */
	char magic[9];		/* 8 bytes and a zero */
	uint16_t version;
	const char *context;	/* what a signature binds to; NULL: not signed */
	size_t struct_size;
	size_t sig_off;		/* of uint8_t sig[SIGN_LEN]; only where signed */
	const struct fmt_field *fields;
	size_t nfields;
	enum fmt_status (*check)(const void *value);	/* beyond single fields; may be NULL */
};

/**
 * schema_decode(s, value, in, len):
 * Parse exactly the ${len} untrusted bytes at ${in} into the struct ${value}
 * of schema ${s}.  On FMT_OK every field is within its limits; views point
 * into ${in} and live as long as it.  On any other status ${value} is all
 * zero.  No signature is checked here.
 */
enum fmt_status schema_decode(const struct fmt_schema *s, void *value, const uint8_t *in, size_t len);

/**
 * schema_encode(s, value, out, cap, len):
 * The bytes of ${value} into ${out} of ${cap} bytes, ${len} of them.  FMT_RANGE
 * when a field is outside its limits, FMT_SHORT when there is no room; then
 * ${len} is 0.  decode of the result gives ${value} again, and there is no
 * second encoding of one value.
 */
enum fmt_status schema_encode(const struct fmt_schema *s, const void *value, uint8_t *out, size_t cap, size_t *len);

/* The bytes that schema_encode would make of ${value} (0 if it is not encodable). */
size_t schema_size(const struct fmt_schema *s, const void *value);

/* Bytes of one element described by ${f} (fixed types only). */
size_t element_size(const struct fmt_field *f, size_t nf);

/* Read element ${i} of a list into ${value}; FMT_RANGE if there is none or a field is out of range. */
enum fmt_status element_get(const struct fmt_field *f, size_t nf, struct fmt_view list, size_t i, void *value);

/* Append one element to ${w}. */
void element_put(const struct fmt_field *f, size_t nf, struct wr *w, const void *value);

/* Number of elements of ${size} bytes in ${list}. */
static inline size_t
list_count(struct fmt_view list, size_t size)
{
	return list.len / size;
}

#define FMT_U8(S, m, lo, hi)	{ #m, FT_U8, offsetof(struct S, m), 1, lo, hi }
#define FMT_U16(S, m, lo, hi)	{ #m, FT_U16, offsetof(struct S, m), 2, lo, hi }
#define FMT_U32(S, m, lo, hi)	{ #m, FT_U32, offsetof(struct S, m), 4, lo, hi }
#define FMT_U64(S, m, lo, hi)	{ #m, FT_U64, offsetof(struct S, m), 8, lo, hi }
#define FMT_I64(S, m)		{ #m, FT_I64, offsetof(struct S, m), 8, 0, 0 }
#define FMT_BYTES(S, m)		{ #m, FT_BYTES, offsetof(struct S, m), sizeof(((struct S *)0)->m), 0, 0 }
#define FMT_STR(S, m, lo)	{ #m, FT_STR, offsetof(struct S, m), sizeof(((struct S *)0)->m) - 1, lo, 0 }
#define FMT_BLOB(S, m, lo, hi)	{ #m, FT_BLOB, offsetof(struct S, m), hi, lo, hi }
#define FMT_LIST(S, m, esz, lo, hi) { #m, FT_LIST, offsetof(struct S, m), esz, lo, hi }
#define FMT_FIELDS(t)		t, sizeof(t) / sizeof((t)[0])

#endif
