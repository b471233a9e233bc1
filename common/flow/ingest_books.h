#ifndef SAMARA_FLOW_INGEST_BOOKS_H
#define SAMARA_FLOW_INGEST_BOOKS_H

/*
 * What an ingest stored and what it could not, on its way into the catalog:
 * packs that stand durably, frames that are re-packed, damage.  One thread.
 */

#include "common/flow/ingest_slot.h"

struct books;

/*
 * For the ingest ${g}, which must live longer; NULL with ${e}.  Free with
 * books_free (NULL is allowed), at the end or not.
 */
struct books *books_new(struct ingest *g, struct err *e);
void books_free(struct books *b);

/* Take in a checked pack: its rows, or its new frames, or its damage.  0 or -1 with ${e}. */
int books_slot(struct books *b, struct pack_slot *s, struct err *e);

/* After the last pack: everything is written down.  0 or -1. */
int books_end(struct books *b, struct err *e);

#endif
