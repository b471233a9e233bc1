#ifndef SAMARA_FLOW_VAULT_COUNT_H
#define SAMARA_FLOW_VAULT_COUNT_H

/*
 * How much of a snapshot is not held, and how much of that is on its way
 * (docs/formats/vault.md, "Promised").  All that a machine's images in the mail
 * carry is found by reading reference lists side by side: nothing is kept for
 * an id but while it is looked at.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "formats/fmt_disk.h"

struct container;
struct err;

/**
 * vault_count(v, store, machine, rows, n, e):
 * Set missing, promised and given up of the ${n} snapshots of ${machine} in ${rows} by
 * their lists, which stand in ${store}, and by what the catalog says now.
 * Outside a transaction.  Return 0, or -1 with ${e}: ERR_DAMAGE … where a list
 * cannot be read, ERR_INTERRUPTED.  Memory: 8 MB, and for each list that is
 * open at once up to 1 MB: COUNT_TOGETHER of the snapshots, and those of the
 * images in the mail with the images that they lean on.
 */
#define COUNT_TOGETHER	32u
int vault_count(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], struct cat_snapshot *rows,
    size_t n, struct err *e);

/**
 * vault_missing(v, store, machine, rows, n, fn, arg, e):
 * The same, and ${fn} is told each id that is missing (not held, not promised,
 * not given up), rising, but anew for every COUNT_TOGETHER of the snapshots.
 */
typedef int (*vault_missing_fn)(void *arg, const uint8_t id[DIGEST_LEN], struct err *e);
int vault_missing(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], struct cat_snapshot *rows,
    size_t n, vault_missing_fn fn, void *arg, struct err *e);

/* As vault_missing of the one snapshot ${row}, which stays as it is; ids that were given up are told too. */
int vault_lost(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], const struct cat_snapshot *row,
    vault_missing_fn fn, void *arg, struct err *e);

/* Images of a machine that promise something now. */
#define PLEDGES_MOST	64u	/* at a time: bits of a word */
struct promising {
	uint8_t images[PLEDGES_MOST * ID_LEN];
	size_t n;
	uint64_t again;		/* those without snapshots, which bring ids once more */
};

/**
 * vault_promised(v, store, machine, again, fn, arg, e):
 * Tell ${fn} each id, rising, that an image of ${machine} in the mail carries itself.  Promised are
 * those of them that the vault never had and no disk of these images lost: the catalog knows (chunks_find, unstored_find).
 * With ${again}: what an image without snapshots brings once more.  Promised are those that have no good copy and that
 * none of its disks lost.
 * vault_promises: a digest of all that this depends on; equal, the ids are; zeros: none; and whose they are.  In a
 * transaction or not.
 */
int vault_promised(struct vault *v, struct container *store, const uint8_t machine[ID_LEN], int again, vault_missing_fn fn,
    void *arg, struct err *e);
int vault_promises(struct vault *v, const uint8_t machine[ID_LEN], uint8_t print[DIGEST_LEN], struct promising *p, struct err *e);

/* Disks of the image that have not been taken in and are still to come. */
int vault_disks_out(struct vault *v, const uint8_t image[ID_LEN], uint32_t *n, struct err *e);

/**
 * vault_manifest(v, i, bytes, m, e):
 * The newest manifest of an image, in new memory that ${m} points into: 0; 1
 * there is none that can be read; -1 with ${e}.
 */
int vault_manifest(struct vault *v, const struct cat_image *i, uint8_t **bytes, struct manifest *m, struct err *e);

#endif
