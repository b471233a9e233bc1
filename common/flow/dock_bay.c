/* One bay: what is in it is received and taken in. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/dock_bay.h"
#include "common/flow/ingest_check.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault.h"
#include "common/flow/vault_status.h"

#define RETRY		(INT64_C(60) * 1000000000)
#define IMAGES_MOST	64u

/* What one visit to a disk came to. */
struct visit {
	struct bay *b;
	struct vault *v;
	char names[IMAGES_MOST][SHORT_LEN + 1];	/* of the images that are to be taken in */
	size_t n;
	struct receive_result in[IMAGES_MOST];	/* those of which all that this disk has is in the vault */
	size_t nin;
	int attention, retry;
	char why[512];
};

const char *
bay_state_text(enum bay_state s)
{
	static const char *const words[] = { "?", "empty", "working", "remove", "attention" };

	return (unsigned)s < sizeof(words) / sizeof(words[0]) ? words[s] : "?";
}

void
bay_set(struct bay *b, enum bay_state state, const char *why)
{
	struct dock *d = b->dock;

	(void)pthread_mutex_lock(&d->lock);
	if (b->view.state != state || strcmp(b->view.why, why) != 0) {
		b->view.state = state;
		(void)snprintf(b->view.why, sizeof(b->view.why), "%s", why);
		d->result.removed += state == BAY_REMOVE;
		d->result.attention += state == BAY_ATTENTION;
		if (d->o->changed != NULL)
			d->o->changed(d->o->arg, &b->view);
	}
	(void)pthread_mutex_unlock(&d->lock);
}

/* Add a sentence to what is said of the disk. */
static void __attribute__((format(printf, 3, 4)))
say_of(struct visit *s, int attention, const char *fmt, ...)
{
	size_t at = strlen(s->why);
	va_list ap;

	if (attention && !s->attention)
		at = 0;		/* what wants a hand comes before all that does not */
	else if (!attention && s->attention)
		return;
	s->attention |= attention;
	if (at > 0 && at + 2 < sizeof(s->why))
		at += (size_t)snprintf(s->why + at, sizeof(s->why) - at, "; ");
	if (at >= sizeof(s->why))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(s->why + at, sizeof(s->why) - at, fmt, ap);
	va_end(ap);
}

/* Whose disk it is, as the label says, onto the table. */
static void
name_it(struct bay *b, const struct receive_result *r)
{
	size_t at;
	char name[SHORT_LEN + 12];

	(void)snprintf(name, sizeof(name), "%s-%u", r->short_name, r->disk);
	(void)pthread_mutex_lock(&b->dock->lock);
	at = strlen(b->view.disk);
	if (strstr(b->view.disk, name) == NULL && at + sizeof(name) + 2 < sizeof(b->view.disk))
		(void)snprintf(b->view.disk + at, sizeof(b->view.disk) - at, "%s%s", at == 0 ? "" : ", ", name);
	memcpy(b->view.machine, r->machine_name, sizeof(b->view.machine));
	memcpy(b->view.vault, r->vault_name, sizeof(b->view.vault));
	(void)pthread_mutex_unlock(&b->dock->lock);
}

static void
of_image(struct visit *s, const char *short_name, unsigned state, uint32_t in, uint32_t disks)
{
	if (state == IMAGE_INGESTING && disks > 0)
		say_of(s, 0, "%s: %u of %u disks are in", short_name, in, disks);
	else if (state == IMAGE_HANDED_OFF || state == IMAGE_RELEASED)
		say_of(s, 0, "%s is %s", short_name, image_state_text(state));
	else
		say_of(s, 0, "%s is %s; do not erase", short_name, image_state_text(state));
}

/* A disk was looked at: what is to be done with this image of it? */
static void
received(void *arg, const struct receive_result *r)
{
	struct visit *s = arg;

	if (s->n == IMAGES_MOST || s->nin == IMAGES_MOST)
		return;
	name_it(s->b, r);
	if (r->refused) {
		say_of(s, 1, "%s-%u refused: %s", r->short_name, r->disk, r->why);
		s->retry |= r->unclaimed || r->refused == ERR_RULE;
	} else if (r->complete && r->image_state != IMAGE_GAP) {
		s->in[s->nin++] = *r;
	} else {
		memcpy(s->names[s->n++], r->short_name, SHORT_LEN + 1);
	}
}

