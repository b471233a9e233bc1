#ifndef SAMARA_DISK_DISK_DEVICE_H
#define SAMARA_DISK_DISK_DEVICE_H

/* The block device beneath a directory, and what the system tells of it. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "formats/limits.h"

struct err;

#define DISK_SERIAL_MAX	64

/**
 * disk_under(fd, major, minor):
 * The block device on which the file system of ${fd} lies, also where the file
 * system has a number of its own (btrfs, some FUSE drivers).  Its counters
 * stand in /sys/dev/block/MAJOR:MINOR/stat.  0, or -1: there is none, or more
 * than one (overlay, network, memory).
 */
int disk_under(int fd, unsigned *major, unsigned *minor);

/**
 * disk_identity(fd, id):
 * Which file system ${fd} lies on, in a way that stays from plug to plug and
 * from system to system: the first 16 bytes of BLAKE3 of its UUID as libblkid
 * writes it.  (statfs's own f_fsid is the device's number on xfs and FUSE.)
 * 0, or -1 with zeros in ${id} where it has none or it cannot be found out.
 */
int disk_identity(int fd, uint8_t id[ID_LEN]);

/**
 * disk_serial(fd, out):
 * The serial number of the disk on which ${fd} lies, as it is printed on many:
 * printable ASCII without blanks at its ends, at most DISK_SERIAL_MAX - 1
 * characters.  0, or -1 with "" in ${out} where the system does not tell.
 */
int disk_serial(int fd, char out[DISK_SERIAL_MAX]);

/* As disk_serial for the device ${major}:${minor}, with ${sysfd} a directory laid out like /sys (tests). */
int disk_serial_in(int sysfd, unsigned major, unsigned minor, char out[DISK_SERIAL_MAX]);

/**
 * disk_mount_id(fd):
 * The number under which the mount of ${fd} stands in /proc/self/mountinfo; -1 if it cannot be had.
 */
int disk_mount_id(int fd);

#endif
