#ifndef SAMARA_WALK_PLACE_CHAIN_H
#define SAMARA_WALK_PLACE_CHAIN_H

/*
 * The directories from the target down to one below it.  The deepest 32 and
 * every 256th stay open; others are opened again, name by name from the
 * nearest one above that is.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/walk/place.h"

/* A directory that several threads may hold. */
struct place_dir {
	unsigned held;		/* changed atomically */
	int fd;			/* O_PATH */
	bool fresh;		/* made by this run: nothing of others is in it */
	const struct place_options *opt;
};

struct chain_level {
	struct place_dir *dir;	/* NULL: closed meanwhile */
	size_t path_len;
	bool fresh;
};

struct chain {
	const struct place_options *opt;
	struct chain_level *level;	/* level 0 is the target */
	size_t n, cap;
	char *path;		/* PATH_LEN_MAX + 1 */
};

/* Begin at the target ${dirfd}, which is duplicated.  0, or -1 with ${e}. */
int chain_init(struct chain *c, int dirfd, const struct place_options *opt, struct err *e);
void chain_release(struct chain *c);

/**
 * chain_enter(c, path, make, e):
 * Go to ${path}, making what is missing if ${make}.  0; or -1 with ${e}, and
 * the chain ends at the deepest one that could be entered.
 */
int chain_enter(struct chain *c, struct fmt_view path, bool make, struct err *e);

/* The directory at the end of the chain; open. */
struct place_dir *chain_end(const struct chain *c);

/**
 * dir_place(d, name, made, e):
 * Make the directory ${name} in ${d}, 0700, or take the one that is there;
 * ${made} says which.  Something else in the way goes by the overwrite rule.
 * Return an O_PATH descriptor, or -1 with ${e}.
 */
int dir_place(const struct place_dir *d, const char *name, bool *made, struct err *e);

#endif
