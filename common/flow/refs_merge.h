#ifndef SAMARA_FLOW_REFS_MERGE_H
#define SAMARA_FLOW_REFS_MERGE_H

/*
 * Reference lists side by side, read once, in step: the next id of all of them
 * and which of them have it.  Memory: what the readers take (refs_read.h: a
 * buffer for each file that is open), however long the lists are.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct refs_merge;
struct refs_reader;

/* Without lists so far.  NULL with ${e} (ERR_MEMORY).  Free with refs_merge_free (NULL is allowed). */
struct refs_merge *refs_merge_new(struct err *e);
void refs_merge_free(struct refs_merge *m);

/**
 * refs_merge_take(m, r, e):
 * Take the list ${r}, of which nothing has been read; its number is that of
 * the lists taken before.  ${r} belongs to ${m} from now on, also after -1 with ${e}.
 */
int refs_merge_take(struct refs_merge *m, struct refs_reader *r, struct err *e);

/* Another list of rising ids: 1 with the next id, 0 at its end, -1 with ${e}. */
typedef int (*refs_merge_ids_fn)(void *arg, uint8_t id[DIGEST_LEN], struct err *e);
typedef void (*refs_merge_free_fn)(void *arg);

/* The same of any list; ${arg} is freed with ${release} (NULL: not), also after -1. */
int refs_merge_take_ids(struct refs_merge *m, refs_merge_ids_fn next, refs_merge_free_fn release, void *arg, struct err *e);

/**
 * refs_merge_next(m, id, at, n, e):
 * 1 with the next id and the rising numbers of the ${n} lists that have it in
 * ${at} (until the next call); 0 when every list has ended, each as its
 * envelope says; -1 with ${e} (ERR_DAMAGE).
 */
int refs_merge_next(struct refs_merge *m, uint8_t id[DIGEST_LEN], const size_t **at, size_t *n, struct err *e);

#endif
