#ifndef SAMARA_BASE_TEXT_H
#define SAMARA_BASE_TEXT_H

/* Bytes from outside made fit for a person's terminal. */

#include <stddef.h>

/**
 * text_safe(buf, n, bytes, len):
 * Render any ${len} bytes into the ${n} bytes at ${buf} as a zero-terminated,
 * printable, valid UTF-8 string: a backslash becomes \\, newline, tab and
 * carriage return \n \t \r, every other control character (also C1, DEL, the
 * line and paragraph separators and the characters that turn the direction of
 * writing) and every byte that is not valid UTF-8 \xNN a byte; all else stays.
 * Two different names never look equal unless one was cut: then the text ends
 * in "...".  ${n} is at least 4.  Return ${buf}.
 */
char *text_safe(char *buf, size_t n, const void *bytes, size_t len);

/**
 * text_line(buf, n, s):
 * As text_safe, for a message of our own that may hold parts already made
 * safe: backslashes stay as they are.  Return ${buf}.
 */
char *text_line(char *buf, size_t n, const char *s);

/* 1 if the ${len} bytes are valid UTF-8 (RFC 3629), else 0. */
int text_is_utf8(const void *bytes, size_t len);

/* 1 if text_line would change nothing: valid UTF-8, no control characters. */
int text_is_printable(const void *bytes, size_t len);

/* The number of code points; a byte that is not valid UTF-8 counts as one. */
size_t text_length(const void *bytes, size_t len);

/* Lower-case hex of ${len} bytes into ${hex}, 2 * ${len} + 1 bytes.  Return ${hex}. */
char *text_hex(char *hex, const void *bytes, size_t len);

#endif
