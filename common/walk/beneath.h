#ifndef SAMARA_WALK_BENEATH_H
#define SAMARA_WALK_BENEATH_H

/*
 * Opening one name in a directory that is already open, and nothing else: no
 * symlink is followed, whatever stands there.  A path is such steps one by
 * one, so nobody who swaps directories meanwhile can lead it outside.
 */

#include <stdbool.h>
#include <sys/types.h>

/**
 * beneath_open(dirfd, name, flags, mode):
 * openat of a single ${name} (no slash in it, not ".."), close-on-exec, by
 * openat2 with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS; where the
 * kernel does not have it (ENOSYS, or EPERM from a filter), by O_NOFOLLOW.
 * The descriptor, or -1 with errno.
 */
int beneath_open(int dirfd, const char *name, int flags, mode_t mode);

/* O_PATH of the directory ${name}; -1 with errno, ENOTDIR or ELOOP where it is none. */
int beneath_dir(int dirfd, const char *name);

/**
 * beneath_unlock(fd):
 * Give the owner all rights on the open directory ${fd} (O_PATH is enough), so
 * that an ordinary user can work in it.  0, or -1 with errno.
 */
int beneath_unlock(int fd);

#endif
