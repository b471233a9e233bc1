#ifndef SAMARA_FLOW_BUILD_DISKS_H
#define SAMARA_FLOW_BUILD_DISKS_H

/*
 * The disks of a build that are at hand: which of the image's they are, which
 * are still empty of it, which have room, when one is closed, read back and
 * released, and which comes next.  Private to build*.c.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/flow/disk_write.h"
#include "common/flow/pack_sink.h"

#define BUILD_DISKS	64u	/* at hand in one run, at most, one after the other included */

struct build;

struct build_disk {
	struct build *b;
	struct disk_target target;
	int imagefd;			/* samara/NAME; -1: it carries nothing of this image, or was released */
	uint32_t number;		/* of the image's disks; 0: fresh */
	char name[16];			/* RM4K-1 */
	dev_t dev;			/* of its top directory */
	ino_t ino;
	bool taken;			/* somebody writes it, or has */
	bool released;
	/* What it carries, for the room that its closing takes. */
	uint64_t index_bytes;
	uint32_t packs, longest;
	/* Read back by a thread of its own, while others are written. */
	pthread_t thread;
	bool checking, joined;
	bool counted;			/* the progress line is about its being read back */
	bool stays;			/* until the image is sealed */
	bool mounted;			/* it was released, but could not be unmounted */
	bool done;			/* read back, or excused, by this run */
	int rc;
	struct err err;
	bool medium;
};

struct build_disks {
	pthread_mutex_t lock;		/* of the list, the numbers and what is said */
	struct build_disk *at[BUILD_DISKS];
	unsigned n;
	atomic_uint_fast64_t ids;	/* chunks that the snapshot may need: what its reference list will take */
	atomic_bool unproven;		/* a disk of this run was not read from the medium */
	atomic_bool bad;		/* a disk did not give back what was written */
	struct err err;			/* the first such; under the lock */
};

/**
 * build_disks_open(b, e):
 * Open every DISK that was given and see which of the image's it is: one that
 * was begun is found by its label, another is fresh.  Where none was given and
 * the image was begun, those that lie where they last were.  ERR_TARGET,
 * ERR_WRONG_DISK (a label that is not this image's; a disk that was given up),
 * ERR_USAGE (given twice), ERR_PERMISSION.
 */
int build_disks_open(struct build *b, struct err *e);
/* Wait for those that are still being read back, let go of all, and forget them. */
void build_disks_release(struct build *b);

/* Whether this directory is the top of a disk at hand; for the walk, which never enters one. */
bool build_disks_have(void *build, dev_t dev, ino_t ino);

/* The disk with that number; NULL if it is not at hand. */
struct build_disk *build_disk_at(struct build *b, uint32_t number);

/**
 * build_disk_begin(b, bd, replaces, e):
 * Make the fresh ${bd} the image's next disk: its label into the journal, then
 * image directory, keys and label onto it.  After a power cut between the two
 * the number is given to whichever disk is begun next.
 */
int build_disk_begin(struct build *b, struct build_disk *bd, uint32_t replaces, struct err *e);

/**
 * build_disks_writers(b, o, e):
 * Choose the disks to write, into o->disks: those that are open and at hand,
 * else a fresh one; with --spread all of both.  ERR_DISK_NEEDED.
 */
int build_disks_writers(struct build *b, struct pack_sink_options *o, struct err *e);

/**
 * build_disks_finish(b, e):
 * After the snapshot has its envelope: it is written on a disk, every disk is
 * closed and read back.  ERR_DISK_NEEDED names the disk that is not at hand;
 * ERR_MEDIUM the one that does not give back what was written.
 */
int build_disks_finish(struct build *b, struct err *e);

/* Tell that the disks still at hand can be removed, after the image was sealed. */
void build_disks_tell(struct build *b);

/* Put the error that another disk is needed, and the command that goes on. */
int build_disk_needed(struct build *b, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Between build_disks.c, build_fill.c and build_end.c. */

/* Open what a person calls a disk, and add it to those at hand; NULL with ${e}. */
struct build_disk *build_disk_open(struct build *b, const char *path, struct err *e);
/* Remember where the disks at hand that carry something of the image are (under the lock); none of it is needed. */
void build_where_keep_locked(struct build *b);
/* Open those that are where they were: what is not there any more, or another disk, is left alone. */
void build_where_open(struct build *b);
/* A pack of that length is on it. */
void build_disk_carries(struct build_disk *bd, uint32_t file_len, uint32_t table_len);
/* Let go of everything on it, and unmount it where we mounted it. */
void build_disk_let_go(struct build_disk *bd);
/* A disk that nothing of this image is on yet, for the caller alone; NULL if there is none. */
struct build_disk *build_disk_fresh(struct build *b);
/* Read ${bd} back beside everything else; where it does not stay, it is released then. */
int build_checker_start(struct build_disk *bd, struct err *e);
/* Wait for all of those; 0, or -1 with the first failure. */
int build_checkers_join(struct build *b, struct err *e);
/*
 * The root's own pack has filled a disk: closing it, reading it back and asking
 * for another take hours, and nothing that takes the state's lock must wait for
 * that.  It is let go, and the number is looked at again (build_number.c).
 */
void build_number_pause(struct build *b);

/* build_close.c */
struct image_state;
/* Close the disk: with the snapshot or without, index, statement, journal, custody. */
int build_close_disk(struct build *b, struct image_state *im, struct build_disk *bd, bool snapshot, struct err *e);
/* Read it back and say so in journal and custody; bd->medium.  With --no-read-back only say so. */
int build_check_disk(struct build *b, struct image_state *im, struct build_disk *bd, unsigned workers, struct err *e);
/* Whether disks are not read back. */
bool build_no_read_back(const struct build *b);
/* The record that disk ${d}, at hand (${bd}) or not (NULL), was not read back, in journal and custody.  0 or -1 with ${e}. */
int build_excuse_disk(struct build *b, struct image_state *im, const struct image_disk *d, struct build_disk *bd,
    struct err *e);

#endif
