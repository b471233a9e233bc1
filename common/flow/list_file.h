#ifndef SAMARA_FLOW_LIST_FILE_H
#define SAMARA_FLOW_LIST_FILE_H

/* Reference lists and envelopes into the vault, from a disk or as they came over the line. */

#include "common/flow/container.h"
#include "common/flow/vault.h"
#include "formats/fmt_snapshot.h"

struct err;
struct lists;

/* Where the list of a snapshot comes from: whole, or as a delta against a list that can be read there too. */
struct list_from {
	struct container *c;
	struct snap_place place;
	int copies;			/* place.copy of them: 0 .. */
};

/* For snapshots of ${machine}; ${name} ("disk RM4K-1") is for messages and borrowed.  NULL with ${e}. */
struct lists *lists_new(struct vault *v, const uint8_t machine[ID_LEN], const char *name, struct err *e);
void lists_free(struct lists *l);

/**
 * lists_file(l, env, from, e):
 * Put the list of the envelope ${env}, which no record names yet, into the
 * vault: as a delta against an older one of the machine where that is less
 * than half of it, the chain of deltas is short and weighs less than a whole
 * list; else whole, from the first copy that is good.  It is read back from the
 * vault before it counts.  Nobody else files meanwhile (vault_turn).  Return 0; 1 no copy
 * can be believed (nothing is left in the vault); -1 with ${e}.
 */
int lists_file(struct lists *l, const struct envelope *env, const struct list_from *from, struct err *e);

/**
 * envelope_file(v, env, bytes, len, name, e):
 * Put the envelope's object; one that no record names and that is another is taken
 * away first.  Nobody else files meanwhile.  0 or -1 with ${e}.
 */
int envelope_file(struct vault *v, const struct envelope *env, const uint8_t *bytes, size_t len, const char *name,
    struct err *e);

#endif
