#ifndef SAMARA_BASE_PROMPT_H
#define SAMARA_BASE_PROMPT_H

/* A question to the person at the terminal. */

#include <stddef.h>

struct err;

/**
 * prompt_secret(question, buf, n, len, e):
 * Ask "${question}: " on the controlling terminal and read one line without
 * echo into the ${n} bytes at ${buf} (secret memory of the caller's); ${len}
 * is its length without the newline.  The terminal is as before on return,
 * also when SIGINT or SIGTERM came (ERR_INTERRUPTED).  Return 0, or -1 with
 * ${e}: ERR_NO_PASSPHRASE where there is no terminal or its end was typed.
 */
int prompt_secret(const char *question, char *buf, size_t n, size_t *len, struct err *e);

/**
 * prompt_line(question, buf, n, len, e):
 * The same for what is no secret: echoed, and zero-terminated within the ${n}
 * bytes at ${buf}.  ERR_NOT_FOUND where there is no terminal or its end was typed.
 */
int prompt_line(const char *question, char *buf, size_t n, size_t *len, struct err *e);

#endif
