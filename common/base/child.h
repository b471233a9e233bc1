#ifndef SAMARA_BASE_CHILD_H
#define SAMARA_BASE_CHILD_H

/* Other programs, run by their words: never by a shell. */

#include <stddef.h>

struct err;

/**
 * child_run(argv, more, out, n, e):
 * Run ${argv}[0] (looked for in PATH where it has no slash) with ${argv} and
 * wait for its end; who is asked to stop meanwhile sends it SIGTERM.  Its input
 * is empty, its messages are ours.  ${more} is
 * NULL or "NAME=VALUE" strings that are added to its environment.  What it
 * prints goes into the ${n} bytes at ${out}, zero-terminated and cut there, or
 * where ${out} is NULL to stderr.  Return its exit status; 128 and more where
 * a signal ended it; -1 with ${e} (ERR_PROGRAM) where it could not be run.
 */
int child_run(const char *const argv[], const char *const more[], char *out, size_t n, struct err *e);

/**
 * child_must(argv, more, out, n, e):
 * The same for a program whose failure is one of ours: 0, or -1 with ${e}.
 */
int child_must(const char *const argv[], const char *const more[], char *out, size_t n, struct err *e);

/**
 * child_feed(argv, more, in, len, e):
 * As child_must with no output wanted, for a program that reads the ${len} bytes at ${in}.
 */
int child_feed(const char *const argv[], const char *const more[], const void *in, size_t len, struct err *e);

#endif
