#ifndef SAMARA_FLOW_REFS_FILES_H
#define SAMARA_FLOW_REFS_FILES_H

/* The reference list of a snapshot closed here, from snaps/ in the state, id by id.  What it says is not checked (state_refs.h). */

#include <stdint.h>

struct err;
struct refs_files;

/* The list of snapshot ${seq} in ${snapsfd} (borrowed).  NULL with ${e}. */
struct refs_files *refs_files_new(int snapsfd, uint64_t seq, struct err *e);
void refs_files_free(struct refs_files *r);

/* 1 with the next id (until the next call), 0 at the end, -1 with ${e} (ERR_NOT_FOUND: there is no list). */
int refs_files_next(struct refs_files *r, const uint8_t **id, struct err *e);

#endif
