#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/pack/listing_read.h"
#include "formats/fmt_pack.h"

/* A place in a listing: an entry, or (empty name) the beginning of a directory. */
struct place {
	struct fmt_view path, name;
};

/* A node on the way down to the leaf. */
struct node {
	uint8_t id[DIGEST_LEN];
	uint8_t *bytes;		/* NULL: none read */
	size_t len;
	struct rd rows;		/* those not yet gone down */
	uint32_t left;		/* how many */
};

struct listing_reader {
	uint8_t top[DIGEST_LEN];
	unsigned levels;
	chunk_get_fn get;
	void *arg;
	chunk_seen_fn seen;
	void *seen_arg;
	struct node node[LISTING_LEVELS_MAX + 1];	/* by level; [0] unused */
	int begun;		/* the way down has been taken */

	uint8_t *leaf;		/* LISTING_CHUNK_MAX */
	struct rd items;
	uint32_t left;		/* items of the leaf not yet given */
	uint32_t given;		/* items of the leaf given */
	uint64_t entries, entries_want;	/* of the leaf: given; as its row says (UINT64_MAX: no row) */
	int goes_on;		/* it begins within a directory, its row says */
	int sought;		/* since the way down was taken by seek, or a part was lost, no directory was given yet */

	uint8_t *path;		/* of the block that is open */
	uint32_t path_len;	/* 0: none yet */
	uint8_t name[NAME_LEN_MAX];	/* its last entry */
	uint32_t name_len;

	int kept;		/* what seek found, for the next call: 1, 2 or 0 */
	struct entry kept_entry;
};

static int
damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_DAMAGE, "listing: %s", what);
}

/* What ${st} says of a chunk of a listing, as an error. */
static int
refused(struct err *e, const char *what, enum fmt_status st)
{
	return err_set(e, st == FMT_VERSION ? ERR_VERSION : ERR_DAMAGE, "listing: %s: %s", what, fmt_status_text(st));
}

static int
place_order(const struct place *a, const struct place *b)
{
	int c = path_order(a->path, b->path);

	return c != 0 ? c : name_order(a->name, b->name);
}

struct listing_reader *
listing_reader_new(const uint8_t top[DIGEST_LEN], uint8_t levels, chunk_get_fn get, void *arg,
    chunk_seen_fn seen, void *seen_arg)
{
	struct listing_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->leaf = malloc(LISTING_CHUNK_MAX);
	r->path = malloc(PATH_LEN_MAX);
	if (r->leaf == NULL || r->path == NULL) {
		listing_reader_free(r);
		return NULL;
	}
	memcpy(r->top, top, DIGEST_LEN);
	r->levels = levels;
	r->get = get;
	r->arg = arg;
	r->seen = seen;
	r->seen_arg = seen_arg;
	return r;
}

void
listing_reader_free(struct listing_reader *r)
{
	if (r == NULL)
		return;
	for (unsigned n = 0; n <= LISTING_LEVELS_MAX; n++)
		free(r->node[n].bytes);
	free(r->leaf);
	free(r->path);
	free(r);
}

/* Fetch a chunk of the listing and tell of it. */
static int
chunk_fetch(struct listing_reader *r, const uint8_t id[DIGEST_LEN], unsigned kind, const uint8_t **p, size_t *len,
    struct err *e)
{
	if (r->get(r->arg, id, kind, p, len, e) != 0)
		return err_during(e, "listing");
	if (*len > LISTING_CHUNK_MAX)
		return damaged(e, "a chunk of it is too long");
	return r->seen != NULL ? r->seen(r->seen_arg, id, kind, e) : 0;
}

/* Check all rows of a node: form, rising first keys, the first as ${want} says, entries as its own row says. */
static int
node_check(const struct node *n, const struct index_row *want, struct err *e)
{
	struct rd rows = n->rows;
	struct index_row row;
	struct place last = { 0 }, at;
	uint64_t sum = 0;
	enum fmt_status st;

	for (uint32_t i = 0; i < n->left; i++, last = at) {
		if ((st = index_row_next(&rows, &row)) != FMT_OK)
			return refused(e, "an index node", st);
		at = (struct place){ .path = row.path, .name = row.name };
		if (i > 0 && place_order(&last, &at) >= 0)
			return damaged(e, "an index node is not in order");
		if (i == 0 && want != NULL && (path_order(row.path, want->path) != 0 || name_order(row.name, want->name) != 0))
			return damaged(e, "an index node does not begin where the one above says");
		if (row.entries > UINT64_MAX - 1 - sum)
			return damaged(e, "an index node counts too many entries");
		sum += row.entries;
	}
	if (rows.left != 0)
		return refused(e, "an index node", FMT_TRAILING);
	if (want != NULL && sum != want->entries)
		return damaged(e, "an index node has not the entries that the one above says");
	return 0;
}

/* What is being read is lost; the next call goes on behind it. */
static int
lost(struct listing_reader *r)
{
	r->left = 0;
	r->items.left = 0;
	r->entries_want = UINT64_MAX;
	r->sought = 1;
	return -1;
}

