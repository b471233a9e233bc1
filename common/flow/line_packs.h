#ifndef SAMARA_FLOW_LINE_PACKS_H
#define SAMARA_FLOW_LINE_PACKS_H

/*
 * A few chunks over the line: collected in memory, asked for, and sent as packs
 * in a session, one after the other.  For listings and refills; a backup has
 * its own, with many connections (pack_sink.h).
 */

#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "common/flow/state.h"

struct line_packs;
struct line_session;

/* ${level}: zstd.  NULL with ${e}.  Free with line_packs_free (NULL is allowed).  Memory: 50 MB. */
struct line_packs *line_packs_new(struct line_session *t, struct state *s, const struct domain_keys *k, int level, struct err *e);
void line_packs_free(struct line_packs *p);

/* A chunk whose id is known; what the vault holds already is not sent.  0 or -1 with ${e}.  Of topup_calls.put's type. */
int line_packs_add(void *packs, unsigned kind, const uint8_t id[DIGEST_LEN], const uint8_t *plain, size_t len, struct err *e);

/* Send what is left.  After 0 all that was added is durable at the vault. */
int line_packs_flush(struct line_packs *p, struct err *e);

struct line_packs_totals {
	uint64_t chunks, held, packs, bytes;	/* sent; not sent, as the vault holds them; packs and their bytes */
};
/* What was sent so far. */
void line_packs_totals(const struct line_packs *p, struct line_packs_totals *t);

/* Called after each pack that was sent; non-zero with ${e} ends it. */
void line_packs_limit(struct line_packs *p, int (*fn)(void *arg, uint64_t bytes, struct err *e), void *arg);

#endif
