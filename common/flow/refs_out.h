#ifndef SAMARA_FLOW_REFS_OUT_H
#define SAMARA_FLOW_REFS_OUT_H

/* A reference list on its way into snaps/ of the state: snaps/NNNNNNNN.rNN, part by part. */

#include <stdint.h>

#include "common/base/buf.h"
#include "formats/fmt_snapshot.h"

struct err;

struct refs_out {
	int dirfd, fd;
	uint64_t seq, done;		/* ids written */
	struct refs_head head;
	struct buf buf;
};

/* For the list of ${env}, whose digest and count are known, into the directory ${dirfd} (borrowed).  Release it. */
void refs_out_init(struct refs_out *r, int dirfd, const struct envelope *env);
/* The next id; ${arg} is the list.  0 or -1 with ${e}. */
int refs_out_id(void *arg, const uint8_t *id, struct err *e);
/* After the last: all parts have their names, durably.  0 or -1 with ${e}.  Before it some may have. */
int refs_out_end(struct refs_out *r, struct err *e);
void refs_out_release(struct refs_out *r);

#endif
