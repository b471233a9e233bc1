#ifndef SAMARA_TESTS_PACK_TREE_H
#define SAMARA_TESTS_PACK_TREE_H

/* Random trees in listing order, the same for the same seed. */

#include <stdlib.h>
#include <string.h>

#include "common/pack/listing_write.h"

struct tree_item {
	int is_dir;		/* a block begins; else an entry of it */
	struct fmt_view path;
	struct entry entry;
};

struct tree {
	uint64_t seed;
	struct tree_item *item;
	size_t n, cap;
	void **held;		/* what the views point into */
	size_t nheld, heldcap;
};

static inline uint64_t
tree_random(struct tree *t)
{
	t->seed ^= t->seed << 13;
	t->seed ^= t->seed >> 7;
	t->seed ^= t->seed << 17;
	return t->seed;
}

static inline uint64_t
tree_below(struct tree *t, uint64_t n)
{
	return tree_random(t) % n;
}

static inline uint8_t *
tree_bytes(struct tree *t, size_t n)
{
	uint8_t *p = malloc(n + 1);

	assert_non_null(p);
	if (t->nheld == t->heldcap) {
		t->heldcap = t->heldcap * 2 + 64;
		t->held = realloc(t->held, t->heldcap * sizeof(*t->held));
		assert_non_null(t->held);
	}
	t->held[t->nheld++] = p;
	return p;
}

static inline struct tree_item *
tree_add(struct tree *t)
{
	if (t->n == t->cap) {
		t->cap = t->cap * 2 + 64;
		t->item = realloc(t->item, t->cap * sizeof(*t->item));
		assert_non_null(t->item);
	}
	memset(&t->item[t->n], 0, sizeof(t->item[t->n]));
	return &t->item[t->n++];
}

/* Extents that make up ${size}. */
static inline void
tree_extents(struct tree *t, struct entry *en, unsigned count)
{
	uint8_t *p = tree_bytes(t, (size_t)count * EXTENT_LEN);

	en->extents = view_of(p, (size_t)count * EXTENT_LEN);
	en->size = 0;
	for (unsigned i = 0; i < count; i++, p += EXTENT_LEN) {
		struct extent x = { .offset = (uint32_t)tree_below(t, 1000), .len = 1 + tree_below(t, 100000) };

		for (unsigned k = 0; k < DIGEST_LEN; k++)
			x.id[k] = (uint8_t)tree_random(t);
		if (tree_below(t, 10) == 0) {
			memset(x.id, 0, DIGEST_LEN);
			x.offset = 0;
		}
		extent_put(p, &x);
		en->size += x.len;
	}
}

static inline void
tree_xattrs(struct tree *t, struct entry *en, unsigned count, size_t value)
{
	size_t cap = (size_t)count * (1 + 8 + 4 + value);
	uint8_t *p = tree_bytes(t, cap), *v = tree_bytes(t, value);
	struct wr w = { .p = p, .left = cap };
	char name[16];

	for (unsigned i = 0; i < count; i++) {
		for (size_t k = 0; k < value; k++)
			v[k] = (uint8_t)tree_random(t);
		snprintf(name, sizeof(name), "u.%06u", i);
		xattr_put(&w, view_of(name, 8), view_of(v, value));
	}
	assert_false(w.bad);
	en->xattrs = view_of(p, cap - w.left);
}

static inline struct fmt_view
tree_name(struct tree *t, size_t len)
{
	uint8_t *p = tree_bytes(t, len);

	for (size_t i = 0; i < len; i++) {
		do
			p[i] = tree_below(t, 3) == 0 ? (uint8_t)tree_random(t) : (uint8_t)('a' + tree_below(t, 26));
		while (p[i] == 0 || p[i] == '/' || (i == 0 && p[i] == '.'));
	}
	return view_of(p, len);
}

static inline struct fmt_view
tree_join(struct tree *t, struct fmt_view path, struct fmt_view name)
{
	size_t base = path.len == 1 ? 0 : path.len;
	uint8_t *p = tree_bytes(t, base + 1 + name.len);

	memcpy(p, path.p, base);
	p[base] = '/';
	memcpy(p + base + 1, name.p, name.len);
	return view_of(p, base + 1 + name.len);
}

static inline int
tree_name_cmp(const void *a, const void *b)
{
	return name_order(*(const struct fmt_view *)a, *(const struct fmt_view *)b);
}

