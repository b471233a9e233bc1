#include <stdlib.h>
#include <string.h>

#include "common/crypto/hash.h"
#include "common/pack/refs.h"
#include "formats/fmt.h"

#define LEAVES	65536u
#define TEXT	"samara refs v1"

struct refs_digest {
	uint8_t domain_id[DIGEST_LEN];
	uint64_t count;
	uint8_t last[DIGEST_LEN];
	uint8_t (*leaves)[DIGEST_LEN];
	struct hash leaf;		/* of those that begin like last */
};

struct refs_digest *
refs_digest_new(const uint8_t domain_id[DIGEST_LEN])
{
	struct refs_digest *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	if ((d->leaves = calloc(LEAVES, DIGEST_LEN)) == NULL) {
		free(d);
		return NULL;
	}
	memcpy(d->domain_id, domain_id, DIGEST_LEN);
	return d;
}

void
refs_digest_free(struct refs_digest *d)
{
	if (d == NULL)
		return;
	free(d->leaves);
	free(d);
}

/* The first 16 bits, as a number in the ids' own order. */
static size_t
leaf_of(const uint8_t id[DIGEST_LEN])
{
	return (size_t)id[0] << 8 | id[1];
}

int
refs_digest_add(struct refs_digest *d, const uint8_t id[DIGEST_LEN])
{
	if (d->count > 0 && memcmp(d->last, id, DIGEST_LEN) >= 0)
		return -1;
	if (d->count == 0 || leaf_of(d->last) != leaf_of(id)) {
		if (d->count > 0)
			hash_final(&d->leaf, d->leaves[leaf_of(d->last)]);
		hash_init(&d->leaf);
	}
	hash_update(&d->leaf, id, DIGEST_LEN);
	memcpy(d->last, id, DIGEST_LEN);
	d->count++;
	return 0;
}

void
refs_digest_final(struct refs_digest *d, uint8_t out[DIGEST_LEN], uint64_t *count)
{
	uint8_t head[32 + DIGEST_LEN + 8] = TEXT;
	struct hash h;

	if (d->count > 0)
		hash_final(&d->leaf, d->leaves[leaf_of(d->last)]);
	memcpy(head + 32, d->domain_id, DIGEST_LEN);
	le64_put(head + 32 + DIGEST_LEN, d->count);
	hash_init(&h);
	hash_update(&h, head, sizeof(head));
	hash_update(&h, d->leaves, (size_t)LEAVES * DIGEST_LEN);
	hash_final(&h, out);
	*count = d->count;
}
