#ifndef SAMARA_FLOW_BUILD_H
#define SAMARA_FLOW_BUILD_H

/* Building an image: from paths to a sealed image on a disk. */

#include <stdbool.h>
#include <stdint.h>

#include "common/flow/state.h"
#include "common/walk/walker.h"

struct err;
struct exclude;
struct job;
struct pace;

/* What is read, and how. */
struct build_source {
	const char *const *paths;
	size_t npaths;
	const struct exclude *exclude;
	const struct walk_never *never;
	size_t nnever;
	bool one_file_system, network_file_systems, exclude_caches;
	bool force_read, ignore_inode, ignore_ctime;
	int level;			/* zstd */
	unsigned workers;
	size_t memory;			/* bytes, for everything */
	struct pace *pace;		/* what reading is held to, or NULL */
};

/* What came of it. */
struct build_result {
	uint64_t entries, files, bytes;		/* in the snapshot */
	uint64_t unreadable;			/* items left out that should be in */
	uint64_t warnings;
	uint64_t skipped;			/* left out on purpose */
	uint64_t unchanged;			/* files not read again */
	uint64_t read_bytes;
	uint64_t stored_bytes, stored_packs;	/* in this image, all runs */
	uint8_t root_id[DIGEST_LEN];
};

/* A disk that can be removed. */
struct build_disk_report {
	char name[16];			/* RM4K-1 */
	uint64_t bytes;			/* of packs */
	uint32_t packs;
	bool full;			/* others follow; else the image is sealed */
	bool read_back;			/* from the medium */
	bool mounted;			/* by this job, and it cannot be unmounted */
};

/* A build as the command line has it. */
struct build_options {
	const char *state_path;
	const char *state_given;	/* --state as it was said, for commands that go on; NULL: the usual place */
	const char *const *disks;	/* --to, each a mounted directory or a block device */
	size_t ndisks;
	const char *const *paths;
	size_t npaths;
	const char *set;		/* NULL: "files" */
	const char *const *excludes;	/* patterns, in order; those of files are read by the caller */
	size_t nexcludes;
	bool resume, one_file_system, network_file_systems, exclude_caches, full;
	bool plain_directory, no_read_back, no_key_test, force_read, ignore_inode, ignore_ctime;
	int level;
	unsigned workers;		/* 0: one a processor */
	size_t memory;
	bool dry_run;
	const char *missing;		/* a gap list: make a top-up of what it names, from no paths */
	const char *given_up;		/* new file for the list of what cannot be had; NULL: none */
	const char *snapshot, *hook;	/* "btrfs", "lvm", "hook", and the program of the last; or NULL */
	const char *before, *after;	/* programs run around the walk, or NULL */
	uint64_t read_limit;		/* bytes a second; 0: none */
	bool spread;			/* all disks at the same time */
	int parity;			/* percent, 0 to 20; -1: 5, or as the image was begun with */
	uint64_t reserve;		/* bytes to leave free on each disk; UINT64_MAX: 0, or as before */
	uint32_t replace;		/* the number of a disk that is gone; the first of ${disks} takes its place */
	const char *image;		/* with replace: short name */
	/* A disk is closed, was read back and can be removed.  From any thread, one at a time. */
	void (*disk_done)(void *arg, const struct build_disk_report *d);
	/* Another disk than ${last}, which can be removed: 0 with its path, 1 there is nobody to ask, -1 with ${e}. */
	int (*disk_ask)(void *arg, const char *last, char *path, size_t n, struct err *e);
	void *disk_arg;
	/* The key test: gives the passphrase in secret memory (freed by the callee's caller), or -1 with ERR_NO_PASSPHRASE. */
	int (*passphrase)(void *arg, char **pass, size_t *len, struct err *e);
	void *passphrase_arg;
};

/* What a person is told at the end. */
struct build_report {
	struct build_result result;
	char short_name[SHORT_LEN + 1];
	uint8_t snapshot_id[ID_LEN];
	uint64_t seq;
	uint8_t manifest_digest[DIGEST_LEN];
	bool sealed;
	unsigned disks;			/* of the image */
	bool read_back;			/* all that this run checked, from the medium */
	uint64_t disk_bytes;		/* packs on them */
	uint32_t disk_packs;
	uint64_t job;
	uint64_t missing, given_up, files_lost;	/* of a top-up: ids asked for, not had; files named */
};

/**
 * build_run(o, r, e):
 * Everything from paths (or, with resume, from where the journal stands) to a
 * sealed image.  Return 0; 3 when sealed but source items could not be read
 * (each was said); -1 with ${e}.  After any -1 and after a power cut the same
 * command with --resume goes on; what it read into durable packs is not read
 * again.  ERR_KEY_TEST: all is there but the seal (key test).  ERR_DISK_NEEDED:
 * the disks at hand are full, or one is needed that is not there.
 */
int build_run(const struct build_options *o, struct build_report *r, struct err *e);

/**
 * build_seal(s, short_name, disks, ndisks, pass, len, r, e):
 * The key test of an image that was left building for want of a passphrase:
 * opens a chunk read from the disk with the passphrase's own slot, then seals.
 * A sealed image is just tested.
 */
int build_seal(const char *state_path, const char *short_name, const char *const *disks, size_t ndisks, const char *pass, size_t len,
    struct build_report *r, struct err *e);

#endif
