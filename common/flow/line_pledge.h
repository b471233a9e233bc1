#ifndef SAMARA_FLOW_LINE_PLEDGE_H
#define SAMARA_FLOW_LINE_PLEDGE_H

/* What a machine tells its vault between sealed and handed off, and what it hears (LIFE: 3, 4). */

#include <stdbool.h>
#include <stdint.h>

#include "common/crypto/domain_keys.h"
#include "common/flow/line.h"
#include "common/flow/machine_receipt.h"

struct image_state;

/* What came of it, all together. */
struct line_told {
	unsigned pledges, parcels, fates, answers, custody, given_up;	/* that the vault took now */
	unsigned receipts;			/* accepted now */
	unsigned failed;			/* that the vault or this machine refused: each was said */
	uint64_t bytes;				/* of chunks, sent */
	/* Is told each receipt that was accepted and whose answer the vault has.  May be NULL. */
	void (*receipt)(void *arg, const struct machine_receipt *r);
	void *arg;
};

/**
 * pledge_send(l, s, k, im, t, e):
 * Pledge the sealed image ${im}: its listing's chunks, its reference list, envelopes that
 * the vault does not have yet, manifest and parcel.  Noted in the state when the vault has
 * it.  Sent twice it is harmless; what was sent before a break is not sent again but for
 * the reference list.  0, or -1 with ${e}: ERR_LINE …, or what the vault says against it.
 */
int pledge_send(struct line *l, struct state *s, const struct domain_keys *k, const struct image_state *im, struct line_told *t,
    struct err *e);

/**
 * line_tell(l, s, k, t, e):
 * Everything that the vault has to hear and has not: fates of images, pledges in the
 * order of their snapshots, parcels, answers to receipts, custody records, what was given up.
 * What the vault refuses is said, counted and does not stop the rest.  0 or -1 with ${e}
 * (the line, or the state).  After a break or a power cut the next call goes on.
 */
int line_tell(struct line *l, struct state *s, const struct domain_keys *k, struct line_told *t, struct err *e);

/**
 * line_receipts(l, s, k, t, e):
 * Fetch the receipts that this machine has not accepted yet, check each as machine_receipt
 * does, answer.  One that cannot be accepted is said and counted in t->failed.  0 or -1 with ${e}.
 */
int line_receipts(struct line *l, struct state *s, const struct domain_keys *k, struct line_told *t, struct err *e);

/* The receipt for one image, whatever its number is: 0 with ${r}; 1 there is none yet; -1 with ${e}. */
int line_receipt_image(struct line *l, struct state *s, const struct domain_keys *k, const struct image_state *im,
    struct machine_receipt *r, struct err *e);

/**
 * line_contact(l, s, k, t, e): what belongs into every contact of a machine with its
 * vault, before its own business: line_tell, then line_receipts.
 */
int line_contact(struct line *l, struct state *s, const struct domain_keys *k, struct line_told *t, struct err *e);

/**
 * line_dispute(l, s, rows, n, e):
 * Tell the vault that these copies, which this machine wrote and fetched, are wrong.  ${rows} is put
 * in order.  0 or -1 with ${e}.
 */
struct dispute_row;
int line_dispute(struct line *l, struct state *s, struct dispute_row *rows, size_t n, struct err *e);

/* POST one statement that is encoded; what the vault says against it is ${e}.  0 or -1. */
int line_statement(struct line *l, const void *bytes, size_t len, struct err *e);

#endif
