#ifndef SAMARA_BASE_PASSPHRASE_H
#define SAMARA_BASE_PASSPHRASE_H

/* Where a passphrase comes from, and how one is made. */

#include <stddef.h>

struct err;

#define PASSPHRASE_LEAST	16	/* code points of a new one */
#define PASSPHRASE_MOST		4096	/* bytes */
#define PASSPHRASE_MADE		36	/* a generated one with its zero: 6 groups of 5 */

/* In memory of secret_new; released by passphrase_release. */
struct passphrase {
	char *text;		/* zero-terminated */
	size_t len;
};

/**
 * passphrase_get(p, file, purpose, fresh, e):
 * From the first of: ${file} (of --passphrase-file; NULL if not given), the
 * file SAMARA_PASSPHRASE_FILE, the output of the shell command
 * SAMARA_PASSPHRASE_COMMAND, the descriptor SAMARA_PASSPHRASE_FD,
 * SAMARA_PASSPHRASE itself (which is wiped from the environment), the terminal
 * without echo, asking for "${purpose}" ("passphrase of machine db1").  A
 * variable that is empty counts as not there.  One newline at the end is cut.
 * ${fresh}: it is a new one: asked for twice, and at least PASSPHRASE_LEAST
 * long.  Return 0, or -1 with ${e}: ERR_NO_PASSPHRASE where there is none or
 * it is empty, ERR_WEAK where a new one is too short, ERR_PASSPHRASE where it
 * holds a NUL, is longer than PASSPHRASE_MOST or was typed differently the
 * second time; ${p} is then empty.
 */
int passphrase_get(struct passphrase *p, const char *file, const char *purpose, int fresh,
    struct err *e);

/* Wipe and give back; an empty one is allowed. */
void passphrase_release(struct passphrase *p);

/**
 * passphrase_generate(p):
 * Six groups of five characters with hyphens, of 31 letters and digits none of
 * which looks like another: 148 bits.
 */
void passphrase_generate(struct passphrase *p);

/* 0 if it may be a new one, else -1 with ERR_WEAK. */
int passphrase_check(const struct passphrase *p, struct err *e);

/* From ${len} bytes, checked as passphrase_get does; for tests and other sources. */
int passphrase_set(struct passphrase *p, const void *bytes, size_t len, struct err *e);

#endif
