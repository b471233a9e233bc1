#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_db.h"
#include "common/catalog/catalog_rows.h"
#include "common/catalog/catalog_runs.h"
#include "common/catalog/vfs.h"

#define SCHEMA_VERSION	9
#define STATEMENTS	1024
#define BUSY_STEP_MS	2	/* between two looks whether the catalog is free, at first: a commit takes some tens */
#define BUSY_STEPS	500
#define BUSY_LATER_MS	25
#define BUSY_LATER_STEPS	2400	/* a minute in all */

struct statement {
	char *sql;
	uint64_t hash;		/* of it */
	sqlite3_stmt *stmt;
};

struct catalog {
	sqlite3 *db;
	char *path;
	int in_transaction;
	struct statement kept[STATEMENTS];
	size_t nkept;
};

static int weakened;	/* 1: NORMAL, 2: OFF */

void
db_weaken(int weak)
{
	weakened = weak;
}

/* The message of SQLite's last failure on ${c}, with the code that suits it. */
static int
db_fail(struct catalog *c, struct err *e)
{
	int rc = sqlite3_errcode(c->db);
	enum err_code code = ERR_IO;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
		return err_set(e, ERR_BUSY, "the catalog %s is in use by another process", c->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:	/* a table or column that should be there is not */
	case SQLITE_SCHEMA:
		code = ERR_CATALOG;
		break;
	case SQLITE_FULL:
		code = ERR_NO_SPACE;
		break;
	case SQLITE_NOMEM:
		code = ERR_MEMORY;
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		code = ERR_PERMISSION;
		break;
	case SQLITE_CANTOPEN:
		code = ERR_CATALOG;
		break;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
			code = ERR_FSYNC;
		break;
	default:
		break;
	}
	return err_set(e, code, "the catalog %s: %s", c->path, sqlite3_errmsg(c->db));
}

/* FNV-1a. */
static uint64_t
text_hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

struct statement *
db_statement(struct catalog *c, const char *sql, struct err *e)
{
	uint64_t hash = text_hash(sql);
	struct statement *s;

	for (size_t i = 0; i < c->nkept; i++)
		if (c->kept[i].hash == hash && strcmp(c->kept[i].sql, sql) == 0) {
			db_reset(&c->kept[i]);
			return &c->kept[i];
		}
	if (c->nkept == STATEMENTS) {
		(void)err_set(e, ERR_INTERNAL, "the catalog knows too many statements");
		return NULL;
	}
	s = &c->kept[c->nkept];
	s->hash = hash;
	if ((s->sql = strdup(sql)) == NULL) {
		(void)err_errno(e, "the catalog %s", c->path);
		return NULL;
	}
	if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL) != SQLITE_OK) {
		(void)db_fail(c, e);
		free(s->sql);
		s->sql = NULL;
		return NULL;
	}
	c->nkept++;
	return s;
}

void
db_reset(struct statement *s)
{
	(void)sqlite3_reset(s->stmt);
	(void)sqlite3_clear_bindings(s->stmt);
}

void
db_bind_i64(struct statement *s, int at, int64_t v)
{
	(void)sqlite3_bind_int64(s->stmt, at, v);
}

void
db_bind_bytes(struct statement *s, int at, const void *p, size_t n)
{
	(void)sqlite3_bind_blob64(s->stmt, at, p, n, SQLITE_STATIC);
}

void
db_bind_text(struct statement *s, int at, const char *text)
{
	(void)sqlite3_bind_text(s->stmt, at, text, -1, SQLITE_STATIC);
}

int
db_step(struct catalog *c, struct statement *s, struct err *e)
{
	int rc = sqlite3_step(s->stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		(void)db_fail(c, e);
	db_reset(s);
	return rc == SQLITE_DONE ? 0 : -1;
}

int
db_run(struct catalog *c, struct statement *s, struct err *e)
{
	int rc;

	while ((rc = db_step(c, s, e)) == 1)
		;
	return rc;
}

int64_t
db_i64(struct statement *s, int col)
{
	return sqlite3_column_int64(s->stmt, col);
}

void
db_bytes(struct statement *s, int col, void *out, size_t n)
{
	const void *p = sqlite3_column_blob(s->stmt, col);
	int len = sqlite3_column_bytes(s->stmt, col);
	size_t have = p == NULL || len < 0 ? 0 : (size_t)len;

	memset(out, 0, n);
	if (have > 0)
		memcpy(out, p, have < n ? have : n);
}

void
db_text(struct statement *s, int col, char *out, size_t n)
{
	db_bytes(s, col, out, n);
	out[n - 1] = '\0';
}

int
db_exec(struct catalog *c, const char *sql, struct err *e)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(c, e);
}

