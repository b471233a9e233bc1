#ifndef SAMARA_BASE_ERR_H
#define SAMARA_BASE_ERR_H

/*
 * One error, as a person will read it.  The cause is recorded once, where it
 * is known; each floor above says what it was doing; the tool prints it once
 * and turns the code into an exit status.  Codes, exit statuses, causes and
 * cures stand in errors.def alone; docs/errors.md is held to it by a test.
 */

enum err_code {
	ERR_NONE = 0,
#define ERRDEF(name, number, exit, cause, cure) ERR_##name = number,
#include "common/base/errors.def"
#undef ERRDEF
};

#define ERR_MSG_MAX	2048

struct err {
	enum err_code code;
	int sys;			/* errno of the cause, or 0 */
	char msg[ERR_MSG_MAX];		/* "disk RM4K-1: fsync: No space left" */
	char next[512];			/* what to do now; empty: the code's cure */
};

/**
 * err_clear(e):
 * Make ${e} say that nothing went wrong.  Needed before first use.
 */
void err_clear(struct err *e);

/**
 * err_set(e, code, fmt, ...):
 * Record that ${code} happened, in words.  ${e} may be NULL.  Always -1.
 */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * err_errno(e, fmt, ...):
 * As err_set, with errno's own words appended and the code that suits errno:
 * ENOSPC and EDQUOT are ERR_NO_SPACE, EROFS and EACCES and EPERM
 * ERR_PERMISSION, ENOENT and ENOTDIR ERR_NOT_FOUND, ENOMEM ERR_MEMORY, all
 * else ERR_IO.  errno is kept.  Always -1.
 */
int err_errno(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * err_during(e, fmt, ...):
 * Put "what was being done: " before the message of ${e}.  Always -1.
 */
int err_during(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * err_next(e, fmt, ...):
 * Say what the person should do next, in place of the code's standing cure.
 * Always -1.
 */
int err_next(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The exit status that belongs to ${code} (1 for a code not in the table). */
int err_exit(enum err_code code);

/* The standing cause and cure of ${code}; "" for a code not in the table. */
const char *err_cause(enum err_code code);
const char *err_cure(enum err_code code);

/**
 * err_at(i, code, exit, cause, cure):
 * Walk the table: give row ${i}.  Return 0, or -1 past its end.
 */
int err_at(unsigned i, enum err_code *code, int *exit, const char **cause, const char **cure);

#endif
