#ifndef SAMARA_FLOW_STANDING_H
#define SAMARA_FLOW_STANDING_H

/*
 * What a machine may do, by how it is connected to its vault and by its
 * subscription there (docs/operations.md, "Subscription").  Building images is never asked about:
 * it is transport.  With kit and passphrase and no state none of this applies.
 */

#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "common/flow/state.h"

struct err;
struct line;

#define STANDING_LOST	(INT64_C(15) * 86400)	/* seconds without a contact: then the connection is lost */

enum connectivity { CONNECTED_NOT_YET, CONNECTED, CONNECTED_LOST };

enum standing_deed { DEED_BACKUP_VAULT, DEED_BACKUP_DISK, DEED_RESTORE_VAULT, DEED_RESTORE_DISK };

struct standing {
	enum connectivity connectivity;
	unsigned subscription;		/* SUBSCRIPTION_…, as the vault said last */
	int64_t last;			/* contact, seconds by this machine's clock; 0: never */
	int64_t days;			/* since then */
};

/* Connectivity counts from the first contact; a clock that went back loses nothing. */
enum connectivity standing_connectivity(int64_t first, int64_t last, int64_t now);

/**
 * standing_load(s, k, st, e):
 * As the state has it: contacts that it noted, and the subscription that was heard last (active
 * where none was).  0 or -1 with ${e}.
 */
int standing_load(struct state *s, const struct domain_keys *k, struct standing *st, struct err *e);

/* Ask the vault, once, and keep what it says of the subscription.  0, or -1 with ${e}: as line_call. */
int standing_hear(struct line *l, struct state *s, struct err *e);

/* May it?  0, or -1 with ERR_RULE, which names the rule. */
int standing_allows(const struct standing *st, enum standing_deed deed, struct err *e);

#endif
