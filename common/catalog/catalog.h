#ifndef SAMARA_CATALOG_CATALOG_H
#define SAMARA_CATALOG_CATALOG_H

/*
 * A vault's catalog: what can be read off its records, packs and snapshots, in
 * a form that answers at once.  It is derived; it can be made anew and gives
 * the same answers then.  One handle belongs to one thread.
 *
 * Small things (machines, images, snapshots …) are rows described by tables
 * (catalog_rows.h).  Chunks are asked for in batches only (catalog_chunks.h).
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct catalog;
struct cat_table;
struct err;

/**
 * catalog_open(path, vault_id, create, e):
 * Open the catalog file ${path} (made durable, whole or not at all, if
 * ${create} and there is none).  NULL with ${e}: ERR_CATALOG if it is not
 * there, damaged, of another version or of another vault.
 */
struct catalog *catalog_open(const char *path, const uint8_t vault_id[ID_LEN], int create, struct err *e);
void catalog_close(struct catalog *c);

/* Keep no more than about this of it in memory, at least 1 MiB; 64 MiB where it is never said.  Not in a transaction. */
void catalog_memory(struct catalog *c, uint64_t bytes);

/*
 * Take the catalog's file away, durably, and then all that belongs to it.  0 or -1; it need not be there.  A power cut
 * leaves the catalog whole, or none, perhaps with a journal that must be gone before another takes this name.
 */
int catalog_remove(const char *path, struct err *e);

/**
 * catalog_begin(c, write, e):
 * Start a transaction; with ${write} nobody else can start one until it ends
 * (waits up to a minute: ERR_BUSY).  catalog_commit makes it durable: after 0
 * a power cut cannot undo it; after -1 it is rolled back.  They do not nest.
 */
int catalog_begin(struct catalog *c, int write, struct err *e);
int catalog_commit(struct catalog *c, struct err *e);
void catalog_rollback(struct catalog *c);

/*
 * Named values.  get: 0 found, 1 there is none (then ${v} is 0 / ${out} zeros), -1.
 */
int catalog_number(struct catalog *c, const char *name, int64_t *v, struct err *e);
int catalog_number_set(struct catalog *c, const char *name, int64_t v, struct err *e);
int catalog_bytes(struct catalog *c, const char *name, void *out, size_t len, struct err *e);
int catalog_bytes_set(struct catalog *c, const char *name, const void *in, size_t len, struct err *e);

/**
 * Rows of ${t}: the struct that ${t} describes.
 * put: make or replace the row with these keys.  get: the first t->nkeys
 * columns are filled in; 0 found, 1 there is none, -1.  drop: 0, also where it
 * was not there.  each: every row whose first ${nkeys} columns are those of
 * ${like} (NULL with 0: all), in the order of the keys; ${fn} must not write
 * to the catalog and may stop it with non-zero, which is returned.
 */
int catalog_put(struct catalog *c, const struct cat_table *t, const void *row, struct err *e);
int catalog_get(struct catalog *c, const struct cat_table *t, void *row, struct err *e);
int catalog_drop(struct catalog *c, const struct cat_table *t, const void *row, struct err *e);
int catalog_each(struct catalog *c, const struct cat_table *t, size_t nkeys, const void *like,
    int (*fn)(void *arg, const void *row, struct err *e), void *arg, struct err *e);

/**
 * catalog_dump(c, put, arg, e):
 * All that the catalog says, as lines of text in an order that depends on the
 * content alone; two catalogs give the same answers if and only if their
 * dumps are equal.
 */
int catalog_dump(struct catalog *c, int (*put)(void *arg, const char *line, struct err *e), void *arg, struct err *e);

#endif
