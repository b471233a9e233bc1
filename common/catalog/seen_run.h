#ifndef SAMARA_CATALOG_SEEN_RUN_H
#define SAMARA_CATALOG_SEEN_RUN_H

/*
 * A sorted run of the duplicate index: 16-byte keys in an unlinked file of the
 * state directory, with the first 8 bytes of each 4 KiB in memory.  It is made
 * anew by each build, so its bytes have no format that must last.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/catalog/seen_table.h"

struct err;
struct seen_run;

/* An empty run of up to ${most} keys in a file in ${dirfd}; NULL with ${e}. */
struct seen_run *seen_run_new(int dirfd, uint64_t most, struct err *e);
/* Give memory and disk back.  NULL is allowed. */
void seen_run_free(struct seen_run *r);

/* Add ${n} sorted keys, all above those before.  0, or -1 with ${e} (ERR_NO_SPACE: the disk is full). */
int seen_run_add(struct seen_run *r, const struct seen_key *keys, size_t n, struct err *e);

/* Keys in it; bytes of memory that it takes beside its file. */
uint64_t seen_run_count(const struct seen_run *r);
size_t seen_run_memory(const struct seen_run *r);

/* The 4 KiB read last, so that sorted look-ups read each once. */
#define SEEN_BLOCK	256u	/* keys */
struct seen_block {
	const struct seen_run *run;
	uint64_t number;
	size_t count;
	struct seen_key keys[SEEN_BLOCK];
};

/* 1 if ${key} is in the run, 0 if not, -1 with ${e}.  ${b} is the caller's, run = NULL at first. */
int seen_run_has(const struct seen_run *r, struct seen_key key, struct seen_block *b, struct err *e);

#endif
