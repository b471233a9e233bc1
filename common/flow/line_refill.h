#ifndef SAMARA_FLOW_LINE_REFILL_H
#define SAMARA_FLOW_LINE_REFILL_H

/* What the vault misses of this machine's snapshots, made again from live data and sent over the line (LIFE: 5). */

#include <stdbool.h>
#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "common/flow/line.h"

struct image_state;
struct job;

#define REFILL_HOURS	12u	/* of the line, that a machine refills without being told to */

struct refill_options {
	const struct image_state *image;	/* its gap alone; NULL: all of this machine */
	bool all;			/* whatever it takes; and what is not here now is given up too */
	bool dry_run;			/* read and compare, send and give up nothing */
	uint64_t rate;			/* of the line, bytes a second; 0: not measured yet */
	int level;			/* zstd */
	struct job *job;		/* keeps the names of files that are lost; NULL: none */
};

struct refill_result {
	uint64_t missing;		/* ids that the vault asks for */
	uint64_t given_up;		/* of them, that cannot be had any more: named to the vault, signed */
	uint64_t absent;		/* not had either, but left open: directories that they lay in are not here */
	uint64_t files_lost;		/* of old snapshots, named one by one */
	uint64_t files_again;		/* live, in bundles that cannot be made again: the next backup takes them anew */
	uint64_t packs, bytes, held;	/* sent; and chunks that the vault had after all */
	uint64_t estimate;		/* bytes that it would be at most */
	bool waits;			/* more than the line carries in 12 hours: nothing was done */
};

/**
 * line_refill(l, s, k, o, r, e):
 * Fetch the vault's signed list of what is missing; read the files' ranges that it came
 * from, compare ids, put bundles together again whose files are all as they
 * were; send what was had, sign what cannot be had as given up, and name the
 * files of old snapshots that are lost with it (also in the state, givenup/N.files).  0; 1 nothing
 * is missing; -1 with ${e}: ERR_LINE …, ERR_SIGNATURE, ERR_WRONG_VAULT, ERR_RULE where more is missing than
 * makes a gap.  After a break or a power cut the next call goes on: what arrived is not asked for again.
 */
int line_refill(struct line *l, struct state *s, const struct domain_keys *k, const struct refill_options *o,
    struct refill_result *r, struct err *e);

/**
 * line_mend(l, s, k, job, r, e):
 * What a contact does by itself: where the vault says that something is missing, refill what the line
 * carries in 12 hours, and tell it what was given up; more is said and waits.  0; 1 nothing is
 * missing; -1 with ${e}.
 */
int line_mend(struct line *l, struct state *s, const struct domain_keys *k, struct job *job, struct refill_result *r,
    struct err *e);

#endif
