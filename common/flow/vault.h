#ifndef SAMARA_FLOW_VAULT_H
#define SAMARA_FLOW_VAULT_H

/*
 * A vault as its keeper opens it: store, description, keys, catalog.
 *
 *   VAULT/…                 the store (store.h, vault_names.h): what is copied, replicated, put elsewhere
 *   VAULT/local/catalog.db  derived; made anew by rebuild
 *   VAULT/local/vault.key   the vault's secret keys, 0600; never part of the store
 *   VAULT/local/lock        shared by all that work on the vault, exclusive for rebuild
 *
 * Every decision is one transaction (vault_begin … vault_commit): records that
 * the catalog has not seen are applied, the caller checks, vault_record puts
 * the record durably and applies it by the very function that a rebuild uses,
 * and the catalog commits.
 */

#include <stdint.h>

#include "formats/fmt_vault.h"

struct buf;
struct catalog;
struct err;
struct store;

#define VAULT_CATALOG	"catalog.db"
#define VAULT_KEY	"vault.key"

struct vault {
	struct store *store;
	struct catalog *catalog;
	int local;			/* descriptor of VAULT/local */
	int lock;
	char path[4096];		/* as a person knows it */
	char catalog_path[4352];
	struct vault_desc desc;		/* newest generation, signature checked */
	struct vault_key *key;		/* secret memory; NULL where it was not opened */
	uint8_t *sign_secret;		/* 64 bytes, secret memory */
	uint64_t number;		/* of the newest record applied */
	int64_t now;			/* of the transaction: wall clock, nanoseconds */
	int64_t late, slow;		/* the two clocks, nanoseconds */
	int clock_jumped;
};

struct vault_create {
	const char *name;
	const char *url, *region;	/* NULL: none */
	unsigned redundancy;		/* REDUNDANCY_… */
	const char *key_copy;		/* file for a second copy of the key; NULL: none */
};

/**
 * vault_create(path, o, e):
 * Make the vault ${path}: keys, the first record, the catalog, the description
 * (last: a vault without one is none yet, and the same command goes on).
 * Return 0, or -1 with ${e}: ERR_VAULT_NAME, ERR_VAULT_EXISTS (also a vault of
 * that name beside it, and a directory with other things in it),
 * ERR_FILE_SYSTEM, ERR_PERMISSION.
 */
int vault_create(const char *path, const struct vault_create *o, struct err *e);

/**
 * vault_open(path, flags, e):
 * Open the vault ${path}, taking its lock.  VAULT_NO_CATALOG: no catalog is opened
 * and the lock is exclusive (rebuild).  VAULT_NO_KEY: it only answers questions; the secret
 * key is not read.  NULL with ${e}: ERR_NO_VAULT, ERR_CATALOG, ERR_VAULT_KEY,
 * ERR_BUSY.  Close with vault_close (NULL is allowed).
 */
#define VAULT_NO_CATALOG	1u
#define VAULT_NO_KEY		2u
struct vault *vault_open(const char *path, unsigned flags, struct err *e);

/**
 * vault_again(v, e):
 * Another handle of the same vault, for another thread: its own catalog, store
 * and lock; the key is copied from ${v}, so that nobody is asked twice.  NULL
 * with ${e}, as vault_open.
 */
struct vault *vault_again(const struct vault *v, struct err *e);
void vault_close(struct vault *v);

/**
 * vault_describe(store, d, e):
 * The newest whole description in a store; signed by the key that it names.
 * Return 0 or -1 with ${e} (ERR_NO_VAULT where there is none).
 */
int vault_describe(struct store *s, struct vault_desc *d, struct err *e);

/**
 * vault_find(dir, vault_id, path, cap, e):
 * The vault with this id among those in the directory ${dir} (SAMARA_VAULTS).
 * 0 with its ${path}; -1 with ERR_NO_VAULT.
 */
int vault_find(const char *dir, const uint8_t vault_id[ID_LEN], char *path, size_t cap, struct err *e);

/**
 * vault_begin(v, e):
 * Start the transaction of a decision: nobody else decides until vault_commit
 * or vault_rollback.  The clocks are moved on, v->now is set and every record
 * above the highest that the catalog has is applied.
 */
int vault_begin(struct vault *v, struct err *e);
int vault_commit(struct vault *v, struct err *e);
void vault_rollback(struct vault *v);

/**
 * vault_record(v, type, schema, body, e):
 * In a transaction: put the next record, with ${body} encoded by ${schema}
 * (signed by the vault where the schema is), durably into the store, and
 * apply it to the catalog.  vault_record_bytes: a body that is encoded
 * already.  Return 0, or -1 with ${e}: then the caller rolls back.
 */
int vault_record(struct vault *v, enum record_type type, const struct fmt_schema *schema, void *body, struct err *e);
int vault_record_bytes(struct vault *v, enum record_type type, const void *body, size_t len, struct err *e);

/**
 * vault_record_read(v, number, r, bytes, len, e):
 * Record ${number}, its signature checked; views in ${r} point into the new
 * buffer ${bytes}.  0, 1 there is none, -1 with ${e}.
 */
int vault_record_read(struct vault *v, uint64_t number, struct record *r, uint8_t **bytes, size_t *len, struct err *e);

/**
 * vault_apply(v, r, e):
 * What record ${r} says, as rows of the catalog; depends on the record and on
 * what was applied before it alone.
 */
int vault_apply(struct vault *v, const struct record *r, struct err *e);

/* Apply every record above the catalog's highest; in a transaction. */
int vault_catch_up(struct vault *v, struct err *e);

/* Who does this: "user@host". */
void vault_actor(char out[TEXT_MAX_LEN + 1]);

/* The secret of the credential ${id}: BLAKE2b keyed (a subkey of the vault's key; id). */
void vault_credential_secret(const struct vault *v, const uint8_t id[ID_LEN], uint8_t secret[KEY_LEN]);

/*
 * What the slow clock shows, into v->slow, for who looks outside a transaction: it is as the
 * newest transaction of anybody left it.  0 or -1.
 */
int vault_clock_look(struct vault *v, struct err *e);

/* Move the two clocks on (vault_clock.c); in a transaction, v->now is set. */
int vault_clock_move(struct vault *v, struct err *e);

/**
 * vault_clock_confirm(v, e):
 * A person says that the wall clock is right: the late clock is set to it,
 * also back, and both clocks go on from here.  Recorded.  0 or -1 with ${e}.
 */
int vault_clock_confirm(struct vault *v, struct err *e);

/* The later of late clock and wall, seconds: what credentials end by. */
int64_t vault_late_seconds(const struct vault *v);

#endif
