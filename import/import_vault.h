#ifndef SAMARA_IMPORT_IMPORT_VAULT_H
#define SAMARA_IMPORT_IMPORT_VAULT_H

/* Which vault a command line means. */

#include <stddef.h>

struct args;
struct err;

#define IMPORT_VAULTS	"/srv/samara"

/* The directory of vaults: SAMARA_VAULTS, else IMPORT_VAULTS. */
const char *import_vaults(void);

/* 1 if a vault lies at ${path}. */
int import_is_vault(const char *path);

/**
 * import_vault(a, others, path, e):
 * The vault of a command that needs ${others} operands besides it: the first
 * operand where there are more than ${others} or it is a vault, else SAMARA_VAULT, else the
 * only vault in the directory of vaults.  Return how many operands were used
 * (0 or 1) with ${path} (borrowed, or static memory), or -1 with ERR_USAGE.
 */
int import_vault(const struct args *a, size_t others, const char **path, struct err *e);

/**
 * import_disks(a, vault, first, e):
 * Of [VAULT] DISK...: the ${vault} that was named or that SAMARA_VAULT names
 * (NULL: by each disk's label) and the ${first} operand that is a disk.  0, or
 * -1 with ERR_USAGE.
 */
int import_disks(const struct args *a, const char **vault, size_t *first, struct err *e);

#endif
