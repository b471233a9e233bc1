#ifndef SAMARA_SEED_RESTORING_H
#define SAMARA_SEED_RESTORING_H

/* samara-seed restore: what its parts share. */

#include "common/flow/restore_keep.h"
#include "seed/seed_read.h"

struct job;

struct restoring {
	struct seed_read read;
	struct restore_options o;
	const char *overwrite;
	int even, stopped;		/* --even-if-stopped, and it was needed */
	int in_place, by_name;
	uint64_t jobs;
	char *root;
	char **only;
	const char *said;	/* how the snapshot was named */
	int no_more_disks;
	struct restore_keep keep;
	char kept[4200];	/* its path */
	struct restore_disks disks;
	int follow;		/* disks are asked for, one after the other */
	struct job *job;	/* NULL: there is no state, or it cannot be written */
};

/**
 * restoring_name(g, text):
 * What to look up for the snapshot that was called ${text}: where an unfinished
 * restore of the same words stands in the target, the id that it means (a new
 * string; NULL without memory).  Opens g->keep.
 */
char *restoring_name(struct restoring *g, const char *text, struct err *e);

/**
 * restoring_disks(g, a, missing, e):
 * The snapshot is open and ${missing} of its chunks are not at hand: read which
 * disks there are, and decide whether they are to be asked for (g->follow).
 * 0, or -1 with ${e} (ERR_WRONG_DISK, ERR_DISK_NEEDED: none of those at hand
 * has anything that is still needed).
 */
int restoring_disks(struct restoring *g, const struct args *a, uint64_t missing, struct err *e);

/**
 * restoring_run(g, a, r, e):
 * restore_run, once for each disk where g->follow.  0 with ${r}; -1 with ${e}
 * (ERR_DISK_NEEDED: another is needed and there is nobody to ask).
 */
int restoring_run(struct restoring *g, const struct args *a, struct restore_report *r, struct err *e);

#endif
