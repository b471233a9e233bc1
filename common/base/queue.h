#ifndef SAMARA_BASE_QUEUE_H
#define SAMARA_BASE_QUEUE_H

/* Threads that work together: a bounded queue of pointers, and a pool. */

#include <stddef.h>

struct err;
struct queue;
struct pool;

/**
 * queue_new(cap, e):
 * A queue that holds up to ${cap} >= 1 pointers, for any number of threads at
 * both ends.  NULL with ${e} on failure.  queue_free when no thread uses it;
 * what is still in it is the caller's.
 */
struct queue *queue_new(size_t cap, struct err *e);
void queue_free(struct queue *q);

/**
 * queue_put(q, item):
 * Add ${item} (not NULL) at the end, waiting while the queue is full.  Return
 * 0, or -1 if the queue is closed: then ${item} is still the caller's.
 */
int queue_put(struct queue *q, void *item);

/**
 * queue_get(q):
 * The oldest item, waiting while there is none; NULL once the queue is closed
 * and empty.
 */
void *queue_get(struct queue *q);

/* As queue_get, without waiting: NULL if there is none now. */
void *queue_try(struct queue *q);

/* No more puts; everyone who waits is woken.  May be called again. */
void queue_close(struct queue *q);

/**
 * pool_start(n, fn, arg, e):
 * Run ${fn}(${arg}) on ${n} >= 1 threads of its own, which take no signals.
 * Fewer threads than asked are not an error, none are: NULL with ${e}.
 * pool_wait waits for all of them and frees the pool (NULL is allowed).
 */
struct pool *pool_start(unsigned n, void (*fn)(void *arg), void *arg, struct err *e);
void pool_wait(struct pool *p);

/* pool_start and pool_wait in one.  Return 0, or -1 with ${e}: nothing ran. */
int pool_run(unsigned n, void (*fn)(void *arg), void *arg, struct err *e);

/* How many processors this process may use, at least 1. */
unsigned pool_processors(void);

#endif
