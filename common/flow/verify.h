#ifndef SAMARA_FLOW_VERIFY_H
#define SAMARA_FLOW_VERIFY_H

/*
 * Checking disks and vaults, without a key or with it.  Nothing found ends a
 * check; only an error of the check's own does.
 */

#include <stdint.h>

#include "common/check/finding.h"
#include "common/flow/keyring.h"

/* How far it went, lowest first. */
enum proof {
	PROOF_QUICK,	/* structure and checksums: accidents, not an adversary */
	PROOF_DIGESTS,	/* every byte against signed digests */
	PROOF_OPENED	/* and every chunk opened, every listing read */
};

struct verify_options {
	const struct keyring *keys;	/* NULL: without a key */
	int keys_must;			/* they must be those of an image or machine there: else ERR_WRONG_DISK */
	int quick;
	uint32_t sample;		/* millionths of the packs, by chance; 0: all */
	unsigned workers;		/* 0: one a processor */
	size_t memory;
	const char *repair_to;		/* verify_disks of one disk: where to write a repaired copy; NULL: nowhere */
	finding_fn fn;
	void *arg;
};

struct verify_result {
	enum proof proof;
	uint64_t packs, packs_read, chunks, bytes, bad_chunks;
	uint64_t snapshots, snapshots_whole, entries, files;
	uint64_t records;		/* of a vault */
	uint64_t notes, repairable, lost;
	uint64_t packs_repaired, packs_lost;	/* in the repaired copy */
	char name[128];			/* "RM4K-1, RM4K-2"; the vault's name */
};

/**
 * verify_disks(paths, n, o, r, e):
 * Every image on the disks at ${paths}, together: labels, statements,
 * manifests, indexes, every pack, every envelope and reference list.  What is
 * damaged and can be made again from parity is SEV_REPAIRABLE; with
 * o->repair_to a repaired copy of each closed image is written there, and listings
 * are read from it (ERR_TARGET where it lies on the disk, ERR_EXISTS).  Return
 * 0 with ${r} whatever was found; -1 with ${e}: ERR_NO_IMAGE, ERR_INTERRUPTED, ….
 */
int verify_disks(const char *const *paths, size_t n, const struct verify_options *o, struct verify_result *r, struct err *e);

/**
 * verify_vault(path, o, r, e):
 * The vault's description and chain of records, every pack, and every
 * snapshot's envelope and reference list against what is held.
 */
int verify_vault(const char *path, const struct verify_options *o, struct verify_result *r, struct err *e);

/**
 * verify_snapshot(se, snap, o, r, e):
 * With the key: every chunk that ${snap} needs, from the first place of the
 * session ${se} where it is good, and its listing.  As verify_disks.
 */
struct session;
struct snapshot;
int verify_snapshot(struct session *se, const struct snapshot *snap, const struct verify_options *o, struct verify_result *r,
    struct err *e);

/* The level of proof, for a person. */
const char *proof_text(enum proof p);

#endif
