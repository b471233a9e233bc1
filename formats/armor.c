#include "formats/armor.h"

#define GROUP_LEN	5
#define CHECK_LEN	4
#define LINE_CHARS	40	/* of base32 in a full line */
#define SUM_LEN		8	/* hex digits in the last line */
#define LINE_NUMBER_MAX	(ARMOR_TEXT_MAX / ARMOR_LINE_LEN)

static const char begin_text[] = "-----BEGIN SAMARA ";
static const char end_text[] = "-----END SAMARA ";
static const char dashes[] = "-----";
static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* One more than the value of a character, as a person may have typed it; 0: none. */
static const uint8_t values[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7,
	['7'] = 8, ['8'] = 9, ['9'] = 10,
	['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16, ['G'] = 17,
	['H'] = 18, ['I'] = 2, ['J'] = 19, ['K'] = 20, ['L'] = 2, ['M'] = 21,
	['N'] = 22, ['O'] = 1, ['P'] = 23, ['Q'] = 24, ['R'] = 25, ['S'] = 26, ['T'] = 27,
	['U'] = 28, ['V'] = 28, ['W'] = 29, ['X'] = 30, ['Y'] = 31, ['Z'] = 32,
	['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['g'] = 17,
	['h'] = 18, ['i'] = 2, ['j'] = 19, ['k'] = 20, ['l'] = 2, ['m'] = 21,
	['n'] = 22, ['o'] = 1, ['p'] = 23, ['q'] = 24, ['r'] = 25, ['s'] = 26, ['t'] = 27,
	['u'] = 28, ['v'] = 28, ['w'] = 29, ['x'] = 30, ['y'] = 31, ['z'] = 32,
};

/* CRC-32 (ISO 3309, reflected 0xedb88320), four bits at a time. */
static uint32_t
crc32_add(uint32_t crc, const uint8_t *in, size_t len)
{
	static const uint32_t t[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c
	};

	for (size_t i = 0; i < len; i++) {
		crc ^= in[i];
		crc = crc >> 4 ^ t[crc & 15];
		crc = crc >> 4 ^ t[crc & 15];
	}
	return crc;
}

static uint32_t
crc32_of(const uint8_t *in, size_t len)
{
	return ~crc32_add(UINT32_MAX, in, len);
}

static uint32_t
line_check(uint32_t number, const uint8_t *in, size_t len)
{
	uint8_t n[4];

	le32_put(n, number);
	return ~crc32_add(crc32_add(UINT32_MAX, n, sizeof(n)), in, len) & 0xfffff;
}

/* Base32 characters that ${len} bytes take. */
static size_t
chars_of(size_t len)
{
	return (len * 8 + 4) / 5;
}

static size_t
number_width(size_t number)
{
	size_t n = 2;

	for (; number >= 100; number /= 10)
		n++;
	return n;
}

size_t
armor_size(const char *what, size_t len)
{
	size_t w = strlen(what), total, n, chars;

	total = sizeof(begin_text) - 1 + w + sizeof(dashes) - 1 + 1;
	total += sizeof(end_text) - 1 + w + 1 + SUM_LEN + sizeof(dashes) - 1 + 1;
	for (size_t number = 1; len > 0; number++, len -= n) {
		n = len < ARMOR_LINE_LEN ? len : ARMOR_LINE_LEN;
		chars = chars_of(n);
		total += number_width(number) + chars + (chars + GROUP_LEN - 1) / GROUP_LEN + 1 + CHECK_LEN + 1;
	}
	return total;
}

static void
put_text(struct wr *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

static void
put_number(struct wr *w, size_t number)
{
	size_t width = number_width(number);
	uint8_t *p = wr_room(w, width);

	for (; p != NULL && width > 0; number /= 10)
		p[--width] = (uint8_t)('0' + number % 10);
}

static void
put_groups(struct wr *w, const uint8_t *in, size_t len)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t next = 0;

	for (size_t i = 0; i < chars_of(len); i++) {
		if (i % GROUP_LEN == 0)
			put_text(w, " ");
		if (have < 5) {
			bits = bits << 8 | (next < len ? in[next] : 0);
			next++;
			have += 8;
		}
		have -= 5;
		wr_u8(w, (uint8_t)digits[bits >> have & 31]);
	}
}

static void
put_line(struct wr *w, size_t number, const uint8_t *in, size_t len)
{
	uint32_t check = line_check((uint32_t)number, in, len);

	put_number(w, number);
	put_groups(w, in, len);
	put_text(w, " ");
	for (unsigned shift = 20; shift > 0; shift -= 5)
		wr_u8(w, (uint8_t)digits[check >> (shift - 5) & 31]);
	put_text(w, "\n");
}

static void
put_sum(struct wr *w, uint32_t sum)
{
	for (unsigned shift = 32; shift > 0; shift -= 4)
		wr_u8(w, (uint8_t)"0123456789abcdef"[sum >> (shift - 4) & 15]);
}

enum fmt_status
armor_encode(const char *what, const uint8_t *in, size_t len, char *out, size_t cap)
{
	struct wr w = { .p = (uint8_t *)out, .left = cap };
	size_t n, at = 0;

	if (cap > 0)
		out[0] = 0;
	if (len > ARMOR_TEXT_MAX || armor_size(what, len) > ARMOR_TEXT_MAX)
		return FMT_RANGE;
	if (cap <= armor_size(what, len))
		return FMT_SHORT;
	put_text(&w, begin_text);
	put_text(&w, what);
	put_text(&w, dashes);
	put_text(&w, "\n");
	for (size_t number = 1; at < len; number++, at += n) {
		n = len - at < ARMOR_LINE_LEN ? len - at : ARMOR_LINE_LEN;
		put_line(&w, number, in + at, n);
	}
	put_text(&w, end_text);
	put_text(&w, what);
	put_text(&w, " ");
	put_sum(&w, crc32_of(in, len));
	put_text(&w, dashes);
	put_text(&w, "\n");
	wr_u8(&w, 0);
	return FMT_OK;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cut the next line off ${r}, without blanks and quote marks around it.  False at the end of the text. */
static bool
line_next(struct rd *r, struct rd *line)
{
	const uint8_t *nl;
	size_t n;

	if (r->left == 0)
		return false;
	nl = memchr(r->p, '\n', r->left);
	n = nl != NULL ? (size_t)(nl - r->p) : r->left;
	*line = (struct rd){ .p = rd_bytes(r, n), .left = n };
	if (nl != NULL)
		(void)rd_bytes(r, 1);
	while (line->left > 0 && (is_blank(line->p[0]) || line->p[0] == '>'))
		(void)rd_bytes(line, 1);
	while (line->left > 0 && is_blank(line->p[line->left - 1]))
		line->left--;
	return true;
}

/* Take ${text} off the front of ${line} if it begins so. */
static bool
take(struct rd *line, const char *text)
{
	size_t n = strlen(text);

	if (n > line->left || memcmp(line->p, text, n) != 0)
		return false;
	(void)rd_bytes(line, n);
	return true;
}

static bool
is_begin(struct rd line, const char *what)
{
	return take(&line, begin_text) && take(&line, what) && take(&line, dashes) && line.left == 0;
}

/* The sum in the last line. */
static bool
end_read(struct rd line, const char *what, uint32_t *sum)
{
	uint8_t v;

	*sum = 0;
	if (!take(&line, end_text) || !take(&line, what) || !take(&line, " "))
		return false;
	for (unsigned i = 0; i < SUM_LEN; i++) {
		v = values[rd_u8(&line)];
		if (v == 0 || v > 16)
			return false;
		*sum = *sum << 4 | (uint32_t)(v - 1);
	}
	return take(&line, dashes) && line.left == 0;
}

/* The number before the first blank; 0 where there is none. */
static uint32_t
number_read(struct rd *line)
{
	uint32_t number = 0;
	uint8_t v;

	while (line->left > 0 && !is_blank(line->p[0])) {
		v = values[rd_u8(line)];
		if (v == 0 || v > 10 || number > LINE_NUMBER_MAX)
			return 0;
		number = number * 10 + (uint32_t)(v - 1);
	}
	return number;
}

/* Characters of base32 as values, blanks left out; 0 if there are too many or others. */
static size_t
values_read(struct rd *line, uint8_t out[LINE_CHARS + CHECK_LEN])
{
	size_t n = 0;
	uint8_t c;

	while (line->left > 0) {
		c = rd_u8(line);
		if (is_blank(c))
			continue;
		if (values[c] == 0 || n == LINE_CHARS + CHECK_LEN)
			return 0;
		out[n++] = (uint8_t)(values[c] - 1);
	}
	return n;
}

/* ${n} values into bytes; their number, or 0 where no bytes are written so. */
static size_t
bytes_read(const uint8_t *v, size_t n, uint8_t out[ARMOR_LINE_LEN])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t len = 0;

	if (n > LINE_CHARS || chars_of(n * 5 / 8) != n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		bits = (bits << 5 | v[i]) & 0xfff;
		have += 5;
		if (have >= 8) {
			have -= 8;
			out[len++] = (uint8_t)(bits >> have);
		}
	}
	return (bits & ((1u << have) - 1)) == 0 ? len : 0;
}

/* The bytes of line ${number}; 0 if it is not that line, or mistyped. */
static size_t
line_read(struct rd line, uint32_t number, uint8_t out[ARMOR_LINE_LEN])
{
	uint8_t v[LINE_CHARS + CHECK_LEN];
	uint32_t check = 0;
	size_t n, len = 0;

	if (number_read(&line) == number && (n = values_read(&line, v)) > CHECK_LEN) {
		n -= CHECK_LEN;
		for (size_t i = 0; i < CHECK_LEN; i++)
			check = check << 5 | v[n + i];
		len = bytes_read(v, n, out);
		if (len > 0 && line_check(number, out, len) != check)
			len = 0;
	}
	explicit_bzero(v, sizeof(v));
	return len;
}

/* From behind the first line to the last. */
static enum fmt_status
body_read(struct rd *r, const char *what, struct wr *w, size_t *len, unsigned *line)
{
	const uint8_t *start = w->p;
	uint8_t bytes[ARMOR_LINE_LEN];
	size_t n = ARMOR_LINE_LEN;
	struct rd at;
	uint32_t sum;

	for (*line = 1; line_next(r, &at);) {
		if (at.left == 0)
			continue;
		if (at.p[0] == '-') {
			*line = 0;
			*len = (size_t)(w->p - start);
			return end_read(at, what, &sum) && sum == crc32_of(start, *len) ? FMT_OK : FMT_CHECKSUM;
		}
		if (n < ARMOR_LINE_LEN || (n = line_read(at, *line, bytes)) == 0)
			return FMT_CHECKSUM;
		wr_bytes(w, bytes, n);
		explicit_bzero(bytes, sizeof(bytes));
		if (w->bad)
			return FMT_SHORT;
		++*line;
	}
	return FMT_SHORT;
}

enum fmt_status
armor_decode(const char *what, const char *text, size_t n, uint8_t *out, size_t cap, size_t *len, unsigned *line)
{
	struct rd r = { .p = (const uint8_t *)text, .left = n }, at;
	struct wr w = { .p = out, .left = cap };
	enum fmt_status st = FMT_MAGIC;

	*len = 0;
	*line = 0;
	if (n > ARMOR_TEXT_MAX)
		return FMT_RANGE;
	while (st == FMT_MAGIC && line_next(&r, &at))
		if (is_begin(at, what))
			st = body_read(&r, what, &w, len, line);
	if (st != FMT_OK) {
		if (cap > 0)
			memset(out, 0, cap);
		*len = 0;
	}
	return st;
}
