#ifndef SAMARA_FLOW_SOURCE_H
#define SAMARA_FLOW_SOURCE_H

/*
 * Where chunks come from when something is read back: any mix of disks and
 * vaults, and the line.  All pack tables of disks and vaults go into one index
 * (chunk_map.h); a chunk is read from the first place that has it, disks before
 * vaults, and where that copy turns out bad, from the next.  The line is asked
 * for what none of them has (chunk_fetch.h); what it gives and does not open is
 * read once more, then disputed, and asked for anew (disputes.h).
 */

#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "common/flow/chunk_map.h"
#include "common/flow/container.h"

struct disputes;
struct err;
struct label;
struct source;
struct source_reader;

/* Told of every copy, table or statement found bad, once each; never by two threads at once.  ${id} NULL: not one chunk. */
typedef void (*source_bad_fn)(void *arg, const char *where, const uint8_t *id, const struct err *why);

struct source_options {
	const struct domain_keys *keys;	/* borrowed; NULL: nothing can be opened, only looked up */
	size_t memory;			/* for the index and for packs held */
	source_bad_fn bad;		/* may be NULL */
	void *bad_arg;
	struct disputes *disputes;	/* borrowed: hears of wrong copies of the vault; NULL: nobody does */
};

/* NULL with ${e} on failure.  Free with source_free (NULL is allowed), after all its readers. */
struct source *source_new(const struct source_options *o, struct err *e);
void source_free(struct source *s);

/**
 * source_add(s, path, machine, e):
 * Add what is at ${path}: a disk (a directory with samara/ in it, or a block
 * device that has one, mounted until source_free: all images
 * on it that are of the key domain) or a vault (snapshots of ${machine}; NULL:
 * all).  Return 0, or -1 with ${e}: ERR_NO_IMAGE, ERR_NO_VAULT, ….
 */
int source_add(struct source *s, const char *path, const uint8_t *machine, struct err *e);

/* As source_add, for a directory alone; messages call it ${name}. */
int source_add_dir(struct source *s, const char *path, const char *name, const uint8_t *machine, struct err *e);

/**
 * source_add_container(s, c, e):
 * Add one that is open already (it is taken, also on failure): for the line, of which there may be one.
 */
int source_add_container(struct source *s, struct container *c, struct err *e);

/* After the last source_add: read the tables.  0 or -1 with ${e}. */
int source_index(struct source *s, struct err *e);

/* The line's container among them, or NULL. */
struct container *source_line(const struct source *s);

/* How many disks and vaults were added, one of them, and the keys; all of them are ${s}'s. */
size_t source_containers(const struct source *s);
struct container *source_container(const struct source *s, size_t i);
const struct domain_keys *source_keys(const struct source *s);

/*
 * Of the following, what tells where a copy lies speaks of disks and vaults at
 * hand alone: what the line has is asked for by source_places.
 */

/* 1 if there is a copy of ${id}, else 0; ${len}: bytes of its frame (may be NULL), ${from}: its container (may be NULL). */
int source_has(const struct source *s, const uint8_t id[DIGEST_LEN], uint32_t *len, size_t *from);

/* Where the first copy of ${id} lies, as a number that rises from pack to pack and within each; UINT64_MAX: nowhere. */
uint64_t source_place(const struct source *s, const uint8_t id[DIGEST_LEN], uint32_t *len);

/* What a caller notes of a chunk: bits of their own, kept with its first copy. */
enum source_mark {
	SOURCE_USED = 2,	/* what needed it, as far as is known, has it */
	SOURCE_WAITED = 4	/* something needs it together with a chunk that is not there */
};
/* Note it; nothing where there is no copy.  Any thread. */
void source_mark(struct source *s, const uint8_t id[DIGEST_LEN], enum source_mark mark);

struct source_standing {
	uint32_t len;		/* of its frame */
	unsigned kind;
	size_t container;	/* of the first copy */
	uint64_t place;		/* of it: rising as it lies in its container */
	unsigned marks;		/* of enum source_mark, and others */
	int stays;		/* a copy is in a vault or in what is kept of disks */
};
/* 1 if there is a copy of ${id}, with ${out}; else 0. */
int source_stands(const struct source *s, const uint8_t id[DIGEST_LEN], struct source_standing *out);

/**
 * source_frame(r, id, frame, len, e):
 * The sealed frame of a chunk, which was opened and checked; it stays until
 * the next call with this reader.  0, or -1 with ${e} as source_get.
 */
int source_frame(struct source_reader *r, const uint8_t id[DIGEST_LEN], const uint8_t **frame, size_t *len, struct err *e);

/**
 * source_want(s, id):
 * Say that ${id} will be asked for soon.  Where much of one pack is wanted it
 * is read in one piece.  Each want is taken back by one source_unwant.
 */
void source_want(struct source *s, const uint8_t id[DIGEST_LEN]);
void source_unwant(struct source *s, const uint8_t id[DIGEST_LEN]);

/**
 * source_places(s, ids, n, len, e):
 * Ask the line for ${n} rising ids, at most ASK_IDS_MAX: ${len} of each one's frame, 0 where it has no good
 * copy.  0, or -1 with ${e}; without a line all are 0.  They are not asked for again when they are read.
 */
int source_places(const struct source *s, const uint8_t *ids, size_t n, uint32_t *len, struct err *e);

/* One thread's side of it, with buffers and cipher state of its own. */
struct source_reader *source_reader_new(struct source *s, struct err *e);
void source_reader_free(struct source_reader *r);

/**
 * source_get(reader, id, kind, plain, len, e):
 * The plaintext of a chunk, checked against its id; it stays until the next
 * call with this reader.  ${kind} 0: any.  Of type chunk_get_fn.  Return 0, or
 * -1 with ${e}: ERR_MISSING where no place has it, else why the last copy is bad.
 */
int source_get(void *reader, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t **plain, size_t *len, struct err *e);

/* What was read over the line so far, and for how long; zeros without one. */
void source_line_used(const struct source *s, uint64_t *bytes, int64_t *ns);

/* Bytes read from container ${i} so far. */
uint64_t source_read_bytes(const struct source *s, size_t i);

#endif
