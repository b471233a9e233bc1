#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"

void
buf_init(struct buf *b)
{
	memset(b, 0, sizeof(*b));
}

void
buf_release(struct buf *b)
{
	free(b->p);
	buf_init(b);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = 0;
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *more;

	if (b->failed)
		return NULL;
	if (n > SIZE_MAX / 4 - b->len) {
		b->failed = 1;
		return NULL;
	}
	want = b->len + n + 1;		/* one for the zero of buf_take */
	if (want <= b->cap)
		return b->p + b->len;
	cap = b->cap < 64 ? 64 : b->cap;
	while (cap < want)
		cap *= 2;
	if ((more = realloc(b->p, cap)) == NULL) {
		b->failed = 1;
		return NULL;
	}
	b->p = more;
	b->cap = cap;
	return b->p + b->len;
}

void
buf_grew(struct buf *b, size_t n)
{
	b->len += n;
}

void
buf_add(struct buf *b, const void *bytes, size_t n)
{
	uint8_t *at = buf_room(b, n);

	if (at == NULL || n == 0)
		return;
	memcpy(at, bytes, n);
	b->len += n;
}

void
buf_zeros(struct buf *b, size_t n)
{
	uint8_t *at = buf_room(b, n);

	if (at == NULL)
		return;
	memset(at, 0, n);
	b->len += n;
}

static void
add_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	buf_add(b, bytes, n);
}

void
buf_u8(struct buf *b, uint8_t v)
{
	add_le(b, v, 1);
}

void
buf_u16(struct buf *b, uint16_t v)
{
	add_le(b, v, 2);
}

void
buf_u32(struct buf *b, uint32_t v)
{
	add_le(b, v, 4);
}

void
buf_u64(struct buf *b, uint64_t v)
{
	add_le(b, v, 8);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_print(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	char *at;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = 1;
	else if ((at = (char *)buf_room(b, (size_t)n)) != NULL) {
		(void)vsnprintf(at, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

int
buf_check(const struct buf *b, struct err *e)
{
	if (!b->failed)
		return 0;
	errno = ENOMEM;
	return err_errno(e, "gather %zu bytes", b->len);
}

uint8_t *
buf_take(struct buf *b, size_t *len)
{
	uint8_t *p = NULL;

	*len = 0;
	if (buf_room(b, 0) != NULL) {
		p = b->p;
		p[b->len] = 0;
		*len = b->len;
		b->p = NULL;
	}
	buf_release(b);
	return p;
}
