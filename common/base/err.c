#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"

static const struct row {
	enum err_code code;
	int exit;
	const char *cause;
	const char *cure;
} rows[] = {
#define ERRDEF(name, number, exit, cause, cure) { ERR_##name, exit, cause, cure },
#include "common/base/errors.def"
#undef ERRDEF
};

static const struct row *
row_find(enum err_code code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

void
err_clear(struct err *e)
{
	if (e == NULL)
		return;
	e->code = ERR_NONE;
	e->sys = 0;
	e->msg[0] = '\0';
	e->next[0] = '\0';
}

int
err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	err_clear(e);
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -1;
}

static enum err_code
code_of_errno(int sys)
{
	switch (sys) {
	case ENOSPC:
	case EDQUOT:
		return ERR_NO_SPACE;
	case EROFS:
	case EACCES:
	case EPERM:
		return ERR_PERMISSION;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case ENOMEM:
		return ERR_MEMORY;
	default:
		return ERR_IO;
	}
}

int
err_errno(struct err *e, const char *fmt, ...)
{
	int sys = errno;
	char why[128];
	const char *words;
	size_t used;
	va_list ap;

	if (e == NULL)
		return -1;
	err_clear(e);
	e->code = code_of_errno(sys);
	e->sys = sys;
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);

	words = strerror_r(sys, why, sizeof(why));	/* the GNU one */
	used = strlen(e->msg);
	(void)snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", words);
	errno = sys;
	return -1;
}

int
err_during(struct err *e, const char *fmt, ...)
{
	char cause[ERR_MSG_MAX];
	size_t used, rest;
	va_list ap;

	if (e == NULL)
		return -1;
	if (e->code == ERR_NONE)	/* a floor below failed and did not say why */
		(void)err_set(e, ERR_INTERNAL, "no cause was recorded");
	memcpy(cause, e->msg, sizeof(cause));
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);

	used = strlen(e->msg);
	rest = sizeof(e->msg) - used;
	(void)snprintf(e->msg + used, rest, ": %.*s", (int)rest, cause);
	return -1;
}

int
err_next(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(e->next, sizeof(e->next), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_exit(enum err_code code)
{
	const struct row *r = row_find(code);

	return r == NULL ? 1 : r->exit;
}

const char *
err_cause(enum err_code code)
{
	const struct row *r = row_find(code);

	return r == NULL ? "" : r->cause;
}

const char *
err_cure(enum err_code code)
{
	const struct row *r = row_find(code);

	return r == NULL ? "" : r->cure;
}

int
err_at(unsigned i, enum err_code *code, int *status, const char **cause, const char **cure)
{
	if (i >= sizeof(rows) / sizeof(rows[0]))
		return -1;
	*code = rows[i].code;
	*status = rows[i].exit;
	*cause = rows[i].cause;
	*cure = rows[i].cure;
	return 0;
}
