#ifndef SAMARA_DISK_MOUNT_H
#define SAMARA_DISK_MOUNT_H

/*
 * A disk as a person names it: the directory where it is mounted, or its block
 * device.  A device that is mounted nowhere is mounted for the job, nodev,
 * nosuid, noexec, and read-only unless it is to be written, in a directory of
 * its own below MOUNT_PRIVATE that only root can enter; exFAT and NTFS by
 * Debian's FUSE drivers where the kernel has none.  samara never formats.
 */

#include <stdbool.h>

struct err;

#define MOUNT_PRIVATE	"/run/samara/disks"

#define DISK_MOUNT_WRITE	1u

struct disk_mount {
	int fd;			/* of the top directory; -1: not open */
	char path[4096];	/* of the top directory: what was given, or where the device is mounted */
	char device[4096];	/* the block device that was given; "" if it was a directory */
	bool ours;		/* mounted by disk_mount_open, and unmounted by disk_mount_close */
	int lock;		/* keeps the mount from being taken for a leftover; -1 if not ours */
};

/**
 * disk_mount_open(path, flags, label, m, e):
 * Open the disk that ${path} names, for reading or, with DISK_MOUNT_WRITE, for
 * writing.  A directory is opened as it is (nobody looks whether it can be
 * written).  A block device: where it is mounted already, that is used, if its
 * top directory can be seen there and, for writing, it is not read-only; else
 * it is mounted.  Mounts that a killed run left behind are undone first.
 *
 * Return 0, or -1 with ${e}; then nothing stays mounted.  ERR_TARGET: the
 * device has no file system (for writing ${e} says which command makes one
 * with ${label}, "RM4K-1", as its name), or a whole disk with partitions was named (${e}
 * names them), or it holds something else; ERR_PERMISSION: not root, or
 * write-protected, or mounted read-only; ERR_BUSY; ERR_NOT_FOUND; ERR_IO.
 * ${label} may be NULL.  Release with disk_mount_close, after the last
 * descriptor below ${m->fd} is closed.  Not from two threads at once for one device.
 */
int disk_mount_open(const char *path, unsigned flags, const char *label, struct disk_mount *m, struct err *e);

/**
 * disk_mount_close(m, e):
 * Close it and, if it was mounted here, unmount it; on return everything
 * written is on its way to the medium no longer, it is there.  Done again, and
 * with an all-zero ${m} whose fd is -1, it does nothing.  Return 0, or -1 with
 * ${e} (may be NULL): something is still open there, and it will be unmounted
 * when that is closed: do not say that the disk can be removed.
 */
int disk_mount_close(struct disk_mount *m, struct err *e);

/**
 * disk_mount_sweep():
 * Unmount and remove what runs that were killed left below MOUNT_PRIVATE.
 * Nothing of a run that is still there is touched.  Part of disk_mount_open.
 */
void disk_mount_sweep(void);

#endif
