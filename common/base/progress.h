#ifndef SAMARA_BASE_PROGRESS_H
#define SAMARA_BASE_PROGRESS_H

/*
 * How far a job is.  On a terminal one line that is painted over, at most five
 * times a second; elsewhere a line a minute; SIGUSR1 prints a line at once.
 * A thread of its own paints, so a job that stands still is seen to.
 * One job at a time.
 */

#include <stddef.h>
#include <stdint.h>

/* Whether the line is shown at all (--no-progress, -q); SIGUSR1 answers anyway. */
void progress_allow(int allow);

/**
 * progress_start(title, total):
 * A job begins; ${title} ("read", "check RM4K-1") is copied.  ${total} is in
 * bytes, 0 if unknown: then neither percentage nor end are shown.
 */
void progress_start(const char *title, uint64_t total);

/* The job is over: the line goes away.  Harmless when none runs. */
void progress_end(void);

/* So much more is done; from any thread, cheap. */
void progress_add(uint64_t bytes, uint64_t items);

/* The total became known, or grew. */
void progress_total(uint64_t total);

/* What is in hand: any bytes, copied and made safe; may be called often. */
void progress_item(const void *name, size_t len);

/* A remark after the figures ("2.1 TB to the next disk"); NULL or "" for none. */
void progress_note(const char *text);

/* Put the bytes and items done so far into ${bytes} and ${items}. */
void progress_done(uint64_t *bytes, uint64_t *items);

/* A copy of how far the job is, for others to see. */
struct progress_copy {
	char title[100], item[400], note[100];	/* safe for a terminal */
	uint64_t total, bytes, items;
	int64_t elapsed_ns;
	int running;		/* 0: no part of the job that counts runs now; all else is of the last one */
};
/* Fill ${c} with how far it is now; from any thread, also where no job runs. */
void progress_copy(struct progress_copy *c);

/* What a line is made of. */
struct progress_state {
	const char *title;
	uint64_t total, bytes, items;
	int64_t elapsed_ns;
	const char *item;	/* already safe; "" for none */
	const char *note;
};

/**
 * progress_line(buf, n, columns, s):
 * The line for ${s} in ${n} bytes at ${buf}, not wider than ${columns} code
 * points (0: no limit); the item gives way first.  Return ${buf}.
 */
char *progress_line(char *buf, size_t n, size_t columns, const struct progress_state *s);

#endif
