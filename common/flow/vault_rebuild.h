#ifndef SAMARA_FLOW_VAULT_REBUILD_H
#define SAMARA_FLOW_VAULT_REBUILD_H

/* A vault's catalog made anew from what the store holds. */

#include <stdint.h>

struct err;

struct rebuild_result {
	uint64_t records, packs, packs_bad, copies, snapshots;
};

/**
 * vault_rebuild(path, r, e):
 * Replay all records, read the table of every pack, compute the states of all
 * snapshots, in a new catalog that takes the old one's place when it is
 * complete and durable; stopped at any moment, the old one or none is there,
 * and the same command begins anew.  A pack whose table cannot be believed is
 * left out and counted.  Return 0, or -1 with ${e} (ERR_BUSY while others work
 * on the vault; ERR_MEMORY, ERR_PERMISSION where a pack cannot be looked at).
 */
int vault_rebuild(const char *path, struct rebuild_result *r, struct err *e);

#endif
