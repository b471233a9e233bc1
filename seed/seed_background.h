#ifndef SAMARA_SEED_BACKGROUND_H
#define SAMARA_SEED_BACKGROUND_H

/* A job that outlives its terminal. */

struct err;

/**
 * seed_background(e):
 * Split in two before any thread runs.  The calling process waits until the
 * other has its job on record, prints the job's number and ends; it never
 * returns.  The other one returns 0 and goes on: it may still ask for a
 * passphrase on the terminal.  When its job starts it leaves the terminal:
 * a session of its own, nothing to read, what it prints in jobs/NNNNNNNN.out.
 * If it ends before that, its exit status is the first one's too.  -1 with ${e}
 * where it cannot be split.
 */
int seed_background(struct err *e);

#endif
