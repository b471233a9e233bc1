#ifndef SAMARA_TESTS_CRYPTO_HEX_H
#define SAMARA_TESTS_CRYPTO_HEX_H

/* Vectors as they are printed, and the inputs they share.  After cmocka.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes ${hex} says, into ${out} of ${cap}; return how many. */
static inline size_t
hex_get(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = strlen(hex) / 2;
	unsigned v;

	assert_true(n <= cap && strlen(hex) % 2 == 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

#define HEX_MOST	4096u

/* ${len} bytes at ${p} are those of ${hex}. */
#define assert_hex(p, len, hex) do {						\
	static uint8_t want_[HEX_MOST];						\
	assert_int_equal(hex_get((hex), want_, sizeof(want_)), (len));		\
	assert_memory_equal((p), want_, (len));					\
} while (0)

/* first, first + 1, first + 2 … */
static inline void
count_up(uint8_t *out, size_t n, unsigned first)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(first + i);
}

#endif
