#ifndef SAMARA_FLOW_RESTORE_DISKS_H
#define SAMARA_FLOW_RESTORE_DISKS_H

/*
 * Which disks a snapshot lies on, which of them are at hand, and which have
 * given all they have.  The manifest of its image names the image's disks, and
 * the images that it leans on; one on any disk at hand, or kept of one, is
 * enough.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/flow/keyring.h"
#include "common/flow/snapshot_list.h"

struct err;

#define RESTORE_DISK_NAME_MAX	64

enum restore_disk_done {
	RESTORE_DISK_NEW = 0,
	RESTORE_DISK_PARTLY,	/* the listing was not known whole when it was at hand */
	RESTORE_DISK_WHOLE	/* nothing more is to be had from it */
};

struct restore_disk {
	uint8_t image_id[ID_LEN];
	uint32_t number;	/* 0: not known which, as no manifest of the image was there yet */
	char name[RESTORE_DISK_NAME_MAX];	/* "RM4K-2"; words where the number is 0 */
	int here;
	enum restore_disk_done done;
};

struct restore_disks {
	struct restore_disk *disk;	/* the snapshot's image first, the highest number first */
	size_t n, cap;
};

/**
 * restore_disks_read(d, s, snap, pub, e):
 * The disks of ${snap}'s image and of those it leans on, as manifests in ${s}
 * that ${pub}, the machine's key, signed have it.  None for a snapshot that is
 * of no image.  0 or -1 with ${e} (ERR_MEMORY); release with restore_disks_release.
 */
int restore_disks_read(struct restore_disks *d, const struct source *s, const struct snapshot *snap,
    const uint8_t pub[SIGN_PUB_LEN], struct err *e);
void restore_disks_release(struct restore_disks *d);

/* The next that is not at hand and has still something to give: first those that gave nothing yet.  NULL: none. */
const struct restore_disk *restore_disks_next(const struct restore_disks *d);
/* 1 if one is at hand that has still something to give. */
int restore_disks_useful(const struct restore_disks *d);

/* Add the one of image ${id}; with ${number} there already its entry.  NULL without memory. */
struct restore_disk *restore_disks_add(struct restore_disks *d, const uint8_t id[ID_LEN], const char *short_name,
    uint32_t number);

#endif
