/* Housekeeping: what each vault wants done now and then, by one thread for what is soon done and one for what is long. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/flow/ingest_job.h"
#include "common/flow/receipt.h"
#include "common/flow/serve_frame.h"
#include "common/flow/upload.h"
#include "common/flow/vault_alerts.h"

#define SECOND	INT64_C(1000000000)

static int
alerts_run(struct vault *v, struct err *e)
{
	return vault_alerts(v, NULL, NULL, e);
}

/* The clocks move on even where nobody decides anything. */
static int
keep_leases(struct vault *v, struct err *e)
{
	if (vault_begin(v, e) != 0 || vault_commit(v, e) != 0)
		return -1;
	return vault_leases(v, e);
}

const struct serve_hook serve_hooks[] = {
	{ "receipts", 15, vault_receipts_due, SERVE_KEEP_LONG },
	{ "sessions", 900, upload_sweep, SERVE_KEEP_SOON },
	{ "alerts", 300, alerts_run, SERVE_KEEP_SOON },
	{ "leases", 600, keep_leases, SERVE_KEEP_SOON },
	{ NULL, 0, NULL, SERVE_KEEP_SOON }
};

static size_t
hooks_count(void)
{
	size_t n = 0;

	while (serve_hooks[n].name != NULL)
		n++;
	return n;
}

static void
hook_run(struct serve *s, struct serve_vault *sv, const struct serve_hook *h)
{
	struct vault *v;
	struct err e;

	err_clear(&e);
	v = pool_take(sv, &e);
	/* Stopped in the middle: it is begun anew after the next start. */
	if ((v == NULL || h->run(v, &e) != 0) && e.code != ERR_INTERRUPTED) {
		atomic_fetch_add(&s->hook_failures, 1);
		say_warn("vault %s: %s: %s", sv->first->desc.name, h->name, e.msg);
	}
	pool_give(sv, v);
}

/* Wait until ${when} (monotonic) or until the server ends; 1 when it does. */
static int
wait_until(struct serve *s, int64_t when)
{
	struct timespec t = { .tv_sec = (time_t)(when / SECOND), .tv_nsec = (long)(when % SECOND) };
	int ending;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->ending && pthread_cond_timedwait(&s->wake, &s->lock, &t) != ETIMEDOUT)
		;
	ending = s->ending;
	(void)pthread_mutex_unlock(&s->lock);
	return ending;
}

static void *
keeper(void *arg)
{
	const struct serve_keeper *me = arg;
	struct serve *s = me->s;
	size_t n = hooks_count();
	int64_t *due = calloc(n + 1, sizeof(*due)), now, next;

	for (;;) {
		now = io_mono_ns();
		next = now + 3600 * SECOND;
		for (size_t i = 0; i < n && due != NULL; i++) {
			if (serve_hooks[i].thread != me->number)
				continue;
			if (due[i] <= now) {
				for (size_t k = 0; k < s->nvaults; k++)
					hook_run(s, &s->vaults[k], &serve_hooks[i]);
				due[i] = io_mono_ns() + (int64_t)serve_hooks[i].seconds * SECOND;
			}
			next = due[i] < next ? due[i] : next;
		}
		if (wait_until(s, next))
			break;
	}
	free(due);
	return NULL;
}

int
serve_keep_start(struct serve *s, struct err *e)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < SERVE_KEEPERS; i++) {
		s->keeper[i].s = s;
		s->keeper[i].number = i;
		if ((errno = pthread_create(&s->keeper[i].thread, NULL, keeper, &s->keeper[i])) != 0)
			return err_errno(e, "start the housekeeping");
		s->keeping = i + 1;
	}
	return 0;
}

void
serve_keep_stop(struct serve *s)
{
	if (!s->keeping)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->ending = 1;
	(void)pthread_cond_broadcast(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->keeping; i++)
		(void)pthread_join(s->keeper[i].thread, NULL);
	(void)pthread_cond_destroy(&s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	s->keeping = 0;
}
