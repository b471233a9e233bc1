#ifndef SAMARA_BASE_PACE_H
#define SAMARA_BASE_PACE_H

/* Not getting in the way: a limit on how fast something goes on, and idle disk priority. */

#include <stdint.h>

struct err;
struct pace;

/**
 * pace_new(rate, e):
 * A limit of ${rate} > 0 bytes a second for all threads together (a bucket that
 * fills at that rate and holds a quarter of a second).  NULL with ${e}.  Free
 * with pace_free (NULL is allowed).
 */
struct pace *pace_new(uint64_t rate, struct err *e);
void pace_free(struct pace *p);

/**
 * pace_take(p, bytes):
 * Say that ${bytes} were moved, and wait until they are paid for; at once when
 * somebody asks to stop, or where ${p} is NULL.  Any thread.
 */
void pace_take(struct pace *p, uint64_t bytes);

/**
 * pace_debt_ns(p, now_ns, bytes):
 * The same without the waiting: how long to wait, ${now_ns} being the
 * monotonic time.
 */
int64_t pace_debt_ns(struct pace *p, int64_t now_ns, uint64_t bytes);

/* What the calling thread reads from now on waits for everybody else's. */
void pace_idle(void);

#endif