static inline void
tree_entry_fill(struct tree *t, struct entry *en, int may_be_dir)
{
	en->mode = (uint32_t)tree_below(t, 010000);
	en->uid = (uint32_t)tree_random(t);
	en->gid = (uint32_t)tree_random(t);
	en->mtime_s = (int64_t)tree_random(t);
	en->mtime_ns = (uint32_t)tree_below(t, 1000000000);
	en->ctime_s = (int64_t)tree_random(t);
	en->inode = tree_random(t);
	en->nlink = 1;
	en->user = view_of("user", 4);
	en->group = view_of("group", 5);
	en->type = ENTRY_FILE;
	if (may_be_dir && tree_below(t, 8) == 0) {
		en->type = ENTRY_DIR;
	} else if (tree_below(t, 16) == 0) {
		en->type = ENTRY_SYMLINK;
		en->target = tree_name(t, 1 + tree_below(t, 60));
	} else if (tree_below(t, 32) == 0) {
		en->type = ENTRY_FIFO;
	} else {
		tree_extents(t, en, (unsigned)tree_below(t, 4));
	}
	if (tree_below(t, 20) == 0)
		tree_xattrs(t, en, 1 + (unsigned)tree_below(t, 3), 1 + tree_below(t, 100));
}

/* The directory ${path}, with up to ${width} entries, and what is below it, until there are ${most} items. */
static inline void
tree_grow(struct tree *t, struct fmt_view path, unsigned width, unsigned depth, size_t most)
{
	size_t count = tree_below(t, width + 1), first, last;
	struct fmt_view *names = calloc(count + 1, sizeof(*names));

	assert_non_null(names);
	for (size_t i = 0; i < count; i++)
		names[i] = tree_name(t, 1 + tree_below(t, tree_below(t, 50) == 0 ? 255 : 20));
	qsort(names, count, sizeof(*names), tree_name_cmp);
	*tree_add(t) = (struct tree_item){ .is_dir = 1, .path = path };
	first = t->n;
	for (size_t i = 0; i < count; i++) {
		struct tree_item *it;

		if (i > 0 && name_order(names[i - 1], names[i]) == 0)
			continue;
		it = tree_add(t);
		it->path = path;
		tree_entry_fill(t, &it->entry, depth > 0);
		it->entry.name = names[i];
	}
	last = t->n;
	free(names);
	for (size_t i = first; i < last; i++) {
		if (t->item[i].entry.type != ENTRY_DIR)
			continue;
		if (t->n > most)
			break;
		tree_grow(t, tree_join(t, path, t->item[i].entry.name), width, depth - 1, most);
	}
}

/* A chain of directories down to a path of PATH_LEN_MAX bytes, ${each} entries in each. */
static inline void
tree_chain(struct tree *t, unsigned each)
{
	struct fmt_view path = view_of("/", 1), name;

	for (;;) {
		size_t used = path.len == 1 ? 0 : path.len;
		size_t left = PATH_LEN_MAX - used;
		struct tree_item *it;

		*tree_add(t) = (struct tree_item){ .is_dir = 1, .path = path };
		for (unsigned i = 0; i < each; i++) {
			uint8_t *p = tree_bytes(t, 4);

			snprintf((char *)p, 5, "%04u", i);
			it = tree_add(t);
			it->path = path;
			tree_entry_fill(t, &it->entry, 0);
			it->entry.name = view_of(p, 4);
		}
		if (left < 2)
			break;
		name = tree_name(t, left - 1 > 255 ? 255 : left - 1);
		((uint8_t *)(uintptr_t)name.p)[0] = 'z';
		it = tree_add(t);
		it->path = path;
		tree_entry_fill(t, &it->entry, 0);
		it->entry = (struct entry){ .type = ENTRY_DIR, .name = name };
		path = tree_join(t, path, name);
	}
}

static inline void
tree_write(const struct tree *t, size_t from, size_t to, struct listing_writer *w)
{
	struct err e;

	err_clear(&e);
	for (size_t i = from; i < to; i++) {
		if (t->item[i].is_dir)
			assert_int_equal(listing_writer_dir(w, t->item[i].path, &e), 0);
		else
			assert_int_equal(listing_writer_entry(w, &t->item[i].entry, &e), 0);
	}
}

static inline void
tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->nheld; i++)
		free(t->held[i]);
	free(t->held);
	free(t->item);
	memset(t, 0, sizeof(*t));
}

#endif
