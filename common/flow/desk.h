#ifndef SAMARA_FLOW_DESK_H
#define SAMARA_FLOW_DESK_H

/*
 * The receiving desk: a disk is looked at before it is read.  Label and
 * statement say whose it is, for which vault, and of which image; the vault's
 * books say what of that image is still to come.  What is decided is recorded;
 * nothing else of the disk touches the vault.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct vault;

#define RECEIVE_MISSING_MAX	16	/* numbers of disks that are named one by one */

struct receive_options {
	const char *image;	/* short name; NULL: every image on the disk */
	const char *tracking;	/* of the parcel that it came in; NULL: nobody said */
	int only_own;		/* pass over images for other vaults; else they are refused */
	int dry_run;		/* decide, record nothing */
};

/* What is known of one image on one disk. */
struct receive_result {
	char short_name[SHORT_LEN + 1];
	uint32_t disk;
	uint8_t image_id[ID_LEN], machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	char vault_name[NAME_MAX_LEN + 1];	/* as its label has it */
	char manifest[24];		/* the manifest's short string; "" if there is none on the disk */
	int refused;			/* 0, or the enum err_code that says how */
	int unclaimed;			/* refused, and may be admitted by hand */
	char why[TEXT_MAX_LEN + 1];
	int registers;			/* its machine is not known yet; the registration on the disk is good */
	int again;			/* it was received before */
	char announced[TEXT_MAX_LEN * 2 + 2];	/* carrier and number of the parcel that was announced for it; "" if none was */
	int other_parcel;		/* it came in another one */
	unsigned disk_state, image_state;	/* enum cat_disk_state, cat_image_state; 0: none yet */
	int complete;			/* this very disk was ingested, and nothing of it was bad */
	/* Of the image, as far as a manifest is known; with this disk counted as received. */
	uint32_t disks, disks_in, disks_here, disks_missing;
	uint32_t missing[RECEIVE_MISSING_MAX];	/* the first of them */
};

typedef void (*receive_done_fn)(void *arg, const struct receive_result *r);

/**
 * receive_disk(v, path, o, done, arg, e):
 * Receive the disk at ${path}: decide about each image on it, record that it is
 * here (with a custody record) or why it was refused, and tell ${done}.  A disk
 * that is here already is recorded again only with another tracking number.
 * Return 0, also where all was refused; -1 with ${e}: ERR_NO_IMAGE, ERR_IO, ….
 * A power cut leaves it received or not.
 */
int receive_disk(struct vault *v, const char *path, const struct receive_options *o, receive_done_fn done, void *arg,
    struct err *e);

/* Where vaults are looked for. */
struct desk_vaults {
	const char *vault;	/* this one and no other; NULL: by the labels */
	const char *dir;	/* the directory of vaults (SAMARA_VAULTS) */
};

/**
 * desk_each_vault(where, path, fn, arg, e):
 * Open every vault for which an image lies on the disk at ${path} and call
 * ${fn}(arg, vault, path of the disk's top directory, e) with each, until one
 * fails.  The disk stays mounted meanwhile.  Return 0 or -1 with ${e}:
 * ERR_NO_IMAGE; ERR_NO_VAULT (one of them is not to be found; the others were
 * served), what vault_open says, what ${fn} says.
 */
int desk_each_vault(const struct desk_vaults *where, const char *path,
    int (*fn)(void *arg, struct vault *v, const char *path, struct err *e), void *arg, struct err *e);

#endif
