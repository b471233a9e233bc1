#ifndef SAMARA_FLOW_DOCK_BAY_H
#define SAMARA_FLOW_DOCK_BAY_H

/* What the parts of the desk share; private to them. */

#include <pthread.h>

#include "common/flow/dock.h"
#include "common/flow/ingest.h"

struct checkers;
struct dock;

/* What tells one disk in a bay from another. */
struct occupant {
	uint64_t a, b, c, d;
};

struct bay {
	struct dock *dock;
	char path[256];
	int device;			/* a block device, else a directory */
	pthread_t thread;
	/* The bay's own thread. */
	struct occupant seen;
	int occupied;			/* by ${seen} */
	int64_t retry;			/* monotonic: look at it again then; 0: not */
	/* Under the desk's lock. */
	struct bay_view view;
	int busy, looked;
	int unfinished;			/* its disk was not read to its end */
	struct ingest_watch watch;
};

struct dock {
	const struct dock_options *o;
	struct checkers *checkers;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int end;			/* all bays: stop */
	struct bay *bays[DOCK_BAYS_MAX];
	size_t nbays;
	struct dock_result result;
};

/* Receive and take in what is in the bay; the bay's view says how it ended. */
void bay_serve(struct bay *b);

/* Put the bay into a state and tell, unless that is what it says already. */
void bay_set(struct bay *b, enum bay_state state, const char *why);

/**
 * bay_look(b, who): is there a disk in the bay, and which?  1 with ${who}, or 0.
 */
int bay_look(const struct bay *b, struct occupant *who);

struct device_names {
	size_t n;
	char name[DOCK_BAYS_MAX][64];	/* "sdb1" */
};

/**
 * devices_list(all): the block devices that are there and may hold a file
 * system of ours: partitions, and disks that have none.
 */
void devices_list(struct device_names *all);

/* 1 if the system says that the device, or the disk it is a part of, can be taken out. */
int device_is_removable(const char *name);

#endif
