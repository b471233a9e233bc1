#ifndef SAMARA_TESTS_FORMATS_BYTES_H
#define SAMARA_TESTS_FORMATS_BYTES_H

/* Bytes for tests: random ones that are the same in each run, and copies that end where memory ends. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
struct rng {
	uint64_t at;
};

static inline uint64_t
rng_next(struct rng *r)
{
	uint64_t z = r->at += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number from ${lo} to ${hi}, the ends more often than chance has it. */
static inline uint64_t
rng_from(struct rng *r, uint64_t lo, uint64_t hi)
{
	switch (rng_next(r) % 8) {
	case 0:
		return lo;
	case 1:
		return hi;
	default:
		return hi - lo == UINT64_MAX ? rng_next(r) : lo + rng_next(r) % (hi - lo + 1);
	}
}

static inline void
rng_fill(struct rng *r, void *out, size_t n)
{
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rng_next(r);
}

/* A copy in memory of its own, so that a reader that goes too far is caught. */
static inline uint8_t *
bytes_copy(const void *in, size_t n)
{
	uint8_t *p = malloc(n > 0 ? n : 1);

	if (p == NULL)
		abort();
	if (n > 0)
		memcpy(p, in, n);
	return p;
}

/* Change a few of the ${n} bytes, as damage, a slip or an attacker might. */
static inline void
bytes_mutate(struct rng *r, uint8_t *b, size_t n)
{
	static const uint8_t odd[] = { 0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, '/', '.' };

	for (uint64_t times = 1 + rng_next(r) % 4; times > 0; times--) {
		size_t i = rng_next(r) % n;

		switch (rng_next(r) % 3) {
		case 0:
			b[i] = odd[rng_next(r) % sizeof(odd)];
			break;
		case 1:
			b[i] = (uint8_t)(b[i] ^ 1u << (rng_next(r) % 8));
			break;
		default:
			b[i] = (uint8_t)(b[i] + (rng_next(r) % 2 != 0 ? 1 : 255));
		}
	}
}

#endif
