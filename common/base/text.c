#include <stdint.h>
#include <string.h>

#include "common/base/text.h"

static const char digits[] = "0123456789abcdef";

/*
 * The length of the code point at ${p} with ${left} bytes, its value in
 * ${cp}; 0 where the bytes are not valid UTF-8 (overlong forms, surrogates and
 * values above U+10FFFF are not).
 */
static size_t
utf8_next(const uint8_t *p, size_t left, uint32_t *cp)
{
	size_t n;
	uint32_t v, least;

	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] < 0xe0) {
		n = 2, v = p[0] & 0x1fu, least = 0x80;
	} else if ((p[0] & 0xf0) == 0xe0) {
		n = 3, v = p[0] & 0x0fu, least = 0x800;
	} else if (p[0] >= 0xf0 && p[0] < 0xf5) {
		n = 4, v = p[0] & 0x07u, least = 0x10000;
	} else {
		return 0;
	}
	if (left < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if (v < least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*cp = v;
	return n;
}

static int
is_printable(uint32_t cp)
{
	return !(cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ||	/* C0, DEL, C1 */
	    cp == 0x061c || cp == 0x200e || cp == 0x200f ||	/* direction marks */
	    (cp >= 0x2028 && cp <= 0x202e) ||			/* separators, embeddings */
	    (cp >= 0x2066 && cp <= 0x2069) ||			/* isolates */
	    cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb));
}

/*
 * Render what stands at ${p} into ${out}; its length in ${put}.  Return how
 * many bytes of the input that was.
 */
static size_t
render_one(const uint8_t *p, size_t left, int escape, char out[16], size_t *put)
{
	uint32_t cp = 0;
	size_t n = utf8_next(p, left, &cp);
	const char *named = "\nn\tt\rr";

	*put = 0;
	if (n > 0 && is_printable(cp) && !(escape && cp == '\\')) {
		memcpy(out, p, n);
		*put = n;
		return n;
	}
	if (n == 1 && cp == '\\')
		named = "\\\\";
	for (; n == 1 && *named != '\0'; named += 2) {
		if ((uint32_t)named[0] != cp)
			continue;
		out[0] = '\\';
		out[1] = named[1];
		*put = 2;
		return 1;
	}
	if (n == 0)
		n = 1;
	for (size_t i = 0; i < n; i++) {
		out[*put] = '\\';
		out[*put + 1] = 'x';
		out[*put + 2] = digits[p[i] >> 4];
		out[*put + 3] = digits[p[i] & 15];
		*put += 4;
	}
	return n;
}

static char *
render(char *buf, size_t n, const uint8_t *p, size_t len, int escape)
{
	size_t used = 0, room = 0;	/* room: what fits with "..." after it */
	char one[16];

	while (len > 0) {
		size_t put, took = render_one(p, len, escape, one, &put);

		if (used + put + 1 > n) {
			memcpy(buf + room, "...", 4);
			return buf;
		}
		memcpy(buf + used, one, put);
		used += put;
		if (used + 4 <= n)
			room = used;
		p += took;
		len -= took;
	}
	buf[used] = '\0';
	return buf;
}

char *
text_safe(char *buf, size_t n, const void *bytes, size_t len)
{
	return render(buf, n, bytes, len, 1);
}

char *
text_line(char *buf, size_t n, const char *s)
{
	return render(buf, n, (const uint8_t *)s, strlen(s), 0);
}

int
text_is_utf8(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint32_t cp;

	while (len > 0) {
		size_t n = utf8_next(p, len, &cp);

		if (n == 0)
			return 0;
		p += n;
		len -= n;
	}
	return 1;
}

int
text_is_printable(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint32_t cp;

	while (len > 0) {
		size_t n = utf8_next(p, len, &cp);

		if (n == 0 || !is_printable(cp))
			return 0;
		p += n;
		len -= n;
	}
	return 1;
}

size_t
text_length(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t count = 0;
	uint32_t cp;

	while (len > 0) {
		size_t n = utf8_next(p, len, &cp);

		if (n == 0)
			n = 1;
		p += n;
		len -= n;
		count++;
	}
	return count;
}

char *
text_hex(char *hex, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++) {
		hex[2 * i] = digits[p[i] >> 4];
		hex[2 * i + 1] = digits[p[i] & 15];
	}
	hex[2 * len] = '\0';
	return hex;
}
