#ifndef SAMARA_FLOW_JOB_H
#define SAMARA_FLOW_JOB_H

/*
 * Jobs: a record of each long run, for `jobs` and `status`.
 *
 *   jobs/NNNNNNNN.json	what it was, when it began and how it ended
 *   jobs/NNNNNNNN.warn	its warnings, one a line, as they came; locked by
 *			the process while the job runs; kept if there are any
 *   jobs/NNNNNNNN.now	how far it is, while it runs (job_status.h)
 *   jobs/NNNNNNNN.out	what a job in the background printed
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct state;
struct job;

/**
 * job_start(s, kind, what, e):
 * A new job of ${kind} ("build", "restore"); ${what} says in a few words on
 * what ("files onto RM4K-1"; any bytes).  Return NULL with ${e} on failure.
 * ${s} is not needed afterwards.
 */
struct job *job_start(struct state *s, const char *kind, const char *what, struct err *e);
uint64_t job_number(const struct job *j);

/**
 * job_announce(fn, arg):
 * Call ${fn} once, with the number and the open directory jobs/ (borrowed), as
 * soon as the next job stands on record: a job in the background lets go of
 * its terminal then.  Before threads.
 */
void job_announce(void (*fn)(void *arg, uint64_t number, int jobsfd), void *arg);

/**
 * job_warn(j, fmt, ...):
 * Keep a warning, in order.  Names in it went through text_safe; other control
 * characters are escaped here.  Thread safe.  One that cannot be written is
 * counted all the same, and the job's end says so.
 */
void job_warn(struct job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint64_t job_warnings(const struct job *j);

/**
 * job_end(j, exit, result):
 * Record how it ended: the ${exit} status and a closing line.  Frees ${j}
 * (NULL is allowed).  Where the record cannot be written that is said on
 * stderr; the job itself is done.
 */
void job_end(struct job *j, int exit, const char *result);

/* What is on record of a job. */
struct job_info {
	uint64_t number;
	char *kind, *what;
	char *result;		/* NULL: it has not ended by itself */
	int64_t start, end;	/* seconds since 1970; end 0: not yet, or cut off */
	int exit;
	uint64_t warnings;
	bool running;		/* a process is at it now; neither this nor an end: it was cut off */
};

/* Numbers of all jobs, rising, in a new array.  0 or -1 with ${e}. */
int job_list(struct state *s, uint64_t **numbers, size_t *n, struct err *e);

/* 0 with ${info} (job_info_release), 1 there is none such, -1 with ${e}. */
int job_read(struct state *s, uint64_t number, struct job_info *info, struct err *e);
void job_info_release(struct job_info *info);

/**
 * job_each_warning(s, number, fn, arg, e):
 * Call ${fn} with each warning of a job (zero-terminated, no newline, fit for
 * a terminal).  Return 0 (also if there are none), or -1 with ${e}.
 */
int job_each_warning(struct state *s, uint64_t number, void (*fn)(void *arg, const char *text), void *arg,
    struct err *e);

#endif
