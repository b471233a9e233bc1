#ifndef SAMARA_FLOW_CREDENTIAL_FILE_H
#define SAMARA_FLOW_CREDENTIAL_FILE_H

/* A vault credential as its machine reads it: a file that came by mail. */

#include <stddef.h>
#include <stdint.h>

#include "formats/fmt_vault.h"

struct err;

/* How far a vault's clock may be ahead of the machine's. */
#define CREDENTIAL_CLOCK_SLACK	(24 * 60 * 60)

struct credential_file {
	struct credential *c;	/* in secret memory: it holds a secret */
	uint8_t *text;		/* the file as it was read */
	size_t len;
};

/**
 * credential_file_read(path, f, e):
 * Read the file and check the signature of the vault that it names.  Return 0
 * with ${f} (credential_file_release), or -1 with ${e}: ERR_CRED_UNREADABLE
 * (no credential, or it did not arrive unchanged; the line is named),
 * ERR_CRED_INVALID (signed by another key than that of its vault),
 * ERR_VERSION, ERR_NOT_FOUND, ERR_PERMISSION.
 */
int credential_file_read(const char *path, struct credential_file *f, struct err *e);

/* Wipe and free; an empty one (all zeros) is allowed. */
void credential_file_release(struct credential_file *f);

/**
 * credential_judge(c, machine, now, online, e):
 * Whether a machine may register with it as ${machine} (NULL: under
 * the name in it) when its clock shows ${now}, seconds since 1970.  Return 0,
 * or -1 with ${e}: ERR_CRED_EXPIRED; ERR_CRED_INVALID where it is for another
 * machine or from the future; ERR_RULE where its purpose needs the line and not
 * ${online}, or is reading only.
 */
int credential_judge(const struct credential *c, const char *machine, int64_t now, int online, struct err *e);

#endif
