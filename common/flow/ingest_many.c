#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/flow/desk.h"
#include "common/flow/ingest_check.h"
#include "common/flow/ingest_many.h"
#include "common/flow/vault.h"

#define AT_ONCE_MOST	64u
#define VAULTS_MOST	64u

/* What the disks bring to one vault. */
struct sum {
	uint8_t vault[ID_LEN];
	char path[4096];
	uint64_t needed, room;
};

struct many {
	struct desk_vaults where;
	const struct ingest_options *o;
	struct ingest_options each;	/* what every disk is taken in with */
	const struct ingest_many_told *told;
	char *const *disks;
	size_t n;
	struct checkers *checkers;
	struct ingest_watch watch;
	pthread_mutex_t lock;		/* of all below, and of what is told */
	int only_look;			/* first every disk is looked at */
	size_t next;
	int *failed;			/* of each disk */
	struct sum sums[VAULTS_MOST];
	size_t nsums;
	uint64_t to_read;
	int rc;
	struct err err;			/* the first failure */
};

/* One disk, in the hands of one thread. */
struct one {
	struct many *m;
	const char *disk;
	const struct vault *v;
};

static struct sum *
sum_of(struct many *m, const struct vault *v)
{
	for (size_t i = 0; i < m->nsums; i++)
		if (memcmp(m->sums[i].vault, v->desc.vault_id, ID_LEN) == 0)
			return &m->sums[i];
	if (m->nsums == VAULTS_MOST)
		return NULL;
	memcpy(m->sums[m->nsums].vault, v->desc.vault_id, ID_LEN);
	memcpy(m->sums[m->nsums].path, v->path, sizeof(v->path));
	return &m->sums[m->nsums++];
}

static void
image_done(void *arg, const struct ingest_result *r)
{
	struct one *d = arg;
	struct many *m = d->m;
	struct sum *s;

	(void)pthread_mutex_lock(&m->lock);
	if (!m->only_look) {
		m->told->image(m->told->arg, d->v, d->disk, r);
	} else {
		m->to_read += r->to_read;
		if ((s = sum_of(m, d->v)) != NULL) {
			s->needed += r->needed;
			s->room = r->room;
		}
	}
	(void)pthread_mutex_unlock(&m->lock);
}

static int
into_vault(void *arg, struct vault *v, const char *path, struct err *e)
{
	struct one *d = arg;

	d->v = v;
	catalog_memory(v->catalog, checkers_catalog(d->m->checkers));
	return ingest_disk(v, path, &d->m->each, image_done, d, e);
}

static void
disk_failed(struct many *m, size_t i, const struct err *e)
{
	(void)pthread_mutex_lock(&m->lock);
	m->failed[i] = 1;
	m->told->failed(m->told->arg, m->disks[i], e);
	if (m->rc == 0 || (e->code == ERR_INTERRUPTED && m->err.code != ERR_INTERRUPTED))
		m->err = *e;
	m->rc = -1;
	(void)pthread_mutex_unlock(&m->lock);
}

/* The next disk that nobody has in hand, or -1. */
static ssize_t
disk_next(struct many *m)
{
	ssize_t i = -1;

	(void)pthread_mutex_lock(&m->lock);
	while (m->next < m->n && m->failed[m->next])
		m->next++;
	if (m->next < m->n)
		i = (ssize_t)m->next++;
	(void)pthread_mutex_unlock(&m->lock);
	return i;
}

static void
disk_taker(void *arg)
{
	struct many *m = arg;
	ssize_t i;

	while ((i = disk_next(m)) >= 0) {
		struct one d = { m, m->disks[i], NULL };
		struct err mine;

		err_clear(&mine);
		if (stop_check(&mine) != 0 || desk_each_vault(&m->where, d.disk, into_vault, &d, &mine) != 0)
			disk_failed(m, (size_t)i, &mine);
	}
}

static int
go_through(struct many *m, unsigned at_once, int only_look, struct err *e)
{
	m->only_look = only_look;
	m->next = 0;
	m->each.dry_run = only_look || m->o->dry_run;
	return pool_run(at_once, disk_taker, m, e);
}

/* All that is new against what is free; images in one vault may hold the same, then this asks for too much. */
static int
room_check(const struct many *m, struct err *e)
{
	char need[HUMAN_MAX], have[HUMAN_MAX];

	for (size_t i = 0; i < m->nsums; i++) {
		const struct sum *s = &m->sums[i];

		if (s->needed <= s->room)
			continue;
		(void)err_set(e, ERR_NO_SPACE, "%s on these disks are new to the vault, %s are free in %s; nothing was written",
		    human_size(need, s->needed), human_size(have, s->room), s->path);
		return err_next(e, "Make room in the vault's file system, or give fewer disks at a time.");
	}
	return 0;
}

static int
many_run(struct many *m, unsigned at_once, struct err *e)
{
	if (m->n > 1) {
		if (go_through(m, at_once, 1, e) != 0 || room_check(m, e) != 0)
			return -1;
		progress_start("ingest", m->to_read);
		m->each.watch = &m->watch;
	}
	if (go_through(m, at_once, 0, e) != 0)
		m->rc = -1;
	else if (m->rc != 0 && e != NULL)
		*e = m->err;
	progress_end();
	return m->rc;
}

int
ingest_many(const char *vault, const char *vaults, char *const *disks, size_t n, const struct ingest_options *o,
    const struct ingest_many_told *told, struct err *e)
{
	struct many m = { .where = { vault, vaults }, .o = o, .each = *o, .told = told, .disks = disks, .n = n,
	    .lock = PTHREAD_MUTEX_INITIALIZER };
	unsigned at_once = n < AT_ONCE_MOST ? (unsigned)n : AT_ONCE_MOST;
	int rc = -1;

	err_clear(&m.err);
	if ((m.failed = calloc(n + 1, sizeof(*m.failed))) == NULL)
		(void)err_errno(e, "take in %zu disks", n);
	else if ((m.checkers = checkers_new(o->jobs, o->memory, at_once, e)) != NULL) {
		m.each.checkers = m.checkers;
		rc = many_run(&m, at_once, e);
	}
	checkers_free(m.checkers);
	free(m.failed);
	return rc;
}
