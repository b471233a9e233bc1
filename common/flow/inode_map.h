#ifndef SAMARA_FLOW_INODE_MAP_H
#define SAMARA_FLOW_INODE_MAP_H

/*
 * Something about each inode that has several names: a few bytes by device and
 * inode number, in bounded memory.  What does not fit any more goes into a
 * table in files without a name.  One thread at a time.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct inode_map;

/**
 * inode_map_new(dirfd, memory):
 * An empty map that takes about ${memory} bytes.  Its files go into ${dirfd},
 * which is borrowed and not touched as long as all fits.  NULL without memory.
 */
struct inode_map *inode_map_new(int dirfd, size_t memory);
void inode_map_free(struct inode_map *m);

/**
 * inode_map_put(m, dev, ino, value, len, e):
 * Note ${len} bytes for an inode; of one that is there already they take the
 * place of the earlier ones, which must be as many.  0, or -1 with ${e}.
 */
int inode_map_put(struct inode_map *m, dev_t dev, ino_t ino, const void *value, size_t len, struct err *e);

/**
 * inode_map_get(m, dev, ino, value, cap, len, e):
 * What was noted, into ${value}: 1, and ${len} bytes of it.  0: nothing was.
 * -1 with ${e}, also if it is longer than ${cap}.
 */
int inode_map_get(struct inode_map *m, dev_t dev, ino_t ino, void *value, size_t cap, size_t *len, struct err *e);

/* Forget the inode, if it is there.  0, or -1 with ${e}. */
int inode_map_drop(struct inode_map *m, dev_t dev, ino_t ino, struct err *e);

/* Bytes of memory in use, and inodes that stand in files. */
size_t inode_map_memory(const struct inode_map *m);
uint64_t inode_map_spilled(const struct inode_map *m);

#endif
