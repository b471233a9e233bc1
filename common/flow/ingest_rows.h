#ifndef SAMARA_FLOW_INGEST_ROWS_H
#define SAMARA_FLOW_INGEST_ROWS_H

/*
 * What packs a disk should hold, in order of their numbers: from its index, or,
 * where both copies of that are damaged, from the packs' own tables.
 */

#include <stdint.h>

#include "common/flow/ingest_job.h"

struct disk_rows;

/* One pack: number, length of its file, table and footer (valid until the next call). */
struct disk_row {
	uint32_t number, file_len, table_len;
	const uint8_t *table, *foot;
};

/* Start at the first row.  NULL with ${e}. */
struct disk_rows *disk_rows_new(const struct ingest *g, struct err *e);
void disk_rows_free(struct disk_rows *r);

/* 1 with a row, 0 at the end, -1 with ${e}. */
int disk_rows_next(struct disk_rows *r, struct disk_row *row, struct err *e);

/* 1 if the index could not be believed and the packs speak for themselves. */
int disk_rows_without_index(const struct disk_rows *r);

#endif
