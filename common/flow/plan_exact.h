#ifndef SAMARA_FLOW_PLAN_EXACT_H
#define SAMARA_FLOW_PLAN_EXACT_H

/* A plan that reads everything, in the order and by the rules of a build. */

#include "common/flow/plan.h"

struct err;
struct plan_keys;

/**
 * plan_exact(o, k, r, e):
 * Walk again and read all.  Fills r->stored (without the listing), read_bytes
 * and unreadable.  0 or -1 with ${e}.
 */
int plan_exact(const struct plan_options *o, const struct plan_keys *k, struct plan_result *r, struct err *e);

#endif
