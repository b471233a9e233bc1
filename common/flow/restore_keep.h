#ifndef SAMARA_FLOW_RESTORE_KEEP_H
#define SAMARA_FLOW_RESTORE_KEEP_H

/*
 * What a restore keeps of disks that are taken out while others are still to
 * come, in TARGET/.samara-restore.d, until all is there:
 *
 *   state               whose it is, and which disks have given what they have
 *   samara/IMAGE/       label, manifest, envelope, reference list and packs as
 *                       on a disk of that image, so that what reads disks reads
 *                       it too (the packs' signature is nobody's: every chunk
 *                       is checked against its id)
 *
 * Kept are the listing's own chunks, chunks of files that need others which
 * are on another disk, and, while the listing is not known whole, chunks that
 * may belong to its unknown parts, as far as there is room.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/flow/restore.h"
#include "common/flow/restore_disks.h"

struct err;

#define RESTORE_KEEP_NAME	".samara-restore.d"
#define RESTORE_SAID_MAX	256u

struct restore_keep {
	int fd;				/* of the directory; -1: there is none */
	uint8_t key[DIGEST_LEN];	/* of snapshot, root and paths */
	char said[RESTORE_SAID_MAX];	/* how the snapshot was named */
	char snapshot[2 * ID_LEN + 1];	/* its id */
};

/**
 * restore_keep_open(k, to, e):
 * Open what a restore into ${to} keeps.  0; 1 there is nothing (fd -1), or
 * something that is not samara's own; -1 with ${e}.  Closed by restore_keep_close.
 */
int restore_keep_open(struct restore_keep *k, const char *to, struct err *e);
void restore_keep_close(struct restore_keep *k);

/* The key of what ${o} restores. */
void restore_keep_key(const struct restore_options *o, uint8_t key[DIGEST_LEN]);

/**
 * restore_keep_make(k, o, said, e):
 * Make it anew in the target of ${o}, which exists, for this restore.  0 or -1
 * with ${e} (ERR_NOT_EMPTY: something of that name is somebody's own).
 */
int restore_keep_make(struct restore_keep *k, const struct restore_options *o, const char *said, struct err *e);

/**
 * restore_keep_chunks(k, o, r, e):
 * After a run with disks_follow that ended in ${r}: keep of the disks at hand
 * what is still needed.  What was kept before stays.  Durable on return, so
 * that only then restore_keep_done may be called.  0 or -1 with ${e}
 * (ERR_NO_SPACE, ERR_NOT_FOUND: no reference list is there).
 */
int restore_keep_chunks(struct restore_keep *k, const struct restore_options *o, const struct restore_report *r,
    struct err *e);

/* Read into ${d} which disks have given what; nothing where there is nothing. */
int restore_keep_read(const struct restore_keep *k, struct restore_disks *d, struct err *e);
/* The disks at hand in ${d} have given theirs: ${partly}, or all.  A disk that gave it partly twice has given all. */
int restore_keep_done(const struct restore_keep *k, struct restore_disks *d, int partly, struct err *e);
/* All disks count as new again, for the run that may follow. */
int restore_keep_again(const struct restore_keep *k, struct err *e);

/* Remove it, file by file as samara makes them; what else is there stays.  0 or -1 with ${e}. */
int restore_keep_remove(struct restore_keep *k, const char *to, struct err *e);

#endif
