#ifndef SAMARA_FLOW_VAULT_APPLY_H
#define SAMARA_FLOW_VAULT_APPLY_H

/* What the parts of vault_apply share; private to them.  Nothing here looks at a clock or at the store. */

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "formats/fmt_pledge.h"

/* The body of ${r} by the schema ${s}: 0, or -1 with ERR_FORMAT. */
int apply_body(const struct record *r, const struct fmt_schema *s, void *value, struct err *e);

/**
 * apply_image_row(v, id, machine, short_name, when, row, e):
 * The image's row as it is; where there is none, one made of this (not put yet).
 * Whoever comes first with an id has it, but not by a disk that was not admitted.
 */
int apply_image_row(struct vault *v, const uint8_t id[ID_LEN], const uint8_t machine[ID_LEN], const char *short_name,
    int64_t when, struct cat_image *row, struct err *e);

/* Is it one of which nothing has come yet, or that nobody expected any more? */
int apply_image_waits(const struct cat_image *row);

/**
 * apply_removed(v, e):
 * Something that was held, or counted on, is not any more: the word "whole" is taken
 * from every snapshot, and states that are being computed meanwhile are not
 * written (the removal number).
 */
int apply_removed(struct vault *v, struct err *e);

#define PLEDGE_LEASE	(INT64_C(86400) * PLEDGE_LEASE_DAYS * 1000000000)	/* a pledge's, on the slow clock */

/* parcel_apply.c: a parcel was announced; an image was lost, cancelled, reopened or given back; a disk was wiped. */
int apply_parcel(struct vault *v, const struct record *r, struct err *e);
int apply_pledge_end(struct vault *v, const struct record *r, struct err *e);
int apply_reopened(struct vault *v, const struct record *r, struct err *e);
int apply_released(struct vault *v, const struct record *r, struct err *e);
int apply_wiped(struct vault *v, const struct record *r, struct err *e);

/* token_apply.c: a token was given; what became of a machine; one took the place of another. */
int apply_token(struct vault *v, const struct record *r, struct err *e);
int apply_machine_fate(struct vault *v, const struct record *r, struct err *e);
int apply_takeover(struct vault *v, const struct record *r, struct err *e);

/* vault_custody.c: a custody record by a machine. */
struct custody;
int apply_machine_custody(struct vault *v, const struct custody *c, const struct record *r, struct err *e);

/* desk_apply.c: a disk was received, or refused. */
int apply_disk_received(struct vault *v, const struct record *r, struct err *e);
int apply_disk_refused(struct vault *v, const struct record *r, struct err *e);

/* retain_apply.c: a snapshot was deleted, undeleted, protected, unprotected, is gone; a collection came to its end. */
int apply_retention(struct vault *v, const struct record *r, struct err *e);
int apply_collected(struct vault *v, const struct record *r, struct err *e);

/* upload_apply.c: an envelope whose list did not come had its number passed over; one was found to be a fork. */
int apply_passed(struct vault *v, const struct record *r, struct err *e);
int apply_fork(struct vault *v, const struct record *r, struct err *e);

/* receipt_apply.c: a receipt was given or answered, ids were given up. */
int apply_receipt(struct vault *v, const struct record *r, struct err *e);
int apply_handed_off(struct vault *v, const struct record *r, struct err *e);
int apply_given_up(struct vault *v, const struct record *r, struct err *e);

/* vault_lost.c: files went with what was given up. */
int apply_files_lost(struct vault *v, const struct record *r, struct err *e);

/* pledge_apply.c: a lease is longer; copies were disputed by the machine that wrote them. */
int apply_lease(struct vault *v, const struct record *r, struct err *e);
int apply_dispute(struct vault *v, const struct record *r, struct err *e);

#endif
