#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/disk/image_file.h"
#include "common/flow/container.h"
#include "common/flow/ingest_lists.h"
#include "common/flow/refs_delta.h"
#include "common/flow/refs_parts.h"
#include "common/flow/refs_read.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define REFS_PARTS	100u	/* that names of parts have room for */
#define CHAIN_MOST	8u	/* deltas behind one another; a reader takes REFS_CHAIN_MAX */

struct lists {
	struct ingest *g;
	struct container *vault, *disk;
	struct cat_snapshot *kin;
	size_t nkin, kin_cap;
};

/* The vault's own trouble, not the disk's. */
static int
is_our_own(const struct err *e)
{
	return e->code == ERR_NO_SPACE || e->code == ERR_FSYNC || e->code == ERR_PERMISSION || e->code == ERR_MEMORY;
}

struct part_file {
	int fd;
	const char *name;
};

static ssize_t
part_read(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct part_file *f = arg;
	ssize_t n = io_read_full(f->fd, buf, cap, -1);

	return n >= 0 ? n : err_errno(e, "read %s", f->name);
}

/* Copy one part of copy ${copy} of the list: 0, 1 it is not there, -1 with ${e}. */
static int
part_copy(struct lists *l, const struct ingest_envelope *x, int copy, unsigned part, struct err *e)
{
	struct store *s = l->g->v->store;
	char from[IMAGE_NAME_MAX], to[VAULT_NAME_MAX];
	struct part_file file = { -1, from };
	struct err mine;
	uint64_t len;
	int rc;

	err_clear(&mine);
	image_name_refs(from, copy, x->n, part);
	vault_name_refs(to, x->env.machine_id, x->env.seq, REFS_WHOLE, part);
	if ((file.fd = image_file_open(l->g->dir.fd, from, &len, &mine)) == -1) {
		if (mine.code == ERR_NOT_FOUND)
			return 1;
		if (e != NULL)
			*e = mine;
		return -1;
	}
	rc = s->ops->put_new_from(s, to, part_read, &file, e);
	(void)io->close(file.fd);
	return rc < 0 ? -1 : 0;
}

/* Take away what was put of a list that no record names. */
static int
parts_drop(struct lists *l, const struct ingest_envelope *x, struct err *e)
{
	struct store *s = l->g->v->store;
	char name[VAULT_NAME_MAX];

	for (unsigned kind = REFS_WHOLE; kind <= REFS_DELTA; kind++)
		for (unsigned part = 0; part < REFS_PARTS; part++) {
			uint64_t len;
			int rc;

			vault_name_refs(name, x->env.machine_id, x->env.seq, kind, part);
			if ((rc = s->ops->stat(s, name, &len, e)) < 0 || (rc == 0 && s->ops->del(s, name, e) != 0))
				return -1;
		}
	return 0;
}

/* Read the list back from the vault: 0 it is the one that the envelope names; 1 it is not, or not there; ${why} says so. */
static int
list_is_there(struct lists *l, const struct ingest_envelope *x, struct err *why)
{
	struct snap_place p = { .n = 0, .seq = x->env.seq };
	uint8_t id[DIGEST_LEN], without[DIGEST_LEN];
	struct refs_reader *r;
	int rc;

	memcpy(p.machine, x->env.machine_id, ID_LEN);
	err_clear(why);
	if ((r = refs_reader_new(l->vault, &p, &x->env, why)) == NULL)
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
whole_file(struct lists *l, const struct ingest_envelope *x, struct err *e)
{
	struct err why;

	for (int copy = 0; copy < 2; copy++) {
		int rc = 0;

		/* A run that was stopped, or another image, may have left parts; nothing names them. */
		if (parts_drop(l, x, e) != 0)
			return -1;
		for (unsigned part = 0; part < REFS_PARTS && rc == 0; part++) {
			struct err mine;

			err_clear(&mine);
			if ((rc = part_copy(l, x, copy, part, &mine)) < 0 && is_our_own(&mine)) {
				if (e != NULL)
					*e = mine;
				return -1;
			}
		}
		if (list_is_there(l, x, &why) == 0)
			return 0;
	}
	say_warn("%s: the reference list of snapshot %llu cannot be believed: %s", l->g->name,
	    (unsigned long long)x->env.seq, why.msg);
	return parts_drop(l, x, e) != 0 ? -1 : 1;
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
			return err_errno(e, "%s", l->g->name);
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
	memcpy(like.machine_id, l->g->st.machine_id, ID_LEN);
	return catalog_each(l->g->v->catalog, &cat_snapshots, 1, &like, kin_add, l, e);
}

/* The newest older one of the set of ${x}, or NULL. */
static const struct cat_snapshot *
base_choose(const struct lists *l, const struct ingest_envelope *x)
{
	const struct cat_snapshot *best = NULL;

	for (size_t i = 0; i < l->nkin; i++)
		if (l->kin[i].seq < (int64_t)x->env.seq && strcmp(l->kin[i].set_name, x->env.set_name) == 0 &&
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

/* The list as a delta: 0 it stands in the vault; 1 it does not; -1 with ${e}. */
static int
delta_file(struct lists *l, const struct ingest_envelope *x, const struct cat_snapshot *base, struct err *e)
{
	struct store *s = l->g->v->store;
	struct envelope env;
	struct refs_at fresh = { l->disk, { .n = x->n }, &x->env };
	struct refs_at old = { l->vault, { .seq = (uint64_t)base->seq }, &env };
	char name[VAULT_NAME_MAX];
	struct err mine;
	unsigned deltas;
	uint64_t ids, most = x->env.refs_count / 2;
	uint8_t *bytes;
	size_t len;
	int rc;

	chain_weigh(l, base, &deltas, &ids);
	if (deltas >= CHAIN_MOST || ids >= x->env.refs_count)
		return 1;
	if (most > x->env.refs_count - ids)
		most = x->env.refs_count - ids;
	memcpy(old.place.machine, base->machine_id, ID_LEN);
	vault_name_envelope(name, base->machine_id, (uint64_t)base->seq);
	if (store_read(s, name, SMALL_STATEMENT_MAX, &bytes, &len, NULL) != 0)
		return 1;
	rc = 1;
	err_clear(&mine);
	if (schema_decode(&envelope_schema, &env, bytes, len) == FMT_OK && parts_drop(l, x, e) == 0)
		rc = refs_delta_put(s, &fresh, &old, most, &mine);
	free(bytes);
	if (rc < 0 && is_our_own(&mine)) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	return rc == 0 && list_is_there(l, x, &mine) == 0 ? 0 : 1;
}

int
lists_file(struct lists *l, const struct ingest_envelope *x, struct err *e)
{
	const struct cat_snapshot *base;
	struct err why;
	int rc;

	if (list_is_there(l, x, &why) == 0)
		return 0;
	if (kin_find(l, e) != 0)
		return -1;
	if ((base = base_choose(l, x)) != NULL && (rc = delta_file(l, x, base, e)) != 1)
		return rc;
	return whole_file(l, x, e);
}

struct lists *
lists_new(struct ingest *g, struct err *e)
{
	struct lists *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)err_errno(e, "%s", g->name);
		return NULL;
	}
	l->g = g;
	if ((l->vault = container_vault(g->v->path, g->st.machine_id, e)) == NULL ||
	    (l->disk = container_disk(g->diskfd, g->path, g->dir.label.short_name, e)) == NULL) {
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
	container_free(l->disk);
	free(l->kin);
	free(l);
}
