#include <stdlib.h>

#include "common/base/queue.h"
#include "common/flow/ingest_check.h"
#include "common/flow/ingest_slot.h"

#define WORKERS_MOST	1024u
#define MEMORY_DEFAULT	UINT64_C(400000000)

struct checkers {
	struct queue *in;
	struct pool *pool;
	unsigned slots;
	uint64_t catalog;
};

static void
checker(void *arg)
{
	struct checkers *c = arg;
	struct pack_slot *s;

	while ((s = queue_get(c->in)) != NULL) {
		pack_slot_check(s->g, s);
		(void)queue_put(s->done, s);
	}
}

struct checkers *
checkers_new(unsigned jobs, uint64_t memory, unsigned disks, struct err *e)
{
	struct checkers *c = calloc(1, sizeof(*c));
	unsigned workers = jobs > 0 ? jobs : pool_processors();

	if (c == NULL) {
		(void)err_errno(e, "start the threads that check packs");
		return NULL;
	}
	if (workers > WORKERS_MOST)
		workers = WORKERS_MOST;
	/* A quarter of the memory is for what is gathered, looked up and cached. */
	c->slots = (unsigned)((memory > 0 ? memory : MEMORY_DEFAULT) / 4 * 3 / PACK_LEN_MAX / disks);
	c->catalog = (memory > 0 ? memory : MEMORY_DEFAULT) / 8 / disks;
	if (c->slots > workers + 4)
		c->slots = workers + 4;
	if (c->slots < 2)
		c->slots = 2;
	/* Room for all that can be in hand: nobody who brings a pack waits for another disk's. */
	if ((c->in = queue_new((size_t)c->slots * disks, e)) == NULL ||
	    (c->pool = pool_start(workers, checker, c, e)) == NULL) {
		checkers_free(c);
		return NULL;
	}
	return c;
}

void
checkers_free(struct checkers *c)
{
	if (c == NULL)
		return;
	if (c->in != NULL)
		queue_close(c->in);
	pool_wait(c->pool);
	queue_free(c->in);
	free(c);
}

unsigned
checkers_slots(const struct checkers *c)
{
	return c->slots;
}

uint64_t
checkers_catalog(const struct checkers *c)
{
	return c->catalog;
}

int
checkers_put(struct checkers *c, struct pack_slot *s)
{
	return queue_put(c->in, s);
}
