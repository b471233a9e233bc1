#ifndef SAMARA_FLOW_SMALL_KNOWN_H
#define SAMARA_FLOW_SMALL_KNOWN_H

/*
 * Where the content of each small file of a snapshot stands: so that a file
 * which was moved or renamed, and is read again for that, is not stored again
 * with its new neighbours.  Kept in the state beside the snapshot's listing;
 * only a hint: without it there are duplicates on the disk and nothing else.
 * Rows are sorted by key; what does not fit into memory goes into runs.
 */

#include <stdbool.h>
#include <stdint.h>

#include "formats/fmt_listing.h"

struct err;
struct small_known;

#define SMALL_KEY_LEN	16u	/* of the keyed hash of a file's content */

/**
 * small_known_new(dirfd, memory):
 * An empty table to be filled, in about ${memory} bytes; its runs go into
 * ${dirfd} (borrowed).  NULL without memory.
 */
struct small_known *small_known_new(int dirfd, size_t memory);

/**
 * small_known_load(dirfd, name):
 * The table ${name} in ${dirfd}, to be asked; an empty one where it is not
 * there or not in order.  NULL without memory.
 */
struct small_known *small_known_load(int dirfd, const char *name);
void small_known_free(struct small_known *k);

/* Note where a file's content stands, in a table that is being filled.  0, or -1 with ${e}. */
int small_known_add(struct small_known *k, const uint8_t key[SMALL_KEY_LEN], const struct extent *x, struct err *e);

/**
 * small_known_find(k, key, x):
 * Whether the content is in a loaded table, and where: a row that is not whole
 * is not there.  Reads little, and nothing is kept in memory.
 */
bool small_known_find(const struct small_known *k, const uint8_t key[SMALL_KEY_LEN], struct extent *x);

/**
 * small_known_save(k, base, keep, arg, dirfd, name, e):
 * Make durable as ${name} in ${dirfd} what was added to ${k} and, of the
 * loaded table ${base} (NULL: none), the rows whose bundle ${keep} wants.  No
 * more can be added afterwards.  0 or -1 with ${e}.
 */
int small_known_save(struct small_known *k, const struct small_known *base,
    bool (*keep)(void *arg, const uint8_t id[DIGEST_LEN]), void *arg, int dirfd, const char *name, struct err *e);

#endif
