#include "common/flow/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/container.h"
#include "common/flow/ingest_job.h"
#include "common/flow/receipt_job.h"
#include "common/flow/vault_count.h"
#include "common/flow/vault_machine.h"
#include "common/pack/refs.h"

#define SORT_MEMORY	((size_t)32 << 20)

int
id_stream_start(struct id_stream *h, struct id_sorter *s, struct err *e)
{
	h->s = s;
	if (id_sorter_rewind(s, e) != 0)
		return -1;
	h->have = id_sorter_next(s, h->id, e);
	return h->have == -1 ? -1 : 0;
}

int
id_stream_has(struct id_stream *h, const uint8_t id[DIGEST_LEN], struct err *e)
{
	while (h->have == 1 && memcmp(h->id, id, DIGEST_LEN) < 0)
		h->have = id_sorter_next(h->s, h->id, e);
	return h->have == -1 ? -1 : h->have == 1 && memcmp(h->id, id, DIGEST_LEN) == 0;
}

static int
image_choose(struct receipt_job *j, const char *text, struct err *e)
{
	struct receipt_result *r = j->r;
	uint32_t out;

	if (vault_image_find(j->v, text, &j->image, e) != 0)
		return -1;
	memcpy(r->short_name, j->image.short_name, sizeof(r->short_name));
	memcpy(r->image_id, j->image.id, ID_LEN);
	memcpy(r->machine_id, j->image.machine_id, ID_LEN);
	if (j->image.state == IMAGE_UNCLAIMED)
		return err_set(e, ERR_UNCLAIMED, "nothing of image %s entered the vault", j->image.short_name);
	if (vault_disks_out(j->v, j->image.id, &out, e) != 0)
		return -1;
	r->promised_disks = out;
	return 0;
}

/* --- what of it is held --- */

struct giving {
	struct receipt_job *j;
	struct id_stream needed, good;
	struct refs_digest *digest;
};

/* An id that the machine gave up: is it of this image, and is it held after all? */
static int
given_up_look(void *arg, const void *row, struct err *e)
{
	const struct cat_given_up *u = row;
	struct giving *g = arg;
	int has = id_stream_has(&g->needed, u->id, e);

	if (has != 1 || (has = id_stream_has(&g->good, u->id, e)) == -1)
		return has;
	if (has == 1) {
		buf_add(&g->j->returned, u->id, DIGEST_LEN);
		return 0;
	}
	(void)refs_digest_add(g->digest, u->id);	/* keys of a table rise */
	return id_sorter_add(g->j->gone, u->id, e);
}

/* What was given up: held all the same, or gone. */
static int
given_up_take(struct receipt_job *j, struct err *e)
{
	struct giving g = { .j = j, .digest = refs_digest_new(j->m.domain_id) };
	struct cat_given_up like;
	uint64_t count = 0;
	int rc = -1;

	memcpy(like.machine_id, j->image.machine_id, ID_LEN);
	if (g.digest == NULL)
		return err_set(e, ERR_MEMORY, "receipt");
	if (id_stream_start(&g.needed, j->needed, e) == 0 && id_stream_start(&g.good, j->good, e) == 0)
		rc = catalog_each(j->v->catalog, &cat_given_up, 1, &like, given_up_look, &g, e);
	if (rc == 0 && (rc = buf_check(&j->returned, e)) == 0) {
		refs_digest_final(g.digest, j->missing, &count);
		if (count == 0)
			memset(j->missing, 0, DIGEST_LEN);
	}
	refs_digest_free(g.digest);
	return rc;
}

struct counting {
	struct id_stream good, gone;
	uint64_t needed, held, given_up;
};

static int
id_count(void *arg, const uint8_t *id, struct err *e)
{
	struct counting *c = arg;
	int has = id_stream_has(&c->good, id, e);

	c->needed++;
	c->held += has == 1;
	if (has == 0 && (has = id_stream_has(&c->gone, id, e)) == 1)
		c->given_up++;
	return has == -1 ? -1 : 0;
}

static int
counting_start(struct counting *c, struct receipt_job *j, struct err *e)
{
	c->needed = c->held = c->given_up = 0;
	return id_stream_start(&c->good, j->good, e) != 0 || id_stream_start(&c->gone, j->gone, e) != 0 ? -1 : 0;
}

static int
all_count(struct receipt_job *j, struct err *e)
{
	struct counting c;
	uint8_t id[DIGEST_LEN];
	int rc = -1;

	if (counting_start(&c, j, e) != 0 || id_sorter_rewind(j->needed, e) != 0)
		return -1;
	while ((rc = id_sorter_next(j->needed, id, e)) == 1)
		if (id_count(&c, id, e) != 0)
			return -1;
	if (rc != 0)
		return -1;
	j->r->needed = c.needed;
	j->r->held = c.held;
	j->r->given_up = c.given_up;
	j->r->missing = c.needed - c.held - c.given_up;
	for (size_t i = 0; i < j->nparts; i++) {
		if (counting_start(&c, j, e) != 0 || receipt_list(j, i, id_count, &c, e) != 0)
			return -1;
		j->parts[i].row.held = c.held;
		j->parts[i].row.given_up = c.given_up;
	}
	return 0;
}

/* --- the receipt itself --- */

static int
rows_make(const struct receipt_job *j, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < j->nparts; i++) {
		uint8_t *at = buf_room(out, RECEIPT_SNAPSHOT_LEN);
		struct wr w = { .p = at, .left = RECEIPT_SNAPSHOT_LEN };

		if (at == NULL)
			break;
		element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &w, &j->parts[i].row);
		buf_grew(out, RECEIPT_SNAPSHOT_LEN);
	}
	return buf_check(out, e);
}

