#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/refs_delta.h"
#include "common/flow/refs_read.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

enum side { SIDE_ADDED = 1, SIDE_REMOVED = 2 };

/* Two lists side by side. */
struct diff {
	struct refs_reader *old, *new;
	uint8_t old_id[DIGEST_LEN], new_id[DIGEST_LEN];
	int old_is, new_is;
};

static void
diff_close(struct diff *d)
{
	refs_reader_free(d->old);
	refs_reader_free(d->new);
	d->old = d->new = NULL;
}

static int
diff_open(struct diff *d, const struct refs_at *old, const struct refs_at *new, struct err *e)
{
	memset(d, 0, sizeof(*d));
	if ((d->old = refs_reader_new(old->c, &old->place, old->env, e)) == NULL ||
	    (d->new = refs_reader_new(new->c, &new->place, new->env, e)) == NULL ||
	    (d->old_is = refs_reader_next(d->old, d->old_id, e)) < 0 ||
	    (d->new_is = refs_reader_next(d->new, d->new_id, e)) < 0) {
		diff_close(d);
		return -1;
	}
	return 0;
}

/* The next id that stands in one of them only: 1 with its side, 0 at the end, -1. */
static int
diff_next(struct diff *d, uint8_t id[DIGEST_LEN], enum side *side, struct err *e)
{
	while (d->old_is || d->new_is) {
		int order = !d->old_is ? 1 : !d->new_is ? -1 : memcmp(d->old_id, d->new_id, DIGEST_LEN);

		*side = order < 0 ? SIDE_REMOVED : SIDE_ADDED;
		memcpy(id, order < 0 ? d->old_id : d->new_id, DIGEST_LEN);
		if (order <= 0 && (d->old_is = refs_reader_next(d->old, d->old_id, e)) < 0)
			return -1;
		if (order >= 0 && (d->new_is = refs_reader_next(d->new, d->new_id, e)) < 0)
			return -1;
		if (order != 0)
			return 1;
	}
	return 0;
}

/* How much there is on each side. */
static int
diff_count(const struct refs_at *old, const struct refs_at *new, uint64_t *added, uint64_t *removed, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	enum side side;
	struct diff d;
	int rc;

	*added = *removed = 0;
	if (diff_open(&d, old, new, e) != 0)
		return -1;
	while ((rc = diff_next(&d, id, &side, e)) == 1)
		++*(side == SIDE_ADDED ? added : removed);
	diff_close(&d);
	return rc;
}

/* The files' content, as it is asked for: a head, then ids added, then ids removed. */
struct content {
	const struct refs_at *old, *new;
	struct refs_head head;
	struct diff d;
	enum side side;		/* that is being written */
	uint64_t left;		/* ids of this part */
	int head_done;
};

/* The next id of the whole sequence. */
static int
content_id(struct content *c, uint8_t id[DIGEST_LEN], struct err *e)
{
	enum side side;
	int rc;

	for (;;) {
		if ((rc = diff_next(&c->d, id, &side, e)) < 0)
			return -1;
		if (rc == 1 && side == c->side)
			return 0;
		if (rc == 0 && c->side == SIDE_REMOVED)
			return err_set(e, ERR_DAMAGE, "a reference list changed while it was read");
		if (rc == 0) {
			c->side = SIDE_REMOVED;
			diff_close(&c->d);
			if (diff_open(&c->d, c->old, c->new, e) != 0)
				return -1;
		}
	}
}

static ssize_t
content_read(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct content *c = arg;
	size_t n = 0;

	if (!c->head_done) {
		refs_head_encode(&c->head, buf);
		c->head_done = 1;
		return REFS_HEAD_LEN;
	}
	for (; c->left > 0 && cap - n >= DIGEST_LEN; c->left--, n += DIGEST_LEN)
		if (content_id(c, buf + n, e) != 0)
			return -1;
	return (ssize_t)n;
}

