/*
 * Snapshots whose time after their deletion is over.  Lists that build on theirs are
 * stored whole first; then it is recorded; then their objects are deleted.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/flow/collect_job.h"
#include "common/flow/epoch.h"
#include "common/flow/ingest_job.h"
#include "common/flow/refs_parts.h"
#include "common/flow/refs_read.h"
#include "common/flow/retain.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_line_machine.h"
#include "formats/fmt_retain.h"
#include "formats/fmt_snapshot.h"

#define PARTS_MOST	100u	/* that names of parts have room for */

struct ending {
	struct collect *c;
	struct container *store;	/* of the machine in hand */
	struct cat_snapshot *kin;	/* its snapshots */
	size_t n;
};

/* --- lists that build on it --- */

static int
envelope_get(struct vault *v, const struct cat_snapshot *s, struct envelope *env, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint8_t *bytes;
	size_t len;
	int rc = 0;

	vault_name_envelope(name, s->machine_id, (uint64_t)s->seq);
	if (store_read(v->store, name, SMALL_STATEMENT_MAX, &bytes, &len, e) != 0)
		return -1;
	if (schema_decode(&envelope_schema, env, bytes, len) != FMT_OK)
		rc = err_set(e, ERR_FORMAT, "%s", name);
	free(bytes);
	return rc;
}

/* One part of a whole list, as bytes: its head and its ids out of a reader that skips those before. */
struct part_source {
	struct refs_reader *r;
	struct refs_head head;
	uint64_t left;
	int head_given;
};

static ssize_t
part_bytes(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct part_source *s = arg;
	size_t n = 0;

	if (!s->head_given) {
		if (cap < REFS_HEAD_LEN)
			return err_set(e, ERR_INTERNAL, "a list is put in pieces that are too small");
		refs_head_encode(&s->head, buf);
		s->head_given = 1;
		n = REFS_HEAD_LEN;
	}
	for (; s->left > 0 && n + DIGEST_LEN <= cap; s->left--, n += DIGEST_LEN)
		if (refs_reader_next(s->r, buf + n, e) != 1)
			return e != NULL && e->code != ERR_NONE ? -1 : err_set(e, ERR_DAMAGE, "reference list: it ends too early");
	return (ssize_t)n;
}

/* Put part ${part} of the list of ${s} as a whole list.  0 or -1. */
static int
part_put(struct ending *g, const struct cat_snapshot *s, const struct envelope *env, unsigned part, unsigned parts,
    struct err *e)
{
	struct snap_place p = { .seq = (uint64_t)s->seq };
	struct part_source src = { .head = { .kind = REFS_WHOLE, .part = (uint16_t)part, .parts = (uint16_t)parts,
	    .count = env->refs_count, .added = env->refs_count } };
	char name[VAULT_NAME_MAX];
	uint8_t id[DIGEST_LEN];
	int rc = 1;

	memcpy(p.machine, s->machine_id, ID_LEN);
	memcpy(src.head.domain_id, env->domain_id, DIGEST_LEN);
	memcpy(src.head.digest, env->refs_digest, DIGEST_LEN);
	src.left = refs_part_ids(&src.head);
	vault_name_refs(name, s->machine_id, (uint64_t)s->seq, REFS_WHOLE, part);
	if ((src.r = refs_reader_new(g->store, &p, env, e)) == NULL)
		return -1;
	for (uint64_t i = 0; i < part * REFS_PART_IDS && rc == 1; i++)
		rc = refs_reader_next(src.r, id, e);
	if (rc == 1)
		rc = g->c->v->store->ops->put_new_from(g->c->v->store, name, part_bytes, &src, e);
	else if (rc == 0)
		rc = err_set(e, ERR_DAMAGE, "%s: the list ends too early", name);
	refs_reader_free(src.r);
	return rc < 0 ? -1 : 0;
}

/* The last part first: a list whose first part is there is a list. */
static int
parts_drop(struct vault *v, const struct cat_snapshot *s, unsigned kind, struct err *e)
{
	char name[VAULT_NAME_MAX];
	unsigned parts = 0;
	uint64_t len;
	int rc = 0;

	for (; parts < PARTS_MOST && rc == 0; parts++) {
		vault_name_refs(name, s->machine_id, (uint64_t)s->seq, kind, parts);
		rc = v->store->ops->stat(v->store, name, &len, e);
	}
	while (rc >= 0 && parts-- > 0) {
		vault_name_refs(name, s->machine_id, (uint64_t)s->seq, kind, parts);
		rc = v->store->ops->del(v->store, name, e);
	}
	return rc < 0 ? -1 : 0;
}

