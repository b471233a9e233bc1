#ifndef SAMARA_FLOW_TOPUP_BUILD_H
#define SAMARA_FLOW_TOPUP_BUILD_H

/*
 * A top-up: an image without snapshots that carries chunks which the vault
 * misses.  The gap list that it answers stands in the state as
 * images/rm4k/gaps, so that --resume needs nothing else.  Private to build*.c
 * and topup_build.c.
 */

#include "common/flow/build_run.h"

#define TOPUP_SET	"top-up"

/* Whether the image is one; the image in hand. */
bool topup_image(const struct image_state *im);
bool topup_is(const struct build *b);

/* Load what this machine gave up: no build leans on it any more.  0 or -1 with ${e}. */
int topup_given_load(struct build *b, struct err *e);

/* The gap list that was named: this vault's, for this machine, whole.  0 or -1 with ${e}, before anything is begun. */
int topup_check(struct build *b, struct err *e);

/* Keep the list in the directory ${imagefd} of a new image, before it has its journal. */
int topup_begin(const struct build *b, int imagefd, struct err *e);

/**
 * topup_read(b, e):
 * Make the missing chunks again and pack them onto the disk; what cannot be had
 * is named, warned about in the job, and signed as given up, in the state, on
 * the disk and in the file that was asked for.  0, or -1 with ${e}; ERR_INCOMPLETE where
 * nothing at all could be had: the image is cancelled then.
 */
int topup_read(struct build *b, struct err *e);

/**
 * topup_replace(b, e):
 * Where a disk of an image was given up whose snapshot is closed already: what
 * only that disk held is made again from live data, onto the disks at hand.
 * What cannot be had is named and counted in the report.  0 or -1 with ${e}.
 */
int topup_replace(struct build *b, struct err *e);

/* What of the list that was named could be had: into the report; writes nothing.  0 or -1 with ${e}. */
int topup_dry(struct build *b, struct err *e);

/* Before its last disk ${bd} is closed: the list of what the image carries, twice. */
int topup_close(struct build *b, const struct build_disk *bd, struct err *e);

/* The digest of that list, for the manifest. */
int topup_carried(struct build *b, uint8_t digest[DIGEST_LEN], struct err *e);

#endif
