#ifndef SAMARA_BASE_FILE_H
#define SAMARA_BASE_FILE_H

/* Whole small files and directories: the few ways in which samara touches them. */

#include <stddef.h>
#include <stdint.h>

struct err;

/**
 * file_read(dirfd, path, max, out, len, e):
 * Read all of ${path} (opened without following a last symlink; regular files
 * only) into a new buffer ${out} of ${len} bytes with a zero byte after it.
 * A file longer than ${max} is ERR_FORMAT; one that is not there gives
 * ERR_NOT_FOUND.  Return 0, or -1 with ${e}; the buffer is freed by the caller.
 */
int file_read(int dirfd, const char *path, size_t max, uint8_t **out, size_t *len, struct err *e);

/**
 * file_put_new(dirfd, path, data, len, mode, e):
 * Make the file ${path} with this content, whole or not at all: temporary name
 * in the same directory, write, fsync, rename without replacing (linkat and
 * unlink where RENAME_NOREPLACE is refused; where that is refused too and
 * FILE_PLAIN_RENAME is or'ed into ${mode}, name absent and a plain rename),
 * fsync of the directory.  ${path} may have directories in it; they must be
 * there.  Return 0 when it is made and durable, 1 when something of that name
 * is already there (nothing is changed; the directory is synced, so that a
 * name left by a run that was stopped counts as durable too), -1 with ${e}: it
 * may or may not be there, but is whole if it is.
 */
#define FILE_PLAIN_RENAME	(1u << 16)
int file_put_new(int dirfd, const char *path, const void *data, size_t len, unsigned mode, struct err *e);

/**
 * file_replace(dirfd, path, data, len, mode, e):
 * As file_put_new, but takes the place of what is there.  After a power cut
 * the old or the new content is there, whole.  Return 0 or -1 with ${e}.
 */
int file_replace(int dirfd, const char *path, const void *data, size_t len, unsigned mode, struct err *e);

/**
 * file_publish(dirfd, tmp, path, flags, e):
 * Give the finished, already synced file ${tmp} its name ${path} without
 * replacing, by the same ladder as file_put_new (${flags} may hold
 * FILE_PLAIN_RENAME); the caller syncs the directory.  Return 0, 1 (name
 * taken; ${tmp} is left), or -1 with ${e}.
 */
int file_publish(int dirfd, const char *tmp, const char *path, unsigned flags, struct err *e);

/**
 * dir_make(dirfd, path, mode, e):
 * Make the directory ${path} and those above it that are missing, each made
 * durable in its parent before the next is made; the deepest that was there is
 * made durable too.  One that is there is fine.  Return 0 or -1.
 */
int dir_make(int dirfd, const char *path, unsigned mode, struct err *e);

/**
 * dir_open(dirfd, path, e):
 * Open a directory for use as a dirfd (O_DIRECTORY | O_CLOEXEC).  Return the
 * descriptor or -1 with ${e}.
 */
int dir_open(int dirfd, const char *path, struct err *e);

/* fsync the directory ${path} below ${dirfd} (the directory itself if NULL). */
int dir_sync(int dirfd, const char *path, struct err *e);

/**
 * dir_list(dirfd, path, names, n, e):
 * All names in the directory but "." and "..", sorted bytewise, as a new
 * array of ${n} new strings (free with dir_list_free).  Return 0 or -1.
 */
int dir_list(int dirfd, const char *path, char ***names, size_t *n, struct err *e);
void dir_list_free(char **names, size_t n);

/**
 * lock_take(dirfd, path, shared, e):
 * Open or make the file ${path} and flock it, without waiting.  Return the
 * descriptor that holds the lock until it is closed, or -1 with ${e}
 * (ERR_BUSY when another process holds it).
 */
int lock_take(int dirfd, const char *path, int shared, struct err *e);

#endif
