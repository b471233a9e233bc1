#ifndef SAMARA_FLOW_ID_LIST_H
#define SAMARA_FLOW_ID_LIST_H

/*
 * Gap lists and lists of what was given up (docs/formats/receipt.md), as files
 * of signed parts.  Memory: one part, however long the list is.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "formats/fmt_receipt.h"

struct buf;
struct err;
struct id_sorter;

/* Takes one encoded part. */
typedef int (*id_list_part_fn)(void *arg, const uint8_t *part, size_t len, struct err *e);

/**
 * id_list_make(schema, about, ids, secret, fn, arg, e):
 * Cut the ids in ${ids} (read twice from its beginning) into signed parts and
 * hand them to ${fn} in order.  Vault, machine, domain, image and time are
 * those of ${about}; list id, count, digest and parts are filled in there.
 * 0, or -1 with ${e} or what ${fn} said.
 */
int id_list_make(const struct fmt_schema *schema, struct id_list *about, struct id_sorter *ids, const uint8_t *secret,
    id_list_part_fn fn, void *arg, struct err *e);

/**
 * id_list_save(dirfd, name, schema, about, ids, secret, e):
 * The same as the new file ${name} in ${dirfd}, whole and durable, or not at all.
 * 0; 1 something of that name is there; -1 with ${e}.
 */
int id_list_save(int dirfd, const char *name, const struct fmt_schema *schema, struct id_list *about, struct id_sorter *ids,
    const uint8_t *secret, struct err *e);

/* The same at a path that a person named (new_file.h): ERR_EXISTS where it is there. */
int id_list_save_path(const char *path, const struct fmt_schema *schema, struct id_list *about, struct id_sorter *ids,
    const uint8_t *secret, struct err *e);

/* Reading. */
struct id_list_reader;

/**
 * id_list_reader_new(dirfd, path, schema, pub, e):
 * Open the file ${path} and its first part, which ${pub} must have signed (NULL:
 * no signature is looked at).  NULL with ${e}: ERR_NOT_FOUND, ERR_FORMAT,
 * ERR_VERSION, ERR_SIGNATURE.
 */
struct id_list_reader *id_list_reader_new(int dirfd, const char *path, const struct fmt_schema *schema, const uint8_t *pub,
    struct err *e);
void id_list_reader_free(struct id_list_reader *r);

/* Up to ${n} bytes from the current place, less only at the end; -1 with ${e}. */
typedef ssize_t (*id_list_read_fn)(void *arg, void *buf, size_t n, struct err *e);

/* The same from anywhere; ${name} is for messages; ${arg} must outlive the reader. */
struct id_list_reader *id_list_reader_from(id_list_read_fn read, void *arg, const char *name, const struct fmt_schema *schema,
    const uint8_t *pub, struct err *e);

/* What the part in hand says of the list; valid until the next call. */
const struct id_list *id_list_about(const struct id_list_reader *r);

/**
 * id_list_next(r, id, e):
 * 1 with the next id; 0 at the end, when every part was signed, of this list,
 * in its place, and count, order and digest are what they say; -1 with ${e}
 * (ERR_DAMAGE, ERR_SIGNATURE).
 */
int id_list_next(struct id_list_reader *r, uint8_t id[DIGEST_LEN], struct err *e);

/**
 * id_list_part(r, part, len, e):
 * 1 with the part in hand as it is encoded, all its ids counted as read; 0 at
 * the end as id_list_next; -1 with ${e}.  Not to be mixed with id_list_next.
 */
int id_list_part(struct id_list_reader *r, const uint8_t **part, size_t *len, struct err *e);

#endif
