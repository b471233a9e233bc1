#ifndef SAMARA_WALK_WALKER_H
#define SAMARA_WALK_WALKER_H

/*
 * The live tree, walked in listing order: for each directory, above before
 * below, all its entries sorted bytewise by name, then the same for each of
 * its subdirectories in that order.  Everything hangs below one root, "/".
 * Names are any bytes and paths of any length: the system is only ever given
 * one name below an open directory.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "formats/fmt_listing.h"
#include "formats/fmt_snapshot.h"

struct exclude;
struct owner_names;
struct walker;
struct walk_dir;

/* A directory that is never entered, by device and inode. */
struct walk_never {
	dev_t dev;
	ino_t ino;
};

/*
 * A directory that is walked in the place of another: a snapshot of it, taken
 * so that it stands still.  Names stay those of ${path}.  What is mounted below
 * ${path} is not in a snapshot: it needs a row of its own, with ${real} the same
 * as ${path}.  Subvolumes of btrfs below it are found, and walked as they are.
 */
struct walk_instead {
	const char *path;	/* a PATH or a directory below one: absolute, without symlinks */
	const char *real;	/* a directory */
	dev_t path_dev;		/* of ${path}: what is never entered there is not entered in ${real} */
};

struct walk_options {
	const char *const *paths;	/* what to walk; at least one */
	size_t npaths;
	const struct exclude *exclude;	/* may be NULL; patterns are anchored at the innermost PATH above */
	struct owner_names *owners;	/* names are asked of this; must outlive what they are used for */
	const struct walk_never *never;	/* targets, vaults, state: recorded as directories, not entered */
	size_t nnever;
	const struct walk_instead *instead;	/* may be NULL */
	size_t ninstead;
	bool (*never_more)(void *arg, dev_t dev, ino_t ino);	/* asked of each directory besides; NULL: none */
	void *never_arg;
	uint64_t small_max;		/* files below this size count in walk_item.small_bytes ... */
	uint64_t small_enough;		/* ... which need not be counted on from here (0: always to the end) */
	bool one_file_system;		/* stay on the file system of each PATH */
	bool network_file_systems;	/* enter those too */
	bool exclude_caches;		/* of a directory with a valid CACHEDIR.TAG only the tag */
	bool file_xattrs;		/* read those of regular files as well */
};

enum walk_kind {
	WALK_DIR = 1,	/* the block of a directory begins */
	WALK_ENTRY,	/* an entry of it */
	WALK_SKIPPED,	/* left out on purpose; not a warning */
	WALK_ERROR	/* could not be read; the walk goes on */
};

enum walk_reason {
	SKIP_SOCKET = 1, SKIP_TYPE, SKIP_PSEUDO, SKIP_NETWORK, SKIP_OTHER, SKIP_NEVER, SKIP_TABLE
};

/* All that is pointed at is borrowed until the next call of walker_next. */
struct walk_item {
	enum walk_kind kind;
	struct fmt_view path;	/* DIR, ENTRY: the directory; SKIPPED, ERROR: the object itself */
	struct walk_dir *dir;	/* DIR, ENTRY: the open directory; walk_dir_hold keeps it */
	uint64_t small_bytes;	/* DIR: bytes in regular files below small_max directly in it (see small_enough) */
	bool above;		/* DIR: a directory above a PATH: it shows only what leads there */
	struct entry entry;	/* ENTRY: all but extents; xattrs of regular files only with file_xattrs */
	dev_t dev;		/* ENTRY: its device as stat says it, for this walk only */
	uint64_t occupied;	/* ENTRY: bytes that the file system says it takes */
	enum walk_reason reason;	/* SKIPPED */
	const struct err *err;	/* ERROR; err->sys ENOENT: it vanished meanwhile */
};

/* Why something was left out, in words ("a socket"). */
const char *walk_reason_text(enum walk_reason reason);

/**
 * walker_new(opt, e):
 * Start a walk.  ${opt} is copied, but what it points at is borrowed and must
 * outlive the walker.  Each PATH is resolved to an absolute name without
 * symlinks; PATHs inside one another are walked once.  Return NULL with ${e}:
 * ERR_SOURCE where a PATH does not exist or is a socket, ERR_TARGET where one
 * lies on a pseudo file system (tmpfs is no such one when a PATH lies on it).
 */
struct walker *walker_new(const struct walk_options *opt, struct err *e);
void walker_free(struct walker *w);

/**
 * walker_next(w, item, e):
 * The next item.  Return 1, 0 at the end, -1 with ${e} only where memory is
 * short: what cannot be read is an item.  Opens at most 80 directories at
 * once, besides those that the caller holds.  One thread at a time.
 */
int walker_next(struct walker *w, struct walk_item *item, struct err *e);

/**
 * walk_dir_fd(d), walk_dir_path(d), walk_dir_hold(d), walk_dir_release(d):
 * A directory's descriptor (for one-name calls such as openat with O_NOFOLLOW;
 * O_PATH where the directory is above a PATH) and absolute name, as long as it
 * is held.  Hold returns ${d}.  Hold and release are safe from any thread; the
 * last release closes it.  Each one held costs a descriptor.
 */
int walk_dir_fd(const struct walk_dir *d);
struct fmt_view walk_dir_path(const struct walk_dir *d);
struct walk_dir *walk_dir_hold(struct walk_dir *d);
void walk_dir_release(struct walk_dir *d);

/* What became of a PATH. */
struct walk_path {
	const char *given;	/* as the caller said it; borrowed from the caller */
	const char *resolved;	/* absolute, without symlinks; lives as long as the walker */
	bool followed;		/* its last name was a symlink */
	bool inside;		/* lies in another PATH or is the same as one before it */
};

/**
 * walker_path(w, i, p):
 * PATH ${i} in the order given.  Return 0, or -1 past the last one.
 */
int walker_path(const struct walker *w, size_t i, struct walk_path *p);

/**
 * walker_filesystem(w, i, fs):
 * The file system at position ${i} of the table that entry.fs counts in; views
 * live as long as the walker.  Rows are added as the walk meets them and never
 * change.  Return 0, or -1 past the last one so far.
 */
int walker_filesystem(const struct walker *w, size_t i, struct filesystem *fs);

/**
 * walker_inode_stable(w, i):
 * False where inode numbers and ctime of the file system at position ${i} may
 * change from one mount to the next (FUSE, FAT, exFAT, NTFS, and the network's).
 */
bool walker_inode_stable(const struct walker *w, size_t i);

#endif
