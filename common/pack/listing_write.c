#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/pack/listing_cut.h"
#include "common/pack/listing_write.h"
#include "formats/fmt_pack.h"

#define NAME_NONE	((struct fmt_view){ .p = NULL, .len = 0 })

/* A chunk being filled: a leaf (level 0) or an index node. */
struct level {
	uint8_t *bytes;		/* LISTING_CHUNK_MAX */
	size_t used;		/* head included; 0: nothing in it yet */
	uint32_t items;		/* items of a leaf, rows of a node */
	uint64_t entries;	/* below */
	uint8_t *first_path;	/* key of its first item */
	uint32_t first_path_len;
	uint8_t first_name[NAME_LEN_MAX];
	uint32_t first_name_len;
	uint64_t closed;	/* chunks of this level that were put */
};

struct listing_writer {
	uint8_t key[KEY_LEN];
	chunk_put_fn put;
	void *arg;
	struct level *level[LISTING_LEVELS_MAX + 1];
	uint8_t *path;		/* of the directory whose block is open */
	uint32_t path_len;
	uint8_t place[DIGEST_LEN];
	uint8_t name[NAME_LEN_MAX];
	uint32_t name_len;	/* 0: no entry of it yet */
	uint64_t entries;
};

static void
level_free(struct level *l)
{
	if (l == NULL)
		return;
	free(l->bytes);
	free(l->first_path);
	free(l);
}

static struct level *
level_new(void)
{
	struct level *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->bytes = malloc(LISTING_CHUNK_MAX);
	l->first_path = malloc(PATH_LEN_MAX);
	if (l->bytes == NULL || l->first_path == NULL) {
		level_free(l);
		return NULL;
	}
	return l;
}

struct listing_writer *
listing_writer_new(const uint8_t key[32], chunk_put_fn put, void *arg)
{
	struct listing_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->path = malloc(PATH_LEN_MAX);
	w->level[0] = level_new();
	if (w->path == NULL || w->level[0] == NULL) {
		listing_writer_free(w);
		return NULL;
	}
	memcpy(w->key, key, KEY_LEN);
	w->put = put;
	w->arg = arg;
	return w;
}

void
listing_writer_free(struct listing_writer *w)
{
	if (w == NULL)
		return;
	for (unsigned i = 0; i <= LISTING_LEVELS_MAX; i++)
		level_free(w->level[i]);
	free(w->path);
	free(w);
}

static void
level_begin(struct level *l, struct fmt_view path, struct fmt_view name)
{
	l->used = LEAF_HEAD_LEN;	/* the same for leaves and nodes */
	l->items = 0;
	l->entries = 0;
	if (path.len > 0)
		memcpy(l->first_path, path.p, path.len);
	l->first_path_len = path.len;
	if (name.len > 0)
		memcpy(l->first_name, name.p, name.len);
	l->first_name_len = name.len;
}

static struct wr
level_room(const struct level *l)
{
	return (struct wr){ .p = l->bytes + l->used, .left = LISTING_CHUNK_MAX - l->used };
}

/* What ${wr} has written belongs to ${l} now. */
static int
level_took(struct level *l, const struct wr *wr, uint64_t entries, struct err *e)
{
	if (wr->bad)
		return err_set(e, ERR_INTERNAL, "listing: an item cannot be written down");
	l->used = LISTING_CHUNK_MAX - wr->left;
	l->items++;
	l->entries += entries;
	return 0;
}

/* Put the chunk of level ${n}; ${row} (which borrows its first key) points at it. */
static int
level_close(struct listing_writer *w, unsigned n, struct index_row *row, struct err *e)
{
	struct level *l = w->level[n];

	if (n == 0)
		leaf_head_encode(l->bytes, l->items);
	else
		node_head_encode(l->bytes, n, l->items);
	if (w->put(w->arg, n == 0 ? KIND_LISTING : KIND_INDEX, l->bytes, l->used, row->child, e) != 0)
		return -1;
	row->entries = l->entries;
	row->path = view_of(l->first_path, l->first_path_len);
	row->name = view_of(l->first_name, l->first_name_len);
	l->used = 0;
	l->closed++;
	return 0;
}

