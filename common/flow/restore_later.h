#ifndef SAMARA_FLOW_RESTORE_LATER_H
#define SAMARA_FLOW_RESTORE_LATER_H

/*
 * A file of an old snapshot whose chunk is lost, out of a later snapshot of its
 * set: where a bundle cannot be made again its files that are still as they were go into
 * the next snapshot anew (LIFE: 5).
 */

#include <stdint.h>

#include "common/flow/keyring.h"
#include "common/flow/snapshot_list.h"
#include "formats/fmt_listing.h"

struct err;
struct later;

#define LATER_MOST	64u	/* snapshots that are looked into, at most */

/**
 * later_new(s, keys, list, snap):
 * The snapshots of ${list} that are of ${snap}'s set and came after it; none is opened
 * before it is needed.  All is borrowed.  NULL without memory.  Free with later_free (NULL is allowed).
 */
struct later *later_new(struct source *s, const struct keyring *keys, const struct snapshot_list *list, const struct snapshot *snap);
void later_free(struct later *l);

/* Whether there are any. */
int later_some(const struct later *l);

/**
 * later_find(l, reader, path, en, begin_ns, out, copy, from):
 * The entry at absolute ${path} that is the file ${en} of the snapshot whose walk began at
 * ${begin_ns}, with other chunks: same type, size, times and inode, not changed while it was
 * read, and its times older than that walk, so that nothing was written to it since without their
 * moving.  1 with ${out} (views into ${copy}, ENTRY_LEN_MAX + 16 bytes) and ${from}; 0 there is
 * none: it changed, or no later one can be read.  Any thread, each with its own reader.
 */
int later_find(struct later *l, struct source_reader *reader, struct fmt_view path, const struct entry *en, int64_t begin_ns,
    struct entry *out, uint8_t *copy, const struct snapshot **from);

#endif
