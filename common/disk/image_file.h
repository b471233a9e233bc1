#ifndef SAMARA_DISK_IMAGE_FILE_H
#define SAMARA_DISK_IMAGE_FILE_H

/* Opening files of a disk that anyone may have prepared. */

#include <stddef.h>
#include <stdint.h>

struct err;

/**
 * image_file_open(dirfd, path, len, e):
 * Open the regular file ${path} ("packs/0000/00000000.pk") below ${dirfd} for
 * reading: no part of the path may be a symlink, and what is not a regular
 * file (FIFO, directory, device) is refused before it is read, ERR_FORMAT.
 * Return the descriptor with the file's length, or -1 with ${e}
 * (ERR_NOT_FOUND, ERR_FORMAT, ERR_IO …).
 */
int image_file_open(int dirfd, const char *path, uint64_t *len, struct err *e);

/**
 * image_file_read(dirfd, path, max, out, len, e):
 * Read all of a file of at most ${max} bytes, opened by the same rules, into a
 * new buffer.  Return 0 or -1 with ${e} (ERR_FORMAT where it is longer).
 */
int image_file_read(int dirfd, const char *path, size_t max, uint8_t **out, size_t *len, struct err *e);

/* Open the directory ${path} below ${dirfd}, by the same rules.  Descriptor or -1 with ${e}. */
int image_subdir_open(int dirfd, const char *path, struct err *e);

#endif
