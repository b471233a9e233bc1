#ifndef SAMARA_FLOW_VAULT_STATUS_H
#define SAMARA_FLOW_VAULT_STATUS_H

/* How a vault is, and what in it needs a hand. */

#include <stdint.h>

#include "common/flow/vault.h"

/* One thing that a person should look at. */
struct attention {
	const char *kind;		/* "key", "clock", "unclaimed", "fork", "gap", "disk", "damage", "pledge", "parcel", "stale", "full", "takeover", "slots", "list" */
	const char *what;		/* a sentence */
	const char *next;		/* what to do */
	const uint8_t *image_id, *machine_id;	/* NULL: none */
};
typedef void (*attention_fn)(void *arg, const struct attention *a);

struct vault_status {
	uint64_t machines, images, disks_expected, records;
	uint64_t whole, pending, gap, unknown;	/* snapshots */
	uint64_t packs, bytes, room;
	uint64_t deleted, is_protected;	/* snapshots */
	uint64_t sessions;		/* open */
	uint64_t collections, collected_packs, collected_bytes;
	int64_t collected;		/* when the newest collection that took something ended, nanoseconds; 0: none */
	uint64_t attention;		/* things told to ${fn} */
	int key_copies;
	int active;			/* it can take a backup now */
};

/**
 * vault_status(v, s, fn, arg, e):
 * Bring the catalog up to date, tell everything that needs a hand to ${fn}, and count.
 * Return 0 or -1 with ${e}.
 */
int vault_status(struct vault *v, struct vault_status *s, attention_fn fn, void *arg, struct err *e);

/* Is an event of that time still open?  ${acknowledged}: struct alerting. */
int vault_event_is_open(int64_t happened, int64_t acknowledged, int64_t now);

/* A state as it stands in the catalog, in a word for a person. */
const char *image_state_text(unsigned state);
const char *disk_state_text(unsigned state);
const char *snapshot_state_text(unsigned state);
const char *credential_state_text(unsigned state);
const char *machine_state_text(unsigned state);

#endif