/* In a transaction. */
static int
receipt_make(struct receipt_job *j, struct buf *out, struct err *e)
{
	struct receipt p = { .redundancy = REDUNDANCY_LOCAL, .time = j->v->now };
	struct buf rows;
	int64_t last;
	int rc = -1;

	buf_init(&rows);
	if (catalog_number(j->v->catalog, "receipts", &last, e) < 0 || rows_make(j, &rows, e) != 0)
		goto release;
	memcpy(p.vault_id, j->v->desc.vault_id, ID_LEN);
	p.number = (uint64_t)last + 1;
	memcpy(p.image_id, j->image.id, ID_LEN);
	memcpy(p.short_name, j->image.short_name, sizeof(p.short_name));
	memcpy(p.machine_id, j->image.machine_id, ID_LEN);
	memcpy(p.domain_id, j->m.domain_id, DIGEST_LEN);
	memcpy(p.root, j->m.root, DIGEST_LEN);
	p.whole = j->r->given_up == 0;
	p.snapshots = (struct fmt_view){ rows.p, (uint32_t)rows.len };
	p.needed = j->r->needed;
	p.held = j->r->held;
	p.given_up = j->r->given_up;
	memcpy(p.missing, j->missing, DIGEST_LEN);
	if (!p.whole && j->returned.len > (size_t)RECEIPT_RETURNED_MAX * DIGEST_LEN) {
		(void)err_set(e, ERR_RULE, "%zu chunks that were given up came back after all: too many to name in a receipt",
		    j->returned.len / DIGEST_LEN);
		goto release;
	}
	if (!p.whole)
		p.returned = (struct fmt_view){ j->returned.p, (uint32_t)j->returned.len };
	if ((rc = statement_make(&receipt_schema, &p, j->v->sign_secret, out, e)) == 0) {
		j->r->number = p.number;
		j->r->whole = p.whole;
	}
release:
	buf_release(&rows);
	return rc;
}

static int
receipt_record(struct receipt_job *j, const struct buf *out, struct err *e)
{
	char note[128];

	if (vault_record_bytes(j->v, REC_RECEIPT, out->p, out->len, e) != 0)
		return -1;
	(void)snprintf(note, sizeof(note), "receipt %llu, %s, %llu of %llu chunks", (unsigned long long)j->r->number,
	    j->r->whole ? "whole" : "partial", (unsigned long long)j->r->held, (unsigned long long)j->r->needed);
	return vault_custody(j->v, j->image.id, CUSTODY_RECEIPT, 0, note, e);
}

static int
receipt_give(struct receipt_job *j, int dry_run, struct buf *out, struct err *e)
{
	int64_t removals;

	if (vault_begin(j->v, e) != 0)
		return -1;
	if (catalog_number(j->v->catalog, "removals", &removals, e) < 0)
		goto rollback;
	if (removals != j->removals) {
		(void)err_set(e, ERR_BUSY, "copies were taken out of the vault while image %s was read back", j->image.short_name);
		goto rollback;
	}
	if (receipt_make(j, out, e) != 0)
		goto rollback;
	if (dry_run) {
		vault_rollback(j->v);
		return 0;
	}
	if (receipt_record(j, out, e) == 0)
		return vault_commit(j->v, e);
rollback:
	vault_rollback(j->v);
	return -1;
}

/* 0 it can be given, 1 not, -1. */
static int
receipt_judge(struct receipt_job *j, struct err *e)
{
	int rc = receipt_books(j, e);

	if (rc != 0)
		return rc;
	if (receipt_read_back(j, e) != 0 || given_up_take(j, e) != 0 || all_count(j, e) != 0)
		return -1;
	return j->r->missing > 0;
}

static int
job_open(struct receipt_job *j, struct err *e)
{
	if ((j->store = container_vault(j->v->path, j->image.machine_id, e)) == NULL ||
	    (j->needed = id_sorter_new(j->v->local, SORT_MEMORY, e)) == NULL ||
	    (j->good = id_sorter_new(j->v->local, SORT_MEMORY, e)) == NULL ||
	    (j->gone = id_sorter_new(j->v->local, SORT_MEMORY, e)) == NULL)
		return -1;
	container_vault_hold(j->store, j->v->path);
	return catalog_number(j->v->catalog, "removals", &j->removals, e) < 0 ? -1 : 0;
}

int
vault_receipt(struct vault *v, const char *text, int dry_run, struct buf *out, struct receipt_result *r, struct err *e)
{
	struct receipt_job j = { .v = v, .r = r };
	int rc = -1;

	memset(r, 0, sizeof(*r));
	buf_reset(out);
	buf_init(&j.returned);
	if (image_choose(&j, text, e) == 0 && job_open(&j, e) == 0)
		rc = receipt_judge(&j, e);
	/* Copies that were found bad took the word whole from snapshots. */
	if (rc != -1 && r->packs_bad > 0 && vault_states(v, j.image.machine_id, e) != 0)
		rc = -1;
	if (rc == 0)
		rc = receipt_give(&j, dry_run, out, e);
	receipt_books_release(&j);
	buf_release(&j.returned);
	id_sorter_free(j.needed);
	id_sorter_free(j.good);
	id_sorter_free(j.gone);
	container_free(j.store);
	return rc;
}
