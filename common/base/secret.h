#ifndef SAMARA_BASE_SECRET_H
#define SAMARA_BASE_SECRET_H

/* Keys and passphrases in memory: guarded, locked, never in a core dump. */

#include <stddef.h>

struct err;

/**
 * secret_init(void):
 * Start the crypto library and forbid core dumps.  First call of main, before
 * any thread.  Ends the process when that is not possible.
 */
void secret_init(void);

/**
 * secret_new(n):
 * ${n} zero bytes in guarded, locked pages; ends the process when there are
 * none.  Wiped and given back by secret_free (NULL is allowed).
 */
void *secret_new(size_t n);
void secret_free(void *p);

/* Overwrite ${n} bytes in a way no compiler removes. */
void secret_wipe(void *p, size_t n);

/* 1 if the ${n} bytes are equal, else 0; in time that depends on ${n} only. */
int secret_equal(const void *a, const void *b, size_t n);

#endif
