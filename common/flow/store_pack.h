#ifndef SAMARA_FLOW_STORE_PACK_H
#define SAMARA_FLOW_STORE_PACK_H

/* The table at the end of a pack in a store. */

#include <stdint.h>

#include "common/pack/pack_view.h"

struct err;
struct store;

/* Bytes that are used again from pack to pack; zeros at first, freed by the caller. */
struct store_pack {
	uint8_t *end;
	size_t cap;
};

/**
 * store_pack_table(s, name, len, room, view, e):
 * Table and footer of the pack ${name} of ${len} bytes, which agree with each
 * other and with its length; no signature is checked.  Views point into
 * ${room} and live until it is used again.  0 or -1 with ${e}: ERR_FORMAT,
 * ERR_VERSION, ERR_DAMAGE, what the store says.
 */
int store_pack_table(struct store *s, const char *name, uint64_t len, struct store_pack *room, struct pack_view *view,
    struct err *e);

#endif
