#ifndef SAMARA_FLOW_POLICY_H
#define SAMARA_FLOW_POLICY_H

/*
 * What a machine's administrator set: how the line may be used.  One small
 * JSON file, `policy`, in the state (0600: a proxy's password may stand in it);
 * where there is none everything is as policy_init says.
 */

#include <stddef.h>
#include <stdint.h>

struct err;
struct state;

#define POLICY_RATE_MIN	UINT64_C(64000)		/* 512 Kbit/s, in bytes a second */
#define POLICY_RATE_MAX	UINT64_C(1023000000)	/* 1,023 MB/s */
#define POLICY_PROXY	512

struct policy {
	uint64_t rate_work, rate_other;	/* bytes a second; 0: as fast as it goes */
	unsigned work_from, work_to;	/* minutes since midnight, local time; from < to <= 1440 */
	unsigned work_days;		/* bit 0: Monday … bit 6: Sunday */
	int initial_network;		/* the first backup may go over the line */
	char alert_command[POLICY_PROXY], alert_mail[256];	/* who is told when this machine is not protected; "": nobody */
	char proxy[POLICY_PROXY];	/* "none", "http://user:password@host:port", or "": as the environment says */
};

/* No limit, Monday to Friday from 9 to 18, first backup by disk, proxy of the environment. */
void policy_init(struct policy *p);

/**
 * policy_read(statefd, p, e):
 * The policy in the state directory ${statefd}; as policy_init where there is
 * none.  0, or -1 with ${e} (ERR_FORMAT: a key that is not known, or a value out
 * of range; ERR_IO).
 */
int policy_read(int statefd, struct policy *p, struct err *e);

/* Replace it, durably: the old or the new one after a power cut.  0 or -1 with ${e}. */
int policy_write(int statefd, const struct policy *p, struct err *e);

/* Names of the keys in the order in which they are shown; NULL past the last. */
const char *policy_key(size_t i);

/**
 * policy_set(p, key, value, e):
 * Change one: throttle-work and throttle-other (a rate from 512 Kbps to 1,023
 * MBps, or none), work-hours ("9:00-18:00"), work-days ("mon-fri", "mon,wed,sat-sun"), initial
 * ("network" or "disk"), proxy (an address, "none" or "environment"), alert-command (the path of
 * a program, or none), alert-mail (an address, or none).  0, or -1 with ERR_USAGE.
 */
int policy_set(struct policy *p, const char *key, const char *value, struct err *e);

/**
 * policy_text(p, key, secret, out, cap):
 * The value as policy_set takes it; a proxy's password as "***" unless ${secret}.  Return ${out}.
 */
const char *policy_text(const struct policy *p, const char *key, int secret, char *out, size_t cap);

/* Whether ${seconds} since 1970, in local time, lies within work hours. */
int policy_is_work(const struct policy *p, int64_t seconds);

/* The rate that holds then, bytes a second; 0: none. */
uint64_t policy_rate(const struct policy *p, int64_t seconds);

/*
 * The policy of a state as it is now: looked at again at most once a second,
 * so that what was set takes effect while a transfer runs.
 */
struct policy_watch;

/* NULL without memory.  ${statefd} is borrowed. */
struct policy_watch *policy_watch_new(int statefd);
void policy_watch_free(struct policy_watch *w);

/* Of type throttle_rate_fn (common/net/throttle.h); a policy that cannot be read leaves the last one in force. */
uint64_t policy_watch_rate(void *watch, int64_t *holds);

#endif
