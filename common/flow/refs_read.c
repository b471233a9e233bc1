#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/refs_parts.h"
#include "common/flow/refs_read.h"
#include "common/pack/refs.h"

/* The next id of a stream, looked at before it is taken. */
struct ahead {
	uint8_t id[DIGEST_LEN];
	int is;			/* 1: there is one, 0: the stream has ended */
};

struct refs_reader {
	struct envelope env;
	struct refs_digest *all, *others;	/* with and without the root; NULL in a list that another builds on */
	struct refs_parts added, removed;	/* of a whole list: all, none */
	struct refs_reader *base;		/* NULL: it is whole */
	struct ahead next_added, next_removed, next_base;
	int root_seen, ended;
};

static int
damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_DAMAGE, "reference list: %s", what);
}

static int
head_check(const struct refs_head *h, const struct envelope *env, struct err *e)
{
	if (memcmp(h->domain_id, env->domain_id, DIGEST_LEN) != 0 ||
	    memcmp(h->digest, env->refs_digest, DIGEST_LEN) != 0 || h->count != env->refs_count)
		return damaged(e, "it is not the one that the envelope names");
	return 0;
}

/* All snapshots of a machine in a container: where each lies, and the digest of its list. */
struct known {
	struct snap_place place;
	struct envelope env;
};
struct family {
	const uint8_t *machine;
	struct known *k;
	size_t n, cap;
};

static int
family_add(void *arg, const struct snap_place *p, const uint8_t *bytes, size_t len, struct err *e)
{
	struct family *f = arg;
	struct known x = { .place = *p };

	/* Whoever it is by: what counts is the digest of the list that comes out in the end. */
	if (schema_decode(&envelope_schema, &x.env, bytes, len) != FMT_OK ||
	    memcmp(x.env.machine_id, f->machine, ID_LEN) != 0)
		return 0;
	if (f->n == f->cap) {
		size_t cap = f->cap == 0 ? 64 : f->cap * 2;
		struct known *more = realloc(f->k, cap * sizeof(*more));

		if (more == NULL)
			return err_set(e, ERR_MEMORY, "no memory to read a reference list");
		f->k = more;
		f->cap = cap;
	}
	f->k[f->n++] = x;
	return 0;
}

static void
family_ignore(void *arg, const char *where, const struct err *why)
{
	(void)arg;
	(void)where;
	(void)why;
}

static const struct known *
family_find(const struct family *f, const uint8_t digest[DIGEST_LEN])
{
	for (size_t i = 0; i < f->n; i++)
		if (memcmp(f->k[i].env.refs_digest, digest, DIGEST_LEN) == 0)
			return &f->k[i];
	return NULL;
}

/* Take the next id of each stream into view. */
static int
look_ahead(struct refs_reader *r, struct err *e)
{
	if ((r->next_added.is = refs_parts_next(&r->added, r->next_added.id, e)) < 0 || r->base == NULL)
		return r->next_added.is < 0 ? -1 : 0;
	if ((r->next_removed.is = refs_parts_next(&r->removed, r->next_removed.id, e)) < 0)
		return -1;
	r->next_base.is = refs_reader_next(r->base, r->next_base.id, e);
	return r->next_base.is < 0 ? -1 : 0;
}

static struct refs_reader *reader_make(struct container *c, const struct snap_place *p, const struct envelope *env,
    struct family *f, unsigned depth, struct err *e);

/* The list that a delta is against, with whatever that is against. */
static struct refs_reader *
base_make(struct container *c, const struct refs_head *h, const struct envelope *env, struct family *f, unsigned depth,
    struct err *e)
{
	const struct known *k;

	if (depth >= REFS_CHAIN_MAX) {
		(void)damaged(e, "the chain of lists that it builds on is too long");
		return NULL;
	}
	f->machine = env->machine_id;
	if (f->n == 0 && c->ops->snapshots(c, family_add, f, family_ignore, NULL, e) != 0)
		return NULL;
	if ((k = family_find(f, h->base)) == NULL) {
		(void)err_set(e, ERR_MISSING, "reference list: the list that it builds on is not there");
		return NULL;
	}
	return reader_make(c, &k->place, &k->env, f, depth + 1, e);
}

static int
reader_start(struct refs_reader *r, struct container *c, const struct snap_place *p, struct family *f, unsigned depth,
    struct err *e)
{
	const struct envelope *env = &r->env;
	struct refs_head h;
	struct err mine;

