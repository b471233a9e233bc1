#include "common/flow/vault_lost.h"

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_apply.h"
#include "common/flow/vault_machine.h"

int
apply_files_lost(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_files_lost row;
	struct files_lost_row one;
	struct files_lost l;

	if (apply_body(r, &files_lost_schema, &l, e) != 0)
		return -1;
	memcpy(row.machine_id, l.machine_id, ID_LEN);
	row.number = l.number;
	for (size_t i = 0; i < list_count(l.rows, FILES_LOST_ROW_LEN); i++) {
		if (element_get(files_lost_row_fields, files_lost_row_nfields, l.rows, i, &one) != FMT_OK)
			return err_set(e, ERR_FORMAT, "record %llu: a row of files lost", (unsigned long long)r->number);
		row.seq = (int64_t)one.seq;
		row.files = (int64_t)one.files;
		if (catalog_put(v->catalog, &cat_files_lost, &row, e) != 0)
			return -1;
	}
	return 0;
}

/* Does the catalog say all of it?  1, 0, -1. */
static int
is_known(struct vault *v, const struct files_lost *l, struct err *e)
{
	struct cat_files_lost row = { .number = l->number };
	struct files_lost_row one;
	int rc;

	memcpy(row.machine_id, l->machine_id, ID_LEN);
	for (size_t i = 0; i < list_count(l->rows, FILES_LOST_ROW_LEN); i++) {
		(void)element_get(files_lost_row_fields, files_lost_row_nfields, l->rows, i, &one);
		row.seq = (int64_t)one.seq;
		if ((rc = catalog_get(v->catalog, &cat_files_lost, &row, e)) < 0)
			return -1;
		if (rc == 1 || row.files != (int64_t)one.files)
			return 0;
	}
	return 1;
}

int
vault_files_lost_take(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t *bytes, size_t len, struct err *e)
{
	struct files_lost l;
	int rc, known;

	if (statement_open(&files_lost_schema, &l, bytes, len, NULL, e) != 0)
		return -1;
	if (memcmp(l.vault_id, v->desc.vault_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_VAULT, "the count of files lost is for another vault than %s", v->desc.name);
	if (memcmp(l.machine_id, machine, ID_LEN) != 0 ||
	    (rc = vault_machine_signed(v, machine, &files_lost_schema, bytes, len, e)) == 0)
		return err_set(e, ERR_SIGNATURE, "the count of files lost is not signed by the machine that sends it");
	if (rc < 0 || vault_begin(v, e) != 0)
		return -1;
	if ((known = is_known(v, &l, e)) < 0 || (known == 0 && vault_record_bytes(v, REC_FILES_LOST, bytes, len, e) != 0)) {
		vault_rollback(v);
		return -1;
	}
	return vault_commit(v, e) != 0 ? -1 : known;
}

/* Rows of one snapshot, one behind the other, become one. */
struct adding {
	struct files_lost_row row;	/* number 0: none yet */
	files_lost_fn fn;
	void *arg;
};

static int
lost_add(void *arg, const void *found, struct err *e)
{
	const struct cat_files_lost *f = found;
	struct adding *a = arg;
	int rc = 0;

	if (a->row.seq != (uint64_t)f->seq) {
		if (a->row.seq != 0)
			rc = a->fn(a->arg, &a->row, e);
		a->row = (struct files_lost_row){ .seq = (uint64_t)f->seq };
	}
	a->row.files += (uint64_t)f->files;
	return rc;
}

int
vault_files_lost_each(struct vault *v, const uint8_t machine[ID_LEN], files_lost_fn fn, void *arg, struct err *e)
{
	struct adding a = { .fn = fn, .arg = arg };
	struct cat_files_lost like;
	int rc;

	memcpy(like.machine_id, machine, ID_LEN);
	rc = catalog_each(v->catalog, &cat_files_lost, 1, &like, lost_add, &a, e);
	return rc == 0 && a.row.seq != 0 ? fn(arg, &a.row, e) : rc;
}

static int
lost_take(void *arg, const struct files_lost_row *row, struct err *e)
{
	(void)e;
	*(uint64_t *)arg = row->files;
	return 0;
}

int
vault_files_lost(struct vault *v, const uint8_t machine[ID_LEN], int64_t seq, uint64_t *files, struct err *e)
{
	struct adding a = { .fn = lost_take, .arg = files };
	struct cat_files_lost like = { .seq = seq };

	*files = 0;
	memcpy(like.machine_id, machine, ID_LEN);
	if (catalog_each(v->catalog, &cat_files_lost, 2, &like, lost_add, &a, e) != 0)
		return -1;
	*files = a.row.files;
	return 0;
}
