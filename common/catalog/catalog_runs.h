#ifndef SAMARA_CATALOG_CATALOG_RUNS_H
#define SAMARA_CATALOG_CATALOG_RUNS_H

/*
 * Where the chunk index keeps its rows, for the catalog's own files.
 *
 * New copies come in any order and go into a small table, copies_0, which stays
 * in the page cache.  When it holds RUN_ROWS of them it becomes a run: a table
 * copies_N of its own, written once from its first page to its last; RUNS_MERGED
 * runs of one size become one of the next, up to RUN_ROWS_MOST rows, so that no
 * transaction takes long.  All of it happens in the transaction that adds the
 * copies: a power cut leaves either what was before or what is after, and runs
 * need no names, no clean-up and no second truth.  A run's rows may change their
 * state, and be deleted, in place.
 *
 * The table runs names them: slot N, level (0: copies_0), about how many rows,
 * and the highest number of a pack in it.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

struct catalog;
struct err;

#define RUNS_MOST	256u

struct run {
	int64_t slot, level, rows, top_pack;
};
struct runs {
	struct run run[RUNS_MOST];
	size_t n;
};

/* A row. */
struct run_row {
	int64_t domain;
	uint8_t id[DIGEST_LEN];
	int64_t writer, pack, state;
};

/* SQL that makes the tables. */
extern const char runs_schema[];

/* A short number for a domain or machine (catalog_chunks.c): 0 found, 1 there is none, -1. */
int party_find(struct catalog *c, const uint8_t *id, size_t len, int64_t *n, struct err *e);

/* All of them; copies_0 is the first.  In a transaction, reading at least. */
int runs_list(struct catalog *c, struct runs *r, struct err *e);

/* Statement ${sql}, in which %lld stands for the slot. */
struct statement *run_statement(struct catalog *c, const char *sql, int64_t slot, struct err *e);

/**
 * runs_added(c, n, pack, e):
 * ${n} rows of pack number ${pack} were put into copies_0: make a run of it when it
 * is time, and merge runs.  In a write transaction, and no statement is under way.
 */
int runs_added(struct catalog *c, size_t n, int64_t pack, struct err *e);

/**
 * The rows of several runs as one stream, in the order of domain, id, writer, pack.
 * open: from the first row above (${domain}, ${id}), with ${id} of ${len} bytes (0: every id).
 * next: 1 with the next row, 0 at the end, -1.  close: always, also after open failed.
 */
struct run_source {
	struct statement *s;
	struct run_row row;
	int is;
};
struct run_stream {
	struct run_source src[RUNS_MOST];
	size_t n;
};
/* As said above; open is 0, or -1 with ${e}.  The runs must live as long as the stream. */
int run_stream_open(struct catalog *c, struct run_stream *st, const struct run *run, size_t n, int64_t domain,
    const uint8_t *id, size_t len, struct err *e);
int run_stream_next(struct catalog *c, struct run_stream *st, struct run_row *row, struct err *e);
void run_stream_close(struct run_stream *st);

/* How many rows make a run, and how many runs one of the next size; 0: as ever.  For tests. */
void runs_resize(int64_t rows, size_t merged);

#endif
