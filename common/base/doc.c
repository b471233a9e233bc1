#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/doc.h"
#include "common/base/text.h"

struct doc {
	json_t *v;
	int failed;		/* memory ran out on the way */
};

static struct doc *
wrap(json_t *v)
{
	struct doc *j = malloc(sizeof(*j));

	if (j == NULL) {	/* the promise is never to return NULL */
		(void)fputs("samara: out of memory\n", stderr);
		abort();
	}
	j->v = v;
	j->failed = v == NULL;
	return j;
}

struct doc *
doc_object(void)
{
	return wrap(json_object());
}

struct doc *
doc_list(void)
{
	return wrap(json_array());
}

void
doc_free(struct doc *j)
{
	if (j == NULL)
		return;
	json_decref(j->v);
	free(j);
}

/* Takes over ${v}; NULL says that there was no memory for it. */
static void
add(struct doc *j, const char *key, json_t *v)
{
	int rc;

	if (v == NULL || j->v == NULL) {
		json_decref(v);
		j->failed = 1;
		return;
	}
	rc = json_is_array(j->v) ? json_array_append_new(j->v, v) :
	    json_object_set_new(j->v, key, v);
	if (rc != 0)
		j->failed = 1;
}

/* The string for any bytes, escaped as text_safe does. */
static json_t *
safe_string(const void *bytes, size_t len)
{
	size_t room = len * 4 + 4;
	char *buf = len > SIZE_MAX / 4 - 4 ? NULL : malloc(room);
	json_t *v;

	if (buf == NULL)
		return NULL;
	v = json_string(text_safe(buf, room, bytes, len));
	free(buf);
	return v;
}

static json_t *
hex_string(const void *bytes, size_t len)
{
	char *hex = len > SIZE_MAX / 2 - 1 ? NULL : malloc(2 * len + 1);
	json_t *v;

	if (hex == NULL)
		return NULL;
	v = json_string(text_hex(hex, bytes, len));
	free(hex);
	return v;
}

void
doc_put_str(struct doc *j, const char *key, const char *s)
{
	size_t len = strlen(s);

	add(j, key, text_is_utf8(s, len) ? json_string(s) : safe_string(s, len));
}

void
doc_put_name(struct doc *j, const char *key, const void *bytes, size_t len)
{
	char *hexkey;

	if (text_is_utf8(bytes, len)) {
		add(j, key, json_stringn(bytes, len));
		return;
	}
	add(j, key, safe_string(bytes, len));
	if (j->v != NULL && json_is_array(j->v))
		return;
	if (asprintf(&hexkey, "%s_hex", key) == -1) {
		j->failed = 1;
		return;
	}
	add(j, hexkey, hex_string(bytes, len));
	free(hexkey);
}

void
doc_put_u64(struct doc *j, const char *key, uint64_t v)
{
	char digits[24];

	if (v <= INT64_MAX) {
		add(j, key, json_integer((json_int_t)v));
		return;
	}
	(void)snprintf(digits, sizeof(digits), "%" PRIu64, v);
	add(j, key, json_string(digits));
}

void
doc_put_i64(struct doc *j, const char *key, int64_t v)
{
	add(j, key, json_integer((json_int_t)v));
}

void
doc_put_real(struct doc *j, const char *key, double v)
{
	json_t *real = json_real(v);

	add(j, key, real != NULL ? real : json_null());	/* no number: NaN, infinity */
}

void
doc_put_bool(struct doc *j, const char *key, int v)
{
	add(j, key, json_boolean(v));
}

void
doc_put_null(struct doc *j, const char *key)
{
	add(j, key, json_null());
}

void
doc_put_hex(struct doc *j, const char *key, const void *bytes, size_t len)
{
	add(j, key, hex_string(bytes, len));
}

void
doc_put_value(struct doc *j, const char *key, struct doc *child)
{
	if (child->failed)
		j->failed = 1;
	add(j, key, json_incref(child->v));
	doc_free(child);
}

/* The bytes of ${v} with two more allocated after them, or NULL. */
static char *
dump(const json_t *v, size_t flags, size_t *n)
{
	char *buf;

	flags |= JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9);
	if ((*n = json_dumpb(v, NULL, 0, flags)) == 0 || (buf = malloc(*n + 2)) == NULL)
		return NULL;
	if (json_dumpb(v, buf, *n, flags) == *n)
		return buf;
	free(buf);
	return NULL;
}

int
doc_write(const struct doc *j, char **text, size_t *len, struct err *e)
{
	char *buf = NULL;
	size_t n;

	*text = NULL;
	*len = 0;
	if (j->failed || (buf = dump(j->v, 0, &n)) == NULL)
		goto fail;
	if (!text_is_printable(buf, n)) {
		free(buf);
		if ((buf = dump(j->v, JSON_ENSURE_ASCII, &n)) == NULL)
			goto fail;
	}
	buf[n] = '\n';
	buf[n + 1] = '\0';
	*text = buf;
	*len = n + 1;
	return 0;
fail:
	errno = ENOMEM;
	return err_errno(e, "write JSON");
}

struct doc *
doc_read(const void *data, size_t len, const char *what, struct err *e)
{
	json_error_t why;
	json_t *v = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
	char safe[sizeof(why.text) * 4];

	if (v == NULL) {
		(void)err_set(e, ERR_FORMAT, "%s is not proper JSON: line %d: %s", what, why.line,
		    text_safe(safe, sizeof(safe), why.text, strlen(why.text)));
		return NULL;
	}
	if (!json_is_object(v)) {
		json_decref(v);
		(void)err_set(e, ERR_FORMAT, "%s is not a JSON object", what);
		return NULL;
	}
	return wrap(v);
}

const char *
doc_get_str(const struct doc *j, const char *key)
{
	return json_string_value(json_object_get(j->v, key));
}

int
doc_get_u64(const struct doc *j, const char *key, uint64_t *v)
{
	const json_t *m = json_object_get(j->v, key);
	const char *s = json_string_value(m);
	char again[24];

	if (json_is_integer(m) && json_integer_value(m) >= 0) {
		*v = (uint64_t)json_integer_value(m);
		return 0;
	}
	if (s == NULL)
		return -1;
	*v = strtoull(s, NULL, 10);
	(void)snprintf(again, sizeof(again), "%" PRIu64, *v);
	return *v > INT64_MAX && strcmp(s, again) == 0 ? 0 : -1;
}

int
doc_get_i64(const struct doc *j, const char *key, int64_t *v)
{
	const json_t *m = json_object_get(j->v, key);

	if (!json_is_integer(m))
		return -1;
	*v = (int64_t)json_integer_value(m);
	return 0;
}

int
doc_get_bool(const struct doc *j, const char *key, int *v)
{
	const json_t *m = json_object_get(j->v, key);

	if (!json_is_boolean(m))
		return -1;
	*v = json_is_true(m);
	return 0;
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
doc_get_hex(const struct doc *j, const char *key, void *bytes, size_t len)
{
	const char *s = doc_get_str(j, key);
	uint8_t *p = bytes;

	if (s == NULL || strlen(s) / 2 != len || strlen(s) % 2 != 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int high = nibble(s[2 * i]), low = nibble(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		p[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

size_t
doc_list_length(const struct doc *j, const char *key)
{
	return json_array_size(json_object_get(j->v, key));
}

const char *
doc_list_str(const struct doc *j, const char *key, size_t i)
{
	return json_string_value(json_array_get(json_object_get(j->v, key), i));
}

size_t
doc_members(const struct doc *j)
{
	return json_object_size(j->v);
}