/* Is the list good as it is read from the vault now?  0, or -1 with ${e}. */
static int
list_check(struct ending *g, const struct cat_snapshot *s, const struct envelope *env, struct err *e)
{
	struct snap_place p = { .seq = (uint64_t)s->seq };
	uint8_t id[DIGEST_LEN];
	struct refs_reader *r;
	int rc;

	memcpy(p.machine, s->machine_id, ID_LEN);
	if ((r = refs_reader_new(g->store, &p, env, e)) == NULL)
		return -1;
	while ((rc = refs_reader_next(r, id, e)) == 1)
		;
	refs_reader_free(r);
	return rc;
}

/*
 * Store the list of ${s} whole.  A reader takes the whole list where its first part is
 * there, so that one goes last; what a stopped run left is taken away first.
 */
static int
list_make_whole(struct ending *g, const struct cat_snapshot *s, struct err *e)
{
	struct envelope env;
	uint64_t parts;

	if (envelope_get(g->c->v, s, &env, e) != 0)
		return -1;
	parts = env.refs_count == 0 ? 1 : (env.refs_count + REFS_PART_IDS - 1) / REFS_PART_IDS;
	if (parts > PARTS_MOST)
		return err_set(e, ERR_RULE, "the list of snapshot %lld is too long to be stored whole", (long long)s->seq);
	for (unsigned part = 0; part < parts; part++) {
		char name[VAULT_NAME_MAX];

		vault_name_refs(name, s->machine_id, (uint64_t)s->seq, REFS_WHOLE, part);
		if (g->c->v->store->ops->del(g->c->v->store, name, e) != 0)
			return -1;
	}
	for (unsigned part = (unsigned)parts; part-- > 0;)
		if (part_put(g, s, &env, part, (unsigned)parts, e) != 0)
			return -1;
	if (list_check(g, s, &env, e) != 0) {
		(void)parts_drop(g->c->v, s, REFS_WHOLE, NULL);
		return err_during(e, "store the list of snapshot %lld whole", (long long)s->seq);
	}
	return parts_drop(g->c->v, s, REFS_DELTA, e);
}

/* Does the list of ${k} build on that of ${s}?  1, 0. */
static int
builds_on(struct ending *g, const struct cat_snapshot *k, const struct cat_snapshot *s)
{
	struct snap_place p = { .seq = (uint64_t)k->seq };
	struct refs_head h;

	memcpy(p.machine, k->machine_id, ID_LEN);
	if (refs_parts_head(g->store, &p, REFS_WHOLE, &h, NULL) == 0)
		return 0;
	return refs_parts_head(g->store, &p, REFS_DELTA, &h, NULL) == 0 && memcmp(h.base, s->refs_digest, DIGEST_LEN) == 0;
}

static int
lists_rebase(struct ending *g, const struct cat_snapshot *s, struct err *e)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->kin[i].seq != s->seq && builds_on(g, &g->kin[i], s) && list_make_whole(g, &g->kin[i], e) != 0)
			return -1;
	return 0;
}

/* --- the end --- */

