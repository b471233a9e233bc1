#ifndef SAMARA_FLOW_JOURNAL_H
#define SAMARA_FLOW_JOURNAL_H

/*
 * Append-only journals of a build (docs/formats/journal.md): the record of what
 * is durable, and logs of items below the watermark.  One writer; a reader
 * stops at the first record that is not whole.
 */

#include <stdint.h>

#include "formats/fmt_journal.h"

struct err;

/* Writing.  All calls may come from several threads. */
struct journal;

/**
 * journal_create(dirfd, name, type, payload, len, e):
 * A new journal with its first record (none where ${type} is 0), whole and
 * durable on return.  NULL with ${e} if something of that name exists or it
 * cannot be made.
 */
struct journal *journal_create(int dirfd, const char *name, unsigned type, const void *payload, size_t len, struct err *e);

/**
 * journal_append(dirfd, name, e):
 * Go on with an existing one: what is whole stays, a torn end is cut off,
 * durably.  NULL with ${e}: ERR_NOT_FOUND, ERR_FORMAT, ERR_VERSION.
 */
struct journal *journal_append(int dirfd, const char *name, struct err *e);

/**
 * journal_add(j, type, parts, n, e):
 * Append one record, its payload the ${n} parts in a row.  It is durable only
 * after journal_sync.  Return 0 or -1 with ${e}.
 */
int journal_add(struct journal *j, unsigned type, const struct fmt_view *parts, size_t n, struct err *e);
/* With one part. */
int journal_put(struct journal *j, unsigned type, const void *payload, size_t len, struct err *e);

/* Everything added before is durable after 0; -1 with ${e} (ERR_FSYNC is final). */
int journal_sync(struct journal *j, struct err *e);

/* Close, writing nothing more than was synced for sure.  NULL is allowed. */
void journal_close(struct journal *j);

/* Reading. */
struct journal_reader;

/* NULL with ${e}: ERR_NOT_FOUND, ERR_FORMAT, ERR_VERSION. */
struct journal_reader *journal_reader_new(int dirfd, const char *name, struct err *e);

/**
 * journal_next(r, type, payload, e):
 * 1 with the next record (its payload valid until the next call), 0 at the
 * end of what is whole, -1 with ${e} on a read error.
 */
int journal_next(struct journal_reader *r, unsigned *type, struct fmt_view *payload, struct err *e);

/* A place between records, to come back to. */
struct journal_mark {
	uint64_t off;
	uint64_t sum;
};
/* The place after the record that was read last. */
struct journal_mark journal_here(const struct journal_reader *r);
void journal_go(struct journal_reader *r, struct journal_mark m);
void journal_reader_free(struct journal_reader *r);

#endif
