#ifndef SAMARA_TESTS_CRASH_DISKS_WORLD_H
#define SAMARA_TESTS_CRASH_DISKS_WORLD_H

/*
 * A machine whose images lie on several disks, the first of them full after
 * one pack; what it does with them, and what must hold when it has done it.
 * State and disks stand below one directory, so that they can be taped, copied
 * and made again somewhere else; what is read stands outside of it.
 */

#include "flow/machine_maker.h"

enum disks_deed {
	DISKS_BOTH,		/* build over two disks that are both at hand */
	DISKS_ONE_BAY,		/* the same, one disk at a time */
	DISKS_SPREAD,		/* and written at the same time */
	DISKS_TOPUP,		/* all that the image holds is missing: make it again on a third disk */
	DISKS_TOPUP_TWO,	/* the same over two disks, the first of which is full after one pack */
	DISKS_REPLACE,		/* the first disk of a sealed image is gone, a third takes its place */
	DISKS_DEEDS
};

struct disks_world {
	struct machine_maker m;
	char src[96], gaps[96];
	char start[2][96];	/* before anything was built; with an image on two disks */
	char image[8];		/* that image's name */
};

/* Make it; fails the test that calls it where it cannot.  Drop ends it. */
void disks_world_make(struct disks_world *w);
void disks_world_drop(struct disks_world *w);

const char *disks_deed_name(enum disks_deed deed);

/* Put a copy of what ${deed} begins with into the directory ${at}, in place of what is there. */
void disks_start(const struct disks_world *w, enum disks_deed deed, const char *at);

/* Do it: what build_run says. */
int disks_run(const struct disks_world *w, enum disks_deed deed, const char *at, struct err *e);

/* The same again, or go on, as the state at ${at} asks for: what build_run says. */
int disks_go_on(const struct disks_world *w, enum disks_deed deed, const char *at, struct err *e);

/*
 * After DISKS_TOPUP_TWO: its first disk is gone, and the top-up that ${at} has
 * gets another in its place.  What build_run says.
 */
int disks_replace_topup(const struct disks_world *w, const char *at, struct err *e);

/* Whether the state at ${at} says that it is done. */
int disks_done(const struct disks_world *w, enum disks_deed deed, const char *at);

/* It is done, and everything is on the disks that should have it: 0, or -1 with ${e}. */
int disks_good(const struct disks_world *w, enum disks_deed deed, const char *at, struct err *e);

#endif
