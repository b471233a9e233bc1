#ifndef SAMARA_FLOW_SNAPSHOT_OPEN_H
#define SAMARA_FLOW_SNAPSHOT_OPEN_H

/* Opening a snapshot with the key: nothing of it is believed that envelope, root chunk, list and membership do not agree on. */

#include <stdint.h>

#include "common/flow/keyring.h"
#include "common/flow/snapshot_list.h"

struct err;

struct open_snapshot {
	const struct snapshot *snap;
	struct snapshot_root root;	/* views point into bytes */
	uint8_t *bytes;
	int refs_checked;		/* 0: no reference list was at hand */
};

/**
 * snapshot_open(o, reader, snap, k, e):
 * Read the root chunk of ${snap} and compare every field with the envelope;
 * that the signer is the member that the domain key names, from this number
 * on; and recompute the digest of the reference list, with and without the
 * root (where a list is on a disk or in a vault: refs_checked).  ${s} is the source of
 * ${reader}.  0; -1 with ${e}: ERR_MISSING, ERR_DAMAGE, ERR_SIGNATURE.
 * Release with snapshot_close.
 */
int snapshot_open(struct open_snapshot *o, struct source *s, struct source_reader *reader, const struct snapshot *snap,
    const struct keyring *k, struct err *e);
void snapshot_close(struct open_snapshot *o);

/* Where no list is on a disk or in a vault, the same with one that is read over the line.  0, also where there is none; -1 with ${e} (ERR_SIGNATURE). */
int snapshot_refs_line(struct open_snapshot *o, struct source *s, struct err *e);

/**
 * snapshot_list_prove(l, s, reader, bad, arg, e):
 * Believe the older ones of the list, or leave them out and tell ${bad}: such a one was signed by the machine
 * whose place this one took, and its root chunk, which nobody could seal without the key
 * domain's master key, names the key that signed its envelope.  0 or -1 with ${e}.
 */
int snapshot_list_prove(struct snapshot_list *l, struct source *s, struct source_reader *reader, source_bad_fn bad, void *arg,
    struct err *e);

#endif
