#ifndef SAMARA_FLOW_REPAIR_H
#define SAMARA_FLOW_REPAIR_H

/*
 * Making packs of a closed disk again from its parity, without a key
 * (docs/formats/disk.md, "Parity").  Reads the disk only.  Packs that are
 * wanted are gathered first and made group by group, so that a group is read
 * once, whatever is wrong in it: in one pass, with m + 1 packs of memory.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/disk/image_dir.h"
#include "formats/fmt_parity.h"

struct err;
struct repair;

/* A pack that was wanted. */
struct repaired {
	uint32_t number, file_len;	/* as the disk's index has them */
	uint8_t id[DIGEST_LEN];
	uint8_t *bytes;			/* all that could be had of it, zeros for the rest; until the call returns */
	size_t len;
	int empty;			/* nothing could be had */
	int whole;			/* it is the pack: length, signed table and the digest of every frame agree */
	const char *why;		/* what is wrong, where it is not whole; else "" */
};

/* 0, or -1 with ${e}: the repair ends with it. */
typedef int (*repaired_fn)(void *arg, const struct repaired *p, struct err *e);

/**
 * repair_new(d, s, e):
 * For the disk ${d} (borrowed) with the statement ${s}.  Reads the index: 40
 * bytes of memory a pack.  NULL with ${e}: ERR_NOT_FOUND where the disk has no
 * parity, or what is wrong with index or memory.
 */
struct repair *repair_new(const struct image_dir *d, const struct disk_statement *s, struct err *e);
void repair_free(struct repair *r);

/* Pack ${number} is wanted; once is enough.  From several threads.  A number that the index does not have is ignored. */
void repair_want(struct repair *r, uint32_t number);

/* How many are wanted. */
uint32_t repair_wanted(struct repair *r);

/**
 * repair_run(r, fn, arg, e):
 * Make all wanted packs and give each to ${fn}, whole or not; then none is
 * wanted any more.  What is not whole still has the shards that came back, so
 * chunks of it may be good: they are to be checked against the signed table.
 * Return 0, or -1 with ${e}: ${fn}'s, ERR_MEMORY, ERR_INTERRUPTED.
 */
int repair_run(struct repair *r, repaired_fn fn, void *arg, struct err *e);

/* Whether these bytes are the pack ${x} of the index: length, signed table, digest of every frame. */
int repair_is_pack(const struct image_dir *d, const struct parity_member *x, const uint8_t *in, size_t len);

/* What the index says of ${group}: ${members} has room for PARITY_GROUP_MAX; ${first}: the number of its first parity pack. */
void repair_group_describe(const struct repair *r, uint32_t group, struct parity_table *t, struct parity_member *members,
    uint32_t *first);

#endif
