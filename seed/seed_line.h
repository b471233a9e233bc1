#ifndef SAMARA_SEED_SEED_LINE_H
#define SAMARA_SEED_SEED_LINE_H

/* What commands say to the vault by the way. */

#include "common/flow/line_pledge.h"
#include "common/flow/state.h"

struct err;

/**
 * seed_line_tell(s, what):
 * Tell the vault what it has to hear of this machine's images, and say what came of it.  Where it has no
 * address, or cannot be reached, that is said; the next contact tells it.  1 where the vault
 * knows all of it now, else 0.  ${what}: what it is that the vault may not know ("that image RM4K is lost").
 */
int seed_line_tell(struct state *s, const char *what);

/* Print what came of a contact. */
void seed_line_print(const struct line_told *t);

#endif
