#ifndef SAMARA_FLOW_BUNDLE_USE_H
#define SAMARA_FLOW_BUNDLE_USE_H

/*
 * How much of each bundle a snapshot still uses.  A bundle of which less than
 * half is used is thin: the next increment reads its files again, so that
 * bundles do not decay.  Kept in the state beside the snapshot's listing; only
 * a hint: a table that is lost or wrong costs some reading and nothing else.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/flow/small_known.h"
#include "formats/limits.h"

struct err;
struct bundle_use;

/* An empty table; 24 bytes for each bundle, at most three quarters full.  NULL without memory. */
struct bundle_use *bundle_use_new(void);
void bundle_use_free(struct bundle_use *u);

/* The table ${name} in ${dirfd}; an empty one where it is not there or not in order.  NULL without memory. */
struct bundle_use *bundle_use_load(int dirfd, const char *name);

/**
 * bundle_use_add(u, id, offset, len, total):
 * A small file uses ${len} bytes at ${offset} of bundle ${id}, which is ${total}
 * bytes long (0: not known here; then as long as its last used byte, until
 * bundle_use_lengths).  0, or -1 without memory.
 */
int bundle_use_add(struct bundle_use *u, const uint8_t id[DIGEST_LEN], uint32_t offset, uint32_t len, uint32_t total);

/* Take lengths over from the table before, where it knows better; it must live as long as ${u}. */
void bundle_use_lengths(struct bundle_use *u, const struct bundle_use *base);

/**
 * bundle_use_runs(u, dirfd, e):
 * Keep also where each small file stands (small_known.h); what memory does not
 * hold of that goes into ${dirfd}.  0, or -1 with ${e}.
 */
int bundle_use_runs(struct bundle_use *u, int dirfd, struct err *e);

/* A new small file stands at ${x}; ${key} is of its content.  0, or -1 with ${e}. */
int bundle_use_remember(struct bundle_use *u, const uint8_t key[SMALL_KEY_LEN], const struct extent *x, struct err *e);

/* Whether a file of that content is in a bundle that is not thin, in a loaded table, and where. */
bool bundle_use_known(const struct bundle_use *u, const uint8_t key[SMALL_KEY_LEN], struct extent *x);

/**
 * bundle_use_save(u, dirfd, name, e):
 * Make it durable as ${name}, which ends in ".use", and where small files stand
 * beside it; what the table before (bundle_use_lengths) had of these goes.  0
 * or -1 with ${e}.
 */
int bundle_use_save(struct bundle_use *u, int dirfd, const char *name, struct err *e);

/* True if less than half of the bundle was used. */
bool bundle_use_thin(const struct bundle_use *u, const uint8_t id[DIGEST_LEN]);

/* Small files counted. */
uint64_t bundle_use_files(const struct bundle_use *u);

#endif
