/* What the records of a machine's commits say, as rows of the catalog; snapshots apart. */

#include <string.h>

#include "common/catalog/catalog.h"
#include "common/crypto/sign.h"
#include "common/flow/vault_apply.h"
#include "formats/fmt_snapshot.h"

int
apply_passed(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_passed p = { .time = r->time };
	struct envelope n;

	if (apply_body(r, &envelope_schema, &n, e) != 0)
		return -1;
	memcpy(p.machine_id, n.machine_id, ID_LEN);
	p.seq = (int64_t)n.seq;
	memcpy(p.id, n.snapshot_id, ID_LEN);
	statement_digest(&envelope_schema, r->body.p, r->body.len, p.digest);
	return catalog_put(v->catalog, &cat_passed, &p, e);
}

int
apply_fork(struct vault *v, const struct record *r, struct err *e)
{
	struct cat_fork f = { .time = r->time };
	struct envelope n;

	if (apply_body(r, &envelope_schema, &n, e) != 0)
		return -1;
	memcpy(f.machine_id, n.machine_id, ID_LEN);
	f.seq = (int64_t)n.seq;
	memcpy(f.id, n.snapshot_id, ID_LEN);
	statement_digest(&envelope_schema, r->body.p, r->body.len, f.digest);
	return catalog_put(v->catalog, &cat_forks, &f, e);
}
