#include "common/net/throttle.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/io.h"
#include "common/base/stop.h"

#define SECOND	INT64_C(1000000000)
#define SLICE	INT64_C(50000000)	/* between two looks at the rate and at whether to stop */
#define BURST	8			/* an eighth of a second may be saved up */
#define SHARE	64			/* no fewer than a 64th of a second's bytes at a time, if so many are wanted */

struct throttle {
	pthread_mutex_t lock;
	throttle_rate_fn rate;
	void *arg;
	uint64_t now_rate;		/* bytes a second; 0: none */
	int64_t until;			/* when the rate is to be asked for again */
	int64_t last;			/* when ${saved} was counted */
	double saved;			/* bytes that may go */
	int begun;
};

struct throttle *
throttle_new(throttle_rate_fn rate, void *arg)
{
	struct throttle *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	if (pthread_mutex_init(&t->lock, NULL) != 0) {
		free(t);
		return NULL;
	}
	t->rate = rate;
	t->arg = arg;
	return t;
}

void
throttle_free(struct throttle *t)
{
	if (t == NULL)
		return;
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* What came in since the last look, at the rate that held then; then the rate that holds now. */
static void
look(struct throttle *t, int64_t now)
{
	int64_t holds = 0;

	if (t->begun && now > t->last)
		t->saved += (double)(now - t->last) / 1e9 * (double)t->now_rate;
	t->last = now;
	if (!t->begun || now >= t->until) {
		t->now_rate = t->rate(t->arg, &holds);
		t->until = now + (holds > 0 ? holds : 0);
		t->begun = 1;
	}
	if (t->saved > (double)(t->now_rate / BURST))
		t->saved = (double)(t->now_rate / BURST);
}

uint64_t
throttle_grant(struct throttle *t, int64_t now, uint64_t want, int64_t *wait)
{
	uint64_t least, granted = want;

	*wait = 0;
	(void)pthread_mutex_lock(&t->lock);
	look(t, now);
	if (t->now_rate > 0 && want > 0) {
		least = t->now_rate / SHARE > 0 ? t->now_rate / SHARE : 1;
		if (least > want)
			least = want;
		if (t->saved < (double)least) {
			granted = 0;
			*wait = (int64_t)(((double)least - t->saved) / (double)t->now_rate * 1e9) + 1;
		} else {
			granted = t->saved >= (double)want ? want : (uint64_t)t->saved;
			t->saved -= (double)granted;
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
	return granted;
}

uint64_t
throttle_rate(struct throttle *t)
{
	uint64_t rate;

	if (t == NULL)
		return 0;
	(void)pthread_mutex_lock(&t->lock);
	look(t, io_mono_ns());
	rate = t->now_rate;
	(void)pthread_mutex_unlock(&t->lock);
	return rate;
}

uint64_t
throttle_take(struct throttle *t, uint64_t want)
{
	uint64_t granted;
	int64_t wait;

	if (t == NULL || want == 0)
		return want;
	while ((granted = throttle_grant(t, io_mono_ns(), want, &wait)) == 0) {
		struct timespec ts;

		if (stop_asked())
			return 1;
		if (wait > SLICE)
			wait = SLICE;
		ts.tv_sec = (time_t)(wait / SECOND);
		ts.tv_nsec = (long)(wait % SECOND);
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	return granted;
}
