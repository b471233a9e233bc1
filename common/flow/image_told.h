#ifndef SAMARA_FLOW_IMAGE_TOLD_H
#define SAMARA_FLOW_IMAGE_TOLD_H

/* How far the vault has heard of an image of this machine: images/rm4k/told in the state. */

#include "formats/fmt_pledge.h"

struct err;
struct image_state;

/* What is noted; zeros where nothing is, or where the note cannot be read: then the vault is told again, which is harmless.  0 or -1. */
int image_told_load(const struct image_state *im, struct image_told *t, struct err *e);

/* Note it durably in place of what was there.  0 or -1 with ${e}; after a power cut the old or the new note is there. */
int image_told_save(const struct image_state *im, struct image_told *t, struct err *e);

/* What of the image's fate the vault has to hear: FATE_IS_…, or 0 where it knows all. */
unsigned image_told_fate(const struct image_state *im, const struct image_told *t);

/* Whether it is sealed and counts, and its newest manifest was not pledged yet. */
bool image_told_unpledged(const struct image_state *im, const struct image_told *t);

#endif
