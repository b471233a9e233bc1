#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/refs_read.h"
#include "common/pack/refs.h"

#define READ_IDS	8192u

struct refs_reader {
	struct container *c;
	struct snap_place place;
	struct envelope env;
	struct refs_digest *all, *others;	/* with and without the root */
	uint64_t count;
	int root_seen;
	unsigned parts, part;	/* the one being read */
	uint64_t off;		/* in its file */
	uint64_t left;		/* ids of it */
	uint8_t *buf;
	size_t used, taken;	/* bytes */
	int ended;
};

static int
damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_DAMAGE, "reference list: %s", what);
}

/* Read and check the head of the current part. */
static int
part_begin(struct refs_reader *r, struct err *e)
{
	uint8_t head[REFS_HEAD_LEN];
	struct refs_head h;
	enum fmt_status st;
	size_t got;

	if (r->c->ops->refs(r->c, &r->place, REFS_WHOLE, r->part, 0, head, sizeof(head), &got, e) != 0)
		return -1;
	if ((st = refs_head_decode(&h, head, got)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_DAMAGE, "reference list: %s", fmt_status_text(st));
	if (h.kind != REFS_WHOLE || h.part != r->part || (r->part > 0 && h.parts != r->parts) ||
	    memcmp(h.domain_id, r->env.domain_id, DIGEST_LEN) != 0 ||
	    memcmp(h.digest, r->env.refs_digest, DIGEST_LEN) != 0 || h.count != r->env.refs_count)
		return damaged(e, "it is not the one that the envelope names");
	r->parts = h.parts;
	r->left = refs_part_ids(&h);
	r->off = REFS_HEAD_LEN;
	return 0;
}

struct refs_reader *
refs_reader_new(struct container *c, const struct snap_place *p, const struct envelope *env, struct err *e)
{
	struct refs_reader *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->buf = malloc((size_t)READ_IDS * DIGEST_LEN)) == NULL ||
	    (r->all = refs_digest_new(env->domain_id)) == NULL || (r->others = refs_digest_new(env->domain_id)) == NULL) {
		(void)err_set(e, ERR_MEMORY, "no memory to read a reference list");
		goto fail;
	}
	r->c = c;
	r->place = *p;
	r->env = *env;
	if (part_begin(r, e) != 0)
		goto fail;
	return r;
fail:
	refs_reader_free(r);
	return NULL;
}

void
refs_reader_free(struct refs_reader *r)
{
	if (r == NULL)
		return;
	if (r->all != NULL)
		refs_digest_free(r->all);
	if (r->others != NULL)
		refs_digest_free(r->others);
	free(r->buf);
	free(r);
}

/* More ids into the buffer: 1, 0 after the last part, -1. */
static int
fill(struct refs_reader *r, struct err *e)
{
	size_t want, got;

	while (r->left == 0) {
		if (r->part + 1 >= r->parts)
			return 0;
		r->part++;
		if (part_begin(r, e) != 0)
			return -1;
	}
	want = (size_t)(r->left < READ_IDS ? r->left : READ_IDS) * DIGEST_LEN;
	if (r->c->ops->refs(r->c, &r->place, REFS_WHOLE, r->part, r->off, r->buf, want, &got, e) != 0)
		return -1;
	if (got != want)
		return damaged(e, "it is cut short");
	r->off += got;
	r->left -= got / DIGEST_LEN;
	r->used = got;
	r->taken = 0;
	return 1;
}

/* The end: count and digest. */
static int
finish(struct refs_reader *r, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	uint64_t n;

	if (!r->ended) {
		refs_digest_final(r->all, digest, &n);
		if (n != r->env.refs_count || memcmp(digest, r->env.refs_digest, DIGEST_LEN) != 0)
			return damaged(e, "its digest is not the one in the envelope");
		r->ended = 1;
	}
	return 0;
}

int
refs_reader_next(struct refs_reader *r, uint8_t id[DIGEST_LEN], struct err *e)
{
	int rc;

	if (r->taken == r->used) {
		if ((rc = fill(r, e)) < 0)
			return -1;
		if (rc == 0)
			return finish(r, e);
	}
	memcpy(id, r->buf + r->taken, DIGEST_LEN);
	r->taken += DIGEST_LEN;
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
