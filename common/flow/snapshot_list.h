#ifndef SAMARA_FLOW_SNAPSHOT_LIST_H
#define SAMARA_FLOW_SNAPSHOT_LIST_H

/* The snapshots of one machine that a source carries, and how a person names one. */

#include <stdint.h>

#include "common/flow/source.h"
#include "formats/fmt_snapshot.h"

struct err;
struct state;

#define SNAP_PLACES	8u

struct snapshot {
	struct envelope env;		/* signature checked */
	uint8_t digest[DIGEST_LEN];	/* of the envelope */
	struct {
		size_t container;
		struct snap_place place;
	} at[SNAP_PLACES];		/* where envelope and reference list stand */
	size_t places;			/* 0: known to the state alone */
	int in_state;
	int older;			/* by the machine whose place this one took: believed after snapshot_list_prove */
	uint8_t signer[SIGN_PUB_LEN];	/* of an older one, when it is proven */
};

struct snapshot_list {
	struct snapshot *snap;		/* by rising number */
	size_t n, cap;
};

/**
 * snapshot_list_read(l, s, machine_id, machine_pub, from_seq, bad, arg, e):
 * All snapshots of the machine in the containers of ${s}.  An envelope that is
 * not signed by it, or two different ones of one number, are told to ${bad}
 * and left out (of two, the one found first stays); but one below ${from_seq}, the first number
 * that the machine's key may sign, is marked older.  ${l} is the caller's,
 * released by snapshot_list_release.  0 or -1 with ${e}.
 */
int snapshot_list_read(struct snapshot_list *l, struct source *s, const uint8_t machine_id[ID_LEN],
    const uint8_t machine_pub[SIGN_PUB_LEN], uint64_t from_seq, source_bad_fn bad, void *arg, struct err *e);

/* Add those that the machine's state knows. */
int snapshot_list_state(struct snapshot_list *l, struct state *st, struct err *e);
void snapshot_list_release(struct snapshot_list *l);

/* Where the line shows it, with what the vault says of it; NULL where it does not. */
const struct snap_place *snapshot_on_line(const struct source *s, const struct snapshot *snap);

/**
 * snapshot_missing(s, snap, missing, e):
 * How many chunks of the reference list are on none of the disks and vaults;
 * the list is checked against the envelope.  Where the line shows it, what the vault
 * says counts: 0 where that calls it whole, else the ids that are not there.  0, or -1 with
 * ${e} (ERR_NOT_FOUND: there is no list).
 */
int snapshot_missing(const struct source *s, const struct snapshot *snap, uint64_t *missing, struct err *e);

/**
 * snapshot_pick(l, s, text, snap, path, e):
 * The snapshot that ${text} names: an id, a unique prefix of one (4 digits or
 * more), "latest", "latest:SET", or a date ("2026-11-12": the last that began
 * that day, local time), each perhaps with ":/PATH" after it.  "latest" is the
 * newest of which every chunk is there (${s} not NULL); where a newer one is
 * incomplete, ${newer} names it.  ${path} is a new string, "/" if none was
 * given.  0, or -1 with ${e}: ERR_NO_SNAPSHOT, ERR_USAGE.
 */
int snapshot_pick(const struct snapshot_list *l, const struct source *s, const char *text, const struct snapshot **snap,
    char **path, const struct snapshot **newer, struct err *e);

/* The first 8 hex digits of a snapshot's id, as lists show it. */
#define SNAPSHOT_SHORT_LEN	9
char *snapshot_short(char out[SNAPSHOT_SHORT_LEN], const uint8_t id[ID_LEN]);

#endif
