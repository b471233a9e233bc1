#ifndef SAMARA_FLOW_LISTING_DIFF_H
#define SAMARA_FLOW_LISTING_DIFF_H

/* Two listings side by side: what one has and the other has not. */

#include "common/flow/snapshot_open.h"
#include "formats/fmt_listing.h"

struct err;

enum diff_kind {
	DIFF_ADDED = '+',
	DIFF_REMOVED = '-',
	DIFF_CHANGED = 'M',	/* content, target or device */
	DIFF_TYPE = 'T',	/* of another type */
	DIFF_META = 'U'		/* mode, owner, times or extended attributes alone */
};

/* ${path} is relative to what was compared, without a slash before it; ${a} or ${b} is NULL where there is none.  Non-zero ends it. */
typedef int (*diff_fn)(void *arg, enum diff_kind kind, struct fmt_view path, const struct entry *a, const struct entry *b,
    struct err *e);

/* One side. */
struct diff_side {
	const struct open_snapshot *snap;
	struct source_reader *reader;	/* another for each side */
	const char *top;		/* absolute path of the directory that is compared; "/" */
};

/**
 * listing_diff(a, b, fn, arg, e):
 * Everything below ${a}->top against everything below ${b}->top, in listing
 * order, both read once and as streams.  Files are the same where size, times and
 * extents are, or where size and modification time are and only the places of their
 * bytes changed.  0, what ${fn} returned, or -1 with ${e}.
 */
int listing_diff(const struct diff_side *a, const struct diff_side *b, diff_fn fn, void *arg, struct err *e);

#endif
