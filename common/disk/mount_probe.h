#ifndef SAMARA_DISK_MOUNT_PROBE_H
#define SAMARA_DISK_MOUNT_PROBE_H

/* What a block device holds (libblkid).  For mount.c. */

#include <stdbool.h>
#include <sys/types.h>

struct err;

struct mount_probe {
	dev_t dev;
	bool read_only;		/* write-protected, as the kernel sees it */
	char type[32];		/* of its file system: "ext4", "exfat" */
};

/**
 * mount_probe(device, write, label, p, e):
 * Find the file system on ${device}.  Return 0, or -1 with ${e} as
 * disk_mount_open says it: no file system (with ${write} the mkfs line, with
 * ${label}), partitions, something else.  Nothing is written.
 */
int mount_probe(const char *device, bool write, const char *label, struct mount_probe *p, struct err *e);

#endif
