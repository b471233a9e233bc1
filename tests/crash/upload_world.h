#ifndef SAMARA_TESTS_CRASH_UPLOAD_WORLD_H
#define SAMARA_TESTS_CRASH_UPLOAD_WORLD_H

/*
 * A machine and what it brings to its vault in one session: two packs, a list
 * against the snapshot that the vault has, a commit.  The vault as it is before,
 * and what must hold of it whatever happened meanwhile.
 */

#include <stdint.h>

struct err;

#define UPLOAD_STEPS	4u	/* acknowledgements: pack, pack, list, commit */

struct upload_world {
	char root[64];			/* scratch directory */
	char vault[96];			/* before: machine and snapshot 1 are in */
};

/* Make it; fails the test that calls it where it cannot.  upload_world_drop ends it. */
void upload_world_make(struct upload_world *w);
void upload_world_drop(struct upload_world *w);

/**
 * upload_world_bring(vault, told, arg, e):
 * Bring all of it in the session that is always the same; ${told} (may be NULL) hears of each
 * acknowledgement as it comes.  0 or -1 with ${e}.
 */
int upload_world_bring(const char *vault, void (*told)(void *arg, unsigned step), void *arg, struct err *e);

/**
 * upload_world_good(vault, steps, e):
 * Every pack that the catalog names is there, whole; every snapshot has all it needs; of what
 * is brought the first ${steps} acknowledgements hold.  0, or -1 with ${e} in words.
 */
int upload_world_good(const char *vault, unsigned steps, struct err *e);

/* The catalog, as it is, says the same as one made anew.  0 or -1. */
int upload_world_rebuilds(const char *vault, struct err *e);

#endif
