#ifndef SAMARA_FLOW_INGEST_SLOT_H
#define SAMARA_FLOW_INGEST_SLOT_H

/* One pack of a disk in memory, on its way from reader through a worker to the one who keeps the books. */

#include "common/base/err.h"
#include "common/flow/ingest_job.h"
#include "common/flow/pack_put.h"
#include "common/pack/pack_view.h"

struct queue;

struct pack_slot {
	const struct ingest *g;		/* whose it is */
	struct queue *done;		/* where it goes when it was checked */
	uint8_t *pack;			/* PACK_LEN_MAX and a block more, aligned */
	size_t len;			/* bytes read */
	uint8_t *table;			/* of the index: what the pack should be */
	size_t table_cap;
	uint32_t table_len, file_len, number;
	uint8_t foot[PACK_FOOT_LEN];
	uint8_t plan;
	/* By the worker. */
	struct pack_view view;
	int believed;			/* the table is signed by the machine */
	uint8_t *good;			/* of each frame */
	size_t good_cap;
	uint32_t nbad;
	char why[128];			/* what is wrong with it; "" for nothing */
	int stored;			/* whole, as ${put} says */
	struct pack_put put;
	int failed;
	struct err err;
};

/* Memory for one pack; NULL with ${e}.  Free with pack_slot_free (NULL is allowed). */
struct pack_slot *pack_slot_new(struct err *e);
void pack_slot_free(struct pack_slot *s);

/**
 * pack_slot_read(g, s, e): read the pack into memory.  A pack that cannot be opened
 * or read is damage and noted in s->why; -1 only when the disk itself is gone.
 */
int pack_slot_read(const struct ingest *g, struct pack_slot *s, struct err *e);

/* Check every frame against the table; where all is well and the plan says so, store the pack as it is. */
void pack_slot_check(const struct ingest *g, struct pack_slot *s);

#endif
