/* What the records of retention and collection say, as rows of the catalog. */

#include <string.h>

#include "common/base/err.h"
#include "common/catalog/catalog.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_retain.h"

static void
delete_note(struct cat_snapshot *s, const struct record *r, const struct rec_snapshot *k)
{
	switch ((enum record_type)r->type) {
	case REC_DELETED:
		s->deleted = r->slow_clock > 0 ? r->slow_clock : 1;
		s->deleted_time = r->time;
		s->deleted_by = k->by;
		break;
	case REC_UNDELETED:
		s->deleted = s->deleted_time = 0;
		s->deleted_by = 0;
		break;
	default:
		s->is_protected = r->type == REC_PROTECTED;
		break;
	}
}

/* Its number stays taken; what was being computed of it is not written any more. */
static int
gone_note(struct vault *v, const struct cat_snapshot *s, const struct record *r, struct err *e)
{
	struct cat_gone g = { .seq = s->seq, .time = r->time };

	memcpy(g.machine_id, s->machine_id, ID_LEN);
	memcpy(g.id, s->id, ID_LEN);
	memcpy(g.digest, s->digest, DIGEST_LEN);
	memcpy(g.image_id, s->image_id, ID_LEN);
	if (catalog_put(v->catalog, &cat_gone, &g, e) != 0)
		return -1;
	return catalog_drop(v->catalog, &cat_snapshots, s, e);
}

int
apply_retention(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_snapshot s;
	struct rec_snapshot k;
	int rc;

	if (apply_body(r, &rec_snapshot_schema, &k, e) != 0)
		return -1;
	memcpy(s.machine_id, k.machine_id, ID_LEN);
	s.seq = (int64_t)k.seq;
	if ((rc = catalog_get(v->catalog, &cat_snapshots, &s, e)) != 0)
		return rc == 1 ? 0 : -1;
	if (memcmp(s.id, k.snapshot_id, ID_LEN) != 0)
		return 0;	/* another took the number */
	if (r->type == REC_GONE)
		return gone_note(v, &s, r, e);
	delete_note(&s, r, &k);
	return catalog_put(v->catalog, &cat_snapshots, &s, e);
}

static int
number_add(struct vault *v, const char *name, uint64_t by, struct err *e)
{
	int64_t n;

	if (catalog_number(v->catalog, name, &n, e) < 0)
		return -1;
	return catalog_number_set(v->catalog, name, n + (int64_t)by, e);
}

int
apply_collected(struct vault *v, const struct record *r, struct err *e)
{
	struct rec_collected k;

	if (apply_body(r, &rec_collected_schema, &k, e) != 0)
		return -1;
	if (number_add(v, "collections", 1, e) != 0 || number_add(v, "collected packs", k.packs, e) != 0 ||
	    number_add(v, "collected bytes", k.bytes, e) != 0)
		return -1;
	return catalog_number_set(v->catalog, "collected time", r->time, e);
}
