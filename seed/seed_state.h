#ifndef SAMARA_SEED_STATE_H
#define SAMARA_SEED_STATE_H

/* What the commands of samara-seed share: the state they work on, and words. */

#include <stddef.h>
#include <stdint.h>

struct args;
struct err;
struct image_state;
struct state;

/* The state that the command line means, opened; NULL with ${e} as state_open.  Free with state_free. */
struct state *seed_state_open(const struct args *a, struct err *e);

/**
 * seed_images_load(s, images, n, e):
 * All images of the state that were begun, oldest first, in a new array; free
 * with seed_images_free.  0 or -1 with ${e}.
 */
int seed_images_load(struct state *s, struct image_state ***images, size_t *n, struct err *e);
void seed_images_free(struct image_state **images, size_t n);

#define SEED_WHEN_MAX	48

/* "today 03:12", or the date; ${buf} of SEED_WHEN_MAX bytes.  Return it. */
char *seed_when(char *buf, int64_t seconds);

/**
 * seed_keep_line(im, line, cap):
 * "do not erase RM4K-1, RM4K-2" as long as the vault's receipt for the image was
 * not accepted; "" where nothing keeps its disks (or it has none).  Return ${line}.
 */
const char *seed_keep_line(const struct image_state *im, char *line, size_t cap);

#endif
