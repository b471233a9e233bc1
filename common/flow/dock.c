#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/flow/dock_bay.h"
#include "common/flow/ingest_check.h"

#define TICK_MS		200u
#define DISKS_LIKELY	8u	/* at once, where bays come and go */

/* Wait on the desk's condition, at most so long; the lock is held. */
static void
wait_ms(struct dock *d, unsigned ms)
{
	struct timespec until;

	(void)io->clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_cond_timedwait(&d->wake, &d->lock, &until);
}

/* The disk is gone out of the bay.  What was cut off stays to be read until another comes. */
static void
bay_left(struct bay *b)
{
	char why[512];
	int unfinished;

	(void)pthread_mutex_lock(&b->dock->lock);
	unfinished = b->unfinished && b->view.state == BAY_ATTENTION;
	if (unfinished)
		(void)snprintf(why, sizeof(why), "%.400s; it was taken out, put it back to go on", b->view.why);
	else
		b->view.disk[0] = b->view.machine[0] = b->view.vault[0] = '\0';
	b->unfinished = 0;
	(void)pthread_mutex_unlock(&b->dock->lock);
	if (unfinished)
		bay_set(b, BAY_ATTENTION, why);
	else
		bay_set(b, BAY_EMPTY, "");
}

/* Look once; serve what is new there, or what may go better now. */
static void
bay_visit(struct bay *b)
{
	struct occupant who;

	if (!bay_look(b, &who)) {
		if (b->occupied)
			bay_left(b);
		b->occupied = 0;
		return;
	}
	if (b->occupied && memcmp(&who, &b->seen, sizeof(who)) == 0 && (b->retry == 0 || io_mono_ns() < b->retry))
		return;
	b->occupied = 1;
	b->seen = who;
	bay_serve(b);
}

static void *
bay_run(void *arg)
{
	struct bay *b = arg;
	struct dock *d = b->dock;

	(void)pthread_mutex_lock(&d->lock);
	while (!d->end) {
		b->busy = 1;
		(void)pthread_mutex_unlock(&d->lock);
		bay_visit(b);
		(void)pthread_mutex_lock(&d->lock);
		b->busy = 0;
		b->looked = 1;
		if (!d->end)
			wait_ms(d, d->o->poll_ms > 0 ? d->o->poll_ms : DOCK_POLL_MS);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

static int
bay_add(struct dock *d, const char *path, int device, struct err *e)
{
	struct bay *b = calloc(1, sizeof(*b));
	sigset_t all, before;
	int rc;

	if (b == NULL)
		return err_errno(e, "watch %s", path);
	b->dock = d;
	b->device = device;
	(void)snprintf(b->path, sizeof(b->path), "%s", path);
	(void)snprintf(b->view.name, sizeof(b->view.name), "%s", path);
	b->view.state = BAY_EMPTY;
	/* Signals are for the caller's thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&b->thread, NULL, bay_run, b);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		free(b);
		errno = rc;
		return err_errno(e, "watch %s", path);
	}
	(void)pthread_mutex_lock(&d->lock);
	d->bays[d->nbays++] = b;
	(void)pthread_mutex_unlock(&d->lock);
	return 0;
}

/* A bay for each place that was named. */
static int
places_add(struct dock *d, struct err *e)
{
	for (size_t i = 0; i < d->o->nplaces; i++) {
		const char *path = d->o->places[i];
		struct stat st;
		int device = strncmp(path, "/dev/", 5) == 0;

		if (strlen(path) >= sizeof(d->bays[0]->path))
			return err_set(e, ERR_USAGE, "%.80s… is too long for the name of a bay", path);
		if (io->fstatat(AT_FDCWD, path, &st, 0) == 0 && !S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode))
			return err_set(e, ERR_USAGE, "%s is neither a directory nor a block device", path);
		if (bay_add(d, path, device, e) != 0)
			return -1;
	}
	return 0;
}

static int
is_among(const struct device_names *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->name[i], name) == 0)
			return 1;
	return 0;
}

