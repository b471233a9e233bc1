#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check/finding.h"

struct findings {
	pthread_mutex_t lock;
	finding_fn fn;
	void *arg;
	uint64_t count[SEVERITIES];
};

struct findings *
findings_new(finding_fn fn, void *arg)
{
	struct findings *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	pthread_mutex_init(&f->lock, NULL);
	f->fn = fn;
	f->arg = arg;
	return f;
}

void
findings_free(struct findings *f)
{
	if (f == NULL)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void
tell(struct findings *f, const struct finding *one)
{
	pthread_mutex_lock(&f->lock);
	f->count[one->severity]++;
	if (f->fn != NULL)
		f->fn(f->arg, one);
	pthread_mutex_unlock(&f->lock);
}

void
finding_tell(struct findings *f, enum severity severity, enum err_code code, const char *where, const char *meaning,
    const char *fmt, ...)
{
	struct finding one = { .severity = severity, .code = code, .where = where, .meaning = meaning };
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	one.what = text;
	tell(f, &one);
}

void
finding_err(struct findings *f, enum severity severity, const char *where, const char *meaning, const struct err *why)
{
	const struct finding one = { .severity = severity, .code = why->code, .where = where, .what = why->msg,
	    .meaning = meaning };

	tell(f, &one);
}

uint64_t
findings_count(struct findings *f, enum severity severity)
{
	uint64_t n;

	pthread_mutex_lock(&f->lock);
	n = f->count[severity];
	pthread_mutex_unlock(&f->lock);
	return n;
}

const char *
severity_text(enum severity severity)
{
	static const char *const text[SEVERITIES] = { "note", "repairable", "lost" };

	return text[severity];
}
