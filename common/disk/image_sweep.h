#ifndef SAMARA_DISK_IMAGE_SWEEP_H
#define SAMARA_DISK_IMAGE_SWEEP_H

#include <stddef.h>

/**
 * image_sweep(imagefd):
 * Remove from the image's directory, those in it and those in packs/ the
 * temporary files that a killed run left behind: by the names samara gives
 * them, regular files alone, never through a symlink.  Everything else stays.
 * Only for who has the image for himself and has no file of it in the making.
 * Return how many were removed; what cannot be is left for the next time.
 */
size_t image_sweep(int imagefd);

#endif
