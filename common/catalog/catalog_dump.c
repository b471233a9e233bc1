#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_doubt.h"
#include "common/catalog/catalog_rows.h"

struct dump {
	const struct cat_table *t;
	int (*put)(void *arg, const char *line, struct err *e);
	void *arg;
};

/* A pack's number is this catalog's own and says nothing. */
static int
is_own(const struct cat_table *t, const struct cat_col *col)
{
	return t == &cat_packs && strcmp(col->name, "n") == 0;
}

static void
print_column(struct buf *b, const struct cat_col *col, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + col->off;
	char hex[2 * DIGEST_LEN + 1];
	uint32_t u;
	int64_t i;

	switch (col->type) {
	case CAT_I64:
		memcpy(&i, p, sizeof(i));
		buf_print(b, " %s=%lld", col->name, (long long)i);
		break;
	case CAT_U32:
		memcpy(&u, p, sizeof(u));
		buf_print(b, " %s=%u", col->name, u);
		break;
	case CAT_BYTES:
		buf_print(b, " %s=%s", col->name, text_hex(hex, p, col->size <= DIGEST_LEN ? col->size : DIGEST_LEN));
		break;
	case CAT_TEXT:
		buf_print(b, " %s=\"%s\"", col->name, (const char *)p);
		break;
	}
}

static int
dump_row(void *arg, const void *row, struct err *e)
{
	struct dump *d = arg;
	struct buf b;
	int rc = -1;

	buf_init(&b);
	buf_print(&b, "%s", d->t->name);
	for (size_t i = 0; i < d->t->ncols; i++)
		if (!is_own(d->t, &d->t->cols[i]))
			print_column(&b, &d->t->cols[i], row);
	buf_u8(&b, 0);
	if (buf_check(&b, e) == 0)
		rc = d->put(d->arg, (const char *)b.p, e);
	buf_release(&b);
	return rc;
}

#define WALK	4096

/* The pack that is number ${n} here. */
static int
pack_text(struct catalog *c, int64_t n, char *out, size_t cap, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT id, copy FROM packs WHERE n=?1", e);
	uint8_t id[DIGEST_LEN] = { 0 };
	char hex[2 * DIGEST_LEN + 1];
	int64_t copy = 0;
	int rc;

	if (s == NULL)
		return -1;
	db_bind_i64(s, 1, n);
	if ((rc = db_step(c, s, e)) == 1) {
		db_bytes(s, 0, id, sizeof(id));
		copy = db_i64(s, 1);
		db_reset(s);
	}
	(void)snprintf(out, cap, "%s.%lld", text_hex(hex, id, sizeof(id)), (long long)copy);
	return rc < 0 ? -1 : 0;
}

static int
line_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The copies of one id, in an order that does not depend on this catalog's own numbers. */
static int
dump_id(struct catalog *c, struct dump *d, const char *domain, const struct cat_place *at, size_t n, struct err *e)
{
	char **lines = calloc(n, sizeof(*lines));
	int rc = lines == NULL ? err_set(e, ERR_MEMORY, "dump the catalog") : 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		char id[2 * DIGEST_LEN + 1], writer[2 * ID_LEN + 1], pack[2 * DIGEST_LEN + 24];

		if ((rc = pack_text(c, at[i].pack, pack, sizeof(pack), e)) == 0 &&
		    asprintf(&lines[i], "copy domain=%s id=%s writer=%s pack=%s state=%u", domain,
		    text_hex(id, at[i].id, DIGEST_LEN), text_hex(writer, at[i].writer, ID_LEN), pack,
		    (unsigned)copy_lasting(at[i].state)) < 0) {
			lines[i] = NULL;
			rc = err_set(e, ERR_MEMORY, "dump the catalog");
		}
	}
	if (rc == 0)
		qsort(lines, n, sizeof(*lines), line_order);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = d->put(d->arg, lines[i], e);
	for (size_t i = 0; lines != NULL && i < n; i++)
		free(lines[i]);
	free(lines);
	return rc;
}

static int
dump_domain(struct catalog *c, struct dump *d, const uint8_t domain[DIGEST_LEN], struct err *e)
{
	struct cat_place *at = calloc(WALK, sizeof(*at));
	char hex[2 * DIGEST_LEN + 1];
	uint8_t last[DIGEST_LEN];
	size_t n, from, to;
	int rc = 0, begun = 0;

	if (at == NULL)
		return err_set(e, ERR_MEMORY, "dump the catalog");
	(void)text_hex(hex, domain, DIGEST_LEN);
	while (rc == 0 && (rc = chunks_walk(c, domain, begun ? last : NULL, at, WALK, &n, e)) == 0 && n > 0) {
		for (from = 0; from < n && rc == 0; from = to) {
			for (to = from + 1; to < n && memcmp(at[to].id, at[from].id, DIGEST_LEN) == 0; to++)
				;
			rc = dump_id(c, d, hex, at + from, to - from, e);
		}
		memcpy(last, at[n - 1].id, DIGEST_LEN);
		begun = 1;
	}
	free(at);
	return rc;
}

static int
dump_copies(struct catalog *c, struct dump *d, struct err *e)
{
	uint8_t domain[DIGEST_LEN] = { 0 };
	int rc;

	for (;;) {
		struct statement *s = db_statement(c,
		    "SELECT id FROM parties WHERE id>?1 AND length(id)=32 ORDER BY id LIMIT 1", e);

		if (s == NULL)
			return -1;
		db_bind_bytes(s, 1, domain, sizeof(domain));
		if ((rc = db_step(c, s, e)) != 1)
			return rc;
		db_bytes(s, 0, domain, sizeof(domain));
		db_reset(s);
		if ((rc = dump_domain(c, d, domain, e)) != 0)
			return rc;
	}
}

/* Values that are said by records; clocks and anchors run on by themselves. */
static int
dump_meta(struct catalog *c, struct dump *d, struct err *e)
{
	static const char *const numbers[] = { "records", "key copies", "collections", "collected packs",
	    "collected bytes", "collected time" };
	uint8_t head[DIGEST_LEN];
	char line[256], hex[2 * DIGEST_LEN + 1];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int64_t v;

		if (catalog_number(c, numbers[i], &v, e) < 0)
			return -1;
		(void)snprintf(line, sizeof(line), "meta %s=%lld", numbers[i], (long long)v);
		if (d->put(d->arg, line, e) != 0)
			return -1;
	}
	if (catalog_bytes(c, "head", head, sizeof(head), e) < 0)
		return -1;
	(void)snprintf(line, sizeof(line), "meta head=%s", text_hex(hex, head, sizeof(head)));
	return d->put(d->arg, line, e);
}

int
catalog_dump(struct catalog *c, int (*put)(void *arg, const char *line, struct err *e), void *arg, struct err *e)
{
	struct dump d = { NULL, put, arg };

	if (dump_meta(c, &d, e) != 0)
		return -1;
	for (size_t i = 0; cat_tables[i] != NULL; i++) {
		d.t = cat_tables[i];
		if (d.t == &cat_removals || d.t == &cat_sessions)
			continue;	/* of this catalog alone */
		if (catalog_each(c, d.t, 0, NULL, dump_row, &d, e) != 0)
			return -1;
	}
	return dump_copies(c, &d, e);
}
