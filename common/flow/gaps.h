#ifndef SAMARA_FLOW_GAPS_H
#define SAMARA_FLOW_GAPS_H

/* Which ids a vault misses: needed, not held, on no disk that is to come, and not given up. */

#include <stddef.h>
#include <stdint.h>

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "formats/fmt_disk.h"

struct id_list_reader;
struct id_sorter;

/**
 * carried_lacks(v, image, m, n, e):
 * How many ids of the list that an image without snapshots carries (its
 * manifest is ${m}) are not held; ${n} is UINT64_MAX where the list has not come.
 * 0, or -1 with ${e}.
 */
int carried_lacks(struct vault *v, const struct cat_image *image, const struct manifest *m, uint64_t *n, struct err *e);

/**
 * carried_open(v, image, pub, e):
 * The list of what an image carries, as the vault keeps it, signed by ${pub}
 * (NULL: not looked at).  NULL with ${e} (ERR_NOT_FOUND).  Ended by carried_close.
 */
struct carried;
struct carried *carried_open(struct vault *v, const uint8_t image[ID_LEN], const uint8_t *pub, struct err *e);
struct id_list_reader *carried_list(struct carried *c);
void carried_close(struct carried *c);

/**
 * gaps_find(v, machine, image, out, e):
 * Add to ${out} every id that is missing of the machine's snapshots, or of those
 * of ${image} alone (NULL: of all).  0, or -1 with ${e}.
 */
int gaps_find(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *image, struct id_sorter *out, struct err *e);

/**
 * gaps_save(v, machine, image, path, count, e):
 * The signed list of these ids as the new file ${path}; ${count}: how many.
 * Without any no file is made.  0, or -1 with ${e} (ERR_EXISTS).
 */
int gaps_save(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *image, const char *path, uint64_t *count,
    struct err *e);

/* The machine whose snapshots have a gap where there is one only: 0, 1 there is none, -1 with ERR_USAGE. */
int gaps_machine(struct vault *v, uint8_t machine[ID_LEN], struct err *e);

#endif
