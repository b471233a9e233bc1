#ifndef SAMARA_BASE_IO_FAULT_H
#define SAMARA_BASE_IO_FAULT_H

/*
 * Calls of the io table that fail on demand, for tests: count the calls of one
 * kind in a run that goes well, then run again once for each of them and let
 * it fail.  Stands on the table that was in force (the real one, or a tape of
 * io_tape.h: what fails never reaches it).  See io_tape.h and io_crash.h for
 * recording and for what a power cut leaves.
 */

#include <stdint.h>

enum fault_kind {
	FAULT_OPEN,		/* open, openat2 */
	FAULT_READ,		/* read, pread */
	FAULT_WRITE,		/* write, pwrite */
	FAULT_FSYNC,
	FAULT_TRUNCATE,		/* ftruncate */
	FAULT_FALLOCATE,
	FAULT_CLOSE,		/* closes, and says that it failed */
	FAULT_STAT,		/* fstat, fstatat, fstatfs */
	FAULT_LOCK,		/* flock */
	FAULT_RENAME,
	FAULT_LINK,
	FAULT_UNLINK,
	FAULT_MKDIR,
	FAULT_LIST,		/* fdopendir, readdir */
	FAULT_META,		/* symlinks, nodes, owners, modes, times, xattrs */
	FAULT_ANY,		/* any of the above */
};

struct fault_plan {
	enum fault_kind kind;
	uint64_t nth;		/* fail this call, counted from 1; 0: none, only count */
	int every;		/* and all after it */
	int sys;		/* with this errno; 0: READ and WRITE do half of it, at least one byte */
};

/**
 * fault_start(plan):
 * Put the failing table in force (io_use) and count from 0.  ${plan} is
 * copied.  Only one at a time, and while no other thread runs.
 */
void fault_start(const struct fault_plan *plan);

/* How many calls of the plan's kind were made since fault_start. */
uint64_t fault_count(void);

/* How many of them failed. */
uint64_t fault_hits(void);

/* Put the table in force again that was before fault_start; the counts stay. */
void fault_stop(void);

#endif
