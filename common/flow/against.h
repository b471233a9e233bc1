#ifndef SAMARA_FLOW_AGAINST_H
#define SAMARA_FLOW_AGAINST_H

/* A snapshot beside what is on this computer. */

#include "common/flow/snapshot_open.h"

struct err;

/* Told of each difference, in words; ${path} is absolute, as in the snapshot. */
typedef void (*against_fn)(void *arg, struct fmt_view path, const char *what);

struct against_options {
	struct source_reader *reader;		/* for the listing */
	struct source_reader *content;		/* for files; another one */
	const struct open_snapshot *snap;
	const char *root;			/* this directory of the snapshot stands at ${path}; "/": all of it below */
	const char *path;			/* a directory */
	unsigned skip;				/* COMPARE_* bits */
	against_fn fn;
	void *arg;
};

struct against_result {
	uint64_t entries, files, bytes;		/* compared, bytes of content among them */
	uint64_t different;			/* entries */
	uint64_t extra;				/* names that the snapshot does not have */
};

/**
 * against_run(o, r, e):
 * Compare every entry, its attributes and every byte of content.  Return 0
 * with ${r} whatever differs; -1 with ${e}: the listing or a chunk cannot be
 * read, ${path} is not there, ….
 */
int against_run(const struct against_options *o, struct against_result *r, struct err *e);

#endif
