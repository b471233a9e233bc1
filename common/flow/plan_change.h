#ifndef SAMARA_FLOW_PLAN_CHANGE_H
#define SAMARA_FLOW_PLAN_CHANGE_H

/*
 * Which paths hold the most of something, found while names come in listing
 * order, in memory that grows with the depth alone.  A directory stands for
 * what is below it unless five places in it hold three fifths of it; then
 * these stand for themselves.  What is named never lies in one another.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/flow/plan.h"
#include "formats/fmt.h"

struct err;
struct plan_change;

/* Nothing yet; NULL without memory.  Free with plan_change_free (NULL is allowed). */
struct plan_change *plan_change_new(void);
void plan_change_free(struct plan_change *c);

/* A directory's block begins; ${above}: it only leads to a PATH and is never named.  0 or -1 with ${e}. */
int plan_change_dir(struct plan_change *c, struct fmt_view path, bool above, struct err *e);

/* A file of ${bytes} in the directory at hand.  0 or -1 with ${e}. */
int plan_change_file(struct plan_change *c, struct fmt_view name, uint64_t bytes, struct err *e);

/* The end: up to PLAN_TOP paths, most first, into ${top} (each path new and the caller's). */
void plan_change_finish(struct plan_change *c, struct plan_path top[PLAN_TOP], size_t *n);

#endif
