#ifndef SAMARA_FLOW_RETAIN_H
#define SAMARA_FLOW_RETAIN_H

/*
 * How long a vault keeps snapshots (docs/operations.md, "Retention").  What is deleted is
 * deleted softly: it is there for another RETAIN_SOFT on the slow clock, and can be
 * undeleted; a collection (collect.h) makes an end of it then.  A protected one is never
 * deleted.
 */

#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"

struct err;

#define RETAIN_SOFT	(INT64_C(14) * 86400 * 1000000000)

/**
 * vault_snapshot_find(v, text, s, e):
 * The snapshot that a person means by ${text}: MACHINE/NUMBER, MACHINE/latest or
 * MACHINE/latest:SET (the newest whole one), or the beginning of an id in hex (four digits
 * at least) that fits one only.  0, or -1 with ERR_NO_SNAPSHOT, ERR_NOT_FOUND (no such machine).
 */
int vault_snapshot_find(struct vault *v, const char *text, struct cat_snapshot *s, struct err *e);

enum retain_act { RETAIN_DELETE = 1, RETAIN_UNDELETE, RETAIN_PROTECT, RETAIN_UNPROTECT };

/**
 * retain_decide(v, text, act, why, dry_run, s, e):
 * A person's decision about one snapshot, recorded.  0 with ${s} as it is then; 1 it was so
 * before; -1 with ${e}: ERR_NO_SNAPSHOT; ERR_RULE (it is protected, or the newest
 * whole one of its set).
 */
int retain_decide(struct vault *v, const char *text, enum retain_act act, const char *why, int dry_run,
    struct cat_snapshot *s, struct err *e);

/**
 * retain_machine(v, machine, why, n, e):
 * All snapshots of a machine that are not protected are deleted (softly), the newest whole
 * ones too; ${n}: how many.  Outside a transaction.  0 or -1 with ${e}.
 */
int retain_machine(struct vault *v, const uint8_t machine[ID_LEN], const char *why, uint64_t *n, struct err *e);

/**
 * retain_keeps(v, s, why, e):
 * Must the snapshot stay now?  1 with ${why} in words; 0 a collection may make an end
 * of it; -1 with ${e}.  The clocks are moved on.
 */
int retain_keeps(struct vault *v, const struct cat_snapshot *s, const char **why, struct err *e);

/* When a deleted snapshot may be gone at the earliest: seconds from now, by the slow clock. */
int64_t retain_left(const struct vault *v, const struct cat_snapshot *s);

/* Plain keep rules: of how many days (weeks …) that have a snapshot the newest one is kept; 0: of none. */
struct prune_rules {
	uint64_t last, daily, weekly, monthly, yearly;
};
struct prune_options {
	struct prune_rules rules;
	const char *machine;		/* name or id; NULL: all */
	const char *set;		/* NULL: all */
	int dry_run;
	/* Told of each one looked at: ${rule} names what keeps it; NULL: it goes. */
	void (*fn)(void *arg, const struct cat_snapshot *s, const struct cat_machine *m, const char *rule);
	void *arg;
};
struct prune_result {
	uint64_t looked, kept, deleted;
};

/**
 * prune_run(v, o, r, e):
 * For each machine and set: delete (softly) what no rule keeps, by the vault's own time
 * of receipt.  Never: the newest whole one, what is protected, pending, being looked at, or of
 * an image that is not handed off; the last four are not counted either, nor is what was received
 * later than now; those that are not whole are counted apart from those that are.
 * 0, or -1 with ${e}: ERR_USAGE (no rule), ERR_RULE (the clock jumped), ERR_NOT_FOUND.
 */
int prune_run(struct vault *v, const struct prune_options *o, struct prune_result *r, struct err *e);

#endif
