#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_rows.h"

/* What is said with rows: by their table, as SQL. */

int
catalog_number(struct catalog *c, const char *name, int64_t *v, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT value FROM meta WHERE name=?1", e);
	int rc;

	*v = 0;
	if (s == NULL)
		return -1;
	db_bind_text(s, 1, name);
	if ((rc = db_step(c, s, e)) == 1) {
		*v = db_i64(s, 0);
		db_reset(s);
	}
	return rc < 0 ? -1 : !rc;
}

int
catalog_number_set(struct catalog *c, const char *name, int64_t v, struct err *e)
{
	struct statement *s = db_statement(c, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)", e);

	if (s == NULL)
		return -1;
	db_bind_text(s, 1, name);
	db_bind_i64(s, 2, v);
	return db_run(c, s, e);
}

int
catalog_bytes(struct catalog *c, const char *name, void *out, size_t len, struct err *e)
{
	struct statement *s = db_statement(c, "SELECT value FROM meta WHERE name=?1", e);
	int rc;

	memset(out, 0, len);
	if (s == NULL)
		return -1;
	db_bind_text(s, 1, name);
	if ((rc = db_step(c, s, e)) == 1) {
		db_bytes(s, 0, out, len);
		db_reset(s);
	}
	return rc < 0 ? -1 : !rc;
}

int
catalog_bytes_set(struct catalog *c, const char *name, const void *in, size_t len, struct err *e)
{
	struct statement *s = db_statement(c, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)", e);

	if (s == NULL)
		return -1;
	db_bind_text(s, 1, name);
	db_bind_bytes(s, 2, in, len);
	return db_run(c, s, e);
}

static void
bind_column(struct statement *s, int at, const struct cat_col *col, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + col->off;
	uint32_t u;
	int64_t i;

	switch (col->type) {
	case CAT_I64:
		memcpy(&i, p, sizeof(i));
		db_bind_i64(s, at, i);
		break;
	case CAT_U32:
		memcpy(&u, p, sizeof(u));
		db_bind_i64(s, at, u);
		break;
	case CAT_BYTES:
		db_bind_bytes(s, at, p, col->size);
		break;
	case CAT_TEXT:
		db_bind_text(s, at, (const char *)p);
		break;
	}
}

static void
take_column(struct statement *s, int at, const struct cat_col *col, void *row)
{
	uint8_t *p = (uint8_t *)row + col->off;
	uint32_t u;
	int64_t i;

	switch (col->type) {
	case CAT_I64:
		i = db_i64(s, at);
		memcpy(p, &i, sizeof(i));
		break;
	case CAT_U32:
		u = (uint32_t)db_i64(s, at);
		memcpy(p, &u, sizeof(u));
		break;
	case CAT_BYTES:
		db_bytes(s, at, p, col->size);
		break;
	case CAT_TEXT:
		db_text(s, at, (char *)p, col->size);
		break;
	}
}

static void
take_row(struct statement *s, const struct cat_table *t, void *row)
{
	memset(row, 0, t->row_size);
	for (size_t i = 0; i < t->ncols; i++)
		take_column(s, (int)i, &t->cols[i], row);
}

/* " WHERE a=?1 AND b=?2" for the first ${nkeys} columns. */
static void
add_where(char *sql, size_t cap, const struct cat_table *t, size_t nkeys)
{
	size_t at = strlen(sql);

	for (size_t i = 0; i < nkeys; i++)
		at += (size_t)snprintf(sql + at, cap - at, "%s%s=?%zu", i == 0 ? " WHERE " : " AND ", t->cols[i].name,
		    i + 1);
}

static void
add_columns(char *sql, size_t cap, const struct cat_table *t, size_t n)
{
	size_t at = strlen(sql);

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(sql + at, cap - at, "%s%s", i == 0 ? "" : ", ", t->cols[i].name);
}

int
catalog_put(struct catalog *c, const struct cat_table *t, const void *row, struct err *e)
{
	char sql[1024];
	struct statement *s;
	size_t at;

	(void)snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO %s(", t->name);
	add_columns(sql, sizeof(sql), t, t->ncols);
	at = strlen(sql);
	at += (size_t)snprintf(sql + at, sizeof(sql) - at, ") VALUES(");
	for (size_t i = 0; i < t->ncols; i++)
		at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%s?%zu", i == 0 ? "" : ", ", i + 1);
	(void)snprintf(sql + at, sizeof(sql) - at, ")");
	if ((s = db_statement(c, sql, e)) == NULL)
		return -1;
	for (size_t i = 0; i < t->ncols; i++)
		bind_column(s, (int)i + 1, &t->cols[i], row);
	return db_run(c, s, e);
}

static struct statement *
select_rows(struct catalog *c, const struct cat_table *t, size_t nkeys, const void *like, int ordered, struct err *e)
{
	char sql[1024] = "SELECT ";
	struct statement *s;
	size_t at;

	add_columns(sql, sizeof(sql), t, t->ncols);
	at = strlen(sql);
	(void)snprintf(sql + at, sizeof(sql) - at, " FROM %s", t->name);
	add_where(sql, sizeof(sql), t, nkeys);
	if (ordered) {
		at = strlen(sql);
		(void)snprintf(sql + at, sizeof(sql) - at, " ORDER BY ");
		add_columns(sql, sizeof(sql), t, t->nkeys);
	}
	if ((s = db_statement(c, sql, e)) == NULL)
		return NULL;
	for (size_t i = 0; i < nkeys; i++)
		bind_column(s, (int)i + 1, &t->cols[i], like);
	return s;
}

int
catalog_get(struct catalog *c, const struct cat_table *t, void *row, struct err *e)
{
	struct statement *s = select_rows(c, t, t->nkeys, row, 0, e);
	int rc;

	if (s == NULL)
		return -1;
	if ((rc = db_step(c, s, e)) == 1) {
		take_row(s, t, row);
		db_reset(s);
	}
	return rc < 0 ? -1 : !rc;
}

int
catalog_drop(struct catalog *c, const struct cat_table *t, const void *row, struct err *e)
{
	char sql[512];
	struct statement *s;

	(void)snprintf(sql, sizeof(sql), "DELETE FROM %s", t->name);
	add_where(sql, sizeof(sql), t, t->nkeys);
	if ((s = db_statement(c, sql, e)) == NULL)
		return -1;
	for (size_t i = 0; i < t->nkeys; i++)
		bind_column(s, (int)i + 1, &t->cols[i], row);
	return db_run(c, s, e);
}

/*
 * Rows are gathered before any is handed out: then ${fn} may ask the catalog
 * for anything, and no reader's lock is held while a person's terminal is slow.
 */
int
catalog_each(struct catalog *c, const struct cat_table *t, size_t nkeys, const void *like,
    int (*fn)(void *arg, const void *row, struct err *e), void *arg, struct err *e)
{
	struct statement *s = select_rows(c, t, nkeys, like, 1, e);
	size_t n = 0, cap = 0;
	uint8_t *rows = NULL;
	int rc;

	if (s == NULL)
		return -1;
	while ((rc = db_step(c, s, e)) == 1) {
		if (n == cap) {
			size_t more = cap == 0 ? 64 : cap * 2;
			uint8_t *p = realloc(rows, more * t->row_size);

			if (p == NULL) {
				db_reset(s);
				rc = err_set(e, ERR_MEMORY, "too many %s", t->name);
				break;
			}
			rows = p;
			cap = more;
		}
		take_row(s, t, rows + n++ * t->row_size);
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fn(arg, rows + i * t->row_size, e);
	free(rows);
	return rc;
}
