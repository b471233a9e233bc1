#ifndef SAMARA_FLOW_REFS_PARTS_H
#define SAMARA_FLOW_REFS_PARTS_H

/* The ids in the files of a reference list, part after part, as a stream; heads are checked, order is not. */

#include <stdint.h>

#include "common/flow/container.h"
#include "formats/fmt_snapshot.h"

struct err;

struct refs_parts {
	struct container *c;
	struct snap_place place;
	struct refs_head head;		/* of part 0 */
	uint64_t at, end;		/* positions among all ids of the files: the next, the one behind the last */
	uint64_t checked;		/* parts whose heads were compared: the newest and 1 */
	uint8_t *buf;
	size_t used, taken;		/* bytes */
};

/**
 * refs_parts_head(c, p, kind, head, e):
 * The head of part 0 of the list of ${kind} at ${p}.  Return 0, or -1 with
 * ${e}: ERR_NOT_FOUND where there is none, ERR_DAMAGE, ERR_VERSION.
 */
int refs_parts_head(struct container *c, const struct snap_place *p, unsigned kind, struct refs_head *head, struct err *e);

/**
 * refs_parts_init(s, c, p, head, from, to, e):
 * A stream of the ids ${from} .. ${to} - 1 of the files that begin with
 * ${head}.  Return 0, or -1 with ${e}.  Released by refs_parts_release (one
 * that is all zeros too).
 */
int refs_parts_init(struct refs_parts *s, struct container *c, const struct snap_place *p, const struct refs_head *head,
    uint64_t from, uint64_t to, struct err *e);
void refs_parts_release(struct refs_parts *s);

/* 1 with the next id, 0 at the end, -1 with ${e} (ERR_DAMAGE: cut short, or parts of different lists). */
int refs_parts_next(struct refs_parts *s, uint8_t id[DIGEST_LEN], struct err *e);

#endif
