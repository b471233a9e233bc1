#ifndef SAMARA_TESTS_CRASH_IMAGE_READER_H
#define SAMARA_TESTS_CRASH_IMAGE_READER_H

/* Reads a snapshot back from a disk and compares it with the live tree. */

#include <stddef.h>
#include <stdint.h>

struct err;

/**
 * image_compare(state, short_name, disks, n, src, e):
 * Open every chunk of the snapshot of image ${short_name} from ${n} ${disks} with the
 * keys of ${state}, and compare all files below ${src} in both directions.
 * 0 if they are equal, else -1 with ${e} in words.
 */
int image_compare(const char *state, const char *short_name, const char *const *disks, size_t n, const char *src, struct err *e);

#endif
