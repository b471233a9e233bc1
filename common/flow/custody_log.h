#ifndef SAMARA_FLOW_CUSTODY_LOG_H
#define SAMARA_FLOW_CUSTODY_LOG_H

/*
 * Custody logs, checked alone and offline: who signed, whether each record
 * follows the one before, which are missing, and where there are two of one
 * number.  What was cut off behind a signer's last record cannot be seen in a
 * log alone; the other party's half shows it.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/fmt_vault.h"

struct custody_log;
struct err;
struct findings;

/* Empty; NULL without memory.  Free with custody_log_free (NULL is allowed). */
struct custody_log *custody_log_new(void);
void custody_log_free(struct custody_log *l);

/**
 * custody_log_add(l, found, bytes, len, where, e):
 * Take one record, untrusted bytes that stand at ${where}.  One that cannot be
 * read or is not signed by the key in it is told to ${found} and left out; the
 * same record twice is one.  0, or -1 with ${e} (ERR_MEMORY).
 */
int custody_log_add(struct custody_log *l, struct findings *found, const void *bytes, size_t len, const char *where,
    struct err *e);

/**
 * custody_log_read(l, found, path, e):
 * Take what stands at ${path}: a log (fmt_custody_log.h), a single
 * record, a directory of records (one with a directory custody/ in it will
 * do), a disk with all its images, a machine's state directory.  0; -1 with
 * ${e}: ERR_NOT_FOUND where there is no log, ERR_FORMAT where it is something
 * else.
 */
int custody_log_read(struct custody_log *l, struct findings *found, const char *path, struct err *e);

/* The records in the directory custody/ of an image's directory ${imagefd}; ${where} is put before their names.  0 or -1. */
int custody_log_read_dir(struct custody_log *l, struct findings *found, int imagefd, const char *where, struct err *e);

/**
 * custody_log_check(l, found):
 * Put the records in order and tell of everything that is wrong between them.
 */
void custody_log_check(struct custody_log *l, struct findings *found);

/* Whose records an image may hold: a record by a machine with another id or key is told of. */
void custody_log_signer(struct custody_log *l, struct findings *found, const uint8_t image_id[ID_LEN],
    const uint8_t machine_id[ID_LEN], const uint8_t machine_pub[SIGN_PUB_LEN]);

/* After custody_log_check: record ${i} of the merged logs, image by image, each signer's own in order; NULL past the end. */
const struct custody *custody_log_at(const struct custody_log *l, size_t i);
/* Its bytes, and where it was read. */
const uint8_t *custody_log_bytes(const struct custody_log *l, size_t i, size_t *len, const char **where);

#endif
