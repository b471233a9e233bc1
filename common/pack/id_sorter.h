#ifndef SAMARA_PACK_ID_SORTER_H
#define SAMARA_PACK_ID_SORTER_H

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;

/*
 * An unsorted stream of ids, sorted and made unique in bounded memory: what
 * does not fit goes as sorted runs into one file, which is unlinked at once.
 */
struct id_sorter;

/**
 * id_sorter_new(dirfd, memory, e):
 * A sorter that takes ${memory} bytes (8 KiB at least; while it merges, 4 KiB a
 * run if that is more).  Runs go into ${dirfd}, which is borrowed and not
 * touched as long as all fits into memory.  NULL with ${e} on failure.
 */
struct id_sorter *id_sorter_new(int dirfd, size_t memory, struct err *e);
void id_sorter_free(struct id_sorter *s);

/* Add an id, in any order, as often as one likes.  0, or -1 with ${e}. */
int id_sorter_add(struct id_sorter *s, const uint8_t id[DIGEST_LEN], struct err *e);

/* No more ids; start at the lowest.  May be called again to read once more.  0, or -1 with ${e}. */
int id_sorter_rewind(struct id_sorter *s, struct err *e);

/* 1 with the next id, each once; 0 at the end; -1 with ${e}. */
int id_sorter_next(struct id_sorter *s, uint8_t id[DIGEST_LEN], struct err *e);

#endif
