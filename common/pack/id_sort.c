#include <string.h>

#include "common/pack/id_sort.h"

#define FEW	32u		/* so many are sorted by insertion */

static void
sort_few(uint8_t (*ids)[DIGEST_LEN], size_t n, size_t skip)
{
	uint8_t held[DIGEST_LEN];
	size_t j;

	for (size_t i = 1; i < n; i++) {
		memcpy(held, ids[i], DIGEST_LEN);
		for (j = i; j > 0 && memcmp(ids[j - 1] + skip, held + skip, DIGEST_LEN - skip) > 0; j--)
			memcpy(ids[j], ids[j - 1], DIGEST_LEN);
		memcpy(ids[j], held, DIGEST_LEN);
	}
}

static void
ids_swap(uint8_t a[DIGEST_LEN], uint8_t b[DIGEST_LEN])
{
	uint8_t held[DIGEST_LEN];

	memcpy(held, a, DIGEST_LEN);
	memcpy(a, b, DIGEST_LEN);
	memcpy(b, held, DIGEST_LEN);
}

/*
 * Put each id into the stretch of its byte ${at}: start[v] .. start[v + 1] are
 * those with value v afterwards (the "American flag": McIlroy, Bostic, McIlroy 1993).
 */
static void
ids_deal(uint8_t (*ids)[DIGEST_LEN], size_t n, size_t at, size_t start[257])
{
	size_t next[256];
	unsigned v;

	memset(start, 0, 257 * sizeof(*start));
	for (size_t i = 0; i < n; i++)
		start[ids[i][at] + 1]++;
	for (v = 0; v < 256; v++) {
		start[v + 1] += start[v];
		next[v] = start[v];
	}
	for (v = 0; v < 256; v++)
		while (next[v] < start[v + 1]) {
			uint8_t to = ids[next[v]][at];

			if (to == v)
				next[v]++;
			else
				ids_swap(ids[next[v]], ids[next[to]++]);
		}
}

/* Sort ids that agree in their first ${at} bytes.  At most DIGEST_LEN deep. */
static void
sort_from(uint8_t (*ids)[DIGEST_LEN], size_t n, size_t at)
{
	size_t start[257];

	if (at >= DIGEST_LEN)
		return;
	if (n <= FEW) {
		sort_few(ids, n, at);
		return;
	}
	ids_deal(ids, n, at, start);
	for (unsigned v = 0; v < 256; v++)
		if (start[v + 1] - start[v] > 1)
			sort_from(ids + start[v], start[v + 1] - start[v], at + 1);
}

void
id_sort(uint8_t (*ids)[DIGEST_LEN], size_t n)
{
	sort_from(ids, n, 0);
}
