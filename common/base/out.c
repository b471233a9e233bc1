#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/doc.h"
#include "common/base/log.h"
#include "common/base/out.h"

struct out {
	struct doc *j;
	struct out *above;	/* what out_end puts this into */
	const char *key;
	int summary;
};

static struct out *summary;	/* waits to be the last */
static int json_mode;
static int failed;		/* errno of the first write that failed */

void
out_json_set(int json)
{
	json_mode = json;
}

int
out_is_json(void)
{
	return json_mode;
}

void
out_text(const char *fmt, ...)
{
	va_list ap;

	if (json_mode)
		return;
	say_hold();
	va_start(ap, fmt);
	if (vfprintf(stdout, fmt, ap) < 0 && failed == 0)
		failed = errno;
	va_end(ap);
	say_go();
}

static struct out *
out_new(struct out *above, const char *key, struct doc *j)
{
	struct out *o = malloc(sizeof(*o));

	if (o == NULL) {
		(void)fputs("samara: out of memory\n", stderr);
		abort();
	}
	o->j = j;
	o->above = above;
	o->key = key;
	o->summary = 0;
	return o;
}

struct out *
out_object(const char *type)
{
	struct out *o;

	if (!json_mode)
		return NULL;
	o = out_new(NULL, NULL, doc_object());
	doc_put_str(o->j, "type", type);
	o->summary = strcmp(type, "summary") == 0;
	return o;
}

void
out_str(struct out *o, const char *key, const char *s)
{
	if (o != NULL)
		doc_put_str(o->j, key, s);
}

void
out_name(struct out *o, const char *key, const void *bytes, size_t len)
{
	if (o != NULL)
		doc_put_name(o->j, key, bytes, len);
}

void
out_u64(struct out *o, const char *key, uint64_t v)
{
	if (o != NULL)
		doc_put_u64(o->j, key, v);
}

void
out_i64(struct out *o, const char *key, int64_t v)
{
	if (o != NULL)
		doc_put_i64(o->j, key, v);
}

void
out_real(struct out *o, const char *key, double v)
{
	if (o != NULL)
		doc_put_real(o->j, key, v);
}

void
out_bool(struct out *o, const char *key, int v)
{
	if (o != NULL)
		doc_put_bool(o->j, key, v);
}

void
out_null(struct out *o, const char *key)
{
	if (o != NULL)
		doc_put_null(o->j, key);
}

void
out_bytes(struct out *o, const char *key, const void *bytes, size_t len)
{
	if (o != NULL)
		doc_put_hex(o->j, key, bytes, len);
}

struct out *
out_list(struct out *o, const char *key)
{
	return o == NULL ? NULL : out_new(o, key, doc_list());
}

struct out *
out_item(struct out *list)
{
	return list == NULL ? NULL : out_new(list, "", doc_object());
}

void
out_end(struct out *inner)
{
	if (inner == NULL)
		return;
	doc_put_value(inner->above->j, inner->key, inner->j);
	free(inner);
}

static void
out_write(struct out *o)
{
	struct err e;
	char *text;
	size_t len;

	err_clear(&e);
	if (doc_write(o->j, &text, &len, &e) != 0) {
		failed = failed == 0 ? ENOMEM : failed;
	} else {
		say_hold();
		if (fwrite(text, 1, len, stdout) != len && failed == 0)
			failed = errno;
		if (fflush(stdout) != 0 && failed == 0)	/* a line is read as it comes */
			failed = errno;
		say_go();
	}
	free(text);
	doc_free(o->j);
	free(o);
}

void
out_emit(struct out *o)
{
	struct out *before = summary;

	if (o != NULL && o->summary) {
		summary = o;
		o = before;
	}
	if (o != NULL)
		out_write(o);
}

int
out_finish(struct err *e)
{
	if (summary != NULL)
		out_write(summary);
	summary = NULL;
	if (fflush(stdout) != 0 && failed == 0)
		failed = errno;
	if (failed == 0)
		return 0;
	errno = failed;
	return err_errno(e, "write the results to the standard output");
}
