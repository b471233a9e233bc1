#ifndef SAMARA_FLOW_BUILD_ENGINE_H
#define SAMARA_FLOW_BUILD_ENGINE_H

/*
 * The engine of a build: one pass from the live tree to chunks and a listing.
 *
 *   walker thread    walks in listing order, merges with what is known, makes units
 *   worker threads   take the oldest work there is: a bundle to seal, the next
 *                    stretch of a big file, the next unit of small files
 *   order thread     (the caller) takes finished units in order: forms bundles,
 *                    writes the listing, the reference list and the item log
 *   pack sink        seals and writes packs; says what is durable
 *
 * The order thread alone decides what is in the snapshot, in listing order, so
 * the result does not depend on how many workers there are.  Everything is
 * bounded: UNITS_MAX units, each with at most UNIT_BYTES of small files.
 * Private to build_*.c.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/flow/base_list.h"
#include "common/flow/build.h"
#include "common/flow/pack_sink.h"
#include "common/flow/small_known.h"
#include "common/walk/walker.h"
#include "formats/fmt_listing.h"

#define UNITS_MAX	32u
#define UNITS_FEW	24u	/* so few, and a waiting walker goes on */
#define UNIT_PIECES	512u
#define UNIT_DIRS	16u
#define UNIT_BYTES	(1u << 20)
#define STRETCH_LEN	(4u << 20)	/* of a big file, read and cut at a time */
#define STRETCH_CHUNKS	2048u
#define STRETCHES_MAX	64u		/* read and not yet taken, of all big files; the first has as many for itself */

struct cutter;
struct codec;
struct build_news;
struct id_sorter;
struct listing_writer;
struct job;
struct bundle_use;
struct seen;
struct xattr_rows;

/* Memory that is given back all at once. */
struct slab {
	struct slab_block *blocks;
};
/* ${n} bytes; a copy of what a view points at; and all of it given back.  No part is given back alone. */
void *slab_get(struct slab *s, size_t n);		/* NULL without memory; 8-byte aligned */
bool slab_view(struct slab *s, struct fmt_view *v);	/* copy what ${v} points at; false without memory */
/* Give back everything that came from ${s}, which can be used again. */
void slab_free(struct slab *s);

/* Many small files in one chunk. */
struct bundle {
	uint8_t *data;
	uint32_t len, cap;
	uint8_t id[DIGEST_LEN];
	uint64_t seq;		/* of the pack it went into, when done */
	bool done;
	unsigned users;		/* pieces that wait for it */
	struct bundle *next;	/* in the workers' list */
	struct bundle *live;	/* in the order thread's list of all there are */
};

/* A stretch of a big file: what one worker reads, cuts and stores at a time. */
struct stretch {
	struct stretch *next;
	unsigned generation;	/* of the file's reading */
	bool done, last;
	uint8_t *extents;	/* EXTENT_LEN each */
	uint32_t n;
	uint64_t seq;
	uint64_t bytes;
};

/* A big file being read. */
struct big_file {
	int fd;
	bool busy;		/* a worker reads and cuts */
	bool eof, failed;
	unsigned generation;	/* 0: first reading; 1: again, since it changed */
	uint64_t offset;	/* read up to here */
	uint64_t run_end;	/* of the stretch of data around offset */
	bool sparse;
	uint8_t *carry;		/* read, not cut yet */
	size_t carry_len;
	struct stat first;
	struct stretch *head, *tail;	/* in order */
	unsigned untaken;	/* stretches given to workers, not taken by the order thread */
	/* The order thread's. */
	unsigned taking;	/* generation that is being taken */
	struct buf_extents {
		uint8_t *p;
		size_t len, cap;
	} extents;
	struct spill_writer *spill;
	uint64_t size, seq;
};

enum piece_kind { PIECE_DIR, PIECE_READY, PIECE_SMALL, PIECE_BIG, PIECE_LINK };

/* One thing in listing order. */
struct piece {
	enum piece_kind kind;
	struct fmt_view path;	/* the directory */
	struct entry en;
	dev_t dev;
	struct walk_dir *dir;	/* held, where the file must be opened */
	bool large_dir;		/* DIR: holds more small files than a bundle */
	bool skip;		/* could not be read: not in the listing */
	bool more_names;	/* of the same file are still to come */
	struct base_place place;	/* READY: where its spill chunks stand */
	/* SMALL, when read */
	uint8_t *data;
	uint32_t len;
	uint32_t cut;		/* a keyed hash of its content: may a bundle end behind it? */
	uint8_t key[SMALL_KEY_LEN];	/* another part of that hash */
	struct bundle *bundle;
	uint32_t offset;
};

enum unit_state { UNIT_NEW, UNIT_TAKEN, UNIT_DONE };

struct unit {
	struct unit *next;
	enum unit_state state;
	unsigned n, ndirs;
	struct slab slab;
	uint64_t small_bytes;
	struct walk_dir *dirs[UNIT_DIRS];
	struct big_file *big;	/* then the unit is pieces[0] alone */
	bool entered;		/* taken into the order thread's hands */
	struct piece pieces[];	/* UNIT_PIECES, or 1 of a big file; only the first n are set */
};