/* Those of ${before} that are gone are new when they come again. */
static void
devices_forget(struct device_names *before, const struct device_names *now)
{
	size_t kept = 0;

	for (size_t i = 0; i < before->n; i++)
		if (is_among(now, before->name[i]))
			memmove(before->name[kept++], before->name[i], sizeof(before->name[0]));
	before->n = kept;
}

/* Every removable device, and every one that was not there before, gets a bay; it keeps it. */
static void
devices_add(struct dock *d, struct device_names *before)
{
	struct device_names now;

	devices_list(&now);
	devices_forget(before, &now);
	for (size_t i = 0; i < now.n && d->nbays < DOCK_BAYS_MAX; i++) {
		char path[80];
		int known = 0;

		(void)snprintf(path, sizeof(path), "/dev/%s", now.name[i]);
		for (size_t k = 0; k < d->nbays; k++)
			known |= strcmp(d->bays[k]->path, path) == 0;
		if (!known && (device_is_removable(now.name[i]) || !is_among(before, now.name[i])))
			(void)bay_add(d, path, 1, NULL);
	}
}

/* All bays as they are now; 1 if none is at work and each was looked at. */
static int
look_over(struct dock *d, struct bay_view *views)
{
	int idle = 1;

	(void)pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->nbays; i++) {
		struct bay *b = d->bays[i];

		views[i] = b->view;
		views[i].read = atomic_load(&b->watch.read);
		views[i].total = atomic_load(&b->watch.total);
		idle = idle && b->looked && !b->busy;
	}
	(void)pthread_mutex_unlock(&d->lock);
	return idle;
}

static void
watch(struct dock *d, struct device_names *before)
{
	struct bay_view *views = calloc(DOCK_BAYS_MAX, sizeof(*views));
	int idle;

	while (views != NULL && !stop_asked()) {
		if (d->o->nplaces == 0)
			devices_add(d, before);
		idle = look_over(d, views);
		if (d->o->tick != NULL)
			d->o->tick(d->o->arg, views, d->nbays);
		if (d->o->once && idle)
			break;
		(void)pthread_mutex_lock(&d->lock);
		wait_ms(d, TICK_MS);
		(void)pthread_mutex_unlock(&d->lock);
	}
	free(views);
}

static void
bays_end(struct dock *d)
{
	(void)pthread_mutex_lock(&d->lock);
	d->end = 1;
	(void)pthread_cond_broadcast(&d->wake);
	(void)pthread_mutex_unlock(&d->lock);
	for (size_t i = 0; i < d->nbays; i++) {
		(void)pthread_join(d->bays[i]->thread, NULL);
		free(d->bays[i]);
	}
}

static void
lock_make(struct dock *d)
{
	pthread_condattr_t a;

	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_condattr_init(&a);
	(void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&d->wake, &a);
	(void)pthread_condattr_destroy(&a);
}

int
dock_run(const struct dock_options *o, struct dock_result *r, struct err *e)
{
	struct dock d = { .o = o };
	struct device_names before;
	int rc;

	if (o->nplaces > DOCK_BAYS_MAX)
		return err_set(e, ERR_USAGE, "at most %u bays can be watched", DOCK_BAYS_MAX);
	d.checkers = checkers_new(o->jobs, o->memory, o->nplaces > 0 ? (unsigned)o->nplaces : DISKS_LIKELY, e);
	if (d.checkers == NULL)
		return -1;
	lock_make(&d);
	devices_list(&before);
	if ((rc = places_add(&d, e)) == 0)
		watch(&d, &before);
	bays_end(&d);
	checkers_free(d.checkers);
	(void)pthread_cond_destroy(&d.wake);
	(void)pthread_mutex_destroy(&d.lock);
	*r = d.result;
	return rc;
}