/* Fetch node ${id} and check it. */
static int
node_fetch(struct listing_reader *r, unsigned level, const uint8_t id[DIGEST_LEN], const struct index_row *want,
    struct err *e)
{
	struct node *n = &r->node[level];
	const uint8_t *p;
	uint8_t *bytes;
	size_t len;
	unsigned said;
	enum fmt_status st;

	if (n->bytes == NULL || memcmp(n->id, id, DIGEST_LEN) != 0) {
		if (chunk_fetch(r, id, KIND_INDEX, &p, &len, e) != 0)
			return -1;
		if ((bytes = malloc(len > 0 ? len : 1)) == NULL)
			return err_set(e, ERR_MEMORY, "listing: no memory for an index node");
		memcpy(bytes, p, len);
		free(n->bytes);
		n->bytes = bytes;
		n->len = len;
		memcpy(n->id, id, DIGEST_LEN);
	}
	if ((st = node_decode(n->bytes, n->len, &n->rows, &said, &n->left)) != FMT_OK)
		return refused(e, "an index node", st);
	if (said != level)
		return damaged(e, "an index node stands on the wrong level");
	return node_check(n, want, e);
}

static int
leaf_read(struct listing_reader *r, const uint8_t id[DIGEST_LEN], const struct index_row *want, struct err *e)
{
	const uint8_t *p;
	size_t len;
	enum fmt_status st;
	struct rd peek;
	struct item it;

	if (chunk_fetch(r, id, KIND_LISTING, &p, &len, e) != 0)
		return -1;
	memcpy(r->leaf, p, len);
	if ((st = leaf_decode(r->leaf, len, &r->items, &r->left)) != FMT_OK)
		return refused(e, "a leaf", st);
	if (r->left == 0 && (want != NULL || r->items.left != 0))
		return damaged(e, "a leaf is empty");
	r->given = 0;
	r->entries = 0;
	r->entries_want = want != NULL ? want->entries : UINT64_MAX;
	r->goes_on = want != NULL && want->name.len > 0;
	if (want == NULL)
		return 0;
	/* Its first directory, and where it goes on in one its first name, as the row says. */
	peek = r->items;
	if ((st = item_next(&peek, &it)) != FMT_OK)
		return refused(e, "a leaf", st);
	if (path_order(it.path, want->path) != 0)
		return damaged(e, "a leaf does not begin where its index says");
	if (want->name.len == 0)
		return 0;
	if (r->left < 2 || (st = item_next(&peek, &it)) != FMT_OK || it.tag != ITEM_ENTRY ||
	    name_order(it.entry.name, want->name) != 0)
		return damaged(e, "a leaf does not begin where its index says");
	return 0;
}

/* Read node ${id} of ${level}; ${want} is its row above (NULL: the top). */
static int
node_read(struct listing_reader *r, unsigned level, const uint8_t id[DIGEST_LEN], const struct index_row *want,
    struct err *e)
{
	if (node_fetch(r, level, id, want, e) == 0)
		return 0;
	r->node[level].left = 0;
	return -1;
}

/* Go down from the next row of the node at ${level} to a leaf; ${to}: by the last rows not above it (NULL: by the first). */
static int
descend(struct listing_reader *r, unsigned level, const struct place *to, struct err *e)
{
	struct index_row row;

	for (; level > 0; level--) {
		struct node *n = &r->node[level];

		(void)index_row_next(&n->rows, &row);	/* checked when the node was read */
		n->left--;
		while (to != NULL && n->left > 0) {
			struct rd ahead = n->rows;
			struct index_row next;
			struct place at;

			(void)index_row_next(&ahead, &next);
			at = (struct place){ .path = next.path, .name = next.name };
			if (place_order(&at, to) > 0)
				break;
			row = next;
			n->rows = ahead;
			n->left--;
		}
		if (level == 1)
			return leaf_read(r, row.child, &row, e);
		if (node_read(r, level - 1, row.child, &row, e) != 0)
			return -1;
	}
	return 0;
}

/* The way down from the top. */
static int
begin(struct listing_reader *r, const struct place *to, struct err *e)
{
	if (r->levels > LISTING_LEVELS_MAX)
		return damaged(e, "too many levels");
	r->begun = 1;
	for (unsigned level = 0; level <= LISTING_LEVELS_MAX; level++)
		r->node[level].left = 0;
	r->left = 0;
	r->sought = to != NULL;
	r->path_len = 0;
	r->name_len = 0;
	if (r->levels == 0)
		return leaf_read(r, r->top, NULL, e);
	if (node_read(r, r->levels, r->top, NULL, e) != 0)
		return -1;
	return descend(r, r->levels, to, e);
}

/* The leaf after this one: 1, 0 (that was the last), -1. */
static int
leaf_next(struct listing_reader *r, struct err *e)
{
	size_t trailing = r->items.left;
	int wrong = r->entries_want != UINT64_MAX && r->entries != r->entries_want;

	r->items.left = 0;
	r->entries_want = UINT64_MAX;
	if (trailing != 0)
		return refused(e, "a leaf", FMT_TRAILING);
	if (wrong)
		return damaged(e, "a leaf has not the entries that its index says");
	for (unsigned level = 1; level <= r->levels; level++)
		if (r->node[level].left > 0)
			return descend(r, level, NULL, e) == 0 ? 1 : -1;
	return 0;
}

