#ifndef SAMARA_FLOW_IMAGE_CANCEL_H
#define SAMARA_FLOW_IMAGE_CANCEL_H

/* Giving up an image of this machine. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct image_state;
struct state;

/* What came, or would come, of it. */
struct image_cancel {
	char short_name[SHORT_LEN + 1];
	char set_name[SET_NAME_MAX + 1];
	bool before;			/* it was so already: nothing changed but what an interrupted run had left to do */
	uint64_t latest;		/* merge base of the set's next build from now on; 0: none */
	char (*leaning)[SHORT_LEN + 1];	/* images not cancelled whose snapshots need this one */
	size_t nleaning;
};

/**
 * image_cancel(s, name, dry_run, c, e):
 * Give up the image ${name} (any case), unfinished or sealed: the set's latest
 * snapshot becomes the newest in a sealed image that is not given up, and what
 * only this image carries counts as not held in the next build.  Nothing on
 * any disk is touched.  With ${dry_run} nothing is written.  Return 0 with
 * ${c} (image_cancel_release), or -1 with ${e}: ERR_NO_IMAGE, ERR_BUSY where
 * it is being built, ERR_RULE where it was handed off.  After a power cut the
 * same command works again.
 */
int image_cancel(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e);

/**
 * image_lost(s, name, dry_run, c, e):
 * The sealed image ${name} is lost on its way: as image_cancel, but the vault
 * takes its disks if they turn up.  ERR_RULE where it is not sealed, was
 * cancelled or handed off.
 */
int image_lost(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e);

/* It turned up: it counts again, and the set goes on from its newest snapshot that counts.  As image_lost. */
int image_found(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e);
void image_cancel_release(struct image_cancel *c);

/**
 * image_locked(s, name, lock, e):
 * The image as it is once the lock of its set is held, ${lock} (to be closed
 * by the caller where it is not -1, whatever is returned).  NULL with ${e}:
 * ERR_NO_IMAGE, ERR_BUSY, ERR_STATE.
 */
struct image_state *image_locked(struct state *s, const char *name, int *lock, struct err *e);

#endif
