#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/list_file.h"
#include "common/flow/refs_delta.h"
#include "common/flow/refs_parts.h"
#include "common/flow/refs_read.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define REFS_PARTS	100u	/* that names of parts have room for */
#define CHAIN_MOST	8u	/* deltas behind one another; a reader takes REFS_CHAIN_MAX */

struct lists {
	struct vault *v;
	const char *name;
	uint8_t machine[ID_LEN];
	struct container *vault;
	struct cat_snapshot *kin;
	size_t nkin, kin_cap;
};

/* The vault's own trouble, not that of where the list comes from. */
static int
is_our_own(const struct err *e)
{
	return e->code == ERR_NO_SPACE || e->code == ERR_FSYNC || e->code == ERR_PERMISSION || e->code == ERR_MEMORY;
}

/* A part, as it is copied. */
struct part_copy {
	const struct list_from *from;
	unsigned kind, part;
	uint64_t at;
};

static ssize_t
part_read(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct part_copy *p = arg;
	size_t got;

	if (p->from->c->ops->refs(p->from->c, &p->from->place, p->kind, p->part, p->at, buf, cap, &got, e) != 0)
		return -1;
	p->at += got;
	return (ssize_t)got;
}

/* Copy one part of the list: 0, 1 it is not there, -1 with ${e}. */
static int
part_put(struct lists *l, const struct envelope *env, const struct list_from *from, unsigned kind, unsigned part,
    struct err *e)
{
	struct store *s = l->v->store;
	struct part_copy copy = { from, kind, part, 0 };
	char to[VAULT_NAME_MAX];
	struct err mine;
	uint8_t first;
	size_t got;

	err_clear(&mine);
	if (from->c->ops->refs(from->c, &from->place, kind, part, 0, &first, 1, &got, &mine) != 0) {
		if (mine.code == ERR_NOT_FOUND)
			return 1;
		if (e != NULL)
			*e = mine;
		return -1;
	}
	vault_name_refs(to, env->machine_id, env->seq, kind, part);
	return s->ops->put_new_from(s, to, part_read, &copy, e) < 0 ? -1 : 0;
}

/* All parts: 0, -1 with ${e} only where it is the vault's own trouble. */
static int
parts_put(struct lists *l, const struct envelope *env, const struct list_from *from, unsigned kind, struct err *e)
{
	int rc = 0;

	for (unsigned part = 0; part < REFS_PARTS && rc == 0; part++) {
		struct err mine;

		err_clear(&mine);
		if ((rc = part_put(l, env, from, kind, part, &mine)) < 0 && is_our_own(&mine)) {
			if (e != NULL)
				*e = mine;
			return -1;
		}
	}
	return 0;
}

/* Take away what was put of a list that no record names. */
static int
parts_drop(struct lists *l, const struct envelope *env, struct err *e)
{
	struct store *s = l->v->store;
	char name[VAULT_NAME_MAX];

	for (unsigned kind = REFS_WHOLE; kind <= REFS_DELTA; kind++)
		for (unsigned part = 0; part < REFS_PARTS; part++) {
			uint64_t len;
			int rc;

			vault_name_refs(name, env->machine_id, env->seq, kind, part);
			if ((rc = s->ops->stat(s, name, &len, e)) < 0 || (rc == 0 && s->ops->del(s, name, e) != 0))
				return -1;
		}
	return 0;
}

/* Read the list back from the vault: 0 it is the one that the envelope names; 1 it is not, or not there; ${why} says so. */
static int
list_is_there(struct lists *l, const struct envelope *env, struct err *why)
{
	struct snap_place p = { .n = 0, .seq = env->seq };
	uint8_t id[DIGEST_LEN], without[DIGEST_LEN];
	struct refs_reader *r;
	int rc;

	memcpy(p.machine, env->machine_id, ID_LEN);
	err_clear(why);
	if ((r = refs_reader_new(l->vault, &p, env, why)) == NULL)
		return 1;
	while ((rc = refs_reader_next(r, id, why)) == 1)
		;
	if (rc == 0 && !refs_reader_without_root(r, without))
		rc = err_set(why, ERR_DAMAGE, "the list does not name the snapshot's own root");
	refs_reader_free(r);
	return rc != 0;
}

