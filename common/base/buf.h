#ifndef SAMARA_BASE_BUF_H
#define SAMARA_BASE_BUF_H

/*
 * Bytes that grow.  A failure (no memory, over the limit) is remembered and
 * everything added after it is dropped, so that it is looked at once, at the
 * end.  Not for secrets: growing leaves copies behind.
 */

#include <stddef.h>
#include <stdint.h>

struct err;

struct buf {
	uint8_t *p;		/* NULL while empty */
	size_t len;
	size_t cap;
	int failed;
};

/* An empty buffer; ${b} is the caller's memory, released by buf_release. */
void buf_init(struct buf *b);
void buf_release(struct buf *b);

/* Forget the content and any failure, keep the memory. */
void buf_reset(struct buf *b);

/**
 * buf_room(b, n):
 * Room for ${n} more bytes at the end; the caller fills them and buf_grew says
 * how many.  Return where, or NULL if there is no memory (then ${b} failed).
 */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);

/* Add bytes; numbers are little-endian. */
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_zeros(struct buf *b, size_t n);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_str(struct buf *b, const char *s);
void buf_print(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * buf_check(b, e):
 * 0 if everything that was added is there, else -1 with ERR_MEMORY.
 */
int buf_check(const struct buf *b, struct err *e);

/**
 * buf_take(b, len):
 * Hand the bytes over: the caller frees them; ${b} is empty again.  A zero
 * byte follows the ${len} bytes.  NULL if anything failed.
 */
uint8_t *buf_take(struct buf *b, size_t *len);

#endif
