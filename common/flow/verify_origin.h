#ifndef SAMARA_FLOW_VERIFY_ORIGIN_H
#define SAMARA_FLOW_VERIFY_ORIGIN_H

/* Packs that a vault made from parts of others: each frame must stand in a table that its writer signed. */

#include "common/flow/verify_books.h"

struct pack_view;
struct store;

/**
 * verify_origins(j, s, b, v, where):
 * Check every row of the re-packed table ${v} against the table it names as
 * its origin; tell of rows that do not stand there.  0 or -1: nothing in the
 * pack can be believed (told).
 */
int verify_origins(struct verify_job *j, struct store *s, const struct verify_books *b, const struct pack_view *v,
    const char *where);

#endif
