#ifndef SAMARA_FLOW_STATE_REFS_H
#define SAMARA_FLOW_STATE_REFS_H

/* Lists of ids that a machine's state keeps: of its snapshots, and of what it gave up. */

#include "common/flow/state.h"
#include "formats/fmt_receipt.h"

struct err;
struct id_sorter;

typedef int (*state_id_fn)(void *arg, const uint8_t id[DIGEST_LEN], struct err *e);

/**
 * state_refs_each(s, env, fn, arg, e):
 * Every id of the reference list of the snapshot ${env} closed here, rising.  0;
 * -1 with ${e}: ERR_NOT_FOUND, ERR_STATE where the list is not the one that the
 * envelope names (then ${fn} has been told ids of it), or what ${fn} says.
 */
int state_refs_each(struct state *s, const struct envelope *env, state_id_fn fn, void *arg, struct err *e);

/* Add every id that this machine ever gave up to ${out}; where there is none nothing is added.  0 or -1. */
int state_given_up(struct state *s, struct id_sorter *out, struct err *e);

/**
 * state_given_up_add(s, about, ids, name, e):
 * Keep a new list of what is given up, signed, durably: givenup/NNNNNNNN, whose
 * path below the state goes into ${name}.  0 or -1 with ${e}.
 */
#define GIVEN_UP_NAME	32
int state_given_up_add(struct state *s, struct id_list *about, struct id_sorter *ids, char name[GIVEN_UP_NAME], struct err *e);

#endif
