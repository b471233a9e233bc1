#ifndef SAMARA_DISK_MOUNT_PRIVATE_H
#define SAMARA_DISK_MOUNT_PRIVATE_H

/* Directories of our own to mount in, and what a killed run left in them.  For mount.c. */

#include <stddef.h>

struct err;

/**
 * mount_private_new(path, n, lock, e):
 * Make a new empty directory below MOUNT_PRIVATE, its name into the ${n}
 * bytes at ${path}, and take its lock.  0 or -1 with ${e}.
 */
int mount_private_new(char *path, size_t n, int *lock, struct err *e);

/* Remove the directory ${path}, on which nothing is mounted any more, and its ${lock}. */
void mount_private_remove(const char *path, int lock);

#endif
