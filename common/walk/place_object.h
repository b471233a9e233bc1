#ifndef SAMARA_WALK_PLACE_OBJECT_H
#define SAMARA_WALK_PLACE_OBJECT_H

/* What place.c and place_file.c share: temporary names, and the moment of the final one. */

#include "common/walk/place_chain.h"

#define TEMP_NAME_LEN	48

/* A name as a C string; -1 with ${e} for one that no listing may hold. */
int object_name(const struct entry *en, char name[NAME_LEN_MAX + 1], struct err *e);

/* The temporary name of ${name}: the same in each run of a restore. */
void object_temp(const struct place_dir *d, const char *name, char temp[TEMP_NAME_LEN]);

/**
 * object_there(d, name, en, res, st, e):
 * Look at what has the name already: PLACE_DONE: nothing, or it is to be
 * replaced; PLACE_SAME and PLACE_LEFT as the overwrite rule has it.  Return 0,
 * or -1 with ${e}: a directory that cannot be replaced, or it cannot be looked at.
 */
int object_there(const struct place_dir *d, const char *name, const struct entry *en,
    enum place_result *res, struct stat *st, struct err *e);

/**
 * object_publish(d, temp, name, res, e):
 * Rename a finished object to its name by the overwrite rule; where that rule
 * leaves what is there the temporary one is removed and ${res} says
 * PLACE_LEFT.  Return 0 or -1 with ${e} and the temporary one removed.
 */
int object_publish(const struct place_dir *d, const char *temp, const char *name,
    enum place_result *res, struct err *e);

/* Make the symlink ${en} in ${d} and set its attributes; as place_special. */
int object_symlink(const struct place_dir *d, const struct entry *en, struct meta_report *report,
    enum place_result *res, struct err *e);

#endif
