#ifndef SAMARA_FLOW_PACK_SINK_H
#define SAMARA_FLOW_PACK_SINK_H

/*
 * Where a build's chunks become packs, on disks or at the other end of a line.
 * Workers claim ids, hand over what is new, compressed and padded; whoever
 * fills a pack seals it; a thread for each disk that is written takes packs in
 * order, publishes them in batches (64 packs or 10 seconds: written, synced,
 * renamed, directories synced) and then says so in the journal.  For a line
 * there are threads that each send one pack after the other; what the other
 * side has acknowledged goes into the journal at once.  Packs are counted from
 * 1 by sequence; `durable` is the highest sequence below which every pack is
 * published and in the journal.
 *
 * Memory: pack_sink_memory() and 40 bytes for each chunk not yet durable.
 */

#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "formats/limits.h"

struct err;
struct journal;
struct pack_info;
struct pack_sink;
struct seen;

#define PACK_SINK_BATCH		64u	/* packs published together, at most */
#define PACK_SINK_DISKS		16u	/* written at the same time, at most */

/* A disk that is written. */
struct sink_disk {
	int imagefd;			/* samara/IMAGE on the disk, borrowed */
	uint32_t number;		/* of the disk */
	uint32_t next_pack;		/* number of the next pack file */
	char name[16];			/* "RM4K-1", for messages */
};

/*
 * Who knows the disks.  Called by the thread that writes ${d}, never by two
 * for one disk; for different disks at once.
 */
struct sink_calls {
	/* May a pack like this one still go onto the disk?  0 yes, 1 the disk is full, -1 with ${e}. */
	int (*room)(void *arg, const struct sink_disk *d, const struct pack_info *next, struct err *e);
	/*
	 * The disk is full; all that was written on it is published and in the
	 * journal.  0 with another in ${d}; 1 there is none, and as this was not
	 * ${last} of those being written, the others go on; -1 with ${e}.
	 */
	int (*full)(void *arg, struct sink_disk *d, int last, struct err *e);
	void *arg;
};

/* What takes packs instead of disks, and knows what it has.  Called by any thread, by several at once. */
struct sink_line {
	unsigned uploads;		/* packs on their way at the same time, 1 to PACK_SINK_DISKS */
	/* known[i] = 1 where the other side has or is promised chunk i, else 0.  May wait.  NULL: it has none but those in `seen`. */
	int (*ask)(void *arg, unsigned kind, const uint8_t *ids, size_t n, uint8_t *known, struct err *e);
	/* Send a pack: durable at the other side after 0.  NULL: nothing is sent, only counted what would be. */
	int (*put)(void *arg, const struct pack_info *info, const uint8_t *bytes, struct err *e);
	void *arg;
};

struct pack_sink_options {
	struct sink_disk disks[PACK_SINK_DISKS];
	unsigned ndisks;		/* 1: one after the other; more: all at the same time */
	const struct sink_calls *calls;	/* NULL: the disks have room for all */
	const struct sink_line *line;	/* instead of disks; or NULL */
	const struct domain_keys *keys;
	const uint8_t *maker;		/* machine id */
	const uint8_t *secret;		/* its Ed25519 secret */
	struct journal *journal;
	struct seen *seen;		/* ids held or written already */
};

/* Bytes of memory that a sink for ${ndisks} disks, or as many uploads, takes. */
size_t pack_sink_memory(unsigned ndisks);

/* A sink with its threads; what ${o} points at must live longer.  NULL with ${e}. */
struct pack_sink *pack_sink_new(const struct pack_sink_options *o, struct err *e);

/**
 * pack_sink_claim(s, kind, ids, n, known, e):
 * known[i] = 1: chunk i is held, or written or being written by this build;
 * 0: it is the caller's now, who must pack_sink_add it (or the build must end).
 * One id may stand twice in ${ids}: the second is known.  Over a line this may
 * wait for the other side's answer.
 */
int pack_sink_claim(struct pack_sink *s, unsigned kind, const uint8_t *ids, size_t n, uint8_t *known, struct err *e);

/* Hand over a claimed chunk as chunk_inner made it (copied).  May wait for the disk. */
int pack_sink_add(struct pack_sink *s, unsigned kind, const uint8_t *id, const uint8_t *inner, uint32_t len, struct err *e);

/**
 * pack_sink_seq(s, ids, n, seq, e):
 * The highest sequence among packs that hold these ids and are not durable yet
 * (0: all are).  Waits for those that another thread is still compressing; so
 * add all one's own first.
 */
int pack_sink_seq(struct pack_sink *s, const uint8_t *ids, size_t n, uint64_t *seq, struct err *e);

/* The highest durable sequence. */
uint64_t pack_sink_durable(struct pack_sink *s);

/* Ask that all added so far becomes durable soon; does not wait. */
void pack_sink_hurry(struct pack_sink *s);

/* Wait until all added so far is durable.  0 or -1 with ${e}. */
int pack_sink_flush(struct pack_sink *s, struct err *e);

struct pack_sink_totals {
	uint64_t packs, bytes, chunks;
};
/* Published in this run; where nothing is sent, what would be. */
void pack_sink_totals(struct pack_sink *s, struct pack_sink_totals *t);

/**
 * pack_sink_stop(s, e):
 * End the writers' threads: after a flush (drop = 0), or leaving what is not
 * durable (drop = 1); temporary files are removed.  Then only free.
 */
int pack_sink_stop(struct pack_sink *s, int drop, struct err *e);
void pack_sink_free(struct pack_sink *s);

#endif
