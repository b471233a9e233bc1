#ifndef SAMARA_FLOW_VAULT_FATE_H
#define SAMARA_FLOW_VAULT_FATE_H

/* What becomes of an image on its way to a vault, and of its disks afterwards: decisions of the vault's keeper. */

#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"

/* A parcel that somebody tells the vault of, or in which disks go back. */
struct parcel_words {
	const char *carrier, *tracking;	/* NULL: not said */
	int64_t arrives;		/* seconds; 0: not said */
};

/**
 * vault_expect_file(v, path, dry_run, p, e):
 * Take a machine's announcement out of file ${path}.  0 with ${p}; 1 where
 * nothing in it is new; -1 with ${e}: ERR_FORMAT, ERR_SIGNATURE (also where a
 * machine of this vault has another key), ERR_WRONG_VAULT, ERR_RULE where the
 * parcel number is another image's or the image needs no parcel any more.  A
 * machine that is not known yet is taken at its word: only its disk shows.
 */
int vault_expect_file(struct vault *v, const char *path, int dry_run, struct cat_parcel *p, struct err *e);

/**
 * vault_parcel_decide(v, machine, bytes, len, dry_run, p, e):
 * The same in a transaction that runs already, of the announcement as it is; ${machine} not
 * NULL: whose it must be.
 */
int vault_parcel_decide(struct vault *v, const uint8_t *machine, const uint8_t *bytes, size_t len, int dry_run,
    struct cat_parcel *p, struct err *e);

/* The same for an image that the vault has seen, with what was told on the phone.  Also ERR_NO_IMAGE, ERR_USAGE. */
int vault_expect_image(struct vault *v, const char *text, const struct parcel_words *w, int dry_run, struct cat_parcel *p,
    struct err *e);

/**
 * vault_tracking_check(v, image, tracking, e): one parcel number, one image: 0;
 * -1 with ERR_RULE where another image of this vault has it.
 */
int vault_tracking_check(struct vault *v, const uint8_t image[ID_LEN], const char *tracking, struct err *e);

/**
 * vault_parcel_waits(v, p, out, e): whether something of the parcel is still to
 * come: 1, with ${out} disks that are out (0: nobody knows how many); 0; -1.
 */
int vault_parcel_waits(struct vault *v, const struct cat_parcel *p, uint32_t *out, struct err *e);

enum vault_fate { FATE_LOST = 1, FATE_CANCELLED, FATE_REOPENED };

/**
 * vault_fate(v, text, fate, why, dry_run, i, e):
 * The image that ${text} names is lost on its way, cancelled, or reopened after
 * that (or after its lease ran out: a new one begins).  What a lost or cancelled
 * one promised is promised no more, and states are computed anew; nothing is
 * deleted.  Disks of a lost image are taken in when they turn up, those of a
 * cancelled one only after it was reopened.  ${why} "": nobody said.  0 with ${i} as it is
 * then; 1 it was so before; -1 with ${e}: ERR_NO_IMAGE, ERR_RULE.
 */
int vault_fate(struct vault *v, const char *text, enum vault_fate fate, const char *why, int dry_run, struct cat_image *i,
    struct err *e);

/**
 * vault_fate_take(v, machine, bytes, len, i, e):
 * The same as the machine itself says it in a signed statement: lost, cancelled,
 * or found again.  Of an image that the vault never heard of it is kept too, so that a
 * cancelled one is refused when it turns up.  0 with ${i}; 1 it was so before, or a later statement
 * was taken already; -1 with ${e}: ERR_FORMAT, ERR_SIGNATURE, ERR_WRONG_VAULT, ERR_RULE.
 */
int vault_fate_take(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct cat_image *i,
    struct err *e);

struct release_options {
	struct parcel_words words;
	const char *force;		/* why it goes without a hand-off; NULL: it does not */
	int dry_run;
};

/**
 * vault_release(v, text, o, i, e):
 * The disks of the image go back: only after the machine's answer to a receipt,
 * or with o->force, which stands in the custody log.  0 with ${i}; 1 they went
 * before; -1 with ${e}: ERR_NO_IMAGE, ERR_RULE.
 */
int vault_release(struct vault *v, const char *text, const struct release_options *o, struct cat_image *i, struct err *e);

/* Whether its disks may be erased: 0; -1 with ERR_RULE and "do not erase NAME", unless ${force}. */
int vault_may_erase(const struct cat_image *i, const char *name, const char *force, struct err *e);

struct wipe_result {
	char name[SHORT_LEN + 12];	/* "RM4K-1" */
	char machine_name[NAME_MAX_LEN + 1];
	uint64_t files, bytes;		/* deleted, or that would be */
	uint64_t foreign;		/* left alone: each was told */
	int gone;			/* nothing of the image is left on the disk */
};
struct wipe_options {
	const char *force;		/* why without a hand-off; NULL: not */
	int dry_run;
	void (*foreign)(void *arg, const char *path);	/* a file that is not the image's */
	void (*done)(void *arg, const struct wipe_result *r);
	void *arg;
};

/**
 * vault_wipe(v, path, o, e):
 * Delete the files of this vault's images from the disk at ${path}: those that
 * the image's own statements list, its label last; what else lies there stays.
 * Nothing is overwritten: what is deleted is encrypted.  Recorded before the
 * label goes.  Killed in the middle the same command goes on.  0, or -1 with
 * ${e}: ERR_RULE (do not erase), ERR_WRONG_VAULT, ERR_NO_IMAGE, ERR_PERMISSION, ….
 */
int vault_wipe(struct vault *v, const char *path, const struct wipe_options *o, struct err *e);

#endif
