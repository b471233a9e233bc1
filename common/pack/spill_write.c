#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/chunk/cutter.h"
#include "common/pack/listing_write.h"
#include "formats/fmt_pack.h"

#define ROW_BITS	10	/* one child in 1,024 ends a node: of 40 bytes each, about 40 KiB */

/* A node being filled; level 1 is at [1]. */
struct spill_level {
	uint8_t *bytes;		/* SPILL_CHUNK_MAX */
	uint32_t rows;
	uint64_t below;		/* bytes of the stream */
	uint64_t closed;	/* nodes of this level that were put */
};

struct spill_writer {
	struct cutter *cutter;
	size_t record;
	chunk_put_fn put;
	void *arg;
	uint8_t *bytes;		/* the stream from the last cut: LISTING_MAX and one record more */
	size_t used;
	uint64_t len;
	uint64_t closed;
	uint8_t last[DIGEST_LEN];
	struct spill_level level[SPILL_LEVELS_MAX + 1];
};

struct spill_writer *
spill_writer_new(const uint8_t key[32], size_t record, chunk_put_fn put, void *arg)
{
	struct spill_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->record = record;
	w->put = put;
	w->arg = arg;
	w->cutter = cutter_new(key, LISTING_AVG);
	w->bytes = malloc(SPILL_CHUNK_MAX);
	if (w->cutter == NULL || w->bytes == NULL) {
		spill_writer_free(w);
		return NULL;
	}
	return w;
}

void
spill_writer_free(struct spill_writer *w)
{
	if (w == NULL)
		return;
	for (unsigned n = 0; n <= SPILL_LEVELS_MAX; n++)
		free(w->level[n].bytes);
	if (w->cutter != NULL)
		cutter_free(w->cutter);
	free(w->bytes);
	free(w);
}

static int
node_close(struct spill_writer *w, unsigned n, uint8_t id[DIGEST_LEN], uint64_t *below, struct err *e)
{
	struct spill_level *l = &w->level[n];

	spill_node_head_encode(l->bytes, n, l->rows);
	if (w->put(w->arg, KIND_SPILL, l->bytes, NODE_HEAD_LEN + (size_t)l->rows * SPILL_ROW_LEN, id, e) != 0)
		return -1;
	*below = l->below;
	l->rows = 0;
	l->below = 0;
	l->closed++;
	return 0;
}

/* 1 if a node ends after its last child: an id is a keyed hash already. */
static int
node_cuts(const struct spill_level *l)
{
	size_t have = NODE_HEAD_LEN + (size_t)l->rows * SPILL_ROW_LEN;

	if (have < LISTING_MIN)
		return 0;
	return have + SPILL_ROW_LEN > SPILL_CHUNK_MAX ||
	    (le64_get(l->bytes + have - SPILL_ROW_LEN) & ((UINT64_C(1) << ROW_BITS) - 1)) == 0;
}

static int
row_add(struct spill_writer *w, unsigned n, const uint8_t id[DIGEST_LEN], uint64_t below, struct err *e)
{
	struct spill_level *l = &w->level[n];
	uint8_t up[DIGEST_LEN], *at;
	uint64_t up_below;

	if (n > SPILL_LEVELS_MAX)
		return err_set(e, ERR_INTERNAL, "spill tree: more than %u levels", SPILL_LEVELS_MAX);
	if (l->bytes == NULL && (l->bytes = malloc(SPILL_CHUNK_MAX)) == NULL)
		return err_set(e, ERR_MEMORY, "spill tree: no memory for level %u", n);
	if (node_cuts(l)) {	/* only now that there is a row to come after it */
		if (node_close(w, n, up, &up_below, e) != 0 || row_add(w, n + 1, up, up_below, e) != 0)
			return -1;
	}
	at = l->bytes + NODE_HEAD_LEN + (size_t)l->rows * SPILL_ROW_LEN;
	memcpy(at, id, DIGEST_LEN);
	le64_put(at + DIGEST_LEN, below);
	l->rows++;
	l->below += below;
	return 0;
}

/*
 * Put the first ${cut} bytes, made whole records, of what is held.  The row of
 * the piece before goes up only now: a stream of one piece has no node.
 */
static int
piece_put(struct spill_writer *w, size_t cut, struct err *e)
{
	const size_t most = SPILL_CHUNK_MAX - SPILL_CHUNK_MAX % w->record;
	uint8_t id[DIGEST_LEN];

	cut = (cut + w->record - 1) / w->record * w->record;
	if (cut > most)
		cut = most;
	if (cut > w->used)
		cut = w->used;
	if (w->put(w->arg, KIND_SPILL, w->bytes, cut, id, e) != 0)
		return -1;
	if (w->closed == 1 && row_add(w, 1, w->last, w->len, e) != 0)
		return -1;
	if (w->closed >= 1 && row_add(w, 1, id, cut, e) != 0)
		return -1;
	memcpy(w->last, id, DIGEST_LEN);
	w->closed++;
	w->len += cut;
	w->used -= cut;
	memmove(w->bytes, w->bytes + cut, w->used);
	return 0;
}

int
spill_writer_add(struct spill_writer *w, const uint8_t *in, size_t len, struct err *e)
{
	while (len > 0) {
		size_t n = SPILL_CHUNK_MAX - w->used;

		if (n > len)
			n = len;
		memcpy(w->bytes + w->used, in, n);
		w->used += n;
		in += n;
		len -= n;
		if (w->used == SPILL_CHUNK_MAX &&
		    piece_put(w, cutter_next(w->cutter, w->bytes, w->used, 0), e) != 0)
			return -1;
	}
	return 0;
}

int
spill_writer_finish(struct spill_writer *w, struct spill *out, struct err *e)
{
	uint8_t id[DIGEST_LEN];
	uint64_t below;
	unsigned n;

	while (w->used > 0)
		if (piece_put(w, cutter_next(w->cutter, w->bytes, w->used, 1), e) != 0)
			return -1;
	if (w->len == 0 || w->len % w->record != 0)
		return err_set(e, ERR_INTERNAL, "spill tree: %llu bytes are no whole records", (unsigned long long)w->len);
	memcpy(id, w->last, DIGEST_LEN);
	for (n = 0; w->closed > 1; ) {
		int only;

		n++;
		only = w->level[n].closed == 0;
		if (node_close(w, n, id, &below, e) != 0)
			return -1;
		if (only)
			break;
		if (row_add(w, n + 1, id, below, e) != 0)
			return -1;
	}
	out->levels = (uint8_t)n;
	out->len = w->len;
	memcpy(out->id, id, DIGEST_LEN);
	return 0;
}