/* Pending items of the log, waiting for their packs. */
struct log_block {
	struct log_block *next;
	unsigned type;		/* JOURNAL_ITEMS or JOURNAL_SPILL */
	uint8_t *p;
	size_t len, cap;
	uint64_t seq;
	bool entries;		/* it holds one at least */
};

struct engine {
	const struct build_source *src;
	struct build_result *res;
	struct pack_sink *sink;
	struct journal *items;		/* item log of this run; NULL: only counted */
	struct build_news *news;	/* the largest that are read, where it is only counted; else NULL */
	const struct base_layer *layers;
	size_t nlayers;
	int runs_fd;			/* where what memory does not hold goes */
	struct seen *seen;		/* ids that this image may lean on or carries */
	const struct domain_keys *keys;
	struct cutter *cutter;
	struct job *job;

	pthread_mutex_t lock;
	pthread_cond_t changed;		/* the order thread waits for it */
	pthread_cond_t work;		/* workers wait for it */
	pthread_cond_t room;		/* the walker waits for it */
	uint64_t tick;			/* counts every change, so that no waking is lost */
	struct unit *first, *last;	/* in listing order, not yet out */
	unsigned nunits;
	unsigned untaken;		/* stretches of all big files */
	bool walked;			/* no more units will come */
	struct bundle *tasks, *tasks_last;
	bool failed, ending;
	struct err err;

	struct walker *walker;
	const struct bundle_use *base_use;	/* of the base; never NULL */
	struct bundle_use *use;		/* of this snapshot; the order thread's */
	atomic_uint_fast64_t read_bytes;
};

/* Something changed that the order thread wants to know.  The lock is held here and in the two that follow. */
static inline void
engine_tick(struct engine *g)
{
	g->tick++;
	pthread_cond_signal(&g->changed);
}

/* There is one thing more to do for a worker. */
static inline void
engine_tick_work(struct engine *g)
{
	engine_tick(g);
	pthread_cond_signal(&g->work);
}

/* It ends, well or not: wake everybody. */
static inline void
engine_tick_all(struct engine *g)
{
	engine_tick(g);
	pthread_cond_broadcast(&g->work);
	pthread_cond_broadcast(&g->room);
}

/* The first failure ends the build; safe from any thread. */
void engine_fail(struct engine *g, const struct err *e);
/* A source item that could not be (wholly) taken: counted, said, kept in the job. */
void engine_warn(struct engine *g, struct fmt_view dir, struct fmt_view name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A file was read and would be sent: noted if it is among the largest; nothing where g->news is NULL.  0 or -1. */
int engine_news(struct engine *g, const struct piece *p, struct err *e);

/**
 * entry_is_unchanged(s, walker, live, base, place):
 * True if the file need not be read again: same type, size, mtime, ctime and
 * inode (the last two where the file system keeps them), not unsure, and its
 * extents are known.
 */
bool entry_is_unchanged(const struct build_source *s, const struct walker *walker, const struct entry *live,
    const struct entry *base, const struct base_place *place);

/* What the threads run until there is nothing more or one has failed; ${arg} is the engine, which keeps the error. */
void engine_walk(void *arg);	/* build_walk.c: the walker's thread */
void engine_work(void *arg);	/* build_work.c: a worker */

/* build_file.c: the reading of files, for workers. */
struct worker {
	struct engine *g;
	struct codec *codec;
	uint8_t *buf;		/* a stretch and what was carried over */
	size_t buf_cap;
	uint8_t *inner;		/* one chunk, compressed and padded */
	struct xattr_rows *xattrs;
};

/* The oldest unit with something to do, taken for a worker, or NULL.  The lock is held. */
struct unit *unit_take_locked(struct engine *g);

/* The order thread has taken a stretch of a big file: there is room for another.  The lock is held. */
static inline void
stretch_taken(struct engine *g, struct big_file *b)
{
	b->untaken--;
	g->untaken--;
	pthread_cond_signal(&g->work);
}

/* Read and store a unit of small files, a stretch of a big one, a bundle.  0, or -1 with ${e}: the build cannot go on. */
int work_small(struct worker *w, struct unit *u, struct err *e);
int work_big(struct worker *w, struct unit *u, struct err *e);
int work_bundle(struct worker *w, struct bundle *b, struct err *e);

/**
 * store_chunks(w, kind, data, lens, n, ids, seq, e):
 * Store ${n} chunks that lie one behind the other at ${data}: ids into ${ids},
 * the highest pack sequence that any of them waits for into ${seq}.
 */
int store_chunks(struct worker *w, unsigned kind, const uint8_t *data, const uint32_t *lens, uint32_t n, uint8_t *ids,
    uint64_t *seq, struct err *e);

/* Drop a unit and what it holds; none of it is needed any more. */
void unit_free(struct unit *u);

#endif
