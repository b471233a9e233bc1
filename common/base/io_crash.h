#ifndef SAMARA_BASE_IO_CRASH_H
#define SAMARA_BASE_IO_CRASH_H

/*
 * What a power cut may leave of a taped run, under a strict reading of POSIX:
 * fsync of a file makes the bytes, length and mode of this file durable, and
 * not its name; fsync of a directory makes the names in this directory
 * durable, and nothing else.  Of all that was done and not made durable before
 * the cut, each part may or may not be there:
 *
 *   bytes	each 512-byte sector of a file is as it was at some moment since
 *		the last fsync (as before the writes, after all of them, or in
 *		between), each sector for itself;
 *   length	as it was at some moment since the last fsync, also for itself:
 *		a length without its bytes reads as zeros;
 *   names	in half of the states the operations on names took effect one
 *		by one and whole, any subset of them in which an operation has
 *		those before it on the same names; in the other half each name
 *		of each directory is for itself as it was at some moment since
 *		the directory's fsync, so that a rename may be half done (both
 *		names, or neither), as on file systems without a journal; a
 *		name that another takes by a rename is always the one or the
 *		other, and a directory is renamed whole;
 *   modes	old or new.
 *
 * What can be reached from the root by the names that are left is there.
 * Not modelled: bytes that were never written, owners, times, xattrs.
 */

#include <stdint.h>

struct err;
struct tape;

/**
 * crash_make(t, cut, seed, dirfd, e):
 * Make in the empty directory ${dirfd} a state that a power cut after the
 * first ${cut} operations of the stopped tape ${t} could have left.  Equal
 * ${cut} and ${seed} give equal states.  Seeds that leave 0, 1, 2 or 3 when
 * divided by 8 are the extremes: nothing that was not durable; all names and
 * no bytes; all bytes and no names; all names and lengths, zeros for bytes.
 * Return 0, or -1 with ${e}.
 */
int crash_make(const struct tape *t, uint64_t cut, uint64_t seed, int dirfd, struct err *e);

/**
 * crash_pick(t, i, n, cut, seed):
 * Choose the ${i}-th of ${n} states so that all cuts from 0 to the end of the
 * tape are tried as evenly as ${n} allows, each with other seeds.
 */
void crash_pick(const struct tape *t, uint64_t i, uint64_t n, uint64_t *cut, uint64_t *seed);

/**
 * crash_clear(dirfd, e):
 * Remove everything in the directory ${dirfd} (not the directory): between two
 * states.  Return 0, or -1 with ${e}.
 */
int crash_clear(int dirfd, struct err *e);

#endif