/* A directory's item: 2 (a new block), 1 (the open one goes on), -1. */
static int
dir_take(struct listing_reader *r, struct fmt_view path, struct err *e)
{
	int c = r->path_len > 0 ? path_order(view_of(r->path, r->path_len), path) : -1;

	if (r->given == 1 && r->goes_on && c == 0)
		return 1;
	if (r->given == 1 && r->goes_on && !r->sought)
		return damaged(e, "a leaf goes on in another directory than the one before it");
	if (c >= 0)
		return damaged(e, "directories are not in order");
	r->sought = 0;
	memcpy(r->path, path.p, path.len);
	r->path_len = path.len;
	r->name_len = 0;
	return 2;
}

static int
entry_take(struct listing_reader *r, const struct entry *en, struct err *e)
{
	r->entries++;
	if (r->name_len > 0 && name_order(view_of(r->name, r->name_len), en->name) >= 0)
		return damaged(e, "entries are not in order");
	memcpy(r->name, en->name.p, en->name.len);
	r->name_len = en->name.len;
	return 1;
}

/* The next entry (1) or new block (2), 0 at the end, -1. */
static int
item_step(struct listing_reader *r, struct entry *en, struct err *e)
{
	struct item it;
	enum fmt_status st;
	int rc;

	if (!r->begun && begin(r, NULL, e) != 0)
		return -1;
	for (;;) {
		while (r->left == 0)
			if ((rc = leaf_next(r, e)) != 1)
				return rc;
		if ((st = item_next(&r->items, &it)) != FMT_OK)
			return refused(e, "a leaf", st);
		r->left--;
		r->given++;
		if (it.tag == ITEM_ENTRY) {
			*en = it.entry;
			return entry_take(r, &it.entry, e);
		}
		if ((rc = dir_take(r, it.path, e)) != 1)
			return rc;
	}
}

static int
step(struct listing_reader *r, struct entry *en, struct err *e)
{
	int rc = item_step(r, en, e);

	return rc == -1 ? lost(r) : rc;
}

int
listing_reader_next(struct listing_reader *r, struct fmt_view *dir, struct entry *en, struct err *e)
{
	int rc = r->kept;

	if (rc > 0)
		*en = r->kept_entry;
	else
		rc = step(r, en, e);
	r->kept = 0;
	*dir = view_of(r->path, r->path_len);
	return rc;
}

/*
 * Go to the first item that is not before ${to}; it is kept for the next call.
 * 1 found exactly, 0 not, -1.
 */
static int
seek(struct listing_reader *r, const struct place *to, struct err *e)
{
	struct place at;
	int c;

	r->kept = 0;
	if (begin(r, to, e) != 0)
		return -1;
	for (;;) {
		int rc = step(r, &r->kept_entry, e);

		if (rc <= 0)
			return rc;
		at.path = view_of(r->path, r->path_len);
		at.name = rc == 1 ? r->kept_entry.name : (struct fmt_view){ .p = NULL, .len = 0 };
		if ((c = place_order(&at, to)) >= 0) {
			r->kept = rc;
			return c == 0;
		}
	}
}

int
listing_reader_seek(struct listing_reader *r, struct fmt_view path, struct err *e)
{
	struct place to = { .path = path };

	return seek(r, &to, e) < 0 ? -1 : 0;
}

/* Copy ${en} into ${copy}, so that its views live there. */
static int
entry_copy(struct entry *en, uint8_t *copy, struct err *e)
{
	struct wr w = { .p = copy, .left = ENTRY_LEN_MAX + 16 };
	struct rd r = { .p = copy };
	struct item it;

	item_entry_put(&w, en);
	r.left = ENTRY_LEN_MAX + 16 - w.left;
	if (w.bad || item_next(&r, &it) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "listing: an entry cannot be copied");
	*en = it.entry;
	return 1;
}

int
listing_find(const uint8_t top[DIGEST_LEN], uint8_t levels, chunk_get_fn get, void *arg, struct fmt_view path,
    struct entry *en, uint8_t *copy, struct err *e)
{
	struct listing_reader *r;
	struct place to;
	uint32_t slash;
	int rc;

	if (!path_is_valid(path) || path.len == 1)
		return 0;
	for (slash = path.len - 1; path.p[slash] != '/'; slash--)
		;
	to.path = view_of(path.p, slash > 0 ? slash : 1);
	to.name = view_of(path.p + slash + 1, path.len - slash - 1);
	if ((r = listing_reader_new(top, levels, get, arg, NULL, NULL)) == NULL)
		return err_set(e, ERR_MEMORY, "listing: no memory to read it");
	rc = seek(r, &to, e);
	if (rc == 1) {
		*en = r->kept_entry;
		rc = entry_copy(en, copy, e);
	}
	listing_reader_free(r);
	return rc;
}
