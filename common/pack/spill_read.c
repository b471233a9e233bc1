#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/pack/listing_read.h"
#include "formats/fmt_pack.h"

struct spill_node {
	uint8_t *bytes;		/* NULL: none read */
	struct rd rows;
	uint32_t left;
};

struct spill_reader {
	struct spill top;
	chunk_get_fn get;
	void *arg;
	chunk_seen_fn seen;
	void *seen_arg;
	struct spill_node node[SPILL_LEVELS_MAX + 1];	/* by level; [0] unused */
	uint8_t *piece;		/* SPILL_CHUNK_MAX */
	uint64_t given;
	int begun;
};

static int
damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_DAMAGE, "listing: long entry: %s", what);
}

struct spill_reader *
spill_reader_new(const struct spill *s, chunk_get_fn get, void *arg, chunk_seen_fn seen, void *seen_arg)
{
	struct spill_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if ((r->piece = malloc(SPILL_CHUNK_MAX)) == NULL) {
		free(r);
		return NULL;
	}
	r->top = *s;
	r->get = get;
	r->arg = arg;
	r->seen = seen;
	r->seen_arg = seen_arg;
	return r;
}

void
spill_reader_free(struct spill_reader *r)
{
	if (r == NULL)
		return;
	for (unsigned n = 0; n <= SPILL_LEVELS_MAX; n++)
		free(r->node[n].bytes);
	free(r->piece);
	free(r);
}

static int
fetch(struct spill_reader *r, const uint8_t id[DIGEST_LEN], const uint8_t **p, size_t *len, struct err *e)
{
	if (r->get(r->arg, id, KIND_SPILL, p, len, e) != 0)
		return err_during(e, "listing: long entry");
	return r->seen != NULL ? r->seen(r->seen_arg, id, KIND_SPILL, e) : 0;
}

static int
node_read(struct spill_reader *r, unsigned level, const uint8_t id[DIGEST_LEN], uint64_t below, struct err *e)
{
	struct spill_node *n = &r->node[level];
	uint64_t sum = 0, part;
	const uint8_t *p;
	size_t len;
	unsigned said;
	enum fmt_status st;

	if (fetch(r, id, &p, &len, e) != 0)
		return -1;
	if (len > LISTING_CHUNK_MAX)
		return damaged(e, "a node of it is too long");
	free(n->bytes);
	if ((n->bytes = malloc(len > 0 ? len : 1)) == NULL)
		return err_set(e, ERR_MEMORY, "listing: long entry: no memory for a node");
	memcpy(n->bytes, p, len);
	if ((st = spill_node_decode(n->bytes, len, &n->rows, &said, &n->left)) != FMT_OK)
		return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_DAMAGE, "listing: long entry: a node of it: %s",
		    fmt_status_text(st));
	if (said != level)
		return damaged(e, "a node of it stands on the wrong level");
	for (uint32_t i = 0; i < n->left; i++) {
		part = le64_get(n->rows.p + (size_t)i * SPILL_ROW_LEN + DIGEST_LEN);
		if (part == 0 || part > below - sum)
			return damaged(e, "its lengths contradict each other");
		sum += part;
	}
	return sum == below ? 0 : damaged(e, "its lengths contradict each other");
}

static int
piece_read(struct spill_reader *r, const uint8_t id[DIGEST_LEN], uint64_t below, const uint8_t **p, size_t *n,
    struct err *e)
{
	const uint8_t *in;
	size_t len;

	if (fetch(r, id, &in, &len, e) != 0)
		return -1;
	if (len == 0 || len != below || len > SPILL_CHUNK_MAX)
		return damaged(e, "a piece of it has the wrong length");
	memcpy(r->piece, in, len);
	r->given += len;
	*p = r->piece;
	*n = len;
	return 1;
}

/* Take the next row of the node at ${level} and go down to a piece. */
static int
descend(struct spill_reader *r, unsigned level, const uint8_t **p, size_t *n, struct err *e)
{
	for (;; level--) {
		struct spill_node *at = &r->node[level];
		const uint8_t *row = rd_bytes(&at->rows, SPILL_ROW_LEN);

		if (row == NULL)	/* the decoder counted them */
			return err_set(e, ERR_INTERNAL, "listing: long entry: a row is not there");
		at->left--;
		if (level == 1)
			return piece_read(r, row, le64_get(row + DIGEST_LEN), p, n, e);
		if (node_read(r, level - 1, row, le64_get(row + DIGEST_LEN), e) != 0)
			return -1;
	}
}

int
spill_reader_next(struct spill_reader *r, const uint8_t **p, size_t *n, struct err *e)
{
	if (!r->begun) {
		r->begun = 1;
		if (r->top.levels > SPILL_LEVELS_MAX || r->top.len > SPILL_LEN_MAX)
			return damaged(e, "too many levels or bytes");
		if (r->top.levels == 0)
			return piece_read(r, r->top.id, r->top.len, p, n, e);
		if (node_read(r, r->top.levels, r->top.id, r->top.len, e) != 0)
			return -1;
	}
	for (unsigned level = 1; level <= r->top.levels; level++)
		if (r->node[level].left > 0)
			return descend(r, level, p, n, e);
	return r->given == r->top.len ? 0 : damaged(e, "it is shorter than its entry says");
}

/* Call ${fn} for the extents in ${n} bytes; ${at} is where they begin in the file. */
static int
extents_give(const struct entry *en, const uint8_t *p, size_t n, uint64_t *at, extent_fn fn, void *arg, struct err *e)
{
	struct extent x;
	int rc;

	if (n % EXTENT_LEN != 0)
		return damaged(e, "an extent is cut in two");
	for (; n > 0; p += EXTENT_LEN, n -= EXTENT_LEN) {
		extent_get(p, &x);
		if (x.len == 0 || x.len > en->size - *at || (extent_is_hole(&x) ? x.offset != 0 :
		    x.offset > CHUNK_PLAIN_MAX || x.len > CHUNK_PLAIN_MAX - x.offset))
			return damaged(e, "an extent is impossible");
		if ((rc = fn(arg, *at, &x, e)) != 0)
			return rc;
		*at += x.len;
	}
	return 0;
}

int
extents_each(const struct entry *en, chunk_get_fn get, void *arg, chunk_seen_fn seen, void *seen_arg,
    extent_fn fn, void *fn_arg, struct err *e)
{
	struct spill_reader *r;
	const uint8_t *p;
	uint64_t at = 0;
	size_t n;
	int rc;

	if ((en->longs & LONG_EXTENTS) == 0) {
		rc = extents_give(en, en->extents.p, en->extents.len, &at, fn, fn_arg, e);
	} else {
		if ((r = spill_reader_new(&en->long_extents, get, arg, seen, seen_arg)) == NULL)
			return err_set(e, ERR_MEMORY, "listing: long entry: no memory to read it");
		while ((rc = spill_reader_next(r, &p, &n, e)) == 1)
			if ((rc = extents_give(en, p, n, &at, fn, fn_arg, e)) != 0)
				break;
		spill_reader_free(r);
	}
	if (rc != 0)
		return rc;
	return at == en->size ? 0 : damaged(e, "its extents do not make up its size");
}
