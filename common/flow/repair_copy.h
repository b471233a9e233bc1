#ifndef SAMARA_FLOW_REPAIR_COPY_H
#define SAMARA_FLOW_REPAIR_COPY_H

/*
 * A repaired copy of an image's disk, in another place: any tool takes it as
 * the disk.  The original is read only.
 */

#include <stdint.h>

#include "common/disk/image_dir.h"

struct err;

struct repair_copy_result {
	uint32_t packs;		/* of the disk */
	uint32_t repaired;	/* damaged or missing, and whole in the copy */
	uint32_t lost;		/* not whole there either; all that could be had of them is in it */
	uint32_t parity_made;	/* groups whose parity was coded again */
};

/**
 * repair_copy_open(path, diskfd, e):
 * The directory ${path} for a copy, made if it is not there (the one above must
 * be).  Refused, ERR_TARGET, where it is the disk ${diskfd} itself or lies on it.
 * Descriptor or -1.
 */
int repair_copy_open(const char *path, int diskfd, struct err *e);

/**
 * repair_copy(d, s, diskfd, to, r, e):
 * Copy image ${d} with the statement ${s} to samara/NAME below the directory
 * ${to}: packs that are whole, packs made again, whole copies of what stands
 * twice at both places, parity that is whole or coded again.  Everything is
 * synced.  Return 0 with ${r}, whatever is lost; -1 with ${e}: ERR_EXISTS where
 * the image is there already, ERR_DAMAGE where no index can be read,
 * ERR_NO_SPACE ….  What was written until then stays, without a label: nothing
 * takes it for a disk.
 */
int repair_copy(const struct image_dir *d, const struct disk_statement *s, int diskfd, int to, struct repair_copy_result *r,
    struct err *e);

/* For its parts. */

/* Copy all but label, packs and parity (repair_small.c); ${out} is the copy's directory.  0 or -1. */
int repair_small_copy(const struct image_dir *d, const struct disk_statement *s, int diskfd, int out, struct err *e);
/* The label, last of all. */
int repair_label_copy(const struct image_dir *d, int out, struct err *e);

/* A new file, written and synced; its directory is there and is synced by the caller.  0 or -1. */
int repair_file_put(int out, const char *name, const uint8_t *bytes, size_t len, struct err *e);

#endif
