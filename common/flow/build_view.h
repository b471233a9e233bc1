#ifndef SAMARA_FLOW_BUILD_VIEW_H
#define SAMARA_FLOW_BUILD_VIEW_H

/* How a build treats its source: held still by snapshots, hooks around it, not faster than allowed. */

#include "common/flow/source_view.h"

struct build;
struct err;

/**
 * build_view_open(b, e):
 * Remove what killed builds left behind; keep what was asked for with the
 * image, so that --resume need not say it again; take snapshots; make the
 * limit.  Fills b->view and b->pace.  0 or -1 with ${e}: nothing is left then.
 */
int build_view_open(struct build *b, struct err *e);

/* Undo it.  What cannot be removed is a warning of the job; the next build tries again. */
void build_view_close(struct build *b);

#endif
