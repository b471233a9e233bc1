#ifndef SAMARA_FLOW_RESTORE_H
#define SAMARA_FLOW_RESTORE_H

/* Bringing a snapshot back into a directory. */

#include <stdint.h>

#include "common/flow/keyring.h"
#include "common/flow/snapshot_list.h"
#include "common/flow/source.h"
#include "common/walk/place.h"

struct err;
struct open_snapshot;

/* Told of each item that was not brought back as it was; never by two threads at once.  ${path} is absolute, as in the listing. */
typedef void (*restore_tell_fn)(void *arg, struct fmt_view path, const struct err *why);

struct restore_options {
	struct source *source;		/* with its index */
	const struct keyring *keys;
	const struct snapshot *snap;
	const struct snapshot_list *list;	/* of all there are: a later one may have a file whose chunk is lost; NULL: none is asked */
	const char *root;		/* this directory (or file) of the snapshot becomes the target; "/": all of it */
	const char *const *only;	/* absolute paths, as in the snapshot; none: everything */
	size_t nonly;
	const char *to;			/* the target; made if it is not there */
	int overwrite;			/* -1: the target must be empty or hold this restore, unfinished; else enum place_overwrite */
	unsigned workers;		/* 0: one a processor */
	int dry_run;			/* read the listing, write nothing */
	int disks_follow;		/* what needs chunks that are not there waits for another run, with another disk */
	struct owner_names *by_name;	/* not NULL: owners by name where it is known here */
	restore_tell_fn tell;
	void *arg;
};

struct restore_report {
	uint64_t files, dirs, symlinks, links, others;	/* made, or there already and the same */
	uint64_t bytes;			/* plain sizes of files */
	uint64_t same;			/* of them there already */
	uint64_t left;			/* something else was there and stays */
	uint64_t elsewhere;		/* of the files: out of a later snapshot, since their chunk is lost; each was told */
	uint64_t failed, damaged;	/* told; damaged: for want of good chunks that are there */
	uint64_t compared, compare_to;	/* files as they are now against the listing */
	uint64_t unlinked;		/* names of one file that became files of their own */
	struct meta_report meta;
	int resumed;			/* the target held this restore, unfinished */
	uint64_t waiting;		/* with disks_follow: items that wait for another disk */
	uint64_t unread;		/* parts of the listing, or of long entries, that do */
	uint64_t all_bytes;		/* of the snapshot; 0: not known yet */
};

/**
 * restore_run(o, r, e):
 * Read the listing and put everything in place, with all workers: directories
 * first, files whole under a temporary name and then their own, symlinks and
 * the directories' attributes last.  Nothing outside the target is touched.  A
 * small file whose chunk is lost comes out of a later snapshot of the same set, where
 * it is the same file in another chunk (restore_later.h).
 * Return 0 with ${r}, also where items had to be left out (each was told); -1
 * with ${e}: ERR_NOT_EMPTY, ERR_NO_SPACE, ERR_INTERRUPTED, ERR_NOT_FOUND (a
 * path that is not in the snapshot), what snapshot_open says, ….  After -1 or
 * a power cut the same command goes on.
 *
 * With disks_follow a chunk that is not there is no error: each file that has
 * all of its chunks is put in place, the others are counted as waiting, and
 * their chunks that are there are marked SOURCE_WAITED in the source, those of
 * the first kind SOURCE_USED.  While something waits, links, symlinks and the
 * attributes of directories are left for the run after which nothing does.
 */
int restore_run(const struct restore_options *o, struct restore_report *r, struct err *e);

/* 1 where something waits for another disk. */
int restore_waits(const struct restore_report *r);

/* Where the bytes would come from. */
struct restore_plan {
	uint64_t *bytes;		/* of frames, for each container of the source; the caller's */
	uint64_t missing;		/* chunks that are nowhere */
	int about;			/* figures are an estimate, by a sample of the ids */
};

/**
 * restore_plan(s, snap, p, e):
 * For the whole snapshot, by its reference list; what the line would give is
 * exact up to some thousand chunks, else an estimate.  0, or -1 with ${e} where no
 * reference list is at hand, or none that is what the envelope says.
 */
int restore_plan(const struct source *s, const struct snapshot *snap, struct restore_plan *p, struct err *e);

/**
 * restore_plan_paths(s, snap, k, paths, n, p, e):
 * For the ${n} absolute ${paths} and what lies below them, by a walk through the
 * listing.  Paths that are not there count nothing.
 */
int restore_plan_paths(struct source *s, const struct snapshot *snap, const struct keyring *k, const char *const *paths,
    size_t n, struct restore_plan *p, struct err *e);

#endif
