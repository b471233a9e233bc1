#ifndef SAMARA_SEED_SEED_STATUS_LINE_H
#define SAMARA_SEED_SEED_STATUS_LINE_H

/* What status has to say of the line, of pledges and of the next run. */

#include <stdint.h>

#include "common/base/err.h"
#include "common/flow/image_state.h"
#include "common/flow/state.h"

#define STATUS_NOTICES		8u
#define STATUS_NOTICE_LEN	520u

struct status_line {
	int there;			/* the vault has an address */
	int reachable;
	struct err why;			/* where it is not */
	/* Of a vault that was reached: */
	uint64_t head_seq, missing;
	uint64_t whole, pending;	/* snapshots */
	int64_t newest_whole;		/* seconds; 0: none */
	uint32_t sets_waiting;		/* of which no snapshot is whole */
	uint64_t rate;			/* of the line as it was measured last, bytes a second; 0: never */
	int64_t time;			/* the vault's, seconds */
	char notice[STATUS_NOTICES][STATUS_NOTICE_LEN];	/* what it has to say, fit for a terminal */
	unsigned notices;
	int64_t next;			/* run of a schedule; 0: there is none */
	/* Of images that are pledged and have not all come; the lease that ends first. */
	int64_t pledge_until;		/* 0: none */
	const char *pledged;		/* its short name */
	const char *unpledged;		/* a sealed image that the vault has not heard of; NULL: none */
};

/* Ask the vault, if it can be reached, and look at what is noted of ${images}.  0 or -1 with ${e} (the state). */
int status_line_gather(struct state *s, struct image_state *const *images, size_t n, struct status_line *l, struct err *e);

#define STATUS_LINE_MAX	512

/* "reachable", "none", "vault dc at …: refused …"; ${buf} of STATUS_LINE_MAX bytes.  Return it. */
const char *status_line_word(const struct status_line *l, char *buf);

/* True if the lease ends within a fortnight of ${now}. */
int status_line_ends_soon(const struct status_line *l, int64_t now);

#endif
