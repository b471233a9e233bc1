#ifndef SAMARA_WALK_PLACE_NOTES_H
#define SAMARA_WALK_PLACE_NOTES_H

/*
 * Entries put off to the end of a restore, in a file without a name in the
 * target, so that memory does not grow with the tree.  Read forwards and
 * backwards.
 */

#include "common/base/buf.h"
#include "formats/fmt_listing.h"

struct err;

struct notes {
	int dirfd;		/* borrowed */
	int fd;			/* -1 until the first flush */
	struct buf out;		/* not yet written */
	struct buf in;		/* the note read last */
	uint64_t end;		/* bytes written and waiting */
	uint64_t flushed;
};

/* ${at} is a place between two notes: 0 is before the first, notes.end behind the last. */
struct note {
	struct fmt_view path;	/* views live until the next read */
	struct entry entry;
	uint64_t before, after;	/* the places on both sides of it */
};

/* Begin without a note; a file in ${dirfd}, borrowed, is made when there are many.  release: also after a failure. */
void notes_init(struct notes *s, int dirfd);
void notes_release(struct notes *s);

/* Add a note.  0, or -1 with ${e}. */
int notes_add(struct notes *s, struct fmt_view path, const struct entry *en, struct err *e);

/* The note behind, or before, the place ${at}.  1; 0 where there is none; -1 with ${e}. */
int notes_next(struct notes *s, uint64_t at, struct note *n, struct err *e);
int notes_previous(struct notes *s, uint64_t at, struct note *n, struct err *e);

#endif
