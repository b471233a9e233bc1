#ifndef SAMARA_FLOW_VAULT_MACHINE_H
#define SAMARA_FLOW_VAULT_MACHINE_H

/* Machines as a vault knows them. */

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"

/* The live machine of this name: 0, 1 there is none, -1. */
int vault_machine_named(struct vault *v, const char *name, struct cat_machine *m, struct err *e);

/* The machine with this id: 0, 1 there is none, -1. */
int vault_machine(struct vault *v, const uint8_t id[ID_LEN], struct cat_machine *m, struct err *e);

/* 1 if ${pub} is or was a key of the machine, 0 if not, -1. */
int vault_machine_has_key(struct vault *v, const uint8_t id[ID_LEN], const uint8_t pub[SIGN_PUB_LEN], struct err *e);

/* 1 if a key that is or was the machine's signed this statement of ${s}, 0 if not, -1. */
struct fmt_schema;
int vault_machine_signed(struct vault *v, const uint8_t id[ID_LEN], const struct fmt_schema *s, const void *bytes, size_t len,
    struct err *e);

/**
 * vault_machine_find(v, text, m, e):
 * The machine that a person means by ${text}: a name, or the beginning of an
 * id in hex that fits one only.  0, or -1 with ERR_NOT_FOUND.
 */
int vault_machine_find(struct vault *v, const char *text, struct cat_machine *m, struct err *e);

/**
 * vault_image_find(v, text, i, e):
 * The image with this short name (any case) or beginning of an id; NULL: the
 * only one there is.  0, or -1 with ERR_NO_IMAGE.
 */
int vault_image_find(struct vault *v, const char *text, struct cat_image *i, struct err *e);

#endif
