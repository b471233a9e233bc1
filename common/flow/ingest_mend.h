#ifndef SAMARA_FLOW_INGEST_MEND_H
#define SAMARA_FLOW_INGEST_MEND_H

/*
 * Packs of a disk that came in damaged, put aside until they were made again
 * from its parity (repair.h), and only then counted, as whole or as bad.
 */

#include "common/flow/ingest_books.h"

struct ingest_mend;

/* NULL where the disk has no parity, or without memory: then nothing is put aside.  Free with ingest_mend_free. */
struct ingest_mend *ingest_mend_new(struct ingest *g);
void ingest_mend_free(struct ingest_mend *m);

/**
 * ingest_mend_takes(m, s):
 * 1 where the checked pack ${s} is damaged and was put aside: what is needed of
 * it is copied.  0 where it is for the books.  ${m} may be NULL.  One thread.
 */
int ingest_mend_takes(struct ingest_mend *m, const struct pack_slot *s);

/* Whether so much was put aside that it had better be made now. */
int ingest_mend_is_full(const struct ingest_mend *m);

/**
 * ingest_mend_run(m, b, e):
 * Make what was put aside, and give it all to the books.  Each group of the
 * disk with damage is read once.  0, or -1 with ${e}.
 */
int ingest_mend_run(struct ingest_mend *m, struct books *b, struct err *e);

#endif