	err_clear(&mine);
	if (refs_parts_head(c, p, REFS_WHOLE, &h, &mine) == 0) {
		if (head_check(&h, env, e) != 0 || refs_parts_init(&r->added, c, p, &h, 0, h.count, e) != 0)
			return -1;
		return look_ahead(r, e);
	}
	if (mine.code != ERR_NOT_FOUND || refs_parts_head(c, p, REFS_DELTA, &h, NULL) != 0) {
		if (e != NULL)
			*e = mine;
		return -1;
	}
	if (head_check(&h, env, e) != 0 || refs_parts_init(&r->added, c, p, &h, 0, h.added, e) != 0 ||
	    refs_parts_init(&r->removed, c, p, &h, h.added, h.added + h.removed, e) != 0 ||
	    (r->base = base_make(c, &h, env, f, depth, e)) == NULL)
		return -1;
	return look_ahead(r, e);
}

static struct refs_reader *
reader_make(struct container *c, const struct snap_place *p, const struct envelope *env, struct family *f, unsigned depth,
    struct err *e)
{
	struct refs_reader *r = calloc(1, sizeof(*r));

	if (r == NULL || (depth == 0 && ((r->all = refs_digest_new(env->domain_id)) == NULL ||
	    (r->others = refs_digest_new(env->domain_id)) == NULL))) {
		(void)err_set(e, ERR_MEMORY, "no memory to read a reference list");
		goto fail;
	}
	r->env = *env;
	if (reader_start(r, c, p, f, depth, e) != 0)
		goto fail;
	return r;
fail:
	refs_reader_free(r);
	return NULL;
}

struct refs_reader *
refs_reader_new(struct container *c, const struct snap_place *p, const struct envelope *env, struct err *e)
{
	struct family f = { .machine = env->machine_id };
	struct refs_reader *r = reader_make(c, p, env, &f, 0, e);

	free(f.k);
	return r;
}

void
refs_reader_free(struct refs_reader *r)
{
	if (r == NULL)
		return;
	refs_reader_free(r->base);
	refs_parts_release(&r->added);
	refs_parts_release(&r->removed);
	if (r->all != NULL)
		refs_digest_free(r->all);
	if (r->others != NULL)
		refs_digest_free(r->others);
	free(r);
}

/* The end: count and digest. */
static int
finish(struct refs_reader *r, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	uint64_t n;

	if (!r->ended && r->all != NULL) {
		refs_digest_final(r->all, digest, &n);
		if (n != r->env.refs_count || memcmp(digest, r->env.refs_digest, DIGEST_LEN) != 0)
			return damaged(e, "its digest is not the one in the envelope");
	}
	r->ended = 1;
	return 0;
}

static int
take_added(struct refs_reader *r, uint8_t id[DIGEST_LEN], struct err *e)
{
	memcpy(id, r->next_added.id, DIGEST_LEN);
	r->next_added.is = refs_parts_next(&r->added, r->next_added.id, e);
	return r->next_added.is < 0 ? -1 : 1;
}

/* What the base has and the delta does not remove, with what it adds in between: 1, 0, -1. */
static int
merge(struct refs_reader *r, uint8_t id[DIGEST_LEN], struct err *e)
{
	int order;

	while (r->next_base.is && r->next_removed.is &&
	    (order = memcmp(r->next_removed.id, r->next_base.id, DIGEST_LEN)) <= 0) {
		if (order < 0)
			return damaged(e, "it removes an id that its base does not have");
		if ((r->next_removed.is = refs_parts_next(&r->removed, r->next_removed.id, e)) < 0 ||
		    (r->next_base.is = refs_reader_next(r->base, r->next_base.id, e)) < 0)
			return -1;
	}
	if (!r->next_base.is && r->next_removed.is)
		return damaged(e, "it removes an id that its base does not have");
	order = !r->next_base.is ? -1 : !r->next_added.is ? 1 : memcmp(r->next_added.id, r->next_base.id, DIGEST_LEN);
	if (order == 0)
		return damaged(e, "it adds an id that its base has");
	if (order < 0)
		return r->next_added.is ? take_added(r, id, e) : 0;
	memcpy(id, r->next_base.id, DIGEST_LEN);
	r->next_base.is = refs_reader_next(r->base, r->next_base.id, e);
	return r->next_base.is < 0 ? -1 : 1;
}

int
refs_reader_next(struct refs_reader *r, uint8_t id[DIGEST_LEN], struct err *e)
{
	int rc;

	if (r->base != NULL)
		rc = merge(r, id, e);
	else
		rc = r->next_added.is ? take_added(r, id, e) : 0;
	if (rc <= 0)
		return rc < 0 ? -1 : finish(r, e);
	if (r->all == NULL)
		return 1;
	if (refs_digest_add(r->all, id) != 0)
		return damaged(e, "its ids are not in order");
	if (memcmp(id, r->env.root_id, DIGEST_LEN) == 0)
		r->root_seen = 1;
	else if (refs_digest_add(r->others, id) != 0)
		return damaged(e, "its ids are not in order");
	return 1;
}

int
refs_reader_without_root(struct refs_reader *r, uint8_t digest[DIGEST_LEN])
{
	uint64_t n;

	refs_digest_final(r->others, digest, &n);
	return r->root_seen;
}
