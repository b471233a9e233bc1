#ifndef SAMARA_CATALOG_CATALOG_CHUNKS_H
#define SAMARA_CATALOG_CATALOG_CHUNKS_H

/*
 * The chunk index: which copies of which chunks the vault has.  The key is
 * (domain, id); below it each copy has a writer, a place (pack and row; the
 * pack's signed table gives the digest, so it is not repeated here) and a
 * state.  Everything goes by batches of sorted ids, so that sorted immutable
 * runs can take the table's place without a caller noticing; nothing joins it
 * with anything.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct catalog;
struct cat_pack;
struct err;

/* States of copies; a lookup gives those of all copies of an id or'ed together. */
#define COPY_GOOD	1u
#define COPY_DAMAGED	2u
#define COPY_DISPUTED	4u
/*
 * Marks of a collection (catalog_doubt.h), of this catalog alone.  A suspect copy is still as good as it was: a mark found
 * nobody who needs it.  A condemned one is not COPY_GOOD any more, and its bytes may go; chunks_revive takes it back.
 */
#define COPY_SUSPECT	8u
#define COPY_CONDEMNED	16u

/**
 * catalog_pack_number(c, e):
 * A number for a new pack, in a write transaction; -1 with ${e}.
 */
int64_t catalog_pack_number(struct catalog *c, struct err *e);

/* What is put in: a copy in one pack. */
struct cat_copy {
	uint8_t id[DIGEST_LEN];
	uint8_t writer[ID_LEN];
};

/**
 * chunks_add(c, domain, pack, copies, n, e):
 * Add the ${n} good copies that pack number ${pack} holds, sorted here by id
 * (${copies} is put in order).  One that is there already stays as it is, but a
 * collection does not take it any more.  In a write transaction.
 */
int chunks_add(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, struct cat_copy *copies, size_t n,
    struct err *e);

/**
 * chunks_find(c, domain, writer, ids, n, states, e):
 * For each of ${n} rising ids (DIGEST_LEN each) the states of the copies that
 * ${writer} (NULL: anybody) made, 0 where there is none.
 */
int chunks_find(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *writer, const uint8_t *ids, size_t n,
    uint8_t *states, struct err *e);

/**
 * chunks_packs(c, domain, ids, n, packs, e):
 * For each of ${n} rising ids the number of a pack that has a good copy of it,
 * whoever made it; 0 where there is none.
 */
int chunks_packs(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *ids, size_t n, int64_t *packs,
    struct err *e);

/**
 * chunks_mark(c, domain, pack, ids, n, state, e):
 * Give the copies in pack number ${pack} of the ${n} ids a new state; 0 takes
 * them out of the index.  In a write transaction.
 */
int chunks_mark(struct catalog *c, const uint8_t domain[DIGEST_LEN], int64_t pack, const uint8_t *ids, size_t n,
    unsigned state, struct err *e);

/**
 * chunks_walk(c, domain, above, out, cap, n, e):
 * The next at most ${cap} copies in order of ids, from the first id above
 * ${above} (NULL: the first of all); all copies of an id come together, unless
 * they alone fill ${out}: then those beyond it are left out.  ${n} is 0 at the end.
 */
struct cat_place {
	uint8_t id[DIGEST_LEN];
	uint8_t writer[ID_LEN];
	int64_t pack;
	uint32_t state;
};
/* As said above.  0, or -1 with ${e}. */
int chunks_walk(struct catalog *c, const uint8_t domain[DIGEST_LEN], const uint8_t *above, struct cat_place *out,
    size_t cap, size_t *n, struct err *e);

/* The pack whose number is ${n}: 0 with ${p}, 1 there is none, -1. */
int catalog_pack(struct catalog *c, int64_t n, struct cat_pack *p, struct err *e);

/* Bytes of all packs that take the room of machine ${owner}: what its quota is held against. */
int catalog_used(struct catalog *c, const uint8_t owner[ID_LEN], uint64_t *bytes, struct err *e);

/* How many copies there are in all. */
int chunks_count(struct catalog *c, uint64_t *n, struct err *e);

/**
 * unstored_find(c, machine, images, nimages, ids, n, lost, e):
 * For each of ${n} ids from which of the ${nimages} images (at most 64, ID_LEN bytes each) it was lost, a bit each in
 * ${lost}, by cat_unstored; a row that names no image counts for all.
 */
int unstored_find(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *images, size_t nimages, const uint8_t *ids,
    size_t n, uint64_t *lost, struct err *e);
/* Forget what ${machine} lost with that disk of an image: another takes its place.  In a transaction.  0 or -1. */
int unstored_forget(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t image[ID_LEN], uint32_t disk, struct err *e);
/* For each of ${n} rising ids 1 if it stands in cat_given_up for ${machine}. */
int given_up_find(struct catalog *c, const uint8_t machine[ID_LEN], const uint8_t *ids, size_t n, uint8_t *found,
    struct err *e);

#endif
