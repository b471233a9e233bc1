#ifndef SAMARA_BASE_DOC_H
#define SAMARA_BASE_DOC_H

/*
 * Small JSON documents: built with sorted keys on one line, or read whole from
 * untrusted bytes.  A value is an object or a list; what is put into another
 * value belongs to that one.
 */

#include <stddef.h>
#include <stdint.h>

struct err;
struct doc;

/**
 * doc_object(void), doc_list(void):
 * A new empty value; free with doc_free.  Never NULL: where memory is short
 * the value remembers it and doc_write reports it.
 */
struct doc *doc_object(void);
struct doc *doc_list(void);
void doc_free(struct doc *j);

/**
 * doc_put_*(j, key, ...):
 * Put a member into the object ${j}, in place of one with the same key; where
 * ${j} is a list, ${key} is not looked at and the value goes to its end.
 * str: a zero-terminated string in UTF-8; one that is not goes in escaped as
 * by text_safe.  name: any bytes; where they are not valid UTF-8 the escaped
 * text goes in and their hex as KEY_hex beside it (in a list: the text alone).  u64: a number above 2^63 - 1 goes in as a string of decimal
 * digits.  hex: bytes as lower-case hex.  value: takes over ${child}.
 */
void doc_put_str(struct doc *j, const char *key, const char *s);
void doc_put_name(struct doc *j, const char *key, const void *bytes, size_t len);
void doc_put_u64(struct doc *j, const char *key, uint64_t v);
void doc_put_i64(struct doc *j, const char *key, int64_t v);
void doc_put_real(struct doc *j, const char *key, double v);
void doc_put_bool(struct doc *j, const char *key, int v);
void doc_put_null(struct doc *j, const char *key);
void doc_put_hex(struct doc *j, const char *key, const void *bytes, size_t len);
void doc_put_value(struct doc *j, const char *key, struct doc *child);

/**
 * doc_write(j, text, len, e):
 * ${j} as one line: keys sorted bytewise, no blanks, a newline at the end; the
 * same value always gives the same bytes.  All is UTF-8 as it is, unless a
 * character in it could upset a terminal: then all but ASCII is \uNNNN.
 * ${text} is new, zero-terminated, ${len} bytes without the zero.  Return 0,
 * or -1 with ERR_MEMORY.
 */
int doc_write(const struct doc *j, char **text, size_t *len, struct err *e);

/**
 * doc_read(data, len, what, e):
 * Read one JSON object from ${len} untrusted bytes: duplicate keys, bytes
 * after it, invalid UTF-8, NUL in a string and numbers out of range are
 * ERR_FORMAT; ${what} names the thing for the message.  Return the value (free
 * with doc_free) or NULL.
 */
struct doc *doc_read(const void *data, size_t len, const char *what, struct err *e);

/**
 * doc_get_*(j, key, ...):
 * The member ${key} of an object that was read.  str: the string, which lives
 * as long as ${j}, or NULL if there is none or it is no string.  The others
 * return 0, or -1 if there is none of that type (hex: exactly ${len} bytes in
 * lower-case; u64: also a string of decimal digits as doc_put_u64 writes).
 */
const char *doc_get_str(const struct doc *j, const char *key);
int doc_get_u64(const struct doc *j, const char *key, uint64_t *v);
int doc_get_i64(const struct doc *j, const char *key, int64_t *v);
int doc_get_bool(const struct doc *j, const char *key, int *v);
int doc_get_hex(const struct doc *j, const char *key, void *bytes, size_t len);

/* The elements of the list ${key}: how many (0 if none); string ${i} or NULL. */
size_t doc_list_length(const struct doc *j, const char *key);
const char *doc_list_str(const struct doc *j, const char *key, size_t i);

/* The number of members of ${j}, so that unknown ones can be refused. */
size_t doc_members(const struct doc *j);

#endif
