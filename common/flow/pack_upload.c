/* The threads that send packs over a line, several at once. */

#include <stdlib.h>

#include "common/flow/journal.h"
#include "common/flow/pack_sink_job.h"

/* The next pack to send, taken; NULL when there is none any more. */
static struct slot *
upload_wait(struct pack_sink *s)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&s->lock);
	while (!s->failed && !(s->stopping && s->dropping)) {
		if ((slot = slot_ready_locked(s)) != NULL) {
			slot->state = SLOT_TAKEN;
			break;
		}
		if (s->stopping && s->nwritten == s->next_seq - 1)
			break;
		pthread_cond_wait(&s->changed, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return slot;
}

/* Send it; in the journal stands only what was acknowledged. */
static int
upload_one(struct pack_sink *s, struct slot *slot, struct err *e)
{
	const struct sink_line *l = s->o.line;
	struct pending p = { .seq = slot->turn, .info = slot->info, .ids = slot->ids, .fd = -1 };

	if (l->put(l->arg, &slot->info, slot->bytes, e) != 0 ||
	    sink_journal(s, 0, (uint32_t)slot->turn, &slot->info, slot->bytes + slot->info.table_off, e) != 0 ||
	    journal_sync(s->o.journal, e) != 0)
		return -1;
	slot->ids = NULL;
	slot_done(s, slot, true);
	sink_landed(s, &p, 1);
	free(p.ids);
	return 0;
}

void *
upload_main(void *arg)
{
	struct writer *w = arg;
	struct slot *slot;
	struct err e;
	int rc = 0;

	err_clear(&e);
	while (rc == 0 && (slot = upload_wait(w->s)) != NULL)
		rc = upload_one(w->s, slot, &e);
	if (rc != 0)
		sink_fail(w->s, &e);
	return NULL;
}
