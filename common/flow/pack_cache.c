#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/pack_cache.h"
#include "formats/limits.h"

enum slot_state { SLOT_EMPTY, SLOT_LOADING, SLOT_FULL };

struct slot {
	enum slot_state state;
	uint32_t pack;
	unsigned users;
	uint64_t used;		/* the clock when it was last held */
	uint8_t *bytes;
};

struct pack_cache {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pack_load_fn load;
	void *arg;
	uint64_t clock;
	unsigned n;
	struct slot slot[];
};

struct pack_cache *
pack_cache_new(unsigned slots, pack_load_fn load, void *arg)
{
	struct pack_cache *c = calloc(1, sizeof(*c) + slots * sizeof(c->slot[0]));

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	c->load = load;
	c->arg = arg;
	c->n = slots;
	return c;
}

void
pack_cache_free(struct pack_cache *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->n; i++)
		free(c->slot[i].bytes);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct slot *
slot_of(struct pack_cache *c, uint32_t pack)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->slot[i].state != SLOT_EMPTY && c->slot[i].pack == pack)
			return &c->slot[i];
	return NULL;
}

/* The slot that nobody holds and that was used longest ago. */
static struct slot *
slot_oldest(struct pack_cache *c)
{
	struct slot *best = NULL;

	for (unsigned i = 0; i < c->n; i++) {
		struct slot *s = &c->slot[i];

		if (s->users == 0 && (best == NULL || s->used < best->used))
			best = s;
	}
	return best;
}

/* Read ${pack} into ${s}, which is empty and held by this thread; the lock is given up meanwhile. */
static int
slot_load(struct pack_cache *c, struct slot *s, uint32_t pack, uint32_t len, struct err *e)
{
	int rc;

	s->state = SLOT_LOADING;
	s->pack = pack;
	pthread_mutex_unlock(&c->lock);
	if (s->bytes == NULL && (s->bytes = malloc(PACK_LEN_MAX)) == NULL)
		rc = err_set(e, ERR_MEMORY, "no memory for a pack");
	else
		rc = c->load(c->arg, pack, s->bytes, len, e);
	pthread_mutex_lock(&c->lock);
	s->state = rc == 0 ? SLOT_FULL : SLOT_EMPTY;
	pthread_cond_broadcast(&c->changed);
	return rc;
}

int
pack_cache_hold(struct pack_cache *c, uint32_t pack, uint32_t len, const uint8_t **bytes, unsigned *slot,
    struct err *e)
{
	struct slot *s;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	while ((s = slot_of(c, pack)) != NULL && s->state == SLOT_LOADING)
		pthread_cond_wait(&c->changed, &c->lock);
	if (s == NULL && (s = slot_oldest(c)) == NULL) {
		pthread_mutex_unlock(&c->lock);
		return 1;
	}
	s->users++;
	if (s->state != SLOT_FULL || s->pack != pack)
		rc = slot_load(c, s, pack, len, e);
	if (rc != 0) {
		s->users--;
	} else {
		s->used = ++c->clock;
		*bytes = s->bytes;
		*slot = (unsigned)(s - c->slot);
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void
pack_cache_release(struct pack_cache *c, unsigned slot)
{
	pthread_mutex_lock(&c->lock);
	c->slot[slot].users--;
	pthread_mutex_unlock(&c->lock);
}

int
pack_cache_has(struct pack_cache *c, uint32_t pack)
{
	int has;

	pthread_mutex_lock(&c->lock);
	has = slot_of(c, pack) != NULL;
	pthread_mutex_unlock(&c->lock);
	return has;
}
