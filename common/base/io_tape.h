#ifndef SAMARA_BASE_IO_TAPE_H
#define SAMARA_BASE_IO_TAPE_H

/*
 * A tape of everything that is done to one directory through the io table, in
 * order: files, directories and links made, named, renamed and removed,
 * writes with their bytes, truncations, fallocate, modes, and every fsync.
 * What is outside the directory is not taped.  Objects are known by inode, so
 * it does not matter through which descriptor or name they are reached.  The
 * bytes lie in an unlinked spill file in TMPDIR, not in memory.
 *
 * While a tape runs, fsync answers at once without asking the disk (only the
 * tape needs to know), nothing may be renamed or linked across the border of
 * the directory (EXDEV) nor exchanged (EINVAL), and calls that change
 * something follow one another.  Not seen: mmap, other processes, a file
 * created through a symlink, owners, times and xattrs.
 */

#include <stddef.h>
#include <stdint.h>

struct err;
struct tape;

/*
 * Bugs to put in on purpose, so that a test can show that it would find them:
 * fsync of files, or of directories, only pretends; or each fsync of a file
 * takes effect only after the next rename or link.
 */
#define TAPE_DROP_FILE_SYNC	1u
#define TAPE_DROP_DIR_SYNC	2u
#define TAPE_SYNC_AFTER_RENAME	4u

/**
 * tape_start(root, bugs, e):
 * Begin a tape of the directory ${root} and put it in force (io_use).  What is
 * in it now counts as durable.  Only one at a time, and while no other thread
 * runs.  Return the tape or NULL with ${e}.
 */
struct tape *tape_start(const char *root, unsigned bugs, struct err *e);

/* How many operations are on it; a test notes this when something is promised. */
uint64_t tape_length(const struct tape *t);

/* Put the table in force again that was before; the tape can now be played. */
void tape_stop(struct tape *t);

/* Free a stopped tape; NULL is allowed. */
void tape_free(struct tape *t);

/**
 * tape_describe(t, i, buf, n):
 * Operation ${i} in words, for the message of a test: "write 512 at 0 to #7".
 * Return ${buf}.
 */
char *tape_describe(const struct tape *t, uint64_t i, char *buf, size_t n);

#endif
