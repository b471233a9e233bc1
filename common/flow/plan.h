#ifndef SAMARA_FLOW_PLAN_H
#define SAMARA_FLOW_PLAN_H

/*
 * What a first image would be like, before anything is registered or written:
 * all names are walked, a sample of the contents is read (or everything), cut
 * with throw-away keys, and what it says is given as ranges.  How the sample
 * is taken and what the ranges are worth stands in docs/design.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/walk/walker.h"

struct err;
struct exclude;

#define PLAN_WINDOWS	3	/* changed in the last 1, 7, 30 days */
#define PLAN_TOP	5	/* paths that change most */

extern const unsigned plan_window_days[PLAN_WINDOWS];

struct plan_options {
	const char *const *paths;
	size_t npaths;
	const struct exclude *exclude;		/* may be NULL */
	const struct walk_never *never;
	size_t nnever;
	bool one_file_system, network_file_systems, exclude_caches;
	bool exact;			/* read everything */
	uint64_t seed;			/* the same one draws the same sample */
	uint64_t sample;		/* bytes to read at most; 0: as time allows */
	int64_t time_ns;		/* for names and sample together; 0: ten minutes */
	uint32_t chunk;			/* average; 0: 256 KiB, 1 MiB above 20 TB */
	int level;			/* zstd */
	unsigned workers;		/* 0: one a processor */
	size_t memory;
};

struct plan_range {
	uint64_t low, high;
};

/* One of the paths that change most. */
struct plan_path {
	char *path;			/* any bytes but zero */
	uint64_t bytes;			/* in files below it that changed in the window */
};

struct plan_result {
	/* From the names: these are counted, not guessed. */
	uint64_t files, entries;
	uint64_t bytes;			/* of data: holes are none, a file with several names counts once */
	uint64_t errors;		/* names that could not be looked at */
	uint64_t changed[PLAN_WINDOWS];	/* bytes in files changed in the last 1, 7, 30 days */
	unsigned window;		/* the one with the most a day */
	struct plan_path top[PLAN_TOP];	/* of that window, most first */
	size_t ntop;
	int64_t walk_ns;
	/* From the contents. */
	uint32_t chunk;
	uint64_t read_bytes;
	uint64_t unreadable;		/* files that were to be read and could not be */
	int64_t read_ns, all_ns;
	bool whole;			/* everything was read */
	struct plan_range stored;	/* bytes on disk without parity */
};

/**
 * plan_run(o, r, e):
 * Walk and read.  Nothing is written anywhere.  Return 0, or -1 with ${e}
 * (ERR_SOURCE, ERR_TARGET as walker_new; ERR_INTERRUPTED).  Release ${r} with
 * plan_release after 0.
 */
int plan_run(const struct plan_options *o, struct plan_result *r, struct err *e);
void plan_release(struct plan_result *r);

#endif
