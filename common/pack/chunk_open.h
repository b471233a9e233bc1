#ifndef SAMARA_PACK_CHUNK_OPEN_H
#define SAMARA_PACK_CHUNK_OPEN_H

/* From frame to plaintext.  Nothing of import/ links this. */

#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "formats/fmt_pack.h"

struct codec;
struct err;

/* Working memory of one thread for opening chunks. */
struct opener;
struct opener *opener_new(const struct domain_keys *k);
void opener_free(struct opener *o);

/**
 * chunk_open(o, frame, len, id, kind, out, cap, plain_len, e):
 * Check and open the ${len} untrusted bytes of a frame: form, domain, that its
 * id is ${id}, that its kind is ${kind} (0: any), authentication, padding all
 * zeros, decompression into the authenticated length, and the id recomputed
 * from the plaintext.  Return 0 with ${plain_len} bytes in ${out} (${cap}
 * bytes; CHUNK_PLAIN_MAX is always enough); -1 with ${e} (ERR_DAMAGE,
 * ERR_VERSION) and nothing of the plaintext left in ${out}.
 */
int chunk_open(struct opener *o, const uint8_t *frame, size_t len, const uint8_t id[DIGEST_LEN], unsigned kind,
    uint8_t *out, size_t cap, size_t *plain_len, struct err *e) __attribute__((warn_unused_result));

#endif
