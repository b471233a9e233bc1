#ifndef SAMARA_FLOW_LINE_LOOK_H
#define SAMARA_FLOW_LINE_LOOK_H

/* Whether the line works, step by step. */

#include "common/flow/line.h"
#include "formats/fmt_line_machine.h"

struct line_look {
	struct line_facts facts;
	int reachable;			/* the server answered */
	int renewed;			/* its key, or the vault's address, is a new one, and was believed */
	int trusted;			/* its key is the vault's */
	int admitted;			/* it accepts the machine's token */
	int64_t answered;		/* nanoseconds that the first answer took, with connecting */
	int64_t clock;			/* by how many seconds the vault's clock is ahead of this one's */
	uint64_t rate;			/* bytes a second that went there just now; 0: not measured */
	struct contact contact;		/* notices are not kept */
};

/**
 * line_look(l, measure, k, e):
 * Go through it all: reachable, key, token (got where there is none, which also
 * brings a registration that the vault has not seen), clock, and with ${measure} the
 * rate, by sending up to 4 MiB.  0; -1 with ${e} at the first step that fails, ${k} saying how
 * far it came.
 */
int line_look(struct line *l, int measure, struct line_look *k, struct err *e);

#endif
