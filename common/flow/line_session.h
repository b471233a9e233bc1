#ifndef SAMARA_FLOW_LINE_SESSION_H
#define SAMARA_FLOW_LINE_SESSION_H

/*
 * A session on the line, as the machine has it (docs/formats/line.md): one
 * function for each thing that can be asked.  All of them are patient: where
 * the vault is out of reach they try again, at growing intervals, until the
 * session's patience since the last answer is over; what was acknowledged is
 * not sent again.  Any thread may ask.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/flow/line.h"
#include "formats/fmt_line.h"
#include "formats/fmt_pledge.h"
#include "formats/fmt_snapshot.h"

struct err;

struct line_session {
	struct line *l;			/* borrowed */
	uint8_t id[ID_LEN];
	struct session_opened opened;
	unsigned patience;		/* seconds */
	atomic_int_fast64_t heard;	/* when the vault was last heard of, CLOCK_MONOTONIC, nanoseconds */
	atomic_bool waiting;		/* it was said that the vault is out of reach */
};

/**
 * line_session_open(t, l, o, patience, e):
 * Open the session that ${o} names (the same id again: go on with it); the vault may be out
 * of reach for ${patience} seconds.  0; 1 it does not know the base, and there is no
 * session; -1 with ${e}.
 */
int line_session_open(struct line_session *t, struct line *l, const struct session_open *o, unsigned patience, struct err *e);

/**
 * line_session_begin(t, l, kind, base, e):
 * Open a new session of ${kind} for a short job, on ${base} (snapshot id; NULL: none).
 * As line_session_open; the vault may be out of reach for a minute.
 */
int line_session_begin(struct line_session *t, struct line *l, enum line_kind kind, const uint8_t *base, struct err *e);

/* The vault's head now, into t->opened.  0 or -1 with ${e}. */
int line_session_again(struct line_session *t, struct err *e);

/* End it.  Failures are not told: it ends by itself. */
void line_session_end(struct line_session *t);

typedef int (*line_id_fn)(void *arg, const uint8_t id[DIGEST_LEN], struct err *e);

/* Every id of the base that must be brought again; every id that a refused commit lacked.  0, or -1 with ${e} or what ${fn} says. */
int line_session_lost(struct line_session *t, line_id_fn fn, void *arg, struct err *e);
int line_session_lacking(struct line_session *t, line_id_fn fn, void *arg, struct err *e);

/* The states (ID_…) of ${n} <= ASK_IDS_MAX ids, which rise.  0 or -1 with ${e}. */
int line_session_ask(struct line_session *t, const uint8_t *ids, uint32_t n, uint8_t *states, struct err *e);

/* Send a pack: durable at the vault after 0.  -1 with ${e}. */
int line_session_pack(struct line_session *t, const uint8_t id[DIGEST_LEN], const uint8_t *bytes, uint32_t len, struct err *e);

/* Send the first ${len} bytes of ${fd} as part ${part} of the list of ${kind} (REFS_…) of snapshot ${seq}.  0 or -1 with ${e}. */
int line_session_list(struct line_session *t, uint64_t seq, unsigned kind, unsigned part, int fd, uint64_t len, struct err *e);

/* Send the ${len} bytes of ${fd} as the list of what an image without snapshots carries.  0 or -1 with ${e}. */
int line_session_carried(struct line_session *t, int fd, uint64_t len, struct err *e);

/**
 * line_session_commit(t, c, out, e):
 * 0 with ${out}; -1 with ${e}: ERR_HEAD, ERR_FORK, ERR_MISSING (line_session_lacking
 * names what).  Sent again, it is answered as the first time.
 */
int line_session_commit(struct line_session *t, const struct commit *c, struct committed *out, struct err *e);

/* Post a pledge, which ends the session: 0 with what the vault has now, or -1 with ${e}.  The same again is harmless. */
int line_session_pledge(struct line_session *t, const struct pledge_post *p, struct pledge_taken *out, struct err *e);

#endif
