#ifndef SAMARA_FLOW_NEW_FILE_H
#define SAMARA_FLOW_NEW_FILE_H

/* Files that a person asked for by name: written new, 0600, never over one that is there. */

#include <stddef.h>

struct err;

/**
 * new_file_dir(path, name, e):
 * Open the directory that ${path} lies in; ${name} points at the last part of
 * ${path}.  Return the descriptor, or -1 with ${e}: ERR_USAGE where ${path}
 * cannot be a file, else as dir_open.
 */
int new_file_dir(const char *path, const char **name, struct err *e);

/* 0 if ${path} can be written: its directory is there, it is not; -1 with ${e} (ERR_EXISTS, ERR_NOT_FOUND). */
int new_file_check(const char *path, struct err *e);

/**
 * new_file_put(path, data, len, e):
 * Write it, whole and durable, or not at all.  Return 0, or -1 with ${e}:
 * ERR_EXISTS where something of that name is there.
 */
int new_file_put(const char *path, const void *data, size_t len, struct err *e);

#endif
