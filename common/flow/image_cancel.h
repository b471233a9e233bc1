#ifndef SAMARA_FLOW_IMAGE_CANCEL_H
#define SAMARA_FLOW_IMAGE_CANCEL_H

/* Giving up an image of this machine. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct state;

/* What came, or would come, of it. */
struct image_cancel {
	char short_name[SHORT_LEN + 1];
	char set_name[SET_NAME_MAX + 1];
	bool was_cancelled;		/* before: nothing changed but what an interrupted run had left to do */
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
 * it is being built.  After a power cut the same command works again.
 */
int image_cancel(struct state *s, const char *name, bool dry_run, struct image_cancel *c, struct err *e);
void image_cancel_release(struct image_cancel *c);

#endif
