#ifndef SAMARA_VERIFY_COMMON_H
#define SAMARA_VERIFY_COMMON_H

/* What the commands of samara-verify share. */

#include "common/flow/verify.h"

struct args;

/* Options for keys. */
struct verify_keys {
	const char *kit;
	const char *pass_file;
	int without;		/* --without-key */
};

/**
 * verify_keys_get(a, k, keys, e):
 * The keys to check with: those of --kit; else those of the machine that is
 * registered here, if there is one; else none (${keys} NULL).  0 or -1.
 */
int verify_keys_get(const struct args *a, const struct verify_keys *k, struct keyring **keys, struct err *e);

/* Print a finding; ${arg} is not used. */
void verify_finding_print(void *arg, const struct finding *f);

/* The last lines and the summary; return the exit status: 0, 4 where anything is lost. */
int verify_result_print(const struct verify_result *r, int64_t ns);

#endif
