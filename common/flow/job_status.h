#ifndef SAMARA_FLOW_JOB_STATUS_H
#define SAMARA_FLOW_JOB_STATUS_H

/*
 * How far a running job is, for other terminals: jobs/NNNNNNNN.now, written
 * about once a second beside the record (never half, but not synced: it means
 * nothing after a power cut), and who does it, so that it can be asked to stop.
 */

#include <stdint.h>

#include "common/base/progress.h"

struct err;
struct job_status;
struct state;

struct job_now {
	int64_t pid;
	uint64_t started;		/* of the process, as /proc/PID/stat has it */
	struct progress_copy progress;
};

/**
 * job_status_allow(allow):
 * Whether jobs that start from now on write one.  A tool asks for it before
 * its threads; libraries and tests do without the extra thread.
 */
void job_status_allow(int allow);

/* Begin for job ${number} in the directory ${jobsfd} (borrowed); NULL where it is not allowed or not possible. */
struct job_status *job_status_start(int jobsfd, uint64_t number);

/* The job is over: the file goes away.  NULL is allowed. */
void job_status_stop(struct job_status *s);

/* 0 with ${now}, 1 there is none, -1 with ${e}. */
int job_status_read(struct state *s, uint64_t number, struct job_now *now, struct err *e);

/**
 * job_cancel(s, number, e):
 * Ask the process of a running job to stop (SIGTERM), if it provably is that
 * one: it holds the job's lock, and a process of its number that began when
 * the status says is there.  0 asked, 1 the job does not run, -1 with ${e}.
 */
int job_cancel(struct state *s, uint64_t number, struct err *e);

#endif
