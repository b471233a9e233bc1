#ifndef SAMARA_PACK_ID_SORT_H
#define SAMARA_PACK_ID_SORT_H

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

/* Sort ${n} ids in place, without further memory. */
void id_sort(uint8_t (*ids)[DIGEST_LEN], size_t n);

#endif
