/*
 * The mark of a collection: every id that a list names goes into a filter, one list
 * after the other; then the chunk index is walked beside it.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_doubt.h"
#include "common/flow/collect_job.h"
#include "common/flow/gaps.h"
#include "common/flow/id_list.h"
#include "common/flow/refs_read.h"
#include "common/flow/retain.h"
#include "common/flow/vault_count.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define WALK		16384u	/* copies in one look, and in one transaction */

int
collect_is_stale(struct collect *c, struct err *e)
{
	int64_t filed;

	if (c->o->bugs & COLLECT_BUG_ONE_MARK)
		return 0;
	if (catalog_number(c->v->catalog, "filed", &filed, e) < 0)
		return -1;
	return filed != c->filed;
}

void
collect_forget(struct collect *c)
{
	id_filter_free(c->needed);
	free(c->held);
	free(c->domains);
	free(c->tally);
	c->needed = NULL;
	c->held = NULL;
	c->domains = NULL;
	c->tally = NULL;
	c->nheld = c->ndomains = c->ntally = c->tally_cap = 0;
}

/* --- what is needed --- */

static int
machine_hold(struct collect *c, const uint8_t machine[ID_LEN], struct err *e)
{
	uint8_t (*more)[ID_LEN];

	for (size_t i = 0; i < c->nheld; i++)
		if (memcmp(c->held[i], machine, ID_LEN) == 0)
			return 0;
	if ((more = realloc(c->held, (c->nheld + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "collect");
	c->held = more;
	memcpy(c->held[c->nheld++], machine, ID_LEN);
	return 0;
}

/* The envelope of ${s} out of the store. */
static int
envelope_read(struct vault *v, const struct cat_snapshot *s, struct envelope *env, struct err *e)
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
	else if (memcmp(env->refs_digest, s->refs_digest, DIGEST_LEN) != 0)
		rc = err_set(e, ERR_DAMAGE, "%s is not the envelope that was filed", name);
	free(bytes);
	return rc;
}

/* All ids of one list: 0; -1 with ${e}. */
static int
list_mark(struct collect *c, struct container *store, const struct cat_snapshot *s, struct err *e)
{
	struct snap_place p = { .seq = (uint64_t)s->seq };
	uint8_t id[DIGEST_LEN];
	struct refs_reader *r;
	struct envelope env;
	uint64_t n = 0;
	int rc;

	memcpy(p.machine, s->machine_id, ID_LEN);
	if (envelope_read(c->v, s, &env, e) != 0 || (r = refs_reader_new(store, &p, &env, e)) == NULL)
		return -1;
	while ((rc = refs_reader_next(r, id, e)) == 1) {
		id_filter_add(c->needed, id);
		if (++n % 65536 == 0 && stop_check(e) != 0) {
			rc = -1;
			break;
		}
	}
	refs_reader_free(r);
	c->r->lists++;
	progress_add(n * DIGEST_LEN, 1);
	return rc;
}

struct marking {
	struct collect *c;
	struct container *store;
	int unread;			/* a list that cannot be read */
};

static int
snapshot_mark(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct marking *m = arg;
	struct err mine;
	const char *why;
	int rc;

	/* A dry run leaves out what a run would have made an end of. */
	if (m->c->o->dry_run && s->deleted != 0 && (rc = retain_keeps(m->c->v, s, &why, e)) <= 0)
		return rc;
	err_clear(&mine);
	if (list_mark(m->c, m->store, s, &mine) == 0)
		return 0;
	if (mine.code == ERR_MEMORY || mine.code == ERR_INTERRUPTED || mine.code == ERR_PERMISSION) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	say_warn("the reference list of snapshot %lld cannot be read, nothing of its machine is collected: %s", (long long)s->seq,
	    mine.msg);
	if (m->c->nunread++ == 0)
		m->c->unread = *s;
	m->unread = 1;
	return 0;
}

static int
machine_mark(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct marking k = { .c = arg };
	struct cat_snapshot like;
	int rc;

	if ((k.store = container_vault(k.c->v->path, m->id, e)) == NULL)
		return -1;
	memcpy(like.machine_id, m->id, ID_LEN);
	rc = catalog_each(k.c->v->catalog, &cat_snapshots, 1, &like, snapshot_mark, &k, e);
	container_free(k.store);
	if (rc == 0 && k.unread)
		rc = machine_hold(k.c, m->id, e);
	return rc;
}

/* Were all envelopes filed that the manifest names?  Those of snapshots that are gone count. */
struct filing {
	struct fmt_view named;
	size_t filed;
};

static void
digest_count(struct filing *f, const uint8_t digest[DIGEST_LEN])
{
	for (size_t i = 0; i < list_count(f->named, DIGEST_LEN); i++)
		f->filed += memcmp(f->named.p + i * DIGEST_LEN, digest, DIGEST_LEN) == 0;
}

static int
snapshot_count(void *arg, const void *row, struct err *e)
{
	(void)e;
	digest_count(arg, ((const struct cat_snapshot *)row)->digest);
	return 0;
}

static int
gone_count(void *arg, const void *row, struct err *e)
{
	(void)e;
	digest_count(arg, ((const struct cat_gone *)row)->digest);
	return 0;
}

static int
image_is_filed(struct vault *v, const struct cat_image *i, struct err *e)
{
	struct filing f = { .filed = 0 };
	struct cat_snapshot like;
	struct cat_gone gone;
	struct manifest m;
	uint8_t *bytes;
	int rc;

	if ((rc = vault_manifest(v, i, &bytes, &m, e)) != 0)
		return rc < 0 ? -1 : 0;
	f.named = m.envelopes;
	memcpy(like.machine_id, i->machine_id, ID_LEN);
	memcpy(gone.machine_id, i->machine_id, ID_LEN);
	rc = catalog_each(v->catalog, &cat_snapshots, 1, &like, snapshot_count, &f, e);
	if (rc == 0)
		rc = catalog_each(v->catalog, &cat_gone, 1, &gone, gone_count, &f, e);
	free(bytes);
	return rc != 0 ? -1 : f.filed >= list_count(f.named, DIGEST_LEN);
}

/* What an image without snapshots carries is needed by those that had a gap; while it pledges it is kept by itself too. */
static int
carried_mark(struct collect *c, const struct cat_image *i, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	struct carried *list;
	struct err mine;
	int rc;

	err_clear(&mine);
	if ((list = carried_open(c->v, i->id, NULL, &mine)) == NULL) {
		if (mine.code == ERR_NOT_FOUND)
			return 0;
		if (e != NULL)
			*e = mine;
		return -1;
	}
	while ((rc = id_list_next(carried_list(list), id, e)) == 1)
		id_filter_add(c->needed, id);
	carried_close(list);
	return rc;
}

/*
 * What a machine's image brought is kept for its lease while nobody knows what the
 * image needs: without a manifest, or with envelopes that have not come.
 */
static int
image_mark(void *arg, const void *row, struct err *e)
{
	const struct cat_image *i = row;
	struct collect *c = arg;
	int rc;

	switch (i->state) {
	case IMAGE_UNCLAIMED:
	case IMAGE_LOST:
	case IMAGE_CANCELLED:
	case IMAGE_HANDED_OFF:
	case IMAGE_RELEASED:
		return 0;
	default:
		break;
	}
	if (c->v->slow > i->pledge_until)
		return 0;
	if (i->generation > 0 && (rc = image_is_filed(c->v, i, e)) != 0)
		return rc < 0 ? -1 : carried_mark(c, i, e);
	return machine_hold(c, i->machine_id, e);
}

static int
refs_count(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	uint64_t *n = arg;

	(void)e;
	/* Lists of one machine have most in common. */
	*n = (uint64_t)s->refs_count > *n ? (uint64_t)s->refs_count + *n / 8 : *n + (uint64_t)s->refs_count / 8;
	return 0;
}

static int
domain_add(void *arg, const void *row, struct err *e)
{
	const struct cat_machine *m = row;
	struct collect *c = arg;
	uint8_t (*more)[DIGEST_LEN];

	for (size_t i = 0; i < c->ndomains; i++)
		if (memcmp(c->domains[i], m->domain_id, DIGEST_LEN) == 0)
			return 0;
	if ((more = realloc(c->domains, (c->ndomains + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "collect");
	c->domains = more;
	memcpy(c->domains[c->ndomains++], m->domain_id, DIGEST_LEN);
	return 0;
}

int
collect_mark(struct collect *c, struct err *e)
{
	struct vault *v = c->v;
	uint64_t expected = 0, copies;
	int rc;

	collect_forget(c);
	c->nunread = 0;
	/* What was filed before stands in the rows that are read now. */
	if (vault_begin(v, e) != 0)
		return -1;
	if (vault_commit(v, e) != 0 || catalog_number(v->catalog, "filed", &c->filed, e) < 0 ||
	    catalog_each(v->catalog, &cat_snapshots, 0, NULL, refs_count, &expected, e) != 0 ||
	    chunks_count(v->catalog, &copies, e) != 0)
		return -1;
	if (expected < copies)
		expected = copies;
	if ((c->needed = id_filter_new(expected, c->o->memory, e)) == NULL)
		return -1;
	progress_start("read lists", 0);
	rc = catalog_each(v->catalog, &cat_machines, 0, NULL, domain_add, c, e);
	if (rc == 0)
		rc = catalog_each(v->catalog, &cat_machines, 0, NULL, machine_mark, c, e);
	if (rc == 0)
		rc = catalog_each(v->catalog, &cat_images, 0, NULL, image_mark, c, e);
	progress_end();
	c->r->held_back = c->nheld;
	return rc;
}

/* --- the index beside it --- */

int
collect_is_held_back(const struct collect *c, const uint8_t writer[ID_LEN])
{
	for (size_t i = 0; i < c->nheld; i++)
		if (memcmp(c->held[i], writer, ID_LEN) == 0)
			return 1;
	return 0;
}

/* Is there another copy of this id by the same writer that nobody doubts? */
static int
has_twin(const struct cat_place *at, size_t n, size_t me)
{
	for (size_t i = 0; i < n; i++)
		if (i != me && (at[i].state & COPY_GOOD) && memcmp(at[i].writer, at[me].writer, ID_LEN) == 0)
			return 1;
	return 0;
}

/* The state that copy ${me} of the ${n} of one id comes to. */
static uint32_t
state_next(const struct collect *c, const struct cat_place *at, size_t n, size_t me, int condemn)
{
	uint32_t state = at[me].state;

	if (id_filter_has(c->needed, at[me].id) || collect_is_held_back(c, at[me].writer)) {
		if ((state & COPY_CONDEMNED) && has_twin(at, n, me))
			return state;		/* written anew elsewhere */
		return copy_lasting(state);
	}
	if (state & COPY_CONDEMNED)
		return state;
	if (c->o->dry_run || (c->o->bugs & COLLECT_BUG_ONE_MARK))
		return copy_condemned(state);
	if (condemn)
		return state & COPY_SUSPECT ? copy_condemned(state) : state;
	return copy_suspected(state);
}

static int
tally_order(const void *a, const void *b)
{
	const struct pack_tally *x = a, *y = b;

	return x->pack < y->pack ? -1 : x->pack > y->pack;
}

/* Sort, and add up what is of one pack. */
static void
tally_pack(struct collect *c)
{
	size_t n = 0;

	if (c->ntally == 0)
		return;
	qsort(c->tally, c->ntally, sizeof(*c->tally), tally_order);
	for (size_t i = 0; i < c->ntally; i++) {
		if (n > 0 && c->tally[n - 1].pack == c->tally[i].pack)
			c->tally[n - 1].condemned += c->tally[i].condemned;
		else
			c->tally[n++] = c->tally[i];
	}
	c->ntally = n;
}

static int
tally_add(struct collect *c, int64_t pack, struct err *e)
{
	struct pack_tally *more;

	if (c->ntally == c->tally_cap) {
		tally_pack(c);
		if (c->ntally * 2 >= c->tally_cap) {
			size_t cap = c->tally_cap == 0 ? 4096 : c->tally_cap * 2;

			if ((more = realloc(c->tally, cap * sizeof(*more))) == NULL)
				return err_errno(e, "collect");
			c->tally = more;
			c->tally_cap = cap;
		}
	}
	c->tally[c->ntally++] = (struct pack_tally){ pack, 1 };
	return 0;
}

struct walking {
	struct cat_place *at, *turn;
	uint8_t *to;
	size_t n, nturn;
};

static int
batch_decide(struct collect *c, struct walking *w, int condemn, struct err *e)
{
	size_t from, to;

	w->nturn = 0;
	for (from = 0; from < w->n; from = to) {
		for (to = from + 1; to < w->n && memcmp(w->at[to].id, w->at[from].id, DIGEST_LEN) == 0; to++)
			;
		for (size_t i = from; i < to; i++) {
			uint32_t next = state_next(c, w->at + from, to - from, i - from, condemn);

			if ((next & COPY_CONDEMNED) && tally_add(c, w->at[i].pack, e) != 0)
				return -1;
			c->r->condemned += (next & COPY_CONDEMNED) != 0;
			if (next == w->at[i].state)
				continue;
			w->to[w->nturn] = (uint8_t)next;
			w->turn[w->nturn++] = w->at[i];
		}
	}
	c->r->chunks += w->n;
	return 0;
}

/* A new epoch: sessions that open from now on see what was condemned before. */
static int
epoch_next(struct catalog *c, struct err *e)
{
	int64_t epoch;

	if (catalog_number(c, "epoch", &epoch, e) < 0 || catalog_number_set(c, "epoch", epoch + 1, e) != 0)
		return -1;
	return catalog_number_set(c, "condemned", epoch + 1, e);
}

/* 0, 1 more was filed, -1. */
static int
batch_write(struct collect *c, const uint8_t *domain, struct walking *w, int condemn, struct err *e)
{
	struct vault *v = c->v;
	int rc;

	if (w->nturn == 0 || c->o->dry_run)
		return 0;
	if (vault_begin(v, e) != 0)
		return -1;
	if ((rc = collect_is_stale(c, e)) == 0 && (rc = chunks_turn(v->catalog, domain, w->turn, w->to, w->nturn, e)) == 0 &&
	    condemn)
		rc = epoch_next(v->catalog, e);
	if (rc == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return rc;
}

static int
domain_walk(struct collect *c, const uint8_t *domain, struct walking *w, int condemn, struct err *e)
{
	uint8_t last[DIGEST_LEN];
	int rc, begun = 0;

	while ((rc = chunks_walk(c->v->catalog, domain, begun ? last : NULL, w->at, WALK, &w->n, e)) == 0 && w->n > 0) {
		memcpy(last, w->at[w->n - 1].id, DIGEST_LEN);
		begun = 1;
		if ((rc = batch_decide(c, w, condemn, e)) != 0 || (rc = batch_write(c, domain, w, condemn, e)) != 0 ||
		    (rc = stop_check(e)) != 0)
			break;
	}
	return rc;
}

int
collect_walk(struct collect *c, int condemn, struct err *e)
{
	struct walking w = { malloc(WALK * sizeof(*w.at)), malloc(WALK * sizeof(*w.turn)), malloc(WALK), 0, 0 };
	int rc = 0;

	c->ntally = 0;
	c->r->chunks = c->r->condemned = 0;
	if (w.at == NULL || w.turn == NULL || w.to == NULL)
		rc = err_set(e, ERR_MEMORY, "no memory to walk the chunk index");
	for (size_t i = 0; i < c->ndomains && rc == 0; i++)
		rc = domain_walk(c, c->domains[i], &w, condemn, e);
	if (rc == 0)
		tally_pack(c);
	free(w.at);
	free(w.turn);
	free(w.to);
	return rc;
}
