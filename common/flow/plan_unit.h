#ifndef SAMARA_FLOW_PLAN_UNIT_H
#define SAMARA_FLOW_PLAN_UNIT_H

/* The inside of a sample, for plan_sample*.c alone. */

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/flow/plan_sample.h"

/* A piece of a big file, or a run of small ones. */
struct plan_unit {
	uint64_t key, sub;	/* order of reading; equal keys are one class */
	uint64_t bytes;		/* of data, as the walk saw it */
	uint64_t offset, len;	/* of a piece */
	bool small, sparse;
	uint32_t rows_len;
	char rows[];		/* a piece: its path; a run: 'D' directory, 'F' name ... each with a zero */
};

struct plan_sample {
	const struct plan_options *o;
	uint32_t avg;
	struct plan_unit **unit;	/* while choosing, the highest key first (a heap) */
	size_t n, cap;
	size_t used, most;		/* memory */
	uint64_t limit_key, limit_sub;	/* from here on nothing is taken, if limited */
	bool limited;
	struct buf run;			/* the run that is open */
	uint64_t run_bytes, run_files;
	bool run_in_dir, in_large;
};

/* The walk is over: units in the order of their keys.  0 or -1 with ${e}. */
int plan_sample_settle(struct plan_sample *s, struct err *e);

#endif
