#ifndef SAMARA_FLOW_VAULT_ALERTS_H
#define SAMARA_FLOW_VAULT_ALERTS_H

/*
 * What needs a hand, told to somebody who is not looking: raised once, repeated
 * each week, closed by itself when it is over.  What is open stands in
 * VAULT/local/alerts, whom to tell in VAULT/local/alerting; neither is part of the
 * vault that is replicated.
 */

#include <stdint.h>

#include "common/flow/alert_tell.h"
#include "common/flow/vault_status.h"

/*
 * What happened, and is over as soon as it did, stays open until somebody says that he has seen it, or for so long:
 * takeovers, and key slots that changed.
 */
#define ALERT_EVENT	(INT64_C(14) * 86400 * 1000000000)

#define ALERT_DAYS	7u	/* without a whole snapshot, where nobody says otherwise */

struct alerting {
	char command[512];	/* a program, run for each; "" none */
	char mail[256];		/* an address, written to with sendmail; "" none */
	unsigned days;		/* a machine without a new whole snapshot for so long needs a hand */
	int64_t acknowledged;	/* events up to then were seen by somebody, wall clock, nanoseconds; 0: none */
};

typedef void (*alert_fn)(void *arg, const struct alert *a);

/* Whom to tell; where nothing was set: nobody, ALERT_DAYS.  0 or -1 with ${e} (ERR_FORMAT). */
int alerting_read(struct vault *v, struct alerting *a, struct err *e);
/* Replace it, durably.  0 or -1 with ${e}: ERR_USAGE for an address or program that cannot be one. */
int alerting_write(struct vault *v, const struct alerting *a, struct err *e);

/**
 * vault_alerts(v, fn, arg, e):
 * Look at what needs a hand and tell what is new of it, by command and mail and to ${fn}
 * (may be NULL).  What could not be told by any of the ways that are set is told again
 * next time.  0, or -1 with ${e}.  One process at a time; a power cut may have something told twice.
 */
int vault_alerts(struct vault *v, alert_fn fn, void *arg, struct err *e);

/* What is open, as it was found last: each one's kind and since when, seconds.  0 or -1 with ${e}. */
int vault_alerts_open(struct vault *v, void (*fn)(void *arg, const char *kind, int64_t since), void *arg, struct err *e);

/* Tell a test alert.  0, or -1 with ${e}: why it did not get through. */
int vault_alert_test(struct vault *v, struct err *e);

#endif
