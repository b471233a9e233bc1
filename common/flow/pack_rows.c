#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_doubt.h"
#include "common/flow/collect.h"
#include "common/flow/pack_rows.h"

int
pack_rows_make(struct pack_rows *n, const struct pack_view *view, const struct pack_put *put, struct err *e)
{
	memset(n, 0, sizeof(*n));
	memcpy(n->pack.id, view->foot.pack_id, DIGEST_LEN);
	n->pack.copy = put->copy;
	memcpy(n->pack.domain_id, view->foot.domain_id, DIGEST_LEN);
	memcpy(n->pack.maker, view->foot.maker, ID_LEN);
	n->pack.flags = view->table.head.flags;
	n->pack.len = view->file_len;
	n->pack.count = view->table.count;
	n->pack.state = PACK_GOOD;
	n->found = !put->made;
	memcpy(n->bad, put->bad, sizeof(n->bad));
	n->nbad = put->nbad;
	if ((n->copies = calloc(view->table.count, sizeof(*n->copies))) == NULL)
		return err_errno(e, "the rows of a pack");
	for (uint32_t i = 0; i < view->table.count; i++) {
		struct pack_row row;

		pack_table_row(&view->table, i, &row);
		memcpy(n->copies[i].id, row.id, DIGEST_LEN);
		memcpy(n->copies[i].writer, row.writer, ID_LEN);
		if (i == 0)
			memcpy(n->pack.owner, row.writer, ID_LEN);
	}
	return 0;
}

void
pack_rows_release(struct pack_rows *n)
{
	free(n->copies);
	n->copies = NULL;
}

/* Copies that stood in the vault and were found bad when this one was put. */
static int
bad_record(struct vault *v, const struct pack_rows *n, struct err *e)
{
	for (unsigned i = 0; i < n->nbad; i++) {
		struct rec_damage d = { .copy = n->bad[i], .why = "it does not read back as it was written" };
		struct buf ids;
		int rc;

		memcpy(d.pack_id, n->pack.id, DIGEST_LEN);
		buf_init(&ids);
		for (uint32_t k = 0; k < n->pack.count; k++)
			buf_add(&ids, n->copies[k].id, DIGEST_LEN);
		d.chunk_ids = (struct fmt_view){ ids.p, (uint32_t)ids.len };
		if ((rc = buf_check(&ids, e)) == 0)
			rc = vault_record(v, REC_PACK_QUARANTINED, &rec_damage_schema, &d, e);
		buf_release(&ids);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int
copy_order(const void *a, const void *b)
{
	return memcmp(((const struct cat_copy *)a)->id, ((const struct cat_copy *)b)->id, DIGEST_LEN);
}

/*
 * A pack that was found in its place counts for nothing where records say that something
 * in it is bad: what comes now is to be held, and goes under a number of which no
 * record speaks.  0, or -1 with ERR_BUSY ….
 */
static int
found_check(struct vault *v, struct pack_rows *n, struct err *e)
{
	uint8_t *ids = malloc((size_t)n->pack.count * DIGEST_LEN + 1), *states = malloc(n->pack.count + 1);
	int rc = -1, bad = 0;

	if (ids == NULL || states == NULL) {
		(void)err_errno(e, "the rows of a pack");
		goto free;
	}
	qsort(n->copies, n->pack.count, sizeof(*n->copies), copy_order);
	for (uint32_t i = 0; i < n->pack.count; i++)
		memcpy(ids + (size_t)i * DIGEST_LEN, n->copies[i].id, DIGEST_LEN);
	if (chunks_in_pack(v->catalog, n->pack.domain_id, n->pack.n, ids, n->pack.count, states, e) != 0)
		goto free;
	for (uint32_t i = 0; i < n->pack.count; i++)
		bad |= (states[i] & (COPY_DAMAGED | COPY_DISPUTED)) != 0;
	if (!bad)
		rc = 0;
	else if (pack_number_use(v->store, n->pack.id, n->pack.copy, e) == 0)
		(void)err_set(e, ERR_BUSY, "a copy of this pack counts as bad; the same command again puts it beside that one");
free:
	free(ids);
	free(states);
	return rc;
}

int
pack_rows_write(struct vault *v, struct pack_rows *n, struct err *e)
{
	struct cat_pack there = n->pack;
	int rc = pack_is_kept(v, n->pack.id, n->pack.copy, e);

	if (rc == 1)
		return err_set(e, ERR_BUSY, "a collection took away a pack while it was being put; the same command again puts it anew");
	if (rc < 0 || (rc = catalog_get(v->catalog, &cat_packs, &there, e)) < 0)
		return -1;
	if (rc == 0)
		n->pack.n = there.n;
	if (rc == 0 && n->found && found_check(v, n, e) != 0)
		return -1;
	if (rc == 1 && ((n->pack.n = catalog_pack_number(v->catalog, e)) < 0 ||
	    catalog_put(v->catalog, &cat_packs, &n->pack, e) != 0))
		return -1;
	if (chunks_add(v->catalog, n->pack.domain_id, n->pack.n, n->copies, n->pack.count, e) != 0)
		return -1;
	return bad_record(v, n, e);
}

int
pack_rows_condemn(struct vault *v, const struct pack_rows *n, struct err *e)
{
	for (unsigned i = 0; i < n->nbad; i++)
		if (pack_condemn(v->store, n->pack.id, n->bad[i], e) != 0)
			return -1;
	return 0;
}