/* Add ${row} to the node of level ${n}, closing that one first where it is cut. */
static int
row_add(struct listing_writer *w, unsigned n, const struct index_row *row, struct err *e)
{
	size_t len = DIGEST_LEN + 8 + 2 + row->path.len + 1 + row->name.len;
	uint8_t place[DIGEST_LEN];
	struct index_row up;
	struct level *l;
	struct wr wr;

	if (n > LISTING_LEVELS_MAX)
		return err_set(e, ERR_INTERNAL, "listing: more than %u levels", LISTING_LEVELS_MAX);
	if (w->level[n] == NULL && (w->level[n] = level_new()) == NULL)
		return err_set(e, ERR_MEMORY, "listing: no memory for level %u", n);
	l = w->level[n];
	listing_place(w->key, row->path, place);
	/* A node has two rows at least, so that levels become fewer upwards however long the names are. */
	if (l->used != 0 && l->items >= 2 && listing_cuts(w->key, n, place, row->name, l->used, len)) {
		if (level_close(w, n, &up, e) != 0 || row_add(w, n + 1, &up, e) != 0)
			return -1;
	}
	if (l->used == 0)
		level_begin(l, row->path, row->name);
	wr = level_room(l);
	index_row_put(&wr, row);
	return level_took(l, &wr, row->entries, e);
}

/* Make room for an item of the open directory: where a leaf ends here, put it. */
static int
leaf_cut(struct listing_writer *w, struct fmt_view name, size_t len, struct err *e)
{
	struct level *l = w->level[0];
	struct index_row row;

	if (l->used == 0 || !listing_cuts(w->key, 0, w->place, name, l->used, len))
		return 0;
	if (level_close(w, 0, &row, e) != 0)
		return -1;
	return row_add(w, 1, &row, e);
}

int
listing_writer_dir(struct listing_writer *w, struct fmt_view path, struct err *e)
{
	struct level *l = w->level[0];
	struct wr wr;

	if (!path_is_valid(path))
		return err_set(e, ERR_INTERNAL, "listing: not the name of a directory");
	if (w->path_len > 0 && path_order(view_of(w->path, w->path_len), path) >= 0)
		return err_set(e, ERR_INTERNAL, "listing: directories out of order");
	memcpy(w->path, path.p, path.len);
	w->path_len = path.len;
	w->name_len = 0;
	listing_place(w->key, path, w->place);
	if (leaf_cut(w, NAME_NONE, 3 + (size_t)path.len, e) != 0)
		return -1;
	if (l->used == 0)
		level_begin(l, path, NAME_NONE);
	wr = level_room(l);
	item_dir_put(&wr, path);
	return level_took(l, &wr, 0, e);
}

/* A leaf that goes on within a directory begins with it. */
static int
leaf_begin(struct listing_writer *w, struct fmt_view name, struct err *e)
{
	struct fmt_view path = view_of(w->path, w->path_len);
	struct level *l = w->level[0];
	struct wr wr;

	level_begin(l, path, name);
	wr = level_room(l);
	item_dir_put(&wr, path);
	return level_took(l, &wr, 0, e);
}

int
listing_writer_entry(struct listing_writer *w, const struct entry *en, struct err *e)
{
	struct level *l = w->level[0];
	size_t len = item_entry_size(en);
	struct wr wr;

	if (w->path_len == 0 || !name_is_valid(en->name))
		return err_set(e, ERR_INTERNAL, "listing: an entry without directory or name");
	if (w->name_len > 0 && name_order(view_of(w->name, w->name_len), en->name) >= 0)
		return err_set(e, ERR_INTERNAL, "listing: entries out of order");
	if (len > ENTRY_LEN_MAX)
		return err_set(e, ERR_INTERNAL, "listing: an entry of %zu bytes", len);
	if (leaf_cut(w, en->name, len, e) != 0)
		return -1;
	if (l->used == 0 && leaf_begin(w, en->name, e) != 0)
		return -1;
	wr = level_room(l);
	item_entry_put(&wr, en);
	if (level_took(l, &wr, 1, e) != 0)
		return -1;
	memcpy(w->name, en->name.p, en->name.len);
	w->name_len = en->name.len;
	w->entries++;
	return 0;
}

int
listing_writer_finish(struct listing_writer *w, uint8_t top[DIGEST_LEN], uint8_t *levels, uint64_t *entries, struct err *e)
{
	struct index_row row;

	if (w->level[0]->used == 0)	/* nothing at all: one leaf without items */
		level_begin(w->level[0], NAME_NONE, NAME_NONE);
	for (unsigned n = 0; n <= LISTING_LEVELS_MAX; n++) {
		int only = w->level[n]->closed == 0;

		if (level_close(w, n, &row, e) != 0)
			return -1;
		if (only) {
			memcpy(top, row.child, DIGEST_LEN);
			*levels = (uint8_t)n;
			*entries = w->entries;
			return 0;
		}
		if (row_add(w, n + 1, &row, e) != 0)
			return -1;
	}
	return err_set(e, ERR_INTERNAL, "listing: more than %u levels", LISTING_LEVELS_MAX);
}
