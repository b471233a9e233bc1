#ifndef SAMARA_BASE_SPACE_H
#define SAMARA_BASE_SPACE_H

/* The room of a file system. */

#include <stdbool.h>
#include <stdint.h>

struct err;

struct space {
	uint64_t free;		/* bytes that this user may still write */
	uint64_t total;		/* bytes of the whole */
	bool files_counted;	/* it has a bound on the number of files */
	uint64_t files_free;	/* how many more, then */
};

/**
 * space_read(fd, what, s, e):
 * The room of the file system that ${fd} lies on.  Blocks are counted in
 * fragments (statvfs(3): f_frsize; f_bsize is only the size that reads and
 * writes best, and on FUSE not the same).  Return 0, or -1 with ${e}, which
 * calls it ${what}; ${s} is all zero then.
 */
int space_read(int fd, const char *what, struct space *s, struct err *e);

#endif
