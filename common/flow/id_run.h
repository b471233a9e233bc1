#ifndef SAMARA_FLOW_ID_RUN_H
#define SAMARA_FLOW_ID_RUN_H

/*
 * Ids in rising order in a file of their own, to be looked up in batches and given
 * out in pages: what a session has to know of its machine's lists (upload.h).  Of
 * this computer alone: it can always be made again.  The file: what it was made
 * from, 32 bytes; how many ids, u64; the ids.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;

/* Writing. */
struct id_run_writer;

/**
 * id_run_new(dirfd, name, print, e):
 * Start the run ${name} in ${dirfd} (borrowed), made from what ${print} stands for. Nothing of
 * that name appears before id_run_finish, which takes the place of what is there.
 * NULL with ${e}.  Free with id_run_drop.
 */
struct id_run_writer *id_run_new(int dirfd, const char *name, const uint8_t print[DIGEST_LEN], struct err *e);
/* The next id, above the one before.  0 or -1 with ${e} (ERR_INTERNAL: it is not). */
int id_run_add(struct id_run_writer *w, const uint8_t id[DIGEST_LEN], struct err *e);
/* Durable, under its name.  0 or -1 with ${e}; ${w} can only be dropped then. */
int id_run_finish(struct id_run_writer *w, struct err *e);
/* Drop ${w}, and the file where it is not finished.  NULL is allowed. */
void id_run_drop(struct id_run_writer *w);

/* Reading. */
struct id_run {
	int fd;
	uint64_t n;
	uint8_t print[DIGEST_LEN];
};

/* 0 open; 1 it is not there, or is not one; -1 with ${e}.  Closed by id_run_close. */
int id_run_open(int dirfd, const char *name, struct id_run *r, struct err *e);
void id_run_close(struct id_run *r);

/* For each of ${n} rising ids 1 if it is in the run.  0 or -1 with ${e}. */
int id_run_find(const struct id_run *r, const uint8_t *ids, size_t n, uint8_t *found, struct err *e);

/**
 * id_run_page(r, after, out, cap, n, more, e):
 * The first ${n} <= ${cap} ids above ${after} (NULL: of all); ${more} 1 if there are more above them.
 */
int id_run_page(const struct id_run *r, const uint8_t *after, uint8_t *out, size_t cap, size_t *n, int *more, struct err *e);

#endif
