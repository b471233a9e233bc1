#ifndef SAMARA_CATALOG_CATALOG_DB_H
#define SAMARA_CATALOG_CATALOG_DB_H

/* Statements of the catalog's database, for the catalog's own files. */

#include <stddef.h>
#include <stdint.h>

struct catalog;
struct err;
struct statement;

/**
 * db_statement(c, sql, e):
 * The prepared statement of this text, reset and without values; it is kept
 * and prepared once for each text (compared by content).  NULL with ${e}.
 */
struct statement *db_statement(struct catalog *c, const char *sql, struct err *e);

/* Values for ?1, ?2 …; bytes and text are borrowed until the statement is reset. */
void db_bind_i64(struct statement *s, int at, int64_t v);
void db_bind_bytes(struct statement *s, int at, const void *p, size_t n);
void db_bind_text(struct statement *s, int at, const char *text);

/* 1 with a row, 0 at the end, -1 with ${e}; at 0 and -1 the statement is reset. */
int db_step(struct catalog *c, struct statement *s, struct err *e);
/* Run to its end: 0 or -1. */
int db_run(struct catalog *c, struct statement *s, struct err *e);
void db_reset(struct statement *s);

/* Column ${col} of the row at hand as a number; 0 where it is none. */
int64_t db_i64(struct statement *s, int col);
/* The value as bytes: ${n} of them at ${out}, zero-filled; a value that is longer is cut. */
void db_bytes(struct statement *s, int col, void *out, size_t n);
void db_text(struct statement *s, int col, char *out, size_t n);

/**
 * db_read_begin(c, own, e), db_read_end(c, own):
 * What is asked in between sees one state of the catalog; within a transaction
 * they do nothing (${own} 0).  0 or -1.
 */
int db_read_begin(struct catalog *c, int *own, struct err *e);
void db_read_end(struct catalog *c, int own);

/* SQL without values, perhaps several statements. */
int db_exec(struct catalog *c, const char *sql, struct err *e);

/**
 * db_weaken(weak):
 * Catalogs opened from now on commit with synchronous=EXTRA (0), NORMAL (1) or
 * OFF (2).  With less than EXTRA a power cut may undo what was promised or
 * spoil the catalog.  Only for the tests that show that it would be found out.
 */
void db_weaken(int weak);

#endif
