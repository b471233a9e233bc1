#ifndef SAMARA_BASE_HUMAN_H
#define SAMARA_BASE_HUMAN_H

/* Sizes, times and numbers as people write and read them. */

#include <stddef.h>
#include <stdint.h>

struct err;

#define HUMAN_MAX	48	/* enough for anything that human_* writes */

/**
 * human_parse_size(s, bytes, e):
 * "500", "500M", "18T", "1.5 TB", "1 MiB", "64Ki", "1,023 MB": digits, perhaps
 * commas between thousands, perhaps a fraction, blanks, a unit.  K M G T P E
 * are powers of 1000, Ki Mi ... of 1024; a B may follow; case does not matter.
 * What is left of a byte is dropped.  Return 0, or -1 with ERR_USAGE (no
 * number, unknown unit, above 2^64 - 1).
 */
int human_parse_size(const char *s, uint64_t *bytes, struct err *e);

/**
 * human_parse_rate(s, bytes, e):
 * A size for each second: "100M", "100 MB/s", "1,023 MBps"; with "bit" in it
 * ("512 Kbit/s", "20Mbit") an eighth of that.  As human_parse_size.
 */
int human_parse_rate(const char *s, uint64_t *bytes, struct err *e);

/**
 * human_parse_duration(s, seconds, e):
 * "48h", "90d", "30 min", "1d12h", "2w": numbers each with a unit of s, m or
 * min, h, d, w, added up.  Return 0, or -1 with ERR_USAGE.
 */
int human_parse_duration(const char *s, uint64_t *seconds, struct err *e);

/**
 * human_parse_percent(s, millionths, e):
 * "5%", "0.5 %", "5": in millionths of the whole, at most 1,000,000.  Return
 * 0, or -1 with ERR_USAGE.
 */
int human_parse_percent(const char *s, uint32_t *millionths, struct err *e);

/* Plain digits, at most ${max}.  Return 0, or -1 with ERR_USAGE. */
int human_parse_number(const char *s, uint64_t max, uint64_t *v, struct err *e);

/*
 * The following write into ${buf} of HUMAN_MAX bytes and return it.
 *   size      "17.4 TB", "118 GB", "12 B": three digits, powers of 1000
 *   rate      "555 MB/s"
 *   count     "11,204,118"
 *   duration  of nanoseconds: "0.4 s", "12 s", "6 min", "10 h", "3.1 days"
 *   percent   of two numbers: "4.2 %"
 *   date      local time: "12 Nov 2026 14:03"
 *   day       "12 Nov 2026"
 *   id        the first four bytes of an id in hex: "7f3a91cc"
 *   digest    the first eight bytes: "7F3A-91CC-D02E-5B18"
 */
char *human_size(char *buf, uint64_t bytes);
char *human_rate(char *buf, uint64_t bytes, int64_t ns);
char *human_count(char *buf, uint64_t n);
char *human_duration(char *buf, int64_t ns);
char *human_percent(char *buf, uint64_t part, uint64_t whole);
char *human_date(char *buf, int64_t seconds);
char *human_day(char *buf, int64_t seconds);
char *human_id(char *buf, const uint8_t *id);
char *human_digest(char *buf, const uint8_t *digest);

#endif
