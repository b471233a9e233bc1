#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/text.h"

__extension__ typedef unsigned __int128 u128;

#define FRACTION_MAX	9	/* digits after the point that count */

/* A decimal number as it was written: ${whole} + ${part} / ${of}. */
struct number {
	uint64_t whole;
	uint64_t part;
	uint64_t of;
};

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Three digits after a comma belong to the number. */
static int
is_group(const char *s)
{
	return s[0] == ',' && is_digit(s[1]) && is_digit(s[2]) && is_digit(s[3]) &&
	    !is_digit(s[4]);
}

/* Read a number and the blanks after it; return what follows, or NULL. */
static const char *
number_parse(const char *s, struct number *v)
{
	int digits = 0;

	v->whole = v->part = 0;
	v->of = 1;
	if (!is_digit(*s))
		return NULL;
	while (is_digit(*s) || is_group(s)) {
		if (*s == ',')
			s++;
		if (__builtin_mul_overflow(v->whole, 10u, &v->whole) ||
		    __builtin_add_overflow(v->whole, (uint64_t)(*s - '0'), &v->whole))
			return NULL;
		s++;
	}
	if (*s == '.') {
		if (!is_digit(*++s))
			return NULL;
		for (; is_digit(*s); s++) {
			if (digits++ >= FRACTION_MAX)
				continue;
			v->part = v->part * 10 + (uint64_t)(*s - '0');
			v->of *= 10;
		}
	}
	while (*s == ' ')
		s++;
	return s;
}

/* ${v} times ${unit}; -1 if that is no 64-bit number. */
static int
number_times(const struct number *v, uint64_t unit, uint64_t *out)
{
	u128 sum = (u128)v->whole * unit + (u128)v->part * unit / v->of;

	if (sum > UINT64_MAX)
		return -1;
	*out = (uint64_t)sum;
	return 0;
}

/* The unit of a size before ${s} goes on with something else; NULL if none. */
static const char *
unit_parse(const char *s, uint64_t *unit)
{
	static const char letters[] = "kmgtpe";
	const char *at = *s == '\0' ? NULL : strchr(letters, *s | 0x20);
	uint64_t step = 1000;

	*unit = 1;
	if (at == NULL)
		return s;
	s++;
	if ((*s | 0x20) == 'i') {
		step = 1024;
		s++;
	}
	for (long i = 0; i <= at - letters; i++)
		*unit *= step;
	return s;
}

int
human_parse_size(const char *s, uint64_t *bytes, struct err *e)
{
	struct number v;
	uint64_t unit;
	const char *at = number_parse(s, &v);

	if (at != NULL) {
		at = unit_parse(at, &unit);
		if ((*at | 0x20) == 'b')
			at++;
	}
	if (at == NULL || *at != '\0')
		return err_set(e, ERR_USAGE, "\"%s\" is not a size; write it like 500M, 18T, 1 MiB",
		    s);
	if (number_times(&v, unit, bytes) != 0)
		return err_set(e, ERR_USAGE, "the size \"%s\" is too large", s);
	return 0;
}

int
human_parse_rate(const char *s, uint64_t *bytes, struct err *e)
{
	struct number v;
	uint64_t unit, divide = 1;
	const char *at = number_parse(s, &v);

	if (at != NULL) {
		at = unit_parse(at, &unit);
		if (strncasecmp(at, "bit", 3) == 0) {
			at += 3;
			divide = 8;
		} else if (at[0] == 'b' && strcmp(at + 1, "ps") == 0) {
			at++;		/* 512 Kbps: the small b means bits */
			divide = 8;
		} else if ((*at | 0x20) == 'b') {
			at++;
		}
		if (strcmp(at, "/s") == 0 || strcmp(at, "ps") == 0)
			at += 2;
	}
	if (at == NULL || *at != '\0')
		return err_set(e, ERR_USAGE,
		    "\"%s\" is not a rate; write it like 100M, 50 MB/s, 20 Mbit/s", s);
	if (number_times(&v, unit, bytes) != 0)
		return err_set(e, ERR_USAGE, "the rate \"%s\" is too large", s);
	*bytes /= divide;
	return 0;
}

