#include <stdlib.h>
#include <string.h>

#include "common/base/keystream.h"
#include "common/base/secret.h"
#include "common/chunk/cutter.h"
#include "formats/fmt.h"

/*
 * The hash before byte i is that of the 64 bytes before it, and of nothing
 * else: h(i) = sum over j < 64 of gear[byte i-1-j] * 2^j, modulo 2^64, since
 * each further byte doubles h and older ones fall out at the top.  The chunk
 * ends at the first length L >= minimum with h(L) below the limit: the harder
 * one (average * 4 in 2^64) where L < average, from there on the easier one
 * (average / 4).  If there is none up to the maximum it ends there.
 *
 * Because h hangs on 64 bytes alone, places far apart can be scanned at once:
 * four lanes a block, so that one does not wait for the other's additions.
 */
#define WINDOW	64u
#define LANES	4u
#define LANE	1024u		/* bytes of one lane in a block */
#define BLOCK	(LANES * LANE)
#define HARDER	2u		/* bits more below the average, and less above it */

struct cutter {
	uint64_t gear[256];
	uint64_t hard, easy;	/* a cut is where h is below */
	uint32_t min, avg, max;
};

struct cutter *
cutter_new(const uint8_t key[32], uint32_t avg)
{
	struct cutter *c = calloc(1, sizeof(*c));
	uint8_t stream[sizeof(c->gear)];
	unsigned bits = 0;

	if (c == NULL)
		return NULL;
	while ((1u << bits) < avg)
		bits++;
	c->min = avg / 4;
	c->avg = avg;
	c->max = avg * 4;
	c->hard = UINT64_C(1) << (64 - bits - HARDER);
	c->easy = UINT64_C(1) << (64 - bits + HARDER);
	keystream(key, stream, sizeof(stream));
	for (size_t i = 0; i < 256; i++)
		c->gear[i] = le64_get(stream + 8 * i);
	secret_wipe(stream, sizeof(stream));
	return c;
}

void
cutter_free(struct cutter *c)
{
	if (c == NULL)
		return;
	secret_wipe(c, sizeof(*c));
	free(c);
}

/* The hash of the 64 bytes before ${p}. */
static uint64_t
window_hash(const struct cutter *c, const uint8_t *p)
{
	uint64_t h = 0;

	for (const uint8_t *at = p - WINDOW; at < p; at++)
		h = (h << 1) + c->gear[*at];
	return h;
}

/* The first length in ${from} .. ${to} whose hash is below ${limit}; 0: none. */
static size_t
scan_plain(const struct cutter *c, const uint8_t *in, size_t from, size_t to, uint64_t limit)
{
	uint64_t h = window_hash(c, in + from);

	for (size_t i = from;; i++) {
		if (h < limit)
			return i;
		if (i >= to)
			return 0;
		h = (h << 1) + c->gear[in[i]];
	}
}

/* One step of each lane: the hash over the next byte, and whether it is a cut. */
#define STEP(k)	(h##k = (h##k << 1) + gear[p##k[i]], (int)(h##k < limit))

/* Is there any length in ${from} + 1 .. ${from} + BLOCK whose hash is below ${limit}? */
static int
scan_block(const struct cutter *c, const uint8_t *in, size_t from, uint64_t limit)
{
	const uint64_t *gear = c->gear;
	const uint8_t *p0 = in + from, *p1 = p0 + LANE, *p2 = p1 + LANE, *p3 = p2 + LANE;
	uint64_t h0 = window_hash(c, p0), h1 = window_hash(c, p1);
	uint64_t h2 = window_hash(c, p2), h3 = window_hash(c, p3);

	for (size_t i = 0; i < LANE; i++)
		if (STEP(0) | STEP(1) | STEP(2) | STEP(3))
			return 1;
	return 0;
}

/* As scan_plain, fast: whole blocks are asked whether they hold a cut at all. */
static size_t
scan(const struct cutter *c, const uint8_t *in, size_t from, size_t to, uint64_t limit)
{
	size_t at = from, found;

	if (window_hash(c, in + from) < limit)
		return from;
	for (; to - at >= BLOCK; at += BLOCK) {
		if (!scan_block(c, in, at, limit))
			continue;
		if ((found = scan_plain(c, in, at, at + BLOCK, limit)) != 0)
			return found;
	}
	return scan_plain(c, in, at, to, limit);
}

size_t
cutter_next(const struct cutter *c, const uint8_t *in, size_t len, int at_end)
{
	size_t end = len < c->max ? len : c->max, cut = 0;

	if (len >= c->min)
		cut = scan(c, in, c->min, end < c->avg ? end : c->avg - 1, c->hard);
	if (cut == 0 && end >= c->avg)
		cut = scan(c, in, c->avg, end, c->easy);
	if (cut != 0)
		return cut;
	return len >= c->max ? c->max : at_end ? len : 0;
}

uint32_t
cutter_min(const struct cutter *c)
{
	return c->min;
}

uint32_t
cutter_avg(const struct cutter *c)
{
	return c->avg;
}

uint32_t
cutter_max(const struct cutter *c)
{
	return c->max;
}

uint64_t
cutter_gear(const struct cutter *c, uint8_t b)
{
	return c->gear[b];
}
