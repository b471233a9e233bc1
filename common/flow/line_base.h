#ifndef SAMARA_FLOW_LINE_BASE_H
#define SAMARA_FLOW_LINE_BASE_H

/* The listing that the next backup of a set merges with, out of the vault, where this machine's state has lost it. */

#include <stdint.h>

#include "common/flow/line.h"

struct err;

/**
 * line_base_fetch(l, s, set, seq, e):
 * Read the newest snapshot of ${set} that this machine signed over the line (root, reference list, listing; no
 * file's bytes), check all of it as a restore does, and put it into the state as if it had been closed here:
 * snaps/${seq}.*, durably, the listing last.  0; 1 the vault has none of the set; -1 with ${e}: what the
 * line says, ERR_MISSING or ERR_DAMAGE where a part of the listing is not there.  After -1 or a power cut nothing
 * of it counts.  Memory: 64 MB.
 */
int line_base_fetch(struct line *l, struct state *s, const char *set, uint64_t *seq, struct err *e);

#endif
