#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/flow/collect_job.h"

#define PROBES	4u
#define BITS_EACH	16u	/* of memory for each id expected: one in 400 unneeded ids is kept */
#define BITS_LEAST	(UINT64_C(1) << 16)

struct id_filter {
	uint64_t salt[PROBES];
	uint64_t mask;		/* bits - 1; a power of two */
	uint8_t *bits;
};

struct id_filter *
id_filter_new(uint64_t n, uint64_t memory, struct err *e)
{
	struct id_filter *f = calloc(1, sizeof(*f));
	uint64_t bits = BITS_LEAST;

	while (bits / BITS_EACH < n && bits / 8 * 2 <= memory && bits < UINT64_C(1) << 40)
		bits *= 2;
	if (f == NULL || (f->bits = calloc(bits / 8, 1)) == NULL) {
		free(f);
		(void)err_set(e, ERR_MEMORY, "no memory to remember what is needed");
		return NULL;
	}
	f->mask = bits - 1;
	io_random(f->salt, sizeof(f->salt));
	return f;
}

void
id_filter_free(struct id_filter *f)
{
	if (f == NULL)
		return;
	free(f->bits);
	free(f);
}

/* Bit ${i} of an id: its ${i}-th eight bytes, stirred (the finalizer of SplitMix64). */
static uint64_t
probe(const struct id_filter *f, const uint8_t *id, unsigned i)
{
	uint64_t x;

	memcpy(&x, id + 8 * i, sizeof(x));
	x ^= f->salt[i];
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) & f->mask;
}

void
id_filter_add(struct id_filter *f, const uint8_t id[DIGEST_LEN])
{
	for (unsigned i = 0; i < PROBES; i++) {
		uint64_t bit = probe(f, id, i);

		f->bits[bit >> 3] |= (uint8_t)(1u << (bit & 7));
	}
}

int
id_filter_has(const struct id_filter *f, const uint8_t id[DIGEST_LEN])
{
	for (unsigned i = 0; i < PROBES; i++) {
		uint64_t bit = probe(f, id, i);

		if (!(f->bits[bit >> 3] >> (bit & 7) & 1))
			return 0;
	}
	return 1;
}
