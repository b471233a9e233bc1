#include "common/flow/disputes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/flow/line_pledge.h"
#include "common/flow/line_read.h"
#include "common/pack/chunk_open.h"

/* A copy in a directory. */
struct suspect {
	struct dispute_row row;
	uint64_t off;
	uint32_t len;
};

struct disputes {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct line *line;		/* NULL: nobody here may tell */
	struct state *state;
	struct dispute_row *row;	/* [0 .. told) the vault has, [told .. n) wait for the next statement */
	size_t told, n, cap;
	int sending;
	struct err failed;		/* why none goes any more */
	struct suspect *suspect;
	size_t nsuspects, suspects_cap;
	uint64_t untold;
};

struct disputes *
disputes_new(struct err *e)
{
	struct disputes *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to read packs");
		return NULL;
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	err_clear(&d->failed);
	return d;
}

void
disputes_free(struct disputes *d)
{
	if (d == NULL)
		return;
	free(d->row);
	free(d->suspect);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void
disputes_line(struct disputes *d, struct line *l, struct state *s)
{
	pthread_mutex_lock(&d->lock);
	d->line = l;
	d->state = s;
	pthread_mutex_unlock(&d->lock);
}

static int
row_is(const struct dispute_row *a, const struct dispute_row *b)
{
	return a->copy == b->copy && memcmp(a->id, b->id, DIGEST_LEN) == 0 && memcmp(a->pack_id, b->pack_id, DIGEST_LEN) == 0;
}

/* Room for one more of ${size} bytes in ${*all}.  0, or -1 without memory or past the bound. */
static int
room_make(void *all, size_t n, size_t *cap, size_t size)
{
	void **at = all, *more;

	if (n < *cap)
		return 0;
	if (n >= DISPUTES_MOST || (more = realloc(*at, (*cap * 2 + 64) * size)) == NULL)
		return -1;
	*at = more;
	*cap = *cap * 2 + 64;
	return 0;
}

/* Its position among the rows, added where it is new; SIZE_MAX where there is no room.  Under the lock. */
static size_t
row_note(struct disputes *d, const struct dispute_row *row)
{
	void *all = d->row;
	size_t i;

	for (i = 0; i < d->n; i++)
		if (row_is(&d->row[i], row))
			return i;
	if (room_make(&all, d->n, &d->cap, sizeof(*d->row)) != 0)
		return SIZE_MAX;
	d->row = all;
	d->row[d->n++] = *row;
	return i;
}

/* All that wait, in one statement.  Under the lock, which is let go of meanwhile. */
static void
waiting_send(struct disputes *d)
{
	size_t n = d->n - d->told;
	struct dispute_row *copy = malloc(n * sizeof(*copy));
	struct err own;
	int rc;

	err_clear(&own);
	d->sending = 1;
	if (copy == NULL) {
		rc = err_set(&own, ERR_MEMORY, "no memory to dispute copies");
	} else {
		memcpy(copy, d->row + d->told, n * sizeof(*copy));
		pthread_mutex_unlock(&d->lock);
		rc = line_dispute(d->line, d->state, copy, n, &own);
		pthread_mutex_lock(&d->lock);
		free(copy);
	}
	if (rc == 0)
		d->told += n;
	else
		d->failed = own;
	d->sending = 0;
	pthread_cond_broadcast(&d->changed);
}

int
disputes_tell(struct disputes *d, const struct dispute_row *row, struct err *e)
{
	size_t i;
	int rc = 1;

	pthread_mutex_lock(&d->lock);
	if (d->line != NULL && (i = row_note(d, row)) != SIZE_MAX) {
		while (i >= d->told && d->failed.code == ERR_NONE) {
			if (d->sending)
				pthread_cond_wait(&d->changed, &d->lock);
			else
				waiting_send(d);
		}
		rc = i < d->told ? 0 : -1;
		if (rc != 0 && e != NULL)
			*e = d->failed;
	}
	d->untold += rc != 0;
	pthread_mutex_unlock(&d->lock);
	return rc;
}

void
disputes_suspect(struct disputes *d, const struct dispute_row *row, uint64_t off, uint32_t len)
{
	void *all;

	pthread_mutex_lock(&d->lock);
	all = d->suspect;
	if (room_make(&all, d->nsuspects, &d->suspects_cap, sizeof(*d->suspect)) == 0) {
		d->suspect = all;
		d->suspect[d->nsuspects++] = (struct suspect){ *row, off, len };
	}
	pthread_mutex_unlock(&d->lock);
}

size_t
disputes_suspects(struct disputes *d)
{
	size_t n;

	pthread_mutex_lock(&d->lock);
	n = d->nsuspects;
	pthread_mutex_unlock(&d->lock);
	return n;
}

/* What the suspects are opened with. */
struct settling {
	struct opener *opener;
	uint8_t *frame, *plain;
};

/* 0 it is good over the line (or the vault has no such copy), 1 it is wrong there too, -1 with ${e}. */
static int
suspect_check(struct disputes *d, struct settling *g, const struct suspect *s, struct err *e)
{
	struct err own;
	size_t len;

	err_clear(&own);
	if (s->len > FRAME_LEN_MAX)
		return 0;
	if (line_pack_range(d->line, s->row.pack_id, s->row.copy, s->off, g->frame, s->len, &own) != 0) {
		if (own.code == ERR_NOT_FOUND)
			return 0;
		if (e != NULL)
			*e = own;
		return -1;
	}
	if (chunk_open(g->opener, g->frame, s->len, s->row.id, 0, g->plain, CHUNK_PLAIN_MAX, &len, &own) == 0) {
		secret_wipe(g->plain, len);
		return 0;
	}
	return own.code == ERR_DAMAGE;
}

static int
suspects_settle(struct disputes *d, struct settling *g, size_t *good, struct err *e)
{
	uint64_t bytes = 0;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < d->nsuspects && bytes + d->suspect[i].len <= DISPUTES_CHECK; i++) {
		bytes += d->suspect[i].len;
		if ((rc = suspect_check(d, g, &d->suspect[i], e)) < 0)
			break;
		*good += rc == 0;
		rc = rc == 1 && disputes_tell(d, &d->suspect[i].row, e) < 0 ? -1 : 0;
	}
	d->nsuspects -= i;
	memmove(d->suspect, d->suspect + i, d->nsuspects * sizeof(*d->suspect));
	return rc;
}

int
disputes_settle(struct disputes *d, const struct domain_keys *k, size_t *good, struct err *e)
{
	struct settling g = { opener_new(k), malloc(FRAME_LEN_MAX), malloc(CHUNK_PLAIN_MAX) };
	int rc;

	*good = 0;
	if (g.opener == NULL || g.frame == NULL || g.plain == NULL)
		rc = err_set(e, ERR_MEMORY, "no memory to open chunks");
	else
		rc = d->line == NULL ? 0 : suspects_settle(d, &g, good, e);
	if (g.opener != NULL)
		opener_free(g.opener);
	free(g.frame);
	free(g.plain);
	return rc;
}

void
disputes_count(struct disputes *d, struct disputes_counts *c)
{
	pthread_mutex_lock(&d->lock);
	c->told = d->told;
	c->untold = d->untold;
	pthread_mutex_unlock(&d->lock);
}
