#ifndef SAMARA_FLOW_DOCK_H
#define SAMARA_FLOW_DOCK_H

/*
 * The desk itself: bays are watched, and whatever is plugged in is received and
 * taken in without a word from anybody.  Each bay ends in "remove", or in
 * "attention" with the reason.  Nothing is kept between two runs but what the
 * vaults' books say: a disk that is in is known by its statement and not read
 * again.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/flow/desk.h"
#include "formats/limits.h"

#define DOCK_BAYS_MAX	64u
#define DOCK_POLL_MS	500u

enum bay_state {
	BAY_EMPTY = 1,
	BAY_WORKING,
	BAY_REMOVE,		/* done with it; ${why} says how its image is now */
	BAY_ATTENTION		/* ${why} */
};

/* A bay as it is now. */
struct bay_view {
	char name[256];			/* the device or directory */
	enum bay_state state;
	char disk[64];			/* "RM4K-1"; of several images all that fit; "" if not known */
	char machine[NAME_MAX_LEN + 1];	/* as labels have it: not safe to print */
	char vault[NAME_MAX_LEN + 1];
	char why[512];
	uint64_t read, total;		/* bytes of packs, while working */
};

struct dock_options {
	struct desk_vaults where;
	char *const *places;		/* directories and devices to watch */
	size_t nplaces;			/* 0: every block device that is removable or comes new */
	unsigned jobs;
	uint64_t memory;
	unsigned poll_ms;		/* 0: DOCK_POLL_MS */
	int once;			/* end when every bay was looked at and none is at work */
	/* A bay changed its state; never two at a time.  It may be NULL. */
	void (*changed)(void *arg, const struct bay_view *b);
	/* Several times a second, from the caller's own thread: all bays.  It may be NULL. */
	void (*tick)(void *arg, const struct bay_view *bays, size_t n);
	void *arg;
};

struct dock_result {
	uint64_t removed, attention;	/* how often a bay ended so */
};

/**
 * dock_run(o, r, e):
 * Watch until somebody asks to stop (stop.h), or once.  What happens in one bay
 * stops no other.  A bay that wants attention for a reason which may pass
 * (busy, no room, not claimed yet) is looked at again every minute.  Return 0
 * with ${r}, also when asked to stop; -1 with ${e}: it could not begin.
 */
int dock_run(const struct dock_options *o, struct dock_result *r, struct err *e);

/* The state in a word, for a table. */
const char *bay_state_text(enum bay_state s);

#endif