static const char *
time_unit(const char *s, uint64_t *unit)
{
	static const struct { const char *name; uint64_t seconds; } t[] = {
		{ "min", 60 }, { "m", 60 }, { "s", 1 }, { "h", 3600 }, { "d", 86400 },
		{ "w", 7 * 86400 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t n = strlen(t[i].name);

		if (strncmp(s, t[i].name, n) == 0) {
			*unit = t[i].seconds;
			return s + n;
		}
	}
	return NULL;
}

int
human_parse_duration(const char *s, uint64_t *seconds, struct err *e)
{
	const char *at = s;
	uint64_t sum = 0, unit, part;
	struct number v;

	do {
		if ((at = number_parse(at, &v)) == NULL || (at = time_unit(at, &unit)) == NULL)
			return err_set(e, ERR_USAGE,
			    "\"%s\" is not a time; write it like 30min, 48h, 90d", s);
		if (number_times(&v, unit, &part) != 0 || __builtin_add_overflow(sum, part, &sum))
			return err_set(e, ERR_USAGE, "the time \"%s\" is too long", s);
		while (*at == ' ')
			at++;
	} while (*at != '\0');
	*seconds = sum;
	return 0;
}

int
human_parse_percent(const char *s, uint32_t *millionths, struct err *e)
{
	struct number v;
	uint64_t m;
	const char *at = number_parse(s, &v);

	if (at != NULL && *at == '%')
		at++;
	if (at == NULL || *at != '\0' || number_times(&v, 10000, &m) != 0 || m > 1000000)
		return err_set(e, ERR_USAGE, "\"%s\" is not a part of a hundred; write it like 5%%",
		    s);
	*millionths = (uint32_t)m;
	return 0;
}

int
human_parse_number(const char *s, uint64_t max, uint64_t *v, struct err *e)
{
	struct number n;
	const char *at = strchr(s, ' ') == NULL ? number_parse(s, &n) : NULL;

	if (at == NULL || *at != '\0' || n.of != 1)
		return err_set(e, ERR_USAGE, "\"%s\" is not a number", s);
	if (n.whole > max)
		return err_set(e, ERR_USAGE, "%s is too large, at most %" PRIu64 " is possible", s,
		    max);
	*v = n.whole;
	return 0;
}

char *
human_size(char *buf, uint64_t bytes)
{
	static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	uint64_t unit = 1, tenths;
	size_t i = 0;

	/* One decimal below 100; step up where rounding would give 1000. */
	while (i < 6 && bytes >= unit * 1000 - (i == 0 ? 0 : unit / 2)) {
		unit *= 1000;
		i++;
	}
	if (i == 0) {
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 " B", bytes);
		return buf;
	}
	tenths = (uint64_t)(((u128)bytes * 10 + unit / 2) / unit);
	if (tenths < 1000)
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
		    tenths % 10, names[i]);
	else
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 " %s",
		    (uint64_t)(((u128)bytes + unit / 2) / unit), names[i]);
	return buf;
}

char *
human_rate(char *buf, uint64_t bytes, int64_t ns)
{
	u128 rate;

	if (ns <= 0) {
		(void)snprintf(buf, HUMAN_MAX, "-");
		return buf;
	}
	rate = (u128)bytes * 1000000000u / (u128)(uint64_t)ns;
	(void)human_size(buf, rate > UINT64_MAX ? UINT64_MAX : (uint64_t)rate);
	(void)strcat(buf, "/s");
	return buf;
}

char *
human_count(char *buf, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *p = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return buf;
}

char *
human_duration(char *buf, int64_t ns)
{
	uint64_t ms = ns < 0 ? 0 : (uint64_t)ns / 1000000, s = (ms + 500) / 1000;

	if (ms < 9950)
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 ".%" PRIu64 " s", (ms + 50) / 1000,
		    (ms + 50) / 100 % 10);
	else if (s < 120)
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 " s", s);
	else if (s < 7200)
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 " min", (s + 30) / 60);
	else if (s < 48 * 3600)
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 " h", (s + 1800) / 3600);
	else if (s < 859680)		/* 9.95 days */
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 ".%" PRIu64 " days",
		    (s + 4320) / 86400, (s + 4320) / 8640 % 10);
	else
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 " days", (s + 43200) / 86400);
	return buf;
}

char *
human_percent(char *buf, uint64_t part, uint64_t whole)
{
	u128 tenths = whole == 0 ? 0 : ((u128)part * 1000 + whole / 2) / whole;

	(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 ".%u %%", (uint64_t)(tenths / 10),
	    (unsigned)(tenths % 10));
	return buf;
}

static char *
date_put(char *buf, int64_t seconds, int with_time)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)seconds;
	struct tm tm;
	int n;

	if (localtime_r(&t, &tm) == NULL) {	/* a year that no int holds */
		(void)snprintf(buf, HUMAN_MAX, "@%" PRId64, seconds);
		return buf;
	}
	n = snprintf(buf, HUMAN_MAX, "%d %s %lld", tm.tm_mday, months[tm.tm_mon],
	    (long long)tm.tm_year + 1900);
	if (with_time)
		(void)snprintf(buf + n, HUMAN_MAX - (size_t)n, " %02d:%02d", tm.tm_hour, tm.tm_min);
	return buf;
}

char *
human_date(char *buf, int64_t seconds)
{
	return date_put(buf, seconds, 1);
}

char *
human_day(char *buf, int64_t seconds)
{
	return date_put(buf, seconds, 0);
}

char *
human_id(char *buf, const uint8_t *id)
{
	return text_hex(buf, id, 4);
}

char *
human_digest(char *buf, const uint8_t *digest)
{
	(void)snprintf(buf, HUMAN_MAX, "%02X%02X-%02X%02X-%02X%02X-%02X%02X", digest[0], digest[1],
	    digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]);
	return buf;
}
