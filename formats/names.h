#ifndef SAMARA_FORMATS_NAMES_H
#define SAMARA_FORMATS_NAMES_H

/*
 * What a name in a statement may look like.  Decoders hold to it, so that a
 * name read from a disk can be shown, and can be a part of a path.
 */

#include <stdbool.h>

#include "formats/limits.h"

/* An image's short name as statements carry it: four capitals or digits. */
bool short_name_is_valid(const char *name);

/* A vault's name: 2 .. 50 letters, digits and hyphens, a letter first. */
bool vault_name_is_valid(const char *name);

/* A machine's name: 2 .. 50 bytes without control characters and '/', and no '.' first. */
bool machine_name_is_valid(const char *name);

#endif