static int
parts_put(struct store *s, struct content *c, struct err *e)
{
	const struct envelope *env = c->new->env;

	for (unsigned part = 0; part < c->head.parts; part++) {
		char name[VAULT_NAME_MAX];
		int rc;

		c->head.part = (uint16_t)part;
		c->head_done = 0;
		c->left = refs_part_ids(&c->head);
		vault_name_refs(name, env->machine_id, env->seq, REFS_DELTA, part);
		if ((rc = s->ops->put_new_from(s, name, content_read, c, e)) != 0)
			return rc < 0 ? -1 : err_set(e, ERR_BUSY, "%s is there already", name);
	}
	return 0;
}

int
refs_delta_put(struct store *s, const struct refs_at *fresh, const struct refs_at *base, uint64_t most, struct err *e)
{
	struct content c = { .old = base, .new = fresh, .side = SIDE_ADDED };
	uint64_t ids;
	struct err mine;
	int rc;

	err_clear(&mine);
	if (memcmp(fresh->env->domain_id, base->env->domain_id, DIGEST_LEN) != 0 ||
	    diff_count(base, fresh, &c.head.added, &c.head.removed, &mine) != 0)
		return 1;
	ids = c.head.added + c.head.removed;
	if (ids == 0 || ids > most || (ids + REFS_PART_IDS - 1) / REFS_PART_IDS > 100)
		return 1;
	c.head.kind = REFS_DELTA;
	c.head.parts = (uint16_t)((ids + REFS_PART_IDS - 1) / REFS_PART_IDS);
	memcpy(c.head.domain_id, fresh->env->domain_id, DIGEST_LEN);
	memcpy(c.head.digest, fresh->env->refs_digest, DIGEST_LEN);
	memcpy(c.head.base, base->env->refs_digest, DIGEST_LEN);
	c.head.count = fresh->env->refs_count;
	if (diff_open(&c.d, base, fresh, e) != 0)
		return -1;
	rc = parts_put(s, &c, e);
	diff_close(&c.d);
	return rc;
}

/* A whole list, as its parts are asked for. */
struct whole {
	struct refs_reader *r;
	struct refs_head head;
	uint64_t left;		/* ids of this part */
	int head_done;
};

static ssize_t
whole_read(void *arg, uint8_t *buf, size_t cap, struct err *e)
{
	struct whole *w = arg;
	size_t n = 0;

	if (!w->head_done) {
		refs_head_encode(&w->head, buf);
		w->head_done = 1;
		return REFS_HEAD_LEN;
	}
	for (; w->left > 0 && cap - n >= DIGEST_LEN; w->left--, n += DIGEST_LEN) {
		int rc = refs_reader_next(w->r, buf + n, e);

		if (rc <= 0)
			return rc < 0 ? -1 : err_set(e, ERR_DAMAGE, "a reference list is shorter than its envelope says");
	}
	return (ssize_t)n;
}

int
refs_whole_put(struct store *s, const struct refs_at *fresh, struct err *e)
{
	const struct envelope *env = fresh->env;
	uint64_t parts = env->refs_count == 0 ? 1 : (env->refs_count + REFS_PART_IDS - 1) / REFS_PART_IDS;
	struct whole w = { .head = { .kind = REFS_WHOLE, .parts = (uint16_t)parts, .count = env->refs_count,
		.added = env->refs_count } };
	uint8_t id[DIGEST_LEN];
	int rc = 0;

	if (parts > 100 || (w.r = refs_reader_new(fresh->c, &fresh->place, env, NULL)) == NULL)
		return 1;
	memcpy(w.head.domain_id, env->domain_id, DIGEST_LEN);
	memcpy(w.head.digest, env->refs_digest, DIGEST_LEN);
	for (unsigned part = 0; part < parts && rc == 0; part++) {
		char name[VAULT_NAME_MAX];

		w.head.part = (uint16_t)part;
		w.head_done = 0;
		w.left = refs_part_ids(&w.head);
		vault_name_refs(name, env->machine_id, env->seq, REFS_WHOLE, part);
		if ((rc = s->ops->put_new_from(s, name, whole_read, &w, e)) == 1)
			rc = err_set(e, ERR_BUSY, "%s is there already", name);
	}
	if (rc == 0)
		rc = refs_reader_next(w.r, id, e) != 0;	/* the end: order, count and digest */
	refs_reader_free(w.r);
	return rc;
}