/* CREATE TABLE of one table of rows. */
static int
create_table(struct catalog *c, const struct cat_table *t, struct err *e)
{
	static const char *const types[] = { "INTEGER", "INTEGER", "BLOB", "TEXT" };
	char sql[2048];
	size_t at = 0;

	at += (size_t)snprintf(sql, sizeof(sql), "CREATE TABLE %s(", t->name);
	for (size_t i = 0; i < t->ncols; i++)
		at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%s %s NOT NULL, ", t->cols[i].name,
		    types[t->cols[i].type]);
	at += (size_t)snprintf(sql + at, sizeof(sql) - at, "PRIMARY KEY(");
	for (size_t i = 0; i < t->nkeys; i++)
		at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%s%s", i == 0 ? "" : ", ", t->cols[i].name);
	(void)snprintf(sql + at, sizeof(sql) - at, ")) WITHOUT ROWID");
	return db_exec(c, sql, e);
}

/*
 * What a machine's packs take together, kept with every pack that comes and goes in the
 * same transaction.  A row that takes the place of another is one that goes and one that comes:
 * PRAGMA recursive_triggers.
 */
static const char used_schema[] =
    "CREATE TABLE used(owner BLOB PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TRIGGER pack_comes AFTER INSERT ON packs BEGIN"
    " INSERT INTO used SELECT new.owner, 0 WHERE NOT EXISTS (SELECT 1 FROM used WHERE owner=new.owner);"
    " UPDATE used SET bytes=bytes+new.len WHERE owner=new.owner; END;"
    "CREATE TRIGGER pack_goes AFTER DELETE ON packs BEGIN"
    " UPDATE used SET bytes=bytes-old.len WHERE owner=old.owner; END";

static int
schema_make(struct catalog *c, const uint8_t vault_id[ID_LEN], struct err *e)
{
	char sql[64];

	if (catalog_begin(c, 1, e) != 0)
		return -1;
	if (db_exec(c, "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	    "CREATE TABLE parties(id BLOB PRIMARY KEY, n INTEGER NOT NULL UNIQUE) WITHOUT ROWID", e) != 0 ||
	    db_exec(c, runs_schema, e) != 0)
		goto rollback;
	for (size_t i = 0; cat_tables[i] != NULL; i++)
		if (create_table(c, cat_tables[i], e) != 0)
			goto rollback;
	if (db_exec(c, "CREATE UNIQUE INDEX pack_numbers ON packs(n)", e) != 0 || db_exec(c, used_schema, e) != 0)
		goto rollback;
	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", SCHEMA_VERSION);
	if (db_exec(c, sql, e) != 0 || catalog_bytes_set(c, "vault", vault_id, ID_LEN, e) != 0)
		goto rollback;
	return catalog_commit(c, e);
rollback:
	catalog_rollback(c);
	return -1;
}

/* The schema's version; 0 in a file that is empty. */
static int
schema_version(struct catalog *c, int64_t *version, struct err *e)
{
	struct statement *s = db_statement(c, "PRAGMA user_version", e);

	*version = 0;
	if (s == NULL || db_step(c, s, e) != 1)
		return -1;
	*version = db_i64(s, 0);
	db_reset(s);
	return 0;
}

static int
schema_check(struct catalog *c, const uint8_t vault_id[ID_LEN], struct err *e)
{
	int64_t version;
	uint8_t whose[ID_LEN];

	if (schema_version(c, &version, e) != 0)
		return -1;
	if (version == 0 && schema_make(c, vault_id, e) != 0) {
		/* Another process may have been faster. */
		if (schema_version(c, &version, e) != 0 || version == 0)
			return -1;
		err_clear(e);
	}
	if (version != 0 && version != SCHEMA_VERSION)
		return err_set(e, ERR_CATALOG, "the catalog %s is of version %lld, this samara knows %d", c->path,
		    (long long)version, SCHEMA_VERSION);
	if (catalog_bytes(c, "vault", whose, ID_LEN, e) < 0)
		return -1;
	if (!secret_equal(whose, vault_id, ID_LEN))
		return err_set(e, ERR_CATALOG, "the catalog %s belongs to another vault", c->path);
	return 0;
}

/*
 * Whoever waits for a commit looks often: SQLite's own handler sleeps up to a tenth of a second at a time,
 * and each question of a backup came that much later.
 */
static int
busy_wait(void *arg, int tries)
{
	(void)arg;
	if (tries >= BUSY_STEPS + BUSY_LATER_STEPS)
		return 0;
	(void)sqlite3_sleep(tries < BUSY_STEPS ? BUSY_STEP_MS : BUSY_LATER_MS);
	return 1;
}

struct catalog *
catalog_open(const char *path, const uint8_t vault_id[ID_LEN], int create, struct err *e)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
	struct catalog *c = calloc(1, sizeof(*c));
	struct err mine;

	if (c == NULL || (c->path = strdup(path)) == NULL || vfs_register() != 0) {
		(void)err_set(e, ERR_MEMORY, "open the catalog %s", path);
		goto free;
	}
	if (sqlite3_open_v2(path, &c->db, flags, VFS_NAME) != SQLITE_OK) {
		(void)err_set(e, ERR_CATALOG, "the catalog %s: %s", path,
		    c->db == NULL ? "no memory" : sqlite3_errmsg(c->db));
		goto free;
	}
	err_clear(&mine);
	(void)sqlite3_extended_result_codes(c->db, 1);
	(void)sqlite3_busy_handler(c->db, busy_wait, NULL);
	if (db_exec(c, "PRAGMA page_size=4096; PRAGMA recursive_triggers=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-65536;"
	    "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=EXTRA; PRAGMA trusted_schema=OFF;"
	    "PRAGMA foreign_keys=OFF", &mine) != 0 ||
	    (weakened && db_exec(c, weakened == 1 ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=OFF", &mine) != 0) ||
	    schema_check(c, vault_id, &mine) != 0) {
		if (e != NULL)
			*e = mine;
		goto free;
	}
	return c;
free:
	catalog_close(c);
	return NULL;
}

void
catalog_close(struct catalog *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->nkept; i++) {
		(void)sqlite3_finalize(c->kept[i].stmt);
		free(c->kept[i].sql);
	}
	if (c->db != NULL)
		(void)sqlite3_close(c->db);
	free(c->path);
	free(c);
}

void
catalog_memory(struct catalog *c, uint64_t bytes)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "PRAGMA cache_size=-%llu",
	    (unsigned long long)(bytes < (1u << 20) ? 1024 : bytes >> 10));
	(void)db_exec(c, sql, NULL);
}

