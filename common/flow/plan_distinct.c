#include "common/flow/plan_distinct.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/flow/plan_guess.h"

struct plan_distinct {
	pthread_mutex_t lock;
	uint64_t *id;		/* 0: free */
	uint32_t *cost;
	size_t cap, n, most;
	unsigned left_out;	/* ids whose first so many bits are not all zero are not kept */
};

struct plan_distinct *
plan_distinct_new(size_t memory)
{
	struct plan_distinct *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	/* While it grows, old and new stand side by side. */
	for (d->most = 1024; d->most * 2 * 18 <= memory; d->most *= 2)
		;
	d->cap = 1024;
	d->id = calloc(d->cap, sizeof(*d->id));
	d->cost = calloc(d->cap, sizeof(*d->cost));
	if (d->id == NULL || d->cost == NULL || pthread_mutex_init(&d->lock, NULL) != 0) {
		free(d->id);
		free(d->cost);
		free(d);
		return NULL;
	}
	return d;
}

void
plan_distinct_free(struct plan_distinct *d)
{
	if (d == NULL)
		return;
	(void)pthread_mutex_destroy(&d->lock);
	free(d->id);
	free(d->cost);
	free(d);
}

static bool
is_kept(const struct plan_distinct *d, uint64_t id)
{
	return d->left_out == 0 || id >> (64 - d->left_out) == 0;
}

/* Where ${id} stands, or the free slot where it would. */
static size_t
slot_of(const uint64_t *ids, size_t cap, uint64_t id)
{
	size_t at = id & (cap - 1);

	while (ids[at] != 0 && ids[at] != id)
		at = (at + 1) & (cap - 1);
	return at;
}

/* Move all that is kept into tables of ${cap}.  False without memory: nothing changed. */
static bool
table_move(struct plan_distinct *d, size_t cap)
{
	uint64_t *id = calloc(cap, sizeof(*id));
	uint32_t *cost = calloc(cap, sizeof(*cost));
	size_t n = 0, at;

	if (id == NULL || cost == NULL) {
		free(id);
		free(cost);
		return false;
	}
	for (size_t i = 0; i < d->cap; i++) {
		if (d->id[i] == 0 || !is_kept(d, d->id[i]))
			continue;
		at = slot_of(id, cap, d->id[i]);
		id[at] = d->id[i];
		cost[at] = d->cost[i];
		n++;
	}
	free(d->id);
	free(d->cost);
	d->id = id;
	d->cost = cost;
	d->cap = cap;
	d->n = n;
	return true;
}

/* Room for one more: a larger table, else fewer ids. */
static bool
room_make(struct plan_distinct *d)
{
	if (d->n * 4 < d->cap * 3)
		return true;
	if (d->cap < d->most && table_move(d, d->cap * 2))
		return true;
	while (d->n * 4 >= d->cap * 3 && d->left_out < 60) {
		d->left_out++;
		if (!table_move(d, d->cap))
			return d->n + 1 < d->cap;
	}
	return true;
}

int
plan_distinct_claim(struct plan_distinct *d, uint64_t id)
{
	size_t at;
	int fresh = 0;

	id += id == 0;
	(void)pthread_mutex_lock(&d->lock);
	if (is_kept(d, id) && room_make(d) && is_kept(d, id)) {
		at = slot_of(d->id, d->cap, id);
		if (d->id[at] == 0) {
			d->id[at] = id;
			d->n++;
			fresh = 1;
		}
	}
	(void)pthread_mutex_unlock(&d->lock);
	return fresh;
}

void
plan_distinct_cost(struct plan_distinct *d, uint64_t id, uint32_t cost)
{
	size_t at;

	id += id == 0;
	(void)pthread_mutex_lock(&d->lock);
	at = slot_of(d->id, d->cap, id);
	if (d->id[at] == id)
		d->cost[at] = cost;
	(void)pthread_mutex_unlock(&d->lock);
}

uint64_t
plan_distinct_sum(struct plan_distinct *d, double *error)
{
	double sum = 0, scale = (double)(UINT64_C(1) << d->left_out);

	for (size_t i = 0; i < d->cap; i++)
		if (d->id[i] != 0)
			sum += d->cost[i];
	*error = d->left_out == 0 || d->n == 0 ? 0 : 1.2 / plan_root((double)d->n);
	return (uint64_t)(sum * scale);
}
