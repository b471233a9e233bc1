#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/queue.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t not_empty;
	pthread_cond_t not_full;
	size_t cap, first, count;
	int closed;
	void *items[];
};

struct pool {
	void (*fn)(void *arg);
	void *arg;
	unsigned n;
	pthread_t threads[];
};

struct queue *
queue_new(size_t cap, struct err *e)
{
	struct queue *q = NULL;

	if (cap == 0)
		cap = 1;
	if (cap <= SIZE_MAX / 2 / sizeof(void *))
		q = calloc(1, sizeof(*q) + cap * sizeof(void *));
	if (q == NULL) {
		errno = ENOMEM;
		(void)err_errno(e, "make a queue");
		return NULL;
	}
	q->cap = cap;
	(void)pthread_mutex_init(&q->lock, NULL);
	(void)pthread_cond_init(&q->not_empty, NULL);
	(void)pthread_cond_init(&q->not_full, NULL);
	return q;
}

void
queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	(void)pthread_cond_destroy(&q->not_full);
	(void)pthread_cond_destroy(&q->not_empty);
	(void)pthread_mutex_destroy(&q->lock);
	free(q);
}

int
queue_put(struct queue *q, void *item)
{
	int rc = -1;

	(void)pthread_mutex_lock(&q->lock);
	while (q->count == q->cap && !q->closed)
		(void)pthread_cond_wait(&q->not_full, &q->lock);
	if (!q->closed) {
		q->items[(q->first + q->count) % q->cap] = item;
		q->count++;
		(void)pthread_cond_signal(&q->not_empty);
		rc = 0;
	}
	(void)pthread_mutex_unlock(&q->lock);
	return rc;
}

/* With the lock held. */
static void *
take(struct queue *q)
{
	void *item;

	if (q->count == 0)
		return NULL;
	item = q->items[q->first];
	q->first = (q->first + 1) % q->cap;
	q->count--;
	(void)pthread_cond_signal(&q->not_full);
	return item;
}

void *
queue_get(struct queue *q)
{
	void *item;

	(void)pthread_mutex_lock(&q->lock);
	while (q->count == 0 && !q->closed)
		(void)pthread_cond_wait(&q->not_empty, &q->lock);
	item = take(q);
	(void)pthread_mutex_unlock(&q->lock);
	return item;
}

void *
queue_try(struct queue *q)
{
	void *item;

	(void)pthread_mutex_lock(&q->lock);
	item = take(q);
	(void)pthread_mutex_unlock(&q->lock);
	return item;
}

void
queue_close(struct queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	q->closed = 1;
	(void)pthread_cond_broadcast(&q->not_empty);
	(void)pthread_cond_broadcast(&q->not_full);
	(void)pthread_mutex_unlock(&q->lock);
}

static void *
pool_thread(void *arg)
{
	struct pool *p = arg;

	p->fn(p->arg);
	return NULL;
}

struct pool *
pool_start(unsigned n, void (*fn)(void *arg), void *arg, struct err *e)
{
	sigset_t all, before;
	struct pool *p;
	unsigned made = 0;
	int rc = 0;

	if (n == 0)
		n = 1;
	if ((p = malloc(sizeof(*p) + n * sizeof(p->threads[0]))) == NULL) {
		(void)err_errno(e, "start %u threads", n);
		return NULL;
	}
	p->fn = fn;
	p->arg = arg;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);	/* inherited by the threads */
	while (made < n && (rc = pthread_create(&p->threads[made], NULL, pool_thread, p)) == 0)
		made++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	p->n = made;
	if (made > 0)
		return p;
	free(p);
	errno = rc;
	(void)err_errno(e, "start a thread");
	return NULL;
}

void
pool_wait(struct pool *p)
{
	if (p == NULL)
		return;
	for (unsigned i = 0; i < p->n; i++)
		(void)pthread_join(p->threads[i], NULL);
	free(p);
}

int
pool_run(unsigned n, void (*fn)(void *arg), void *arg, struct err *e)
{
	struct pool *p = pool_start(n, fn, arg, e);

	if (p == NULL)
		return -1;
	pool_wait(p);
	return 0;
}

unsigned
pool_processors(void)
{
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	n = CPU_COUNT(&set);
	return n < 1 ? 1 : (unsigned)n;
}
