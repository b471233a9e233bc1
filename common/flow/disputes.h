#ifndef SAMARA_FLOW_DISPUTES_H
#define SAMARA_FLOW_DISPUTES_H

/*
 * Copies of the vault that were read back and are wrong.  One that came over the
 * line twice is told to the vault while reading goes on (LIFE: 5; a signed dispute), so
 * that its next place can be asked for; one that was found in a vault's
 * directory is only suspected, until the line gives it just so.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/fmt_pledge.h"

#define DISPUTES_MOST	16384u		/* copies that are told, and copies that are suspected, at most */
#define DISPUTES_CHECK	(UINT64_C(64) << 20)	/* bytes of suspects that are read over the line, at most */

struct disputes;
struct domain_keys;
struct err;
struct line;
struct state;

/* Nothing is told by itself before disputes_line.  NULL with ${e}.  Free with disputes_free (NULL is allowed). */
struct disputes *disputes_new(struct err *e);
void disputes_free(struct disputes *d);

/* From now on the vault at the end of ${l} is told, by the machine that ${s} is the state of.  Both are borrowed. */
void disputes_line(struct disputes *d, struct line *l, struct state *s);

/**
 * disputes_tell(d, row, e):
 * The copy ${row} was read over the line and is wrong.  Any thread; those that come at once go
 * in one statement.  0: the vault has been told, now or before, and its place may be
 * asked for anew; 1: it was not told (nobody here may, or DISPUTES_MOST were); -1 with ${e}:
 * the vault does not take it, or is out of reach, and is not tried again.
 */
int disputes_tell(struct disputes *d, const struct dispute_row *row, struct err *e);

/* A copy in a vault's directory is wrong: ${len} bytes from ${off} of its pack.  Any thread; past DISPUTES_MOST it is forgotten. */
void disputes_suspect(struct disputes *d, const struct dispute_row *row, uint64_t off, uint32_t len);

/* How many are suspected and were not settled. */
size_t disputes_suspects(struct disputes *d);

/**
 * disputes_settle(d, k, good, e):
 * Read each suspect over the line that was named with disputes_line, and tell the vault
 * of those that are wrong there too; ${good} are not: that directory is another
 * copy of the vault, or of another.  What is more than DISPUTES_CHECK stays suspected.  0 or -1 with ${e}.
 */
int disputes_settle(struct disputes *d, const struct domain_keys *k, size_t *good, struct err *e);

struct disputes_counts {
	uint64_t told;		/* copies that the vault was told of */
	uint64_t untold;	/* that it could not be told of */
};
/* What became of those that were told, or were to be. */
void disputes_count(struct disputes *d, struct disputes_counts *c);

#endif
