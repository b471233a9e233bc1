#ifndef SAMARA_FLOW_INGEST_H
#define SAMARA_FLOW_INGEST_H

/*
 * Taking in a disk (docs/formats/vault.md, "Ingest"): who it is from, what the
 * vault lacks, every pack read once and checked, what is good stored, what is
 * not named.  No machine's key is anywhere near.  Kill it at any moment and
 * run it again; run it twice at once; bring the disks of an image in any order.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct checkers;
struct err;
struct vault;

/* How far it is, for others to look at; bytes of packs. */
struct ingest_watch {
	atomic_uint_fast64_t total, read;
};

struct ingest_options {
	const char *image;	/* short name; NULL: every image on the disk that is for this vault */
	unsigned jobs;		/* threads that check; 0: one a processor */
	uint64_t memory;	/* bytes for packs in hand; 0: a default */
	int dry_run;		/* look and count, store nothing */
	struct checkers *checkers;	/* that are shared (ingest_check.h); NULL: its own */
	struct ingest_watch *watch;	/* NULL: it has a progress line of its own */
};

/* What happened with one image on one disk. */
struct ingest_result {
	char short_name[SHORT_LEN + 1];
	uint32_t disk;
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t image_id[ID_LEN];
	int unclaimed;			/* nothing of it entered: ${why} */
	int refused;			/* nor did it here: its image was cancelled, as ${why} says */
	char why[TEXT_MAX_LEN + 1];
	char manifest[24];		/* the manifest's short string; "" if there is none on the disk */
	uint32_t generation;
	uint32_t packs;			/* on the disk */
	uint32_t packs_read, packs_whole, packs_repacked, packs_bad;
	uint32_t packs_repaired;		/* made again from the disk's parity; counted above as well */
	uint64_t chunks_new, chunks_held, chunks_bad;	/* bad: not held after all */
	uint32_t damage;		/* statements, lists and indexes on the disk that cannot be believed */
	uint64_t bytes_read, bytes_stored;
	uint64_t to_read;		/* bytes of packs that have something new */
	uint64_t needed, room;		/* before the first byte: what is new, what is free */
	uint32_t snapshots_new;
	uint32_t whole, pending, gap;	/* snapshots of the image after it */
	uint32_t disks, disks_in;	/* of the image, as far as its manifest is known */
	int nothing_new;
};

/* Told once of each image. */
typedef void (*ingest_done_fn)(void *arg, const struct ingest_result *r);

/**
 * ingest_disk(v, path, o, done, arg, e):
 * Take in what stands on the disk mounted at ${path}; ${done} is called once
 * for each image.  Return 0: everything is in, or counted as bad or unclaimed
 * in the results; -1 with ${e}: ERR_NO_IMAGE, ERR_WRONG_VAULT, ERR_NO_SPACE
 * (before anything was written), ERR_DAMAGE (label or statement cannot be
 * believed, or two things on the disk contradict each other), ERR_INTERRUPTED, …: what was stored until then stays,
 * and the same command goes on.
 */
int ingest_disk(struct vault *v, const char *path, const struct ingest_options *o, ingest_done_fn done, void *arg,
    struct err *e);

/**
 * ingest_vault_of(path, vault_id, e):
 * For which vault the first image on the disk at ${path} was made, by its
 * label.  Return 0 or -1 with ${e} (ERR_NO_IMAGE …).
 */
int ingest_vault_of(const char *path, uint8_t vault_id[ID_LEN], struct err *e);

#endif
