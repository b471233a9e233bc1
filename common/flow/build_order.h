#ifndef SAMARA_FLOW_BUILD_ORDER_H
#define SAMARA_FLOW_BUILD_ORDER_H

/*
 * The order thread's side of a build: what leaves the engine, in listing
 * order: entries into listing, reference list and item log.  build_order.c
 * decides when a piece is ready, build_out.c what is written of it.
 * Private to build_*.c.
 */

#include "common/flow/build_engine.h"
#include "common/pack/listing_write.h"

struct inode_map;

struct order {
	struct engine *g;
	struct worker w;		/* for chunks that this thread stores itself */
	struct listing_writer *listing;
	struct id_sorter *refs;
	uint8_t last_ref[DIGEST_LEN];
	unsigned spill_what;		/* LONG_*: what the spill chunks being put belong to */
	/* bundles */
	struct bundle *open;
	struct bundle *live;		/* all that are not free yet */
	uint64_t tick;			/* the engine's, when we last looked */
	bool in_large;			/* the current directory is larger than a bundle */
	unsigned entered;		/* units in hand */
	unsigned piece;			/* next of the first unit to go out */
	/* the item log */
	uint8_t dir[PATH_LEN_MAX];
	size_t dir_len;
	struct log_block *block, *head, *tail;
	bool spills_open;		/* spill chunks were logged, and no entry after them */
	size_t pending;			/* bytes in blocks */
	int64_t synced;
	/* hard links */
	struct inode_map *memo;		/* files of which more names are to come, as they went out */
	uint8_t *memo_buf;
};

/* The parts of ${o} that write the listing.  0, or -1 with ${e}; release them either way. */
int out_init(struct order *o, struct engine *g, int tmpfd, struct err *e);
void out_release(struct order *o);

/**
 * order_begin(o, g, tmpfd, e): make ready; runs of sorted ids go to ${tmpfd}.
 * order_run(o, e): take units until all is out and durable.  After -1 what is
 * durable is in the item log all the same.
 * order_end(o): give everything back, also after a failure.
 */
int order_begin(struct order *o, struct engine *g, int tmpfd, struct err *e);
int order_run(struct order *o, struct err *e);
void order_end(struct order *o);

/* A directory's block begins. */
int out_dir(struct order *o, struct fmt_view path, struct err *e);
/* An entry whose chunks are in packs up to ${seq}. */
int out_entry(struct order *o, struct piece *p, uint64_t seq, struct err *e);
/* Another name of a file that went out before. */
int out_link(struct order *o, struct piece *p, struct err *e);
/* A small file counts as use of its bundle, which is ${total} bytes long (0: not known). */
int out_use(struct order *o, const struct piece *p, uint32_t total, struct err *e);
/* A reused entry: its spill chunks are taken over first. */
int out_reused(struct order *o, struct piece *p, struct err *e);
/* Take the next stretch of a big file; 1 when it is all there. */
int out_stretch(struct order *o, struct unit *u, struct stretch *s, struct err *e);
/* Write what may be written of the log: entries whose packs are durable. */
int out_drain(struct order *o, bool sync, struct err *e);
/* Close the block at hand, so that out_drain can take it. */
void out_close_block(struct order *o);
/* listing_writer's and spill_writer's callback. */
int out_put(void *arg, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e);

#endif
