#ifndef SAMARA_FLOW_SCHEDULE_H
#define SAMARA_FLOW_SCHEDULE_H

/*
 * When a set is backed up by itself.  The schedule stands in the state
 * (sets/NAME/schedule, JSON), and when its last run began (sets/NAME/ran); a timer of systemd
 * or cron only wakes `samara-seed schedule run`, which asks here whether one is due.  So a
 * run that was missed is made up once, however many were missed.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct buf;
struct err;
struct state;

#define SCHEDULE_TIMES	3	/* a day, at most */

struct schedule {
	char set[SET_NAME_MAX + 1];
	unsigned times[SCHEDULE_TIMES], ntimes;	/* minutes since midnight, local time, rising */
	unsigned days;				/* bit 0: Monday … bit 6: Sunday */
	char **paths;				/* what is backed up; none: what the set's last snapshot has */
	size_t npaths;
	int64_t made;				/* seconds: nothing before counts as missed */
};

/* Release what schedule_read or schedule_path made. */
void schedule_release(struct schedule *s);

/* "13:00": one time more.  0, or -1 with ERR_USAGE: it is none, stands there already, or is the fourth. */
int schedule_time(struct schedule *s, const char *value, struct err *e);

/* A path more: absolute, printable UTF-8, as it stands in files of others.  0, or -1 with ERR_USAGE. */
int schedule_path(struct schedule *s, const char *path, struct err *e);

/* The schedule of ${set}: 0; 1 there is none; -1 with ${e} (ERR_FORMAT).  Released by the caller, also after 1. */
int schedule_read(struct state *st, const char *set, struct schedule *s, struct err *e);

/* Replace it, or take it away; durably.  0 or -1 with ${e}. */
int schedule_write(struct state *st, const struct schedule *s, struct err *e);
int schedule_drop(struct state *st, const char *set, struct err *e);

/* The last time at or before ${now} when it was due, seconds; 0: none since it was made. */
int64_t schedule_last(const struct schedule *s, int64_t now);
/*
 * Whether a run is due that began last at ${ran} (0: none did): since when, or 0.  What is later than ${now} was noted
 * while the clock was ahead, and says nothing.
 */
int64_t schedule_due(const struct schedule *s, int64_t ran, int64_t now);
/* The next one after ${now}. */
int64_t schedule_next(const struct schedule *s, int64_t now);

/**
 * schedule_ran(st, set, seconds, e), schedule_ran_set:
 * When the last run began that counts (0: none did).  A run that never reached the vault is not
 * counted: it is set back, and made up.  0 or -1 with ${e}.
 */
int schedule_ran(struct state *st, const char *set, int64_t *seconds, struct err *e);
int schedule_ran_set(struct state *st, const char *set, int64_t seconds, struct err *e);

/* What the units and the line of cron are made of. */
struct schedule_unit {
	const char *program;	/* absolute path of samara-seed */
	const char *state;	/* absolute path of the state directory */
	int user;		/* for an ordinary user */
};

/* First line of every file that is written for systemd or cron: only such a file is ever replaced or removed. */
#define SCHEDULE_MARK	"# Written by samara-seed schedule install; schedule remove takes it away."

/* samara-backup-SET.service and .timer; a file for /etc/cron.d (${user}: a line for crontab).  Appended to ${out}. */
void schedule_service(const struct schedule *s, const struct schedule_unit *u, struct buf *out);
void schedule_timer(const struct schedule *s, struct buf *out);
void schedule_cron(const struct schedule *s, const struct schedule_unit *u, struct buf *out);

#endif
