#ifndef SAMARA_WALK_OWNER_H
#define SAMARA_WALK_OWNER_H

/*
 * Names of users and groups, asked of the system once for each number or name.
 * Safe from several threads at once.
 */

#include <stdint.h>

#include "formats/fmt.h"

struct owner_names;

/* A new, empty cache; NULL when there is no memory.  Free with owner_names_free (NULL is allowed). */
struct owner_names *owner_names_new(void);
void owner_names_free(struct owner_names *o);

/**
 * owner_user(o, uid), owner_group(o, gid):
 * The name that belongs to the number here; empty where there is none, it is
 * longer than 255 bytes, or memory is short.  Lives as long as ${o}.
 */
struct fmt_view owner_user(struct owner_names *o, uint32_t uid);
struct fmt_view owner_group(struct owner_names *o, uint32_t gid);

/**
 * owner_uid(o, name, number), owner_gid(o, name, number):
 * The number that belongs to the name here; ${number} itself where the name is
 * empty or not known.
 */
uint32_t owner_uid(struct owner_names *o, struct fmt_view name, uint32_t number);
uint32_t owner_gid(struct owner_names *o, struct fmt_view name, uint32_t number);

#endif
