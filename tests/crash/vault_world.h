#ifndef SAMARA_TESTS_CRASH_VAULT_WORLD_H
#define SAMARA_TESTS_CRASH_VAULT_WORLD_H

/*
 * A machine with two sealed images, a full one and an increment, each on a disk
 * of its own; the vault that they are for, before and after it took them in;
 * and what must hold of every vault that has taken them in.
 */

#include <stdint.h>

#include "common/flow/ingest.h"
#include "formats/fmt_vault.h"

struct err;

#define WORLD_IMAGES	2u

struct vault_world {
	char root[64];				/* scratch directory */
	char state[96];				/* of the machine */
	char vault[WORLD_IMAGES + 1][96];	/* vaults: issued a credential; and took in the first image; and the second */
	char disk[WORLD_IMAGES][96];
	char image[WORLD_IMAGES][8];		/* short names */
	char *text[WORLD_IMAGES];		/* what a snapshot holds, as text with digests of contents */
	char *objects[WORLD_IMAGES + 1];	/* names in these vaults, but for records */
	uint8_t machine[16];
};

/* Make it; fails the test that calls it where it cannot.  world_drop ends it. */
void world_make(struct vault_world *w);
void world_drop(struct vault_world *w);

/* Copy the directory ${from}, files and directories, to ${to}, which is not there yet. */
void world_copy(const char *from, const char *to);

/* The real system but for fsync, which answers at once: for runs whose power is not cut. */
void world_no_fsync(void);
void world_fsync(void);

/* A new vault, always the same order.  0, or -1 with ${e}. */
int world_create(const char *vault, struct err *e);

/* Issue a credential for ${machine}.  0, or -1 with ${e}. */
int world_credential(const char *vault, const char *machine, struct credential *c, struct err *e);

/* Take in image ${i}.  0: nothing of it was bad or unclaimed; -1 with ${e}. */
int world_ingest(const struct vault_world *w, const char *vault, unsigned i, struct ingest_result *r, struct err *e);

/* 0 if the snapshot of image ${i} is called whole by the vault's catalog, as it is. */
int world_snapshot_is_whole(const struct vault_world *w, const char *vault, unsigned i, struct err *e);

/* 0 if the credential ${c} is known to the vault, records that the catalog has not seen included. */
int world_credential_is_known(const char *vault, const struct credential *c, struct err *e);

/* All that the catalog says, as text in new memory; records that it has not seen are applied first.  NULL with ${e}. */
char *world_dump(const char *vault, struct err *e);

/**
 * world_whole(w, vault, n, e):
 * The vault has the first ${n} images, and is good: everything in it agrees
 * without a key; every file of these snapshots is what it was, read with it;
 * the catalog calls them whole and a rebuild gives the same answers.  0, or -1
 * with ${e} in words.
 */
int world_whole(const struct vault_world *w, const char *vault, unsigned n, struct err *e);

/**
 * world_good(w, vault, n, gaps, e):
 * As world_whole, for a vault in which something may not have come to its end:
 * there may be more snapshots, with gaps if ${gaps}, and no catalog.
 */
int world_good(const struct vault_world *w, const char *vault, unsigned n, int gaps, struct err *e);

/* 0 if the objects in the vault, records apart, have the names that they have in w->vault[n]. */
int world_objects_agree(const struct vault_world *w, const char *vault, unsigned n, struct err *e);

#endif
