#ifndef SAMARA_FLOW_BASE_LIST_H
#define SAMARA_FLOW_BASE_LIST_H

/*
 * What an earlier run already knows of the source: item logs in listing order,
 * merged with the live tree.  Several layers, newest first: where one ends (a
 * build that was cut off), the next older goes on behind its last name.
 */

#include <stdint.h>

#include "common/flow/journal.h"
#include "formats/fmt_listing.h"

struct err;
struct base_list;

/* A layer: the item log ${name} in ${dirfd} (borrowed). */
struct base_layer {
	int dirfd;
	char name[64];
};

/* No layers (n = 0) is an empty list.  A layer that is not there is ERR_NOT_FOUND.  NULL with ${e}. */
struct base_list *base_list_new(const struct base_layer *layers, size_t n, struct err *e);

/* Where the spill chunks of an entry stand; has = 0: it has none. */
struct base_place {
	int has;
	unsigned layer;
	struct journal_mark mark;
};

/**
 * base_list_find(b, dir, name, en, place, e):
 * Go on to the entry ${name} of directory ${dir}; asked in listing order.
 * 1: there is one (${en}, views valid until the next call), 0: there is none,
 * -1 with ${e}.
 */
int base_list_find(struct base_list *b, struct fmt_view dir, struct fmt_view name, struct entry *en,
    struct base_place *place, struct err *e);
void base_list_free(struct base_list *b);

/**
 * base_spills(layer, mark, fn, arg, e):
 * Call ${fn} for each spill chunk recorded at ${mark}: what it belongs to
 * (LONG_*), its id and plaintext.  Opens the log anew, so any thread may.
 */
typedef int (*base_spill_fn)(void *arg, unsigned what, const uint8_t *id, struct fmt_view plain, struct err *e);
int base_spills(const struct base_layer *layer, struct journal_mark mark, base_spill_fn fn, void *arg, struct err *e);

#endif
