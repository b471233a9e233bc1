#ifndef SAMARA_FLOW_MACHINE_RECEIPT_H
#define SAMARA_FLOW_MACHINE_RECEIPT_H

/* A receipt as the machine takes it: checked against what it knows itself, answered, and believed from then on. */

#include <stdbool.h>

#include "common/flow/state.h"
#include "formats/fmt_receipt.h"

struct buf;
struct err;

struct machine_receipt {
	char short_name[SHORT_LEN + 1];
	uint64_t number;
	bool whole, before;		/* before: it was answered already */
	uint64_t needed, given_up;
	unsigned disks;			/* of the image */
};

/**
 * machine_receipt(s, k, path, dry_run, answer, r, e):
 * Check the receipt in file ${path}: signed by the vault that this machine
 * trusts, for this machine, with a number above that of every receipt accepted
 * before, for an image that it sealed, over the root and the snapshots that it
 * computed itself, with nothing left out but what it gave up.  Then the signed
 * answer goes into the image's journal and custody log, durably, the trust
 * state moves on, and ${answer} has its bytes.  The same receipt again gives the same
 * answer.  0, or -1 with ${e}, each cause in words of its own: ERR_FORMAT,
 * ERR_WRONG_VAULT, ERR_SIGNATURE, ERR_WRONG_DISK (another machine's),
 * ERR_NO_IMAGE, ERR_RECEIPT.  After a power cut the same command goes on.
 */
int machine_receipt(struct state *s, const struct domain_keys *k, const char *path, bool dry_run, struct buf *answer,
    struct machine_receipt *r, struct err *e);

/* The same of a receipt that is here; messages call it ${name}. */
#define RECEIPT_MAX	(RECORD_BODY_MAX + 4096)
int machine_receipt_take(struct state *s, const struct domain_keys *k, const uint8_t *bytes, size_t len, const char *name,
    bool dry_run, struct buf *answer, struct machine_receipt *r, struct err *e);

#endif
