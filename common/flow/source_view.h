#ifndef SAMARA_FLOW_SOURCE_VIEW_H
#define SAMARA_FLOW_SOURCE_VIEW_H

/*
 * A source that stands still while it is walked for days: a snapshot of each
 * PATH, taken before, walked in its place, and always removed.  What is going
 * to be made stands in the state first (views/NAME, locked by the process that
 * uses it), so that after a kill the next build finds and removes it.
 *
 *   btrfs	a read-only snapshot of the subvolume that a PATH lies in, beside
 *		what is in it, as .samara-NAME
 *   lvm	lvcreate --snapshot of the volume, mounted read-only in the state
 *   hook	PROGRAM take PATH prints a directory; PROGRAM remove PATH DIR
 */

#include <stddef.h>

#include "common/walk/walker.h"

struct err;
struct state;
struct source_view;

struct source_view_options {
	const char *kind;		/* "btrfs", "lvm", "hook"; NULL: the live tree */
	const char *hook;		/* the program of "hook" */
	const char *before, *after;	/* programs run around the walk, or NULL */
	const char *const *env;		/* SAMARA_* for all of these; NULL at the end */
};

/* 0 if ${o} makes sense, else -1 with ERR_USAGE. */
int source_view_check(const struct source_view_options *o, struct err *e);

/**
 * source_view_try(o, paths, n, e):
 * Whether snapshots of the ${n} ${paths} could be taken, as far as that can be
 * told without taking one: 0, or -1 with ${e} (ERR_USAGE, ERR_SOURCE).  Before
 * anything is begun.
 */
int source_view_try(const struct source_view_options *o, const char *const *paths, size_t n, struct err *e);

/**
 * source_view_open(statefd, o, paths, n, e):
 * Remove what an earlier process left, run the hook before, take snapshots of
 * the ${n} ${paths} (absolute).  NULL with ${e}: then nothing of it is left,
 * and the hook after has run if the one before had.
 */
struct source_view *source_view_open(int statefd, const struct source_view_options *o, const char *const *paths,
    size_t n, struct err *e);

/* What to give the walker: ${instead} lives as long as ${v}. */
void source_view_apply(const struct source_view *v, struct walk_options *w);

/**
 * source_view_close(v, e):
 * Remove the snapshots and run the hook after; NULL is allowed.  Return 0, or
 * -1 with ${e} when something could not be removed: it is tried again by the
 * next build.  ${v} is gone in any case.
 */
int source_view_close(struct source_view *v, struct err *e);

/**
 * source_view_sweep(statefd, e):
 * Remove what processes that are gone left behind.  Return how many could not
 * be removed (each said on stderr), or -1 with ${e}.
 */
int source_view_sweep(int statefd, struct err *e);

#endif
