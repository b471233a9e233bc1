#ifndef SAMARA_WALK_WALK_PATHS_H
#define SAMARA_WALK_WALK_PATHS_H

/* The PATHs of a walk: absolute, without symlinks, sorted; which of them lie where. */

#include <stdbool.h>
#include <stddef.h>

struct err;

struct given_path {
	const char *given;	/* borrowed */
	char *resolved;
	size_t len;
	bool followed;		/* its last name was a symlink */
	bool inside;		/* below another one, or the same as one before it */
};

struct path_list {
	struct given_path *given;	/* in the caller's order */
	size_t n;
	struct given_path **sorted;	/* each resolved name once, in listing order */
	size_t nsorted;
};

/**
 * path_list_init(l, paths, n, e):
 * Resolve each of ${n} paths.  Return 0, or -1 with ${e} (ERR_SOURCE for one
 * that is not there, ERR_USAGE for none at all) and ${l} released.
 */
int path_list_init(struct path_list *l, const char *const *paths, size_t n, struct err *e);
void path_list_release(struct path_list *l);

/* The PATHs strictly below a directory: sorted[from] .. sorted[to - 1]. */
struct path_range {
	size_t from, to;
};

/* The range below the directory ${dir} ("/" or an absolute name); empty: from == to. */
struct path_range path_list_below(const struct path_list *l, const char *dir, size_t len);

/* What the child ${name} of a directory is to the PATHs of its range. */
enum path_claim {
	CLAIM_NONE,	/* no PATH is there or below */
	CLAIM_ABOVE,	/* a PATH lies below it */
	CLAIM_EXACT	/* it is a PATH itself */
};
/* ${dir_len}: length of the directory's name, as path_list_below had it. */
enum path_claim path_list_claim(const struct path_list *l, struct path_range r, size_t dir_len,
    const char *name, size_t len);

/**
 * path_list_step(l, r, dir_len, at, name, len):
 * Walk the distinct names that lead from a directory to the PATHs of its range
 * ${r}, sorted: ${at} begins as r.from and moves on.  True while there is one.
 */
bool path_list_step(const struct path_list *l, struct path_range r, size_t dir_len, size_t *at,
    const char **name, size_t *len);

#endif
