#ifndef SAMARA_FLOW_CUSTODY_H
#define SAMARA_FLOW_CUSTODY_H

/* The custody log that a machine keeps of each of its images: one file a record, images/rm4k/custody/ in the state. */

#include <stdint.h>

#include "formats/fmt_vault.h"

struct err;
struct image_state;
struct state;

/**
 * custody_add(s, im, imagefd, event, disk, note, e):
 * The next record of image ${im}, signed by this machine, durably into the
 * state; where ${imagefd} is not -1, every record that the image's directory on
 * that disk does not have yet follows, so that the log on it has no gaps.
 * ${disk} 0: the image as a whole.  Where a disk is closed without a ${note},
 * its serial number stands there ("serial WD-WX12"), if the system tells it.  May be called by several threads and
 * processes.  0, or -1 with ${e}; after a power cut the record is there whole or
 * not at all, and perhaps not on the disk yet.
 */
int custody_add(struct state *s, const struct image_state *im, int imagefd, unsigned event, uint32_t disk, const char *note,
    struct err *e);

#endif
