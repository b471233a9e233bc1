#ifndef SAMARA_FLOW_RESTORE_JOB_H
#define SAMARA_FLOW_RESTORE_JOB_H

/* What the parts of a restore share: restore.c, restore_walk.c, restore_work.c, restore_target.c. */

#include <pthread.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/flow/link_table.h"
#include "common/flow/restore.h"
#include "common/flow/snapshot_open.h"
#include "common/walk/place_notes.h"

struct later;
struct queue;

struct restore_job {
	const struct restore_options *opt;
	struct restore_report *r;
	struct open_snapshot snap;
	struct later *later;		/* NULL: none */
	int target;			/* descriptor */
	bool empty;			/* it was, when we came */
	struct place *place;		/* NULL: dry run */
	struct queue *queue;		/* of struct restore_unit */
	struct links *links;
	struct notes link_notes;	/* names to be linked at the end */
	size_t prefix;			/* bytes of opt->root that fall away: 0 for "/" */
	pthread_mutex_t lock;		/* of r, links and tell */
	int stopped;			/* atomic: something is fatal; do nothing more */
	struct err failed;		/* the first of that kind */
};

/* A large file that several units fill. */
struct restore_big {
	struct place_file *file;
	unsigned parts;			/* not yet done, and one for who makes them; atomic */
	int failed;			/* atomic */
	uint64_t inode;
	struct place_dir *dir;
	struct buf entry;		/* encoded; views of en point into it */
	struct entry en;
	struct buf path;		/* of its directory */
};

/* A piece of a large file. */
struct part {
	struct extent x;
	uint64_t at;
};

/* Work for one thread: small files of one directory, or a stretch of a large one. */
struct restore_unit {
	struct place_dir *dir;		/* held; files */
	struct buf path;		/* of the directory, as in the listing */
	struct buf entries;		/* encoded, one behind the other; files */
	unsigned n;
	uint64_t bytes;			/* plain */
	struct restore_big *big;		/* large */
	struct buf parts;		/* struct part; large */
	struct buf wants;		/* ids that were asked for ahead */
};

/* restore_target.c */

/**
 * target_open(j, e):
 * Open or make the target, see that it may be filled, leave the note that
 * says what is being restored into it.  0 or -1 with ${e} (ERR_NOT_EMPTY).
 */
int target_open(struct restore_job *j, enum place_overwrite *how, uint64_t *tag, struct err *e);
/* All is there: take the note away. */
int target_done(struct restore_job *j, struct err *e);

/* restore_work.c */

/* One thread's side. */
/* Bytes of a large file on their way out in whole blocks: buf[lead] stands at offset ${at}, ${lead} = ${at} modulo a block. */
#define GATHER_LEN	(8u << 20)
struct gather {
	uint8_t *buf;			/* aligned; GATHER_LEN and a chunk */
	size_t lead, len;
	uint64_t at;
};

struct restorer {
	struct restore_job *j;
	struct source_reader *reader;
	struct meta_report meta;
	struct buf xattrs;
	struct gather gather;
};
/* Make ${w} ready for the job ${j}: 0, or -1 with ${e}.  Release it either way. */
int restorer_init(struct restorer *w, struct restore_job *j, struct err *e);
void restorer_release(struct restorer *w);
/* Threads run this until the queue is closed and empty; ${arg} is the job. */
void restore_work(void *arg);
/* Bring one file back.  ${dir}: path of its directory as in the listing. */
void restore_file(struct restorer *w, struct place_dir *d, struct fmt_view dir, const struct entry *en);
/* ${en} with its attributes out of their spill tree, if they are in one.  0 or -1. */
int restore_xattrs(struct restorer *w, struct entry *en, struct err *e);
void restore_unit_free(struct restore_job *j, struct restore_unit *u);
void restore_big_drop(struct restorer *w, struct restore_big *b);

/* Tell of an item that failed, unless it waits for another disk; what is fatal for all stops the job. */
void restore_failed(struct restore_job *j, struct fmt_view dir, struct fmt_view name, const struct err *why);
/* Tell of an item that was brought back, but not quite. */
void restore_warn(struct restore_job *j, struct fmt_view dir, struct fmt_view name, const struct err *why);
/* Something that ends the job. */
void restore_fatal(struct restore_job *j, const struct err *why);
int restore_stopped(struct restore_job *j);

/* restore_walk.c */

/* Hand out everything below one directory, or all (path "/"). */
int restore_walk(struct restorer *w, struct fmt_view path, struct err *e);
/* One entry of ${dir}, and what is below it; 0, or -1 with ${e} (ERR_NOT_FOUND). */
int restore_one(struct restorer *w, const char *path, struct err *e);

#endif
