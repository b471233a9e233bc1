#ifndef SAMARA_FLOW_LINE_LIST_H
#define SAMARA_FLOW_LINE_LIST_H

/* The reference list of a snapshot, on its way into a session. */

struct envelope;
struct err;
struct line_session;

#define REFS_PARTS_MOST	100u	/* parts have two digits */

/**
 * line_list_send(t, snaps, runs, env, base, e):
 * Put the reference list of ${env} into the session: as a delta against ${base}'s
 * (seq 0: none), or whole where that is shorter.  Both stand in ${snaps}; what is
 * made for it goes into ${runs} and is gone afterwards.  Memory: 1 MiB.  0 or -1 with ${e}.
 */
int line_list_send(struct line_session *t, int snaps, int runs, const struct envelope *env, const struct envelope *base,
    struct err *e);

#endif
