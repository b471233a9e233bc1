#ifndef SAMARA_FLOW_BUILD_RUN_H
#define SAMARA_FLOW_BUILD_RUN_H

/* The steps of a build that need more than the engine.  Private to build*.c. */

#include "common/flow/build.h"
#include "common/flow/build_disks.h"
#include "common/flow/image_state.h"
#include "common/flow/journal.h"

struct order;
struct seen;
struct topup_ids;

struct build {
	const struct build_options *o;
	struct build_report *r;
	struct state *s;
	struct domain_keys *k;
	int set_fd;			/* holds the set's lock */
	int runs_fd;			/* runs/ in the state */
	struct image_state *im;
	struct build_disks disks;	/* at hand */
	struct sink_calls calls;
	int number_lock;		/* under disks.lock: the state's lock while a number is being taken; -1: let go */
	bool numbering;
	struct journal *j;
	struct seen *seen;
	struct topup_ids *given;	/* ids that were given up: no chunk of an earlier image counts for them */
	struct job *job;
	struct source_view *view;	/* while it reads: the source held still, or NULL */
	struct pace *pace;
	char env_text[3][4160];		/* what hooks are told */
	const char *env[4];
	char set[SET_NAME_MAX + 1];
	unsigned workers;
	uint32_t flags;			/* JB_*, as the image was begun with */
	/* A backup over the line (backup.h): no disks, and */
	bool over_line;
	bool source_again;		/* of a backup: paths, patterns and how they are read are those of the set's last one */
	const struct sink_line *line;	/* where its packs go */
	uint64_t base_seq;		/* the merge base, which the vault knows; 0: none */
	uint64_t expect;		/* plain bytes that it will go through, for the progress line; 0: not known */
	struct build_news *news;	/* nothing is sent or numbered: what is new, counted; else NULL */
	char **paths;			/* from the journal: what the image was begun with */
	size_t npaths;
};

/* build.c: what both a build and a backup begin with, and end. */
struct build *build_new(const struct build_options *o, struct build_report *r, struct err *e);
/* Release what build_new gave, and all that the run put into it. */
void build_free(struct build *b);

/* The largest files that are read, and would be sent. */
#define BUILD_NEWS	5u
struct build_news {
	struct {
		char *path;		/* fit for a terminal */
		uint64_t size;
	} at[BUILD_NEWS];		/* the largest first; NULL ends them */
};
/* Free the paths in it. */
void build_news_release(struct build_news *n);

/* Where what memory does not hold goes: runs/ in the state, opened if it is not.  0 or -1 with ${e}. */
int build_runs_open(struct build *b, struct err *e);

/* build_begin.c: for a build over the line. */

/* The record that a journal begins with, appended to ${out}.  0 or -1. */
struct buf;
int build_begin_make(struct build *b, struct buf *out, struct err *e);
/* b->paths from b->im. */
int build_paths_take(struct build *b, struct err *e);
/* Paths that nothing can be taken from are refused before anything is begun: ERR_SOURCE, ERR_TARGET. */
int build_paths_check(const struct build_options *o, struct err *e);
/* b->runs_fd, and b->seen without ids; ${writers}: disks or uploads at the same time. */
int build_seen_open(struct build *b, unsigned writers, struct err *e);

/* build_begin.c: a new image, or the one to go on with; then disk, journal, held ids. */
int build_prepare(struct build *b, struct err *e);
/* The same for a dry run: nothing is made, b->im is what would be begun. */
int build_prepare_dry(struct build *b, struct err *e);

/* build_read.c: from the source to durable packs and a numbered, signed envelope; with b->news only counted. */
int build_read(struct build *b, struct err *e);

/* What a build would read: fills the result, writes nothing. */
int build_dry(struct build *b, struct err *e);

/* build_number.c: number, root chunk, reference list and envelope of a listing that is complete. */
int build_number(struct build *b, struct order *o, const uint8_t top[DIGEST_LEN], uint8_t levels, uint64_t entries,
    struct walker *walker, struct err *e);
/* What follows an envelope in the journal, also after a power cut between: snaps/ and trust agree with it. */
int build_numbered(struct build *b, struct err *e);

/**
 * build_leans_on(b, out, e):
 * Append the ids of sealed images of this machine that carry a chunk which the
 * snapshot needs and this image does not carry.  0, or -1 with ${e}:
 * ERR_UNFINISHED where it needs a chunk that none of them carries.
 */
int build_leans_on(struct build *b, struct buf *out, struct err *e);

/**
 * build_lacks(b, want, e):
 * The ids that the snapshot needs, or that of a sealed image which leans on this
 * one, that stood on a disk which was given up, and that stand on none of the
 * others.  0 or -1 with ${e}.
 */
struct topup_ids;
int build_lacks(struct build *b, struct topup_ids *want, struct err *e);

/**
 * build_recall(b, e):
 * Where an earlier run of this image did the reading: entries, files, bytes and
 * what could not be read into the result, from the snapshot's root on the disk.
 */
int build_recall(struct build *b, struct err *e);

/* build_seal.c */
/**
 * build_finish(b, pass, len, untested, e):
 * Key test (unless ${untested}), manifest, custody, state: the image is sealed.
 */
int build_finish(struct build *b, const char *pass, size_t len, bool untested, struct err *e);

/* Keep the item log of the image's snapshot: the base of the next increment.  Done again it is the same. */
int build_items_keep(struct build *b, struct err *e);

/* Load the image's journal again, after records were added. */
int build_reload(struct build *b, struct err *e);

#endif
