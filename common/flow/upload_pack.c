/* A pack over the line: believed frame by frame, durable, in the catalog, in this order. */

#include <string.h>

#include "common/base/err.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/flow/machine_fate.h"
#include "common/flow/pack_rows.h"
#include "common/flow/upload_job.h"

#define PUT_TRIES	8	/* collections that may take it away again before it is written down */

struct taking {
	struct vault *v;
	const struct cat_machine *m;
	const uint8_t *bytes;
	size_t len;
	struct pack_view view;
};

/* With one of the machine's keys: 1 it is signed with this one, 0 not, -1 what no key heals. */
static int
key_try(void *arg, const void *row, struct err *e)
{
	const struct cat_machine_key *k = row;
	struct taking *t = arg;
	struct err mine;

	err_clear(&mine);
	if (pack_view_bytes(&t->view, t->bytes, t->len, t->m->id, k->pub, &mine) == 0)
		return 1;
	if (mine.code == ERR_SIGNATURE)
		return 0;
	if (e != NULL)
		*e = mine;
	return -1;
}

static int
table_believe(struct taking *t, const uint8_t pack[DIGEST_LEN], struct err *e)
{
	struct cat_machine_key like;
	int rc;

	memcpy(like.machine_id, t->m->id, ID_LEN);
	if ((rc = catalog_each(t->v->catalog, &cat_machine_keys, 1, &like, key_try, t, e)) < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_SIGNATURE, "the pack is not signed by machine %s", t->m->name);
	if (memcmp(t->view.foot.pack_id, pack, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "the pack is another than its name says");
	if (t->view.table.head.flags != 0 || memcmp(t->view.foot.domain_id, t->m->domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_DAMAGE, "the pack is of another key domain, or claims to be re-packed");
	return 0;
}

static int
frames_believe(const struct taking *t, struct err *e)
{
	size_t off = PACK_HEAD_LEN;

	for (uint32_t i = 0; i < t->view.table.count; i++) {
		struct pack_row row;
		const char *why;

		pack_table_row(&t->view.table, i, &row);
		if ((why = pack_frame_check(&row, t->bytes + off, t->m->domain_id, PACK_FULL)) != NULL)
			return err_set(e, ERR_DAMAGE, "chunk %u of the pack: %s", i + 1, why);
		off += row.len;
	}
	return 0;
}

/* In a transaction: 0 written down, 1 a collection took the pack meanwhile, or it counts as bad: put it again; -1. */
static int
rows_write(struct taking *t, const uint8_t id[ID_LEN], struct pack_rows *n, struct err *e)
{
	struct cat_pack there = n->pack;
	struct quota_figures q;
	struct cat_session s;
	struct err mine;
	int rc;

	/* Others of the machine's packs may have come since somebody looked first. */
	if (upload_get(t->v, t->m, id, &s, e) != 0 || (rc = catalog_get(t->v->catalog, &cat_packs, &there, e)) < 0 ||
	    (rc == 1 && machine_quota(t->v, t->m->id, (uint64_t)n->pack.len, &q, e) != 0))
		return -1;
	s.touched = t->v->slow;
	s.packs++;
	s.bytes += n->pack.len;
	err_clear(&mine);
	if (pack_rows_write(t->v, n, &mine) != 0) {
		if (mine.code == ERR_BUSY)
			return 1;
		*e = mine;
		return -1;
	}
	return catalog_put(t->v->catalog, &cat_sessions, &s, e);
}

/* Put it and write it down: 0 made, 1 it was there, 2 again, -1. */
static int
pack_keep(struct taking *t, const uint8_t id[ID_LEN], struct err *e)
{
	struct pack_rows n;
	struct pack_put put;
	int rc;

	if (pack_put(t->v->store, t->view.foot.pack_id, t->bytes, t->len, &put, e) != 0 ||
	    pack_rows_make(&n, &t->view, &put, e) != 0)
		return -1;
	if (vault_begin(t->v, e) != 0) {
		rc = -1;
		goto release;
	}
	if ((rc = rows_write(t, id, &n, e)) != 0) {
		vault_rollback(t->v);
		rc = rc < 0 ? -1 : 2;
		goto release;
	}
	if (vault_commit(t->v, e) != 0 || pack_rows_condemn(t->v, &n, e) != 0)
		rc = -1;
	else
		rc = !put.made;
release:
	pack_rows_release(&n);
	return rc;
}

int
upload_pack(struct vault *v, const struct cat_machine *m, const uint8_t id[ID_LEN], const uint8_t pack[DIGEST_LEN],
    const uint8_t *bytes, size_t len, struct err *e)
{
	struct taking t = { .v = v, .m = m, .bytes = bytes, .len = len };
	struct cat_session s;
	char hex[2 * DIGEST_LEN + 1];
	int rc = 2;

	(void)text_hex(hex, pack, DIGEST_LEN);
	if (upload_get(v, m, id, &s, e) != 0)
		return -1;
	if (table_believe(&t, pack, e) != 0 || frames_believe(&t, e) != 0)
		return err_during(e, "pack %.16s", hex);
	for (int i = 0; i < PUT_TRIES && rc == 2; i++)
		rc = pack_keep(&t, id, e);
	if (rc == 2)
		rc = err_set(e, ERR_BUSY, "collections take packs away faster than they come");
	return rc < 0 ? err_during(e, "pack %.16s", hex) : rc;
}
