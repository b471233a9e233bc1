#ifndef SAMARA_FLOW_VERIFY_REPAIR_H
#define SAMARA_FLOW_VERIFY_REPAIR_H

/* Packs of a disk that were found damaged, and what its parity makes of them. */

#include "common/flow/verify_image.h"

struct verify_damaged;

/* Of one image; NULL without memory: then nothing is mended.  Free with verify_damaged_free. */
struct verify_damaged *verify_damaged_new(void);
void verify_damaged_free(struct verify_damaged *d);

/**
 * verify_damaged_add(d, number, why):
 * Pack ${number} is damaged, or cannot be read (${why}).  1 if it was kept, and
 * verify_damaged_mend will tell of ${why}; 0 if not.  From any thread.
 */
int verify_damaged_add(struct verify_damaged *d, uint32_t number, const struct err *why);

/**
 * verify_damaged_mend(d, j, im, m, e):
 * Make again, in memory, what was damaged and what is missing of image ${im}, and
 * tell of each pack whether parity can repair it.  Nothing is written.  0 or -1.
 */
int verify_damaged_mend(struct verify_damaged *d, struct verify_job *j, struct verify_image *im, struct verify_mender *m,
    struct err *e);

/* Every parity pack of image ${im}: tell of those that are not whole.  0, or -1 with ${e}. */
int verify_parity(struct verify_job *j, struct verify_image *im, struct err *e);

/* The table of pack ${number} as the disk's index has it, believed; *keep is a new buffer, for the caller to free.  0 or -1. */
int verify_table_from_index(const struct verify_image *im, uint32_t number, struct pack_view *v, uint8_t **keep);

#endif
