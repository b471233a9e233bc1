#ifndef SAMARA_FLOW_COLLECT_JOB_H
#define SAMARA_FLOW_COLLECT_JOB_H

/* What the parts of a collection share; private to them. */

#include <stddef.h>
#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/collect.h"
#include "common/flow/container.h"

/* --- collect_filter.c: ids that are needed --- */

/*
 * A set of ids in fixed memory that never forgets one: it may claim to have one that was
 * not put in (a Bloom filter, "Space/Time Trade-offs in Hash Coding with Allowable
 * Errors", 1970, with a new salt each time), so that now and then a chunk is kept
 * until the next collection.
 */
struct id_filter;
/* ${n}: how many ids are expected; ${memory}: bytes at most.  NULL with ${e} (ERR_MEMORY). */
struct id_filter *id_filter_new(uint64_t n, uint64_t memory, struct err *e);
void id_filter_free(struct id_filter *f);
void id_filter_add(struct id_filter *f, const uint8_t id[DIGEST_LEN]);
int id_filter_has(const struct id_filter *f, const uint8_t id[DIGEST_LEN]);

/* --- collect_mark.c --- */

/* How much of a pack is condemned. */
struct pack_tally {
	int64_t pack;
	uint32_t condemned;
};

struct collect {
	struct vault *v;
	const struct collect_options *o;
	struct collect_result *r;
	int64_t filed;			/* what had been filed when the mark began */
	struct id_filter *needed;
	uint8_t (*held)[ID_LEN];	/* machines of whose copies none is taken */
	size_t nheld;
	uint8_t (*domains)[DIGEST_LEN];	/* that packs are of */
	size_t ndomains;
	struct pack_tally *tally;	/* of the walk behind the mark, by number of pack */
	size_t ntally, tally_cap;
	struct cat_snapshot unread;	/* the first whose list cannot be read */
	uint64_t nunread;
	uint64_t strays_left;		/* packs without rows that stay, for now or until a rebuild */
};

/**
 * collect_mark(c, e):
 * Read all lists, and find out whose copies are held back.  Outside a transaction.
 * 0, or -1 with ${e}.
 */
int collect_mark(struct collect *c, struct err *e);

/**
 * collect_walk(c, condemn, e):
 * Walk the index beside the mark, in short transactions: what is needed is doubted no
 * more, what is not becomes suspect or, with ${condemn}, what was suspect condemned.
 * c->tally counts what is condemned then.  0; 1 more was filed since the mark: mark
 * again; -1 with ${e}.
 */
int collect_walk(struct collect *c, int condemn, struct err *e);

/* Is nothing taken of the copies of ${writer}?  As the mark found. */
int collect_is_held_back(const struct collect *c, const uint8_t writer[ID_LEN]);

/* In a transaction: has anything been filed since the mark?  1, 0, -1. */
int collect_is_stale(struct collect *c, struct err *e);

/* What a mark and a walk keep. */
void collect_forget(struct collect *c);

/* --- collect_gone.c --- */

/* Snapshots whose time after their deletion is over: re-base lists on them, record it, delete their objects.  0 or -1. */
int collect_gone(struct collect *c, struct err *e);

/* --- collect_packs.c --- */

/**
 * packs_announce(c, e):
 * Mark in the store the numbers of packs all of whose copies are condemned, so that nobody
 * relies on finding them there; the sessions that are open now must end before they are
 * deleted.  0 or -1.
 */
int packs_announce(struct collect *c, struct err *e);

/* The mark of one: 1 it stands there, 0 not, -1; set it: 0, 1 it stood there, -1. */
int pack_is_announced(struct collect *c, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e);
int pack_announce(struct collect *c, const uint8_t id[DIGEST_LEN], uint32_t copy, struct err *e);

/* Delete the announced ones, where no session is open that opened before: c->r->waits.  0; 1 something was filed since the mark; -1. */
int packs_delete(struct collect *c, struct err *e);

/* Delete the bytes of packs whose rows are gone.  0 or -1. */
int packs_finish(struct collect *c, struct err *e);

/* A pack's table as it stands in the store, its signature checked; ${v} points into the new buffer ${end}.  0, 1 it cannot be believed (told), -1. */
struct pack_view;
int pack_table_read(struct vault *v, const struct cat_pack *p, struct pack_view *view, uint8_t **end, struct err *e);

/* --- collect_strays.c --- */

/*
 * Behind a mark: packs in the store that the catalog does not know, announced by one run,
 * deleted by a later one; those that hold what is needed and nowhere else stay (told).  0 or -1.
 */
int collect_strays(struct collect *c, struct err *e);

/* Tables in origins/ that no re-packed pack names, while no session is open.  0 or -1. */
int collect_origins(struct collect *c, struct err *e);

/* --- collect_repack.c --- */

/* Write the rest of packs that are mostly condemned anew.  0 or -1. */
int packs_repack(struct collect *c, struct err *e);

#endif