static unsigned
state_of(struct visit *s, const uint8_t image[ID_LEN])
{
	struct cat_image i;

	memcpy(i.id, image, ID_LEN);
	return catalog_get(s->v->catalog, &cat_images, &i, NULL) == 0 ? i.state : 0;
}

static void
taken_in(void *arg, const struct ingest_result *r)
{
	struct visit *s = arg;

	if (r->unclaimed || r->refused) {
		say_of(s, 1, "%s-%u refused: %s", r->short_name, r->disk, r->why);
		s->retry = 1;
	} else if (r->chunks_bad > 0) {
		say_of(s, 1, "%s-%u: %llu chunks could not be taken from it; keep the disk", r->short_name, r->disk,
		    (unsigned long long)r->chunks_bad);
	} else if (r->damage > 0) {
		say_of(s, 1, "%s-%u: %u statements, lists or indexes on it are damaged; keep the disk", r->short_name, r->disk,
		    r->damage);
	} else {
		of_image(s, r->short_name, state_of(s, r->image_id), r->disks_in, r->disks);
	}
}

/*
 * What was in before is not read again.  But a run that was killed may have
 * written down the disk and not yet what that makes of its image.
 */
static int
known_again(struct visit *s, const struct receive_result *r, struct err *e)
{
	if (r->image_state == IMAGE_INGESTING && vault_states(s->v, r->machine_id, e) != 0)
		return -1;
	of_image(s, r->short_name, state_of(s, r->image_id), r->disks_in, r->disks);
	return 0;
}

/* What is on the disk for one vault. */
static int
visit_vault(void *arg, struct vault *v, const char *path, struct err *e)
{
	struct visit *s = arg;
	struct dock *d = s->b->dock;
	const struct receive_options ro = { .only_own = 1 };
	struct ingest_options io_ = { .jobs = d->o->jobs, .memory = d->o->memory, .checkers = d->checkers,
	    .watch = &s->b->watch };
	int rc;

	s->n = s->nin = 0;
	s->v = v;
	catalog_memory(v->catalog, checkers_catalog(d->checkers));
	if (receive_disk(v, path, &ro, received, s, e) != 0)
		return -1;
	if (s->n > 0)
		bay_set(s->b, BAY_WORKING, "");
	rc = 0;
	for (size_t i = 0; i < s->nin && rc == 0; i++)
		rc = known_again(s, &s->in[i], e);
	for (size_t i = 0; i < s->n && rc == 0; i++) {
		io_.image = s->names[i];
		rc = ingest_disk(v, path, &io_, taken_in, s, e);
	}
	return rc;
}

/* Is it a failure that may be over in a while? */
static int
may_pass(enum err_code code)
{
	return code == ERR_BUSY || code == ERR_NO_SPACE || code == ERR_NO_VAULT || code == ERR_MEMORY || code == ERR_CATALOG;
}

static void
visit_failed(struct visit *s, const struct err *e)
{
	if (e->code == ERR_NO_IMAGE)
		say_of(s, 1, "no image of samara is on it");
	else
		say_of(s, 1, "%.300s", e->msg);
	s->retry |= may_pass(e->code);
	(void)pthread_mutex_lock(&s->b->dock->lock);
	s->b->unfinished = !may_pass(e->code);
	(void)pthread_mutex_unlock(&s->b->dock->lock);
}

void
bay_serve(struct bay *b)
{
	struct visit *s = calloc(1, sizeof(*s));
	struct err e;

	if (s == NULL) {
		b->retry = io_mono_ns() + RETRY;
		bay_set(b, BAY_ATTENTION, "there is no memory");
		return;
	}
	s->b = b;
	(void)pthread_mutex_lock(&b->dock->lock);
	b->unfinished = 0;
	b->view.disk[0] = b->view.machine[0] = b->view.vault[0] = '\0';
	(void)pthread_mutex_unlock(&b->dock->lock);
	atomic_store(&b->watch.total, 0);
	atomic_store(&b->watch.read, 0);
	err_clear(&e);
	b->retry = 0;
	if (desk_each_vault(&b->dock->o->where, b->path, visit_vault, s, &e) != 0) {
		if (e.code == ERR_INTERRUPTED)
			goto free;
		visit_failed(s, &e);
	}
	if (s->retry)
		b->retry = io_mono_ns() + RETRY;
	bay_set(b, s->attention ? BAY_ATTENTION : BAY_REMOVE, s->why);
free:
	free(s);
}
