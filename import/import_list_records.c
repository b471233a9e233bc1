/* Lists that are read off the vault's records: what was done, by whom, when. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/new_file.h"
#include "common/flow/vault.h"
#include "formats/fmt_custody_log.h"
#include "import/import_list.h"

#define SECOND	INT64_C(1000000000)

/* "RM4K-1", "RM4K", or the image's id where it is not known. */
static void
disk_name(struct listing *l, const uint8_t image[ID_LEN], uint32_t disk, char out[HUMAN_MAX])
{
	struct cat_image i;

	memcpy(i.id, image, ID_LEN);
	if (catalog_get(l->v->catalog, &cat_images, &i, NULL) != 0)
		(void)human_id(out, image);
	else if (disk > 0)
		(void)snprintf(out, HUMAN_MAX, "%s-%u", i.short_name, disk);
	else
		(void)snprintf(out, HUMAN_MAX, "%s", i.short_name);
}

static void
job_row(struct listing *l, const struct record *r)
{
	char disk[HUMAN_MAX], when[HUMAN_MAX], who[TEXT_MAX_LEN * 4 + 4], stored[HUMAN_MAX];
	struct rec_disk k;
	struct out *j;

	if (schema_decode(&rec_disk_schema, &k, r->body.p, r->body.len) != FMT_OK)
		return;
	disk_name(l, k.image_id, k.disk, disk);
	if (l->rows++ == 0)
		out_text("%-6s  %-17s  %-8s  %-10s  %-32s  by\n", "job", "ended", "what", "disk", "result");
	(void)human_size(stored, k.bytes_stored);
	out_text("%-6llu  %-17s  %-8s  %-10s  %s, %llu chunks new, %llu bad  %s\n", (unsigned long long)r->number,
	    human_date(when, r->time / SECOND), "ingest", disk, stored, (unsigned long long)k.chunks_new,
	    (unsigned long long)k.chunks_bad, text_safe(who, sizeof(who), r->actor, strlen(r->actor)));
	j = out_object("job");
	out_u64(j, "job", r->number);
	out_str(j, "what", "ingest");
	out_str(j, "disk", disk);
	out_i64(j, "ended", r->time / SECOND);
	out_name(j, "by", r->actor, strlen(r->actor));
	out_u64(j, "chunks_new", k.chunks_new);
	out_u64(j, "chunks_bad", k.chunks_bad);
	out_u64(j, "bytes_stored", k.bytes_stored);
	out_bool(j, "complete", k.complete);
	out_emit(j);
}

static void
custody_row(struct listing *l, const struct record *r)
{
	char disk[HUMAN_MAX], when[HUMAN_MAX], note[TEXT_MAX_LEN * 4 + 4], who[TEXT_MAX_LEN * 4 + 4];
	struct custody c;
	struct out *j;

	if (schema_decode(&custody_schema, &c, r->body.p, r->body.len) != FMT_OK ||
	    (l->has_image && memcmp(c.image_id, l->image_id, ID_LEN) != 0))
		return;
	disk_name(l, c.image_id, c.disk, disk);
	if (l->rows++ == 0)
		out_text("%-10s  %-17s  %-22s  note\n", "disk", "when", "event");
	out_text("%-10s  %-17s  %-22s  %s (%s)\n", disk, human_date(when, c.time / SECOND), custody_event_text(c.event),
	    text_safe(note, sizeof(note), c.note, strlen(c.note)),
	    c.by_vault ? text_safe(who, sizeof(who), r->actor, strlen(r->actor)) : "the machine");
	j = out_object("custody");
	out_str(j, "signer", c.by_vault ? "vault" : "machine");
	out_str(j, "disk", disk);
	out_bytes(j, "image_id", c.image_id, ID_LEN);
	out_u64(j, "number", c.number);
	out_str(j, "event", custody_event_text(c.event));
	out_i64(j, "time", c.time / SECOND);
	out_name(j, "note", c.note, strlen(c.note));
	out_name(j, "by", r->actor, strlen(r->actor));
	out_emit(j);
}

/* Every record of ${type}, oldest first. */
static int
records_each(struct listing *l, enum record_type type, void (*row)(struct listing *l, const struct record *r), struct err *e)
{
	struct record r;
	uint8_t *bytes;
	size_t len;
	int rc;

	for (uint64_t n = 1; (rc = vault_record_read(l->v, n, &r, &bytes, &len, e)) == 0; n++) {
		if (r.type == type)
			row(l, &r);
		free(bytes);
	}
	return rc == 1 ? 0 : -1;
}

int
list_jobs(struct listing *l, struct err *e)
{
	return records_each(l, REC_DISK_INGESTED, job_row, e);
}

/* One row of a log file (formats/fmt_custody_log.h). */
static void
log_add(struct listing *l, const struct record *r, struct buf *log)
{
	struct custody c;

	if (r->type != REC_CUSTODY || schema_decode(&custody_schema, &c, r->body.p, r->body.len) != FMT_OK ||
	    (l->has_image && memcmp(c.image_id, l->image_id, ID_LEN) != 0))
		return;
	buf_u32(log, r->body.len);
	buf_add(log, r->body.p, r->body.len);
}

/* This vault's half of the log, for samara-verify custody. */
static int
custody_write(struct listing *l, struct err *e)
{
	uint8_t head[CUSTODY_LOG_HEAD_LEN], *bytes;
	struct record r;
	struct buf log;
	size_t len;
	int rc;

	buf_init(&log);
	custody_log_head_encode(head);
	buf_add(&log, head, sizeof(head));
	for (uint64_t n = 1; (rc = vault_record_read(l->v, n, &r, &bytes, &len, e)) == 0; n++) {
		log_add(l, &r, &log);
		free(bytes);
	}
	if (rc == 1 && (rc = buf_check(&log, e)) == 0)
		rc = new_file_put(l->file, log.p, log.len, e);
	buf_release(&log);
	return rc;
}

int
list_custody(struct listing *l, struct err *e)
{
	if (records_each(l, REC_CUSTODY, custody_row, e) != 0)
		return -1;
	return l->file != NULL ? custody_write(l, e) : 0;
}
