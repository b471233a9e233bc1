#ifndef SAMARA_FLOW_IMAGE_ROOT_H
#define SAMARA_FLOW_IMAGE_ROOT_H

#include "formats/fmt_disk.h"

/**
 * image_root(vault, image, envelopes, carried, root):
 * The root of an image (docs/formats/disk.md): BLAKE3("samara root v1"
 * zero-filled to 32 | vault id | image id | number of envelopes u32 | their
 * digests | carried).  ${envelopes}: DIGEST_LEN each, in byte order.
 */
void image_root(const uint8_t vault[ID_LEN], const uint8_t image[ID_LEN], struct fmt_view envelopes,
    const uint8_t carried[DIGEST_LEN], uint8_t root[DIGEST_LEN]);

#endif
