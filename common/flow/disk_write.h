#ifndef SAMARA_FLOW_DISK_WRITE_H
#define SAMARA_FLOW_DISK_WRITE_H

/*
 * What a build writes on a disk beside packs (docs/formats/disk.md): label,
 * keys, README, snapshots, index, statement, manifest.  Everything by
 * temporary name, sync and rename; everything small twice.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/flow/custody.h"
#include "common/disk/mount.h"
#include "common/flow/image_state.h"
#include "common/flow/state.h"

struct err;
struct buf;

/* A disk to write to. */
struct disk_target {
	int fd;			/* of its top directory; of ${mount} */
	struct disk_mount mount;
	char path[4096];	/* as it was named */
	char fs_type[32];
	uint8_t fs_id[ID_LEN];
	bool plain;		/* --plain-directory */
};

/**
 * disk_target_open(path, plain, state_fd, sources, n, t, e):
 * Open ${path}, a directory or a block device, as a disk for writing; what
 * disk_mount_open (common/disk/mount.h) says, too.  Unless ${plain}: something
 * must be mounted there, other than the file system of "/", of the state or of
 * a source (ERR_TARGET).  Also ERR_PERMISSION where it is read-only.
 */
int disk_target_open(const char *path, bool plain, int state_fd, const char *const *sources, size_t n,
    struct disk_target *t, struct err *e);
/* 0, or -1 where it was mounted here and cannot be unmounted: warned about; do not say that it can be removed. */
int disk_target_close(struct disk_target *t);

/* True if the disk has a directory samara/NAME already. */
bool disk_has_image(const struct disk_target *t, const char *name);

/**
 * disk_begin(t, s, name, label, e):
 * Make samara/NAME with keys (registration and sealed slots only where ${s} has them),
 * README and, last, the label (${label}: encoded, ${len} bytes).  Done again it is the same.  Return the descriptor of the
 * image's directory, or -1 with ${e}.
 */
int disk_begin(const struct disk_target *t, struct state *s, const char *name, const uint8_t *label, size_t len, struct err *e);

/**
 * disk_resume(t, name, label, len, e):
 * Open samara/NAME and see that its label is ${label} and the file system the
 * one that the label names, as far as both are known; remove what a killed run
 * left there.  Descriptor, or -1 with ERR_WRONG_DISK.
 */
int disk_resume(const struct disk_target *t, const char *name, const uint8_t *label, size_t len, struct err *e);

/* Snapshot ${n} of the image: envelope and the reference list parts from ${from} (directory, "NNNNNNNN.rNN" names by ${seq}), twice. */
int disk_write_snapshot(int imagefd, uint32_t n, const uint8_t *env, size_t len, int from, uint64_t seq, struct err *e);

/**
 * disk_write_index(imagefd, s, im, st, e):
 * The index of disk st->disk from the journal of image ${im}, in parts, twice; fills
 * the index and pack fields of ${st}.
 */
int disk_write_index(int imagefd, struct state *s, const struct image_state *im, struct disk_statement *st, struct err *e);

/* A small statement twice: ${first} and ${second}, below ${imagefd} (directories are made). */
int disk_write_twice(int imagefd, const char *first, const char *second, const void *bytes, size_t len, struct err *e);

struct read_back_how {
	bool snapshot;		/* the snapshot is on it, too */
	const uint64_t *seqs;	/* or these are, in this order, each with NNNNNNNN.env in the state's snaps/ */
	size_t nseqs;
	bool counted;		/* the progress line is about this */
	unsigned workers;
};

/**
 * disk_read_back(imagefd, s, im, d, how, j, from_medium, e):
 * Read every pack of the closed disk ${d}, its index, label and statement, and
 * the snapshot where it has one, back from the medium (medium.h) and compare
 * with what was meant to be written: tables and footers, and the digest of every
 * frame.  In the same pass parity is coded, written and read back as the
 * statement has it, group by group; each has a record in the journal ${j}, so
 * that after a kill the next call goes on behind it.  With parity two threads
 * work and not how->workers, in (m + 2) packs of memory.
 * ${from_medium} is false where a cache may have answered.  0, or -1 with
 * ERR_MEDIUM naming what is wrong, ERR_FSYNC, ERR_NO_SPACE ….
 */
struct journal;
int disk_read_back(int imagefd, struct state *s, const struct image_state *im, const struct image_disk *d,
    const struct read_back_how *how, struct journal *j, bool *from_medium, struct err *e);

#endif
