#ifndef SAMARA_FLOW_REFS_READ_H
#define SAMARA_FLOW_REFS_READ_H

/*
 * A reference list as a disk or a vault holds it, read as a stream and believed
 * only where it agrees with the envelope.  It may be stored whole, or as a
 * delta against the list of another snapshot of the machine, and that against
 * another, up to REFS_CHAIN_MAX of them.
 */

#include <stdint.h>

#include "common/flow/container.h"
#include "formats/fmt_snapshot.h"

struct err;
struct refs_reader;

#define REFS_CHAIN_MAX	16u

/**
 * refs_reader_new(c, p, env, e):
 * The whole list of the snapshot ${env}, whose parts stand in ${c} at ${p}.
 * NULL with ${e}: ERR_NOT_FOUND where it is not there, ERR_MISSING where one
 * that it builds on is not, ERR_FORMAT, ERR_DAMAGE.
 */
struct refs_reader *refs_reader_new(struct container *c, const struct snap_place *p, const struct envelope *env,
    struct err *e);

/**
 * refs_reader_next(r, id, e):
 * 1 with the next id; 0 at the end, when order, count and digest were all as
 * the envelope says; -1 with ${e} (ERR_DAMAGE).
 */
int refs_reader_next(struct refs_reader *r, uint8_t id[DIGEST_LEN], struct err *e);

/* After the end: the digest of the same list without the envelope's root chunk; 1 if the root stood in it. */
int refs_reader_without_root(struct refs_reader *r, uint8_t digest[DIGEST_LEN]);

/* Drop ${r}, at the end or before it.  NULL is allowed. */
void refs_reader_free(struct refs_reader *r);

#endif
