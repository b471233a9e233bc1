#ifndef SAMARA_FLOW_VAULT_PLEDGE_H
#define SAMARA_FLOW_VAULT_PLEDGE_H

/* Images that are on their way, as their machine pledged them over the line, and how long their vault waits. */

#include <stddef.h>
#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "formats/fmt_pledge.h"

/**
 * vault_pledge_take(v, machine, p, carried, t, e):
 * Take the manifest and the announcement in ${p}, which ${machine} sent: signed by it,
 * for this vault, over the root that the manifest's own digests give; and what ${carried} (a descriptor; -1: none)
 * says an image without snapshots carries, which must be what the manifest names.  A higher
 * generation takes the place of a lower one.  Nothing is looked at that travels: snapshots
 * are filed by the session's commit, and states are left to vault_states.
 * 0 recorded; 1 all of it was known; -1 with ${e}: ERR_FORMAT, ERR_SIGNATURE,
 * ERR_WRONG_VAULT, ERR_RULE where the image was lost or cancelled, ERR_FORK where
 * another manifest has this generation.  ${t} is filled in for 0 and 1.
 */
int vault_pledge_take(struct vault *v, const uint8_t machine[ID_LEN], const struct pledge_post *p, int carried,
    struct pledge_taken *t, struct err *e);

/* What there is to be said of an image's pledge now.  0; 1 it has none; -1. */
int vault_pledge_now(struct vault *v, const struct cat_image *i, struct pledge_taken *t, struct err *e);

/* The end of its lease by the wall clock as it goes now, seconds; 0: it has none. */
int64_t vault_pledge_until(const struct vault *v, const struct cat_image *i);

/**
 * vault_lease_extend(v, text, seconds, why, dry_run, i, e):
 * Wait longer for the image that ${text} names.  0 with ${i} as it is then; -1
 * with ${e}: ERR_NO_IMAGE; ERR_RULE where nothing of it is to come, it was lost or cancelled, or its
 * lease is over (reopen begins a new one); ERR_USAGE past PLEDGE_EXTEND_MAX.
 */
int vault_lease_extend(struct vault *v, const char *text, uint64_t seconds, const char *why, int dry_run, struct cat_image *i,
    struct err *e);

/* Tell ${fn} in a sentence what the machine should know of its pledges: those that end within a fortnight, or have.  0 or -1. */
int vault_pledge_notices(struct vault *v, const uint8_t machine[ID_LEN], int (*fn)(void *arg, const char *text, struct err *e),
    void *arg, struct err *e);

#endif
