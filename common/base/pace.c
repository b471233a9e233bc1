#include "common/base/pace.h"

#include <linux/ioprio.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"

#define BURST_NS	INT64_C(250000000)
#define SLICE_NS	INT64_C(200000000)	/* between two looks at whether to stop */

struct pace {
	pthread_mutex_t lock;
	double ns_a_byte;
	int64_t free_ns;	/* when all that was taken so far is paid for */
};

struct pace *
pace_new(uint64_t rate, struct err *e)
{
	struct pace *p = calloc(1, sizeof(*p));

	if (p == NULL || pthread_mutex_init(&p->lock, NULL) != 0) {
		(void)err_errno(e, "limit the rate");
		free(p);
		return NULL;
	}
	p->ns_a_byte = 1e9 / (double)rate;
	p->free_ns = INT64_MIN;
	return p;
}

void
pace_free(struct pace *p)
{
	if (p == NULL)
		return;
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

int64_t
pace_debt_ns(struct pace *p, int64_t now_ns, uint64_t bytes)
{
	double cost = (double)bytes * p->ns_a_byte;
	int64_t debt;

	(void)pthread_mutex_lock(&p->lock);
	if (p->free_ns < now_ns - BURST_NS)
		p->free_ns = now_ns - BURST_NS;
	p->free_ns += cost < 1e18 ? (int64_t)cost : INT64_C(1000000000000000000);
	debt = p->free_ns - now_ns;
	(void)pthread_mutex_unlock(&p->lock);
	return debt > 0 ? debt : 0;
}

void
pace_take(struct pace *p, uint64_t bytes)
{
	int64_t debt = p == NULL ? 0 : pace_debt_ns(p, io_mono_ns(), bytes), slice;

	for (; debt > 0 && !stop_asked(); debt -= slice) {
		slice = debt < SLICE_NS ? debt : SLICE_NS;
		const struct timespec t = { .tv_nsec = (long)slice };

		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	}
}

void
pace_idle(void)
{
	/* Where the system refuses, reading goes on as it is. */
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}
