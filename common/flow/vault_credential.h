#ifndef SAMARA_FLOW_VAULT_CREDENTIAL_H
#define SAMARA_FLOW_VAULT_CREDENTIAL_H

/* Credentials as a vault gives them out. */

#include "common/flow/vault.h"

struct credential_order {
	const char *machine;	/* NULL: any name */
	unsigned purpose;	/* PURPOSE_… */
	int64_t valid;		/* seconds in which it can be used */
	int64_t arrives_by;	/* seconds in which the registration must have come */
};

#define CREDENTIAL_VALID	(INT64_C(48) * 3600)
#define CREDENTIAL_ARRIVES	(INT64_C(90) * 86400)

/**
 * vault_credential(v, o, c, e):
 * Make a credential, record that it was issued (without its secret) and give
 * it in ${c}, signed; older unused ones for the same name, or all where there
 * is no name, are superseded.  Return 0, or -1 with ${e}: ERR_VAULT_NAME;
 * ERR_NOT_FOUND where it is for an existing machine and there is none of that
 * name; ERR_RULE where a new machine asks for a name in use, or where the clock jumped
 * and nobody said that it is right.
 */
int vault_credential(struct vault *v, const struct credential_order *o, struct credential *c, struct err *e);

/* The credential's file: words for people, then armour; appended to ${out}. */
int credential_text(const struct vault *v, struct credential *c, struct buf *out, struct err *e);

/* "demo_2026-11-21_laptop.credential": of vault, day and machine; ${n} > 1 is put before the point. */
#define CREDENTIAL_NAME_MAX	192
void credential_file_name(const struct credential *c, unsigned n, char out[CREDENTIAL_NAME_MAX]);

#endif