/* Remove ${path}${part}, if it is there. */
static int
part_remove(const char *path, const char *part, struct err *e)
{
	char name[4200];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", path, part);
	if (io->fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && io->unlinkat(AT_FDCWD, name, 0) != 0)
		return err_errno(e, "remove %s", name);
	return 0;
}

int
catalog_remove(const char *path, struct err *e)
{
	static const char *const others[] = { "-journal", "-lock-p", "-lock-r", "-lock-s" };
	const char *slash = strrchr(path, '/');
	char dir[4200];

	(void)snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path),
	    slash == NULL ? "." : path);
	/* A catalog that a power cut left half changed must not stay behind without the journal that undoes it. */
	if (part_remove(path, "", e) != 0 || dir_sync(AT_FDCWD, dir, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (part_remove(path, others[i], e) != 0)
			return -1;
	return 0;
}

int
catalog_begin(struct catalog *c, int write, struct err *e)
{
	if (c->in_transaction)
		return err_set(e, ERR_INTERNAL, "a transaction of the catalog within another");
	if (db_exec(c, write ? "BEGIN IMMEDIATE" : "BEGIN", e) != 0)
		return -1;
	c->in_transaction = 1;
	return 0;
}

int
catalog_commit(struct catalog *c, struct err *e)
{
	if (db_exec(c, "COMMIT", e) != 0) {
		catalog_rollback(c);
		return -1;
	}
	c->in_transaction = 0;
	return 0;
}

void
catalog_rollback(struct catalog *c)
{
	for (size_t i = 0; i < c->nkept; i++)
		db_reset(&c->kept[i]);
	if (c->in_transaction && sqlite3_get_autocommit(c->db) == 0)
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	c->in_transaction = 0;
}

int
db_read_begin(struct catalog *c, int *own, struct err *e)
{
	*own = !c->in_transaction;
	return *own ? catalog_begin(c, 0, e) : 0;
}

void
db_read_end(struct catalog *c, int own)
{
	if (own)
		catalog_rollback(c);	/* nothing was written */
}
