#ifndef SAMARA_FLOW_PLAN_NAMES_H
#define SAMARA_FLOW_PLAN_NAMES_H

/* The names of a plan: every one is looked at, counted, and shown to who chooses what to read. */

#include <stdbool.h>
#include <stdint.h>

#include "common/flow/plan.h"
#include "common/walk/walker.h"

struct err;

#define PLAN_STRETCH	UINT64_C(4194304)	/* of a big file: what is read in one piece */

/* Where a stretch of a file's data lies. */
struct plan_piece {
	uint64_t offset, len;
};

struct plan_visit {
	void *arg;
	uint64_t small_max, small_enough;	/* as in walk_options; 0 where it does not matter */
	/* A directory's block begins; may be NULL. */
	int (*dir)(void *arg, const struct walk_item *it, struct err *e);
	/* A file with ${data} > 0 bytes of data, each inode once. */
	int (*file)(void *arg, const struct walk_item *it, uint64_t data, bool sparse, struct err *e);
};

/**
 * plan_names(o, v, r, e):
 * Walk; ${r} gets all that names tell, unless it is NULL.  Return 0, or -1
 * with ${e}.
 */
int plan_names(const struct plan_options *o, const struct plan_visit *v, struct plan_result *r, struct err *e);

/**
 * plan_file_open(dirfd, name, len): open a file for reading, without its access
 * time where that is allowed.  The descriptor, or -1 with errno.
 */
int plan_file_open(int dirfd, const char *name, size_t len);

/**
 * plan_data_next(fd, from, size, piece):
 * The next run of data at or after ${from} in a sparse file of ${size} bytes.
 * Return 1, 0 when there is none, -1 with errno.
 */
int plan_data_next(int fd, uint64_t from, uint64_t size, struct plan_piece *piece);

#endif
