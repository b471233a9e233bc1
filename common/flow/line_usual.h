#ifndef SAMARA_FLOW_LINE_USUAL_H
#define SAMARA_FLOW_LINE_USUAL_H

/* The line as a machine's policy wants it used: its proxy, its rates by the hour. */

#include "common/flow/line.h"

struct err;
struct line_usual;

/* NULL with ${e}, as line_open; ERR_FORMAT where the policy cannot be read.  ${s} is borrowed.  Free with line_usual_close (NULL is allowed). */
struct line_usual *line_usual_open(struct state *s, struct err *e);

/*
 * For who only looks, with a person before the screen: a vault that drops packets is given up after LINE_GLANCE seconds
 * without a byte.
 */
#define LINE_GLANCE	4u
struct line_usual *line_usual_glance(struct state *s, struct err *e);

/* Why it is not reachable: "no answer within 4 s" where ${since} (io_mono_ns) is so long ago, else what ${e} says. */
void line_usual_silent(int64_t since, struct err *e);
void line_usual_close(struct line_usual *u);
struct line *line_usual_line(struct line_usual *u);

/* Whether this machine's vault has an address at all. */
int line_usual_is_there(const struct state *s);

#endif
