#ifndef SAMARA_FLOW_LINE_ASKER_H
#define SAMARA_FLOW_LINE_ASKER_H

/*
 * Many threads that ask the vault which chunks it has, in few questions: a few
 * of them are on their way at the same time, and whoever comes while all are
 * out joins the next one.  So what a question costs is one way there and back for
 * each thread, however long that is, and for many threads at once.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct err;
struct line_asker;
struct line_session;

/* ${t} is borrowed.  NULL without memory. */
struct line_asker *line_asker_new(struct line_session *t);
void line_asker_free(struct line_asker *a);

/**
 * line_asker_ask(a, ids, n, known, e):
 * known[i] = 1 where the vault has chunk i, or it is promised; else 0.  In any
 * order; any thread.  0, or -1 with ${e}.
 */
int line_asker_ask(struct line_asker *a, const uint8_t *ids, size_t n, uint8_t *known, struct err *e);

/* Questions so far, and ids in them. */
void line_asker_counts(struct line_asker *a, uint64_t *questions, uint64_t *ids);

#endif
