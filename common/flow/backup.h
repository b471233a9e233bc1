#ifndef SAMARA_FLOW_BACKUP_H
#define SAMARA_FLOW_BACKUP_H

/*
 * A backup over the line: the same walk, merge and cutting as a build, but what
 * the vault lacks goes into packs that are sent to it, and a commit ends it.
 */

#include "common/flow/build.h"

struct err;

#define BACKUP_A_DAY	0u		/* max_upload: what the line carries in a day */
#define BACKUP_NO_LIMIT	UINT64_MAX

struct backup_options {
	struct build_options from;	/* state, paths (none: those of the set's last one), set, what is left out, how it is read */
	uint64_t max_upload;		/* bytes, BACKUP_A_DAY or BACKUP_NO_LIMIT */
	unsigned patience;		/* seconds that the vault may be out of reach; 0: 300 */
	unsigned uploads;		/* packs on their way at the same time; 0: 4 */
	const char *note;		/* of a person, kept with the job; or NULL */
};

struct backup_report {
	struct build_result result;
	uint8_t snapshot_id[ID_LEN];
	uint64_t seq, job;
	uint8_t state;			/* LINE_…: what the vault calls the snapshot */
	uint64_t sent_bytes, sent_packs;	/* of packs, acknowledged in this run */
	uint64_t finished;		/* number of an earlier backup that this run ended first; 0: none */
	uint64_t line_sent, line_received;	/* bytes of bodies, all together */
};

/**
 * backup_run(o, r, e):
 * From paths to a snapshot that the vault has committed.  0; 3 where it is
 * committed but source items could not be read; -1 with ${e}.  After any -1, and
 * after a power cut on either side, the same command goes on: what the vault
 * acknowledged is not sent again.  ERR_PLEDGED, ERR_MAX_UPLOAD: nothing was sent.
 * ERR_LINE: the vault stayed out of reach.  ERR_BUSY: another run of the same set.
 * ERR_ROLLBACK, ERR_FORK: the vault's head is not this machine's.
 */
int backup_run(const struct backup_options *o, struct backup_report *r, struct err *e);

#endif