/* The list whole, from the first copy that is good: 0; 1 none is; -1 with ${e}. */
static int
whole_file(struct lists *l, const struct envelope *env, const struct list_from *from, struct err *e)
{
	struct list_from copy = *from;
	struct err why;

	for (copy.place.copy = 0; copy.place.copy < from->copies; copy.place.copy++) {
		/* A run that was stopped, or another image, may have left parts; nothing names them. */
		if (parts_drop(l, env, e) != 0 || parts_put(l, env, &copy, REFS_WHOLE, e) != 0)
			return -1;
		if (list_is_there(l, env, &why) == 0)
			return 0;
	}
	say_warn("%s: the reference list of snapshot %llu cannot be believed: %s", l->name, (unsigned long long)env->seq,
	    why.msg);
	return parts_drop(l, env, e) != 0 ? -1 : 1;
}

/* Snapshots of the machine that have a list in the vault. */
static int
kin_add(void *arg, const void *row, struct err *e)
{
	const struct cat_snapshot *s = row;
	struct lists *l = arg;
	struct cat_snapshot *more;

	if (l->nkin == l->kin_cap) {
		size_t cap = l->kin_cap == 0 ? 64 : l->kin_cap * 2;

		if ((more = realloc(l->kin, cap * sizeof(*more))) == NULL)
			return err_errno(e, "%s", l->name);
		l->kin = more;
		l->kin_cap = cap;
	}
	l->kin[l->nkin++] = *s;
	return 0;
}

static int
kin_find(struct lists *l, struct err *e)
{
	struct cat_snapshot like;

	l->nkin = 0;
	memcpy(like.machine_id, l->machine, ID_LEN);
	return catalog_each(l->v->catalog, &cat_snapshots, 1, &like, kin_add, l, e);
}

/* The newest older one of the set, or NULL. */
static const struct cat_snapshot *
base_choose(const struct lists *l, const struct envelope *env)
{
	const struct cat_snapshot *best = NULL;

	for (size_t i = 0; i < l->nkin; i++)
		if (l->kin[i].seq < (int64_t)env->seq && strcmp(l->kin[i].set_name, env->set_name) == 0 &&
		    (best == NULL || l->kin[i].seq > best->seq))
			best = &l->kin[i];
	return best;
}

/* How many deltas hang behind ${s}, and how many ids are in them. */
static void
chain_weigh(struct lists *l, const struct cat_snapshot *s, unsigned *deltas, uint64_t *ids)
{
	*deltas = 0;
	*ids = 0;
	while (s != NULL && *deltas < CHAIN_MOST) {
		struct snap_place p = { .seq = (uint64_t)s->seq };
		const struct cat_snapshot *base = NULL;
		struct refs_head h;

		memcpy(p.machine, s->machine_id, ID_LEN);
		if (refs_parts_head(l->vault, &p, REFS_DELTA, &h, NULL) != 0)
			return;
		++*deltas;
		*ids += h.added + h.removed;
		for (size_t i = 0; i < l->nkin && base == NULL; i++)
			if (memcmp(l->kin[i].refs_digest, h.base, DIGEST_LEN) == 0)
				base = &l->kin[i];
		s = base;
	}
}

/* May the list be ${ids} more behind that of ${base}? */
static int
chain_bears(struct lists *l, const struct cat_snapshot *base, uint64_t count, uint64_t *most)
{
	unsigned deltas;
	uint64_t ids;

	chain_weigh(l, base, &deltas, &ids);
	if (deltas >= CHAIN_MOST || ids >= count)
		return 0;
	*most = count / 2 < count - ids ? count / 2 : count - ids;
	return 1;
}

/* Make a delta of the whole list: 0 it stands in the vault; 1 it does not; -1 with ${e}. */
static int
delta_file(struct lists *l, const struct envelope *env, const struct list_from *from, const struct cat_snapshot *base,
    struct err *e)
{
	struct store *s = l->v->store;
	struct envelope base_env;
	struct refs_at fresh = { from->c, from->place, env };
	struct refs_at old = { l->vault, { .seq = (uint64_t)base->seq }, &base_env };
	char name[VAULT_NAME_MAX];
	struct err mine;
	uint64_t most;
	uint8_t *bytes;
	size_t len;
	int rc;

