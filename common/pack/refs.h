#ifndef SAMARA_PACK_REFS_H
#define SAMARA_PACK_REFS_H

/*
 * The digest of a reference list (docs/formats/snapshot.md): BLAKE3("samara refs
 * v1" zero-filled to 32 | domain id | count u64 | 65,536 leaf digests), a leaf
 * the BLAKE3 of the ids that begin with its 16 bits, in order, zeros where there are none.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/pack/id_sorter.h"	/* what a list is made with */
#include "formats/limits.h"

struct refs_digest;

/* A digest under way over a list of ids in domain ${domain_id}.  NULL without memory. */
struct refs_digest *refs_digest_new(const uint8_t domain_id[DIGEST_LEN]);
/* Add the next id; ids must rise.  Return 0, or -1 if this one does not. */
int refs_digest_add(struct refs_digest *d, const uint8_t id[DIGEST_LEN]);
/* The digest and count; ${d} can only be freed then. */
void refs_digest_final(struct refs_digest *d, uint8_t out[DIGEST_LEN], uint64_t *count);
void refs_digest_free(struct refs_digest *d);

#endif
