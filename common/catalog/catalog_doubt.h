#ifndef SAMARA_CATALOG_CATALOG_DOUBT_H
#define SAMARA_CATALOG_CATALOG_DOUBT_H

/*
 * Copies that a collection is about to take away (docs/operations.md, "Collection").
 * A first mark makes what nobody needs suspect; a second one condemns what is still
 * suspect and needed by nobody.  Whoever relies on a copy meanwhile revives it.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/catalog/catalog_chunks.h"

struct catalog;
struct err;

/* SQL: the state without the marks; only where there is one. */
#define DOUBT_ENDS	"state = CASE WHEN state & 16 = 0 THEN state & 7 WHEN state & 6 = 0 THEN 1 ELSE state & 6 END WHERE state >= 8"

/* The state without the marks: what a rebuilt catalog says. */
uint32_t copy_lasting(uint32_t state);
/* The state of a copy that a mark found needed by nobody: held, and condemned by the next mark if nothing changes. */
uint32_t copy_suspected(uint32_t state);
/* The state of one that is condemned: held no more, unless it is revived before it goes. */
uint32_t copy_condemned(uint32_t state);

/**
 * chunks_revive(c, domain, writer, ids, n, states, e):
 * No collection takes the copies by ${writer} (NULL: by anybody) of the ${n}
 * rising ids from now on, but for those that their writer has a good copy of besides
 * (what was written anew elsewhere goes on its way); ${states} (may be NULL) as chunks_find then gives them:
 * what was condemned and is still there is COPY_GOOD again.  In a write
 * transaction: of whoever answers "have", commits, or pledges.
 */
int chunks_revive(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *writer, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e);

/**
 * chunks_turn(c, domain, places, to, n, e):
 * Give each of ${n} copies whose state is still that in ${places} the state ${to}[i].
 * In a write transaction.
 */
int chunks_turn(struct catalog *c, const uint8_t domain[DIGEST_LEN], const struct cat_place *places, const uint8_t *to,
    size_t n, struct err *e);

/**
 * chunks_in_pack(c, domain, pack, ids, n, states, e):
 * The states of the copies of ${n} ids in pack number ${pack}, 0 where there is none.
 */
int chunks_in_pack(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e);

#endif
