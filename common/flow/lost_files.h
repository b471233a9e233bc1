#ifndef SAMARA_FLOW_LOST_FILES_H
#define SAMARA_FLOW_LOST_FILES_H

/*
 * Files of old snapshots that went with chunks which the machine gave up: by
 * snapshot and path in its state (givenup/N.files, a line each), by snapshot and number at the
 * vault, which learns no name.
 */

#include <stdint.h>

#include "common/base/buf.h"
#include "common/flow/state.h"
#include "formats/fmt.h"

struct err;
struct job;

#define LOST_FILES_MAX	((size_t)64 << 20)	/* bytes of names that are kept of one list */

struct lost_files {
	struct buf text;		/* "SEQ\tPATH\n"; without a path: parts of that snapshot's listing */
};

/* An empty list; its memory is the caller's, what it grew goes with lost_files_release. */
void lost_files_init(struct lost_files *l);
/* After lost_files_init, any number of times. */
void lost_files_release(struct lost_files *l);

/* Add file ${name} in ${dir} of snapshot ${seq}; an empty name: its listing.  A failure is told by lost_files_save; what is past LOST_FILES_MAX is dropped. */
void lost_files_add(struct lost_files *l, uint64_t seq, struct fmt_view dir, struct fmt_view name);

/* Say each, and keep it in ${job} (NULL: none). */
void lost_files_say(const struct lost_files *l, struct job *job);

/* Keep them durably beside the list ${name} ("givenup/00000001") of what was given up.  0 or -1 with ${e}. */
int lost_files_save(const struct lost_files *l, struct state *s, const char *name, struct err *e);

/* How many files of snapshot ${seq} were lost, of all lists together.  0 or -1. */
int lost_files_count(struct state *s, uint64_t seq, uint64_t *n, struct err *e);

/**
 * lost_files_statement(s, number, out, e):
 * What the vault hears of list ${number}: the signed statement, appended to ${out}.  0; 1 no
 * file went with it; -1 with ${e}.
 */
int lost_files_statement(struct state *s, uint32_t number, struct buf *out, struct err *e);

#endif
