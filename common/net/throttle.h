#ifndef SAMARA_NET_THROTTLE_H
#define SAMARA_NET_THROTTLE_H

/*
 * How fast the line may be used, by the hour of the day: all transfers of a
 * process share one, and a change takes effect at once.
 */

#include <stdint.h>

struct throttle;

/* Gives the rate that holds now in bytes a second (0: none), and how long it is certain to hold, nanoseconds. */
typedef uint64_t (*throttle_rate_fn)(void *arg, int64_t *holds);

/* NULL without memory.  ${rate} is asked from any thread, one at a time. */
struct throttle *throttle_new(throttle_rate_fn rate, void *arg);
void throttle_free(struct throttle *t);

/**
 * throttle_take(t, want):
 * How many of ${want} bytes may go now; where it is none, at least 1, after
 * waiting (also ended by stop.h).  Over any ten seconds the rate is kept
 * within 5 %.  All of them where ${t} is NULL.
 */
uint64_t throttle_take(struct throttle *t, uint64_t want);

/* The rate that holds now, bytes a second; 0: none, also where ${t} is NULL. */
uint64_t throttle_rate(struct throttle *t);

/**
 * throttle_grant(t, now, want, wait):
 * The same without the waiting, ${now} being the monotonic time: how many of
 * ${want} bytes may go; 0: none yet, ask again after ${wait} nanoseconds.
 */
uint64_t throttle_grant(struct throttle *t, int64_t now, uint64_t want, int64_t *wait);

#endif
