#ifndef SAMARA_FLOW_EPOCH_H
#define SAMARA_FLOW_EPOCH_H

/*
 * Epochs: between those who rely on chunks that no snapshot needs yet (a machine
 * on the line, a run that takes in a disk) and collections, which take away what
 * nobody needs (docs/operations.md, "Collection").
 *
 * Whoever relies on chunks is a session: a row that notes the epoch in which it
 * opened.  What was told to be held in a session stays until the session ends,
 * also where a collection condemns it meanwhile: condemned chunks are deleted when
 * every session that opened before they were condemned has ended.  What is
 * condemned already when a session opens is not COPY_GOOD: it is missing, or is
 * revived (chunks_revive) in the transaction of the one who answers, commits or
 * pledges.  A session's base snapshot is not gone while it is open.
 *
 * Sessions end by themselves when nobody touched them for SESSION_IDLE on the
 * slow clock (SESSION_IDLE_PLEDGE: a pledge's).
 */

#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"

struct err;

#define SESSION_IDLE		(INT64_C(24) * 3600 * 1000000000)
#define SESSION_IDLE_PLEDGE	(INT64_C(72) * 3600 * 1000000000)

/**
 * session_enter(v, s, e):
 * In a transaction: a new session with the machine, kind, set and base that stand
 * in ${s}; its id, epoch and times are filled in.  0, or -1 with ${e}.
 */
int session_enter(struct vault *v, struct cat_session *s, struct err *e);

/* In a transaction: touch it; where it has ended meanwhile it is opened anew, in the epoch that is now.  0 or -1. */
int session_stay(struct vault *v, struct cat_session *s, struct err *e);

/* In a transaction: it ends; 0, also where it had ended, or -1. */
int session_end(struct vault *v, const uint8_t id[ID_LEN], struct err *e);

/* The session with this id: 0 it is open, 1 it is not, or was idle too long; -1 with ${e}. */
int session_get(struct vault *v, const uint8_t id[ID_LEN], struct cat_session *s, struct err *e);

/* Has it been idle too long? */
int session_is_over(const struct vault *v, const struct cat_session *s);

/* The same three, each with a transaction of its own. */
int session_enter_now(struct vault *v, struct cat_session *s, struct err *e);
int session_end_now(struct vault *v, const uint8_t id[ID_LEN], struct err *e);

/**
 * epoch_wait(v, condemned, n, e):
 * In a transaction: end the sessions that were idle too long, and count in ${n} those
 * that opened before epoch ${condemned}.  0 or -1.
 */
int epoch_wait(struct vault *v, int64_t condemned, uint64_t *n, struct err *e);

#endif