	if (!chain_bears(l, base, env->refs_count, &most))
		return 1;
	memcpy(old.place.machine, base->machine_id, ID_LEN);
	vault_name_envelope(name, base->machine_id, (uint64_t)base->seq);
	if (store_read(s, name, SMALL_STATEMENT_MAX, &bytes, &len, NULL) != 0)
		return 1;
	rc = 1;
	err_clear(&mine);
	if (schema_decode(&envelope_schema, &base_env, bytes, len) == FMT_OK && parts_drop(l, env, e) == 0)
		rc = refs_delta_put(s, &fresh, &old, most, &mine);
	free(bytes);
	if (rc < 0 && is_our_own(&mine)) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	return rc == 0 && list_is_there(l, env, &mine) == 0 ? 0 : 1;
}

/* It comes as the delta ${h}: as it is where that is small behind a short chain, else made whole. 0, 1 it cannot be believed, -1. */
static int
delta_take(struct lists *l, const struct envelope *env, const struct list_from *from, const struct refs_head *h,
    struct err *e)
{
	struct refs_at fresh = { from->c, from->place, env };
	const struct cat_snapshot *base = NULL;
	struct err why;
	uint64_t most = 0;
	int rc;

	for (size_t i = 0; i < l->nkin && base == NULL; i++)
		if (memcmp(l->kin[i].refs_digest, h->base, DIGEST_LEN) == 0)
			base = &l->kin[i];
	if (parts_drop(l, env, e) != 0)
		return -1;
	if (base != NULL && chain_bears(l, base, env->refs_count, &most) && h->added + h->removed <= most) {
		if (parts_put(l, env, from, REFS_DELTA, e) != 0)
			return -1;
	} else {
		err_clear(&why);
		if ((rc = refs_whole_put(l->v->store, &fresh, &why)) < 0 && is_our_own(&why)) {
			if (e != NULL)
				*e = why;
			return -1;
		}
	}
	if (list_is_there(l, env, &why) == 0)
		return 0;
	say_warn("%s: the reference list of snapshot %llu cannot be believed: %s", l->name, (unsigned long long)env->seq,
	    why.msg);
	return parts_drop(l, env, e) != 0 ? -1 : 1;
}

int
lists_file(struct lists *l, const struct envelope *env, const struct list_from *from, struct err *e)
{
	const struct cat_snapshot *base;
	struct refs_head h;
	struct err why;
	int rc;

	if (list_is_there(l, env, &why) == 0)
		return 0;
	if (kin_find(l, e) != 0)
		return -1;
	if (refs_parts_head(from->c, &from->place, REFS_WHOLE, &h, NULL) != 0 &&
	    refs_parts_head(from->c, &from->place, REFS_DELTA, &h, NULL) == 0)
		return delta_take(l, env, from, &h, e);
	if ((base = base_choose(l, env)) != NULL && (rc = delta_file(l, env, from, base, e)) != 1)
		return rc;
	return whole_file(l, env, from, e);
}

int
envelope_file(struct vault *v, const struct envelope *env, const uint8_t *bytes, size_t len, const char *name,
    struct err *e)
{
	struct store *s = v->store;
	char object[VAULT_NAME_MAX];
	uint8_t *was;
	size_t n;
	int rc;

	vault_name_envelope(object, env->machine_id, env->seq);
	if ((rc = s->ops->put_new(s, object, bytes, len, e)) != 1)
		return rc;
	if (store_read(s, object, SMALL_STATEMENT_MAX, &was, &n, NULL) == 0) {
		int same = n == len && memcmp(was, bytes, n) == 0;

		free(was);
		if (same)
			return 0;
	}
	if (s->ops->del(s, object, e) != 0)
		return -1;
	return s->ops->put_new(s, object, bytes, len, e) == 0 ? 0 :
	    err_set(e, ERR_BUSY, "%s: somebody else writes %s", name, object);
}

struct lists *
lists_new(struct vault *v, const uint8_t machine[ID_LEN], const char *name, struct err *e)
{
	struct lists *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)err_errno(e, "%s", name);
		return NULL;
	}
	l->v = v;
	l->name = name;
	memcpy(l->machine, machine, ID_LEN);
	if ((l->vault = container_vault(v->path, machine, e)) == NULL) {
		lists_free(l);
		return NULL;
	}
	return l;
}

void
lists_free(struct lists *l)
{
	if (l == NULL)
		return;
	container_free(l->vault);
	free(l->kin);
	free(l);
}
