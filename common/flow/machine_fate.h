#ifndef SAMARA_FLOW_MACHINE_FATE_H
#define SAMARA_FLOW_MACHINE_FATE_H

/* What the keeper of a vault decides about a machine. */

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "formats/fmt_line_machine.h"

struct machine_order {
	enum machine_fate fate;
	const char *name;		/* MFATE_RENAMED */
	uint64_t value;			/* MFATE_QUOTA: bytes, 0: none; MFATE_SUBSCRIPTION: SUBSCRIPTION_… */
	const char *why;		/* NULL: nobody said */
	int dry_run;
};

/**
 * machine_decide(v, text, o, m, e):
 * Do that to the machine that ${text} names (vault_machine_find).  A revoked or
 * retired machine's tokens end with this call; a deleted one's snapshots are deleted
 * (softly, retain.h).  0 with ${m} as it is then; 1 it was so before; -1 with ${e}: ERR_NOT_FOUND, ERR_VAULT_NAME, ERR_RULE (the
 * name is another's; the machine is gone already).
 */
int machine_decide(struct vault *v, const char *text, const struct machine_order *o, struct cat_machine *m, struct err *e);

/* "active", "expired", "deprovisioned". */
const char *subscription_text(unsigned subscription);

struct quota_figures {
	uint64_t quota, used, more;	/* bytes; quota 0: none */
};

/**
 * machine_quota(v, machine, more, q, e):
 * Whether ${more} bytes may be added to what the machine's packs take.  0 with ${q}; -1 with
 * ${e}: ERR_QUOTA, with the figures in words and in ${q}.  A machine that is not
 * known has none.
 */
int machine_quota(struct vault *v, const uint8_t machine[ID_LEN], uint64_t more, struct quota_figures *q, struct err *e);

#endif