static int
gone_record(struct collect *c, const struct cat_snapshot *s, struct err *e)
{
	struct rec_snapshot k = { .seq = (uint64_t)s->seq, .by = (uint8_t)s->deleted_by, .why = "" };
	struct cat_snapshot now = *s;
	struct vault *v = c->v;
	const char *why;
	int rc;

	memcpy(k.machine_id, s->machine_id, ID_LEN);
	memcpy(k.snapshot_id, s->id, ID_LEN);
	if (vault_begin(v, e) != 0)
		return -1;
	/* It may have been undeleted, protected, or taken as a base meanwhile. */
	if ((rc = catalog_get(v->catalog, &cat_snapshots, &now, e)) == 0 && (rc = retain_keeps(v, &now, &why, e)) == 0 &&
	    (rc = vault_record(v, REC_GONE, &rec_snapshot_schema, &k, e)) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return rc;
}

/* Envelope last: it is what a run that was stopped here is known by. */
static int
objects_drop(struct vault *v, const struct cat_snapshot *s, struct err *e)
{
	char name[VAULT_NAME_MAX];

	if (parts_drop(v, s, REFS_WHOLE, e) != 0 || parts_drop(v, s, REFS_DELTA, e) != 0)
		return -1;
	vault_name_envelope(name, s->machine_id, (uint64_t)s->seq);
	return v->store->ops->del(v->store, name, e);
}

/* With nobody else filing: 0, 1 it stays, -1. */
static int
snapshot_end(struct ending *g, const struct cat_snapshot *s, struct err *e)
{
	int turn = vault_turn(g->c->v, "snapshots.lock", e), rc;

	if (turn == -1)
		return -1;
	if ((rc = lists_rebase(g, s, e)) == 0 && (rc = gone_record(g->c, s, e)) == 0) {
		g->c->r->snapshots_gone++;
		rc = objects_drop(g->c->v, s, e);
	}
	(void)io->close(turn);
	return rc;
}

static int
kin_add(void *arg, const void *row, struct err *e)
{
	struct ending *g = arg;
	struct cat_snapshot *more = realloc(g->kin, (g->n + 1) * sizeof(*more));

	if (more == NULL)
		return err_errno(e, "collect");
	g->kin = more;
	g->kin[g->n++] = *(const struct cat_snapshot *)row;
	return 0;
}

static int
kin_read(struct ending *g, const uint8_t machine[ID_LEN], struct err *e)
{
	struct cat_snapshot like;

	g->n = 0;
	memcpy(like.machine_id, machine, ID_LEN);
	return catalog_each(g->c->v->catalog, &cat_snapshots, 1, &like, kin_add, g, e);
}

/* Newest first: of a chain of deltas that ends as a whole none is stored anew. */
static int
machine_end(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct ending *g = arg;
	uint64_t n;
	int rc = 0;

	/* All that a machine had goes with it; where that was not written down yet it is now. */
	if ((m->state == MACHINE_DELETED || m->subscription == SUBSCRIPTION_DEPROVISIONED) && !g->c->o->dry_run &&
	    retain_machine(g->c->v, m->id, m->state == MACHINE_DELETED ? "its machine was deleted" : "its subscription was ended", &n, e) != 0)
		return -1;
	if (kin_read(g, m->id, e) != 0 || (g->store = container_vault(g->c->v->path, m->id, e)) == NULL)
		return -1;
	for (size_t i = g->n; i-- > 0 && rc == 0;) {
		struct cat_snapshot s = g->kin[i];
		const char *why;
		struct err mine;

		if (s.deleted == 0 || (rc = retain_keeps(g->c->v, &s, &why, e)) != 0) {
			rc = rc < 0 ? -1 : 0;
			continue;
		}
		if (g->c->o->dry_run) {
			g->c->r->snapshots_gone++;
			continue;
		}
		err_clear(&mine);
		if ((rc = snapshot_end(g, &s, &mine)) == 0) {
			memmove(&g->kin[i], &g->kin[i + 1], (g->n - i - 1) * sizeof(*g->kin));
			g->n--;
		} else if (rc < 0 && (mine.code == ERR_DAMAGE || mine.code == ERR_MISSING || mine.code == ERR_NOT_FOUND)) {
			say_warn("snapshot %lld stays: a list that builds on its list cannot be read: %s", (long long)s.seq, mine.msg);
			rc = 0;
		} else if (rc < 0 && e != NULL) {
			*e = mine;
		}
		rc = rc == 1 ? 0 : rc;
		if (rc == 0)
			rc = stop_check(e);
	}
	container_free(g->store);
	g->store = NULL;
	return rc;
}

/* Objects of snapshots that are recorded as gone: a run was stopped between the record and the last of them. */
static int
left_over(void *arg, const void *row, struct err *e)
{
	const struct cat_gone *k = row;
	struct collect *c = arg;
	struct cat_snapshot s = { .seq = k->seq };
	char name[VAULT_NAME_MAX];
	uint64_t len;
	int rc;

	memcpy(s.machine_id, k->machine_id, ID_LEN);
	vault_name_envelope(name, k->machine_id, (uint64_t)k->seq);
	if ((rc = c->v->store->ops->stat(c->v->store, name, &len, e)) != 0)
		return rc < 0 ? -1 : 0;
	return objects_drop(c->v, &s, e);
}

int
collect_gone(struct collect *c, struct err *e)
{
	struct ending g = { c, NULL, NULL, 0 };
	int rc = 0;

	if (!c->o->dry_run)
		rc = catalog_each(c->v->catalog, &cat_gone, 0, NULL, left_over, c, e);
	if (rc == 0)
		rc = catalog_each(c->v->catalog, &cat_machines, 0, NULL, machine_end, &g, e);
	free(g.kin);
	return rc;
}
