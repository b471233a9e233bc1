#ifndef SAMARA_FLOW_MEDIUM_H
#define SAMARA_FLOW_MEDIUM_H

/*
 * Reading what is on the medium, not what a cache remembers of it.  O_DIRECT
 * does that on the kernel's own file systems.  Under FUSE it only goes past
 * one of two caches: there the buffers of the block device are dropped first
 * (BLKFLSBUF, for root), and afterwards the sectors that the device says it
 * read must account for the bytes.
 */

#include <stdbool.h>
#include <stdint.h>

struct medium {
	int device;		/* of the block device under a FUSE file system; -1: not needed, or not to be had */
	unsigned major, minor;
	uint64_t sectors;	/* that the device had read at the beginning */
	uint64_t bytes;		/* read by us; atomic */
	int blind;		/* atomic: something may have come from memory */
};

/* Begin to read what lies on the file system of ${fd}, all of it synced.  Never fails; see medium_end. */
void medium_begin(struct medium *m, int fd);

/* After something new was written and synced, before it is read. */
void medium_flush(struct medium *m);

/* A file was opened to be read from the medium: go past the cache.  Reads must be aligned to 4096 bytes. */
void medium_open(struct medium *m, int fd);

/* ${n} bytes were read. */
void medium_count(struct medium *m, uint64_t n);

/* End: true if everything that was counted came from the medium. */
bool medium_end(struct medium *m);

#endif
