#ifndef SAMARA_FLOW_SERVE_READ_H
#define SAMARA_FLOW_SERVE_READ_H

/* What serve_read.c and serve_places.c share; private to the server. */

struct err;
struct serve_call;

/* POST places: where good copies of the ids asked for lie.  Ids of other domains, and those that are nowhere, get zeros. */
int serve_places(struct serve_call *c, struct err *e);

#endif
