#ifndef SAMARA_BASE_IO_CRASH_FILE_H
#define SAMARA_BASE_IO_CRASH_FILE_H

/* The bytes that a power cut leaves of one file; for io_crash.c alone. */

#include <stddef.h>
#include <stdint.h>

struct tape;

struct crash_file {
	const struct tape *t;
	uint32_t node;
	uint64_t seed;
	size_t synced;		/* operations before this one are durable */
	const size_t *list;	/* the ${n} operations on this file, in order */
	size_t n;
};

/**
 * crash_file_fill(f, fd):
 * Write the content into the new, empty file ${fd}.  Return 0, or -1 with
 * errno.
 */
int crash_file_fill(const struct crash_file *f, int fd);

/* A number that looks random and depends on the three alone. */
uint64_t crash_mix(uint64_t seed, uint64_t a, uint64_t b);

#endif
