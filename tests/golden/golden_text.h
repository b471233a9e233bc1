#ifndef SAMARA_TESTS_GOLDEN_TEXT_H
#define SAMARA_TESTS_GOLDEN_TEXT_H

/* A decoded statement as text, one "field = value" a line: what stands beside each golden file. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/schema.h"

static inline void
text_bytes(FILE *f, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%02x", p[i]);
}

static inline void
text_field(FILE *f, const struct fmt_field *d, const uint8_t *at)
{
	struct fmt_view v;
	uint64_t n = 0;
	int64_t i;

	fprintf(f, "%s = ", d->name);
	switch (d->type) {
	case FT_BYTES:
		text_bytes(f, at, d->size);
		break;
	case FT_STR:
		fprintf(f, "\"%s\"", (const char *)at);
		break;
	case FT_BLOB:
	case FT_LIST:
		memcpy(&v, at, sizeof(v));
		text_bytes(f, v.p, v.len);
		break;
	case FT_I64:
		memcpy(&i, at, sizeof(i));
		fprintf(f, "%" PRId64, i);
		break;
	default:
		memcpy(&n, at, d->size);	/* the tests run on little-endian machines */
		fprintf(f, "%" PRIu64, n);
	}
	fputc('\n', f);
}

/* The text of ${value}, to be freed. */
static inline char *
statement_text(const struct fmt_schema *s, const void *value)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		abort();
	for (size_t i = 0; i < s->nfields; i++)
		text_field(f, &s->fields[i], (const uint8_t *)value + s->fields[i].off);
	if (s->context != NULL) {
		fprintf(f, "sig = ");
		text_bytes(f, (const uint8_t *)value + s->sig_off, SIGN_LEN);
		fputc('\n', f);
	}
	fclose(f);
	return text;
}

#endif
