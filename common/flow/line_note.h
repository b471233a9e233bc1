#ifndef SAMARA_FLOW_LINE_NOTE_H
#define SAMARA_FLOW_LINE_NOTE_H

/*
 * What the state remembers of the line, in the file `line`: authenticated with
 * the machine's key, so that nobody without it can make the machine forget
 * what its vault acknowledged.
 */

#include "common/flow/state.h"
#include "formats/fmt_line_note.h"

struct err;

/**
 * line_note_load(s, k, n, e):
 * The note; zeros where there is none yet.  0, or -1 with ${e} (ERR_STATE: it
 * was changed by somebody without the key, or is of another vault).
 */
int line_note_load(struct state *s, const struct domain_keys *k, struct line_note *n, struct err *e);

/* Changes what it wants to; called with the note as it is now, under the state's lock. */
typedef void (*line_note_fn)(void *arg, struct line_note *n);

/**
 * line_note_change(s, k, fn, arg, e):
 * Read it, let ${fn} change it, write it durably: the old or the new one after a
 * power cut.  A head or generation below the one that stands there stays as it was.
 * Takes the state's lock.  0 or -1 with ${e}.
 */
int line_note_change(struct state *s, const struct domain_keys *k, line_note_fn fn, void *arg, struct err *e);

/* The vault acknowledged snapshot ${seq} with this envelope.  Durable after 0. */
int line_note_acknowledged(struct state *s, const struct domain_keys *k, uint64_t seq, const uint8_t digest[DIGEST_LEN],
    struct err *e);

/* There was a contact just now; ${bytes} went over the line in ${ns} (0: nothing was measured). */
int line_note_contact(struct state *s, const struct domain_keys *k, uint64_t bytes, int64_t ns, struct err *e);

#endif
