#ifndef SAMARA_FLOW_LINE_USUAL_H
#define SAMARA_FLOW_LINE_USUAL_H

/* The line as a machine's policy wants it used: its proxy, its rates by the hour. */

#include "common/flow/line.h"

struct err;
struct line_usual;

/* NULL with ${e}, as line_open; ERR_FORMAT where the policy cannot be read.  ${s} is borrowed.  Free with line_usual_close (NULL is allowed). */
struct line_usual *line_usual_open(struct state *s, struct err *e);
void line_usual_close(struct line_usual *u);
struct line *line_usual_line(struct line_usual *u);

/* Whether this machine's vault has an address at all. */
int line_usual_is_there(const struct state *s);

#endif
