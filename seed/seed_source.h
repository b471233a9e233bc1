#ifndef SAMARA_SEED_SEED_SOURCE_H
#define SAMARA_SEED_SEED_SOURCE_H

/* The options that say what is read and how: the same for a build and a backup. */

#include <stddef.h>
#include <stdint.h>

#include "common/base/args.h"
#include "common/flow/build.h"

struct err;

struct seed_source {
	const char *set, *snapshot, *hook, *before, *after;
	char **patterns;		/* of --exclude and of files, in the order given */
	size_t npatterns, pattern_bytes;
	int one_fs, caches, network, force, no_inode, no_ctime;
	uint64_t level, workers, read_limit;	/* level: 1 before the options are read */
};

/* Of opt_call's type; ${arg} is the struct seed_source. */
int seed_exclude_one(void *arg, const char *value, struct err *e);
int seed_exclude_file(void *arg, const char *path, struct err *e);

/* Rows of a table of options; ${s} is a struct seed_source. */
#define SEED_SOURCE_OPTS(s) \
	{ "set", 0, OPT_STR, &(s).set, "NAME", "what is backed up together under one name (files)" }, \
	{ "exclude", 0, OPT_CALL, &(struct opt_call){ seed_exclude_one, &(s) }, "PATTERN", "leave out what fits; gitignore's rules" }, \
	{ "exclude-file", 0, OPT_CALL, &(struct opt_call){ seed_exclude_file, &(s) }, "FILE", "patterns from a file, one a line" }, \
	{ "exclude-caches", 0, OPT_FLAG, &(s).caches, NULL, "leave out directories with a CACHEDIR.TAG" }, \
	{ "one-file-system", 'x', OPT_FLAG, &(s).one_fs, NULL, "stay on the file system of each PATH" }, \
	{ "network-file-systems", 0, OPT_FLAG, &(s).network, NULL, "enter network file systems too" }, \
	{ "force-read", 0, OPT_FLAG, &(s).force, NULL, "read every file, also those that look unchanged" }, \
	{ "ignore-inode", 0, OPT_FLAG, &(s).no_inode, NULL, "do not compare inode numbers" }, \
	{ "ignore-ctime", 0, OPT_FLAG, &(s).no_ctime, NULL, "do not compare change times" }, \
	{ "level", 0, OPT_NUMBER, &(s).level, "N", "zstd level, 1 to 19 (1)" }, \
	{ "workers", 0, OPT_NUMBER, &(s).workers, "N", "threads that read and compress (one a processor)" }, \
	{ "snapshot", 0, OPT_STR, &(s).snapshot, "KIND", "walk a snapshot: btrfs, lvm or hook" }, \
	{ "hook", 0, OPT_STR, &(s).hook, "PROGRAM", "what takes and removes snapshots of --snapshot hook" }, \
	{ "before", 0, OPT_STR, &(s).before, "PROGRAM", "run this before the walk; if it fails, nothing is read" }, \
	{ "after", 0, OPT_STR, &(s).after, "PROGRAM", "run this after the walk, however it ended" }, \
	{ "read-limit", 0, OPT_RATE, &(s).read_limit, "RATE", "read the source no faster" }

/**
 * seed_source_fill(s, a, state, o, e):
 * What the options and the command line say, into ${o}, which borrows all of it.  0
 * or -1 with ERR_USAGE.
 */
int seed_source_fill(const struct seed_source *s, const struct args *a, const char *state, struct build_options *o,
    struct err *e);
void seed_source_release(struct seed_source *s);

#endif
