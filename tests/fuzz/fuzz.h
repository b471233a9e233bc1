#ifndef SAMARA_TESTS_FUZZ_H
#define SAMARA_TESTS_FUZZ_H

/*
 * What each fuzz target here does: feed any bytes to a decoder; where it takes
 * them, encode the value again and stop if that gives other bytes, since two
 * encodings of one value are one too many.  Built with libFuzzer by
 * tests/fuzz/fuzz.sh; always built as replay_NAME, which feeds the corpus.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void
fuzz_same(const char *what, const uint8_t *again, size_t again_len, const uint8_t *data, size_t size)
{
	if (again_len == size && (size == 0 || memcmp(again, data, size) == 0))
		return;
	fprintf(stderr, "%s: a second encoding of one value\n", what);
	abort();
}

static inline void
fuzz_true(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "this does not hold: %s\n", what);
	abort();
}

/* Room as large as the input; free it. */
static inline uint8_t *
fuzz_room(size_t size)
{
	uint8_t *p = malloc(size > 0 ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

#endif
