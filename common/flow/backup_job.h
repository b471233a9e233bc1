#ifndef SAMARA_FLOW_BACKUP_JOB_H
#define SAMARA_FLOW_BACKUP_JOB_H

/* What the steps of a backup share; private to backup*.c. */

#include "common/flow/backup.h"
#include "common/flow/build_run.h"
#include "common/flow/line_asker.h"
#include "common/flow/line_session.h"

#define BACKUP_UPLOADS	4u

struct id_sorter;
struct policy_watch;
struct throttle;

struct backup {
	const struct backup_options *o;
	struct build_options from;	/* with what the set's last one had filled in */
	struct build_report br;
	struct backup_report *r;
	struct build *b;
	uint8_t *source_bytes;		/* where paths and patterns of the last one stand */
	char **paths, **excludes;
	size_t npaths, nexcludes;
	struct policy_watch *watch;
	struct throttle *throttle;
	struct line *l;
	struct line_session t;
	bool session;			/* it was opened */
	bool kept;			/* paths and how they are read stand in the state: a run without paths goes on */
	bool heard;			/* the vault answered at the beginning */
	atomic_uint_fast64_t sent_bytes, sent_packs;	/* acknowledged, in this run */
	atomic_uint busy;		/* packs on their way */
	atomic_int_fast64_t busy_since, busy_ns;	/* how long there was at least one */
	bool asks_all;			/* an earlier run may have sent chunks of the listing too */
	struct line_asker *asker;
	struct sink_line line;
	struct envelope base;		/* seq 0: none */
	uint8_t *base_bytes;
	struct id_sorter *absent;	/* of the base, or of what was sent: the vault has them not; NULL: none */
};

/* backup_source.c */
/**
 * backup_source(k, e):
 * What is backed up: what was asked for, or where no path was given what the set's
 * last one, over the line or on disks, had.  ERR_USAGE where there is none.
 */
int backup_source(struct backup *k, struct err *e);
/* Keep it for the next time, before anything of it is done: a run without paths goes on with it.  0 or -1. */
int backup_source_keep(struct backup *k, struct err *e);

/* backup_begin.c */
/**
 * backup_open(k, e):
 * Session and journal: the unfinished ones, or new.  Sets k->base, b->base_seq and
 * b->im.  An unfinished one that has its envelope waits for backup_close alone.
 */
int backup_open(struct backup *k, struct err *e);
/* The journal begins anew with another snapshot; packs and item logs stay.  0 or -1. */
int backup_renew(struct backup *k, struct err *e);
/* Every id that the vault has for sure counts as seen: of the base, and of what was sent before.  0 or -1. */
int backup_held(struct backup *k, struct err *e);
/* Remove the journal and what stands beside it.  0 or -1. */
int backup_journal_drop(struct backup *k, struct err *e);
/* This id is not at the vault, whatever was believed.  0 or -1. */
int backup_absent(void *k, const uint8_t id[DIGEST_LEN], struct err *e);

/* backup_limit.c */
/* May it be sent?  0, or -1 with ERR_MAX_UPLOAD.  What is said to be new is read and asked for, not sent. */
int backup_limit(struct backup *k, struct err *e);
/* Nothing goes over the line while the first image is being built.  0, or -1 with ERR_PLEDGED. */
int backup_rule(struct backup *k, struct err *e);
/* Nor, once there is a session, before that image is pledged.  0, or -1 with ERR_PLEDGED. */
int backup_rule_pledged(struct backup *k, struct err *e);

/* backup_close.c */
/**
 * backup_close(k, e):
 * The snapshot that has its envelope: lists, commit, then the state agrees.  0; 1
 * the vault lacks chunks of it: they are absent now, and it has to be read again; -1 with ${e}.
 */
int backup_close(struct backup *k, struct err *e);
/* The vault's head against what this machine knows: ERR_ROLLBACK, ERR_FORK. */
int backup_head_check(struct backup *k, struct err *e);

#endif
