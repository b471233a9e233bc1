#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/pack/listing_read.h"
#include "common/pack/listing_write.h"
#include "formats/fmt_pack.h"
#include "pack/shelf.h"
#include "pack/tree.h"

static const uint8_t key[KEY_LEN] = { 7 };

struct made {
	struct shelf shelf;
	uint8_t top[DIGEST_LEN];
	uint8_t levels;
	uint64_t entries;
};

static void
make(const struct tree *t, struct made *m)
{
	struct listing_writer *w;
	struct err e;

	err_clear(&e);
	memset(m, 0, sizeof(*m));
	assert_non_null(w = listing_writer_new(key, shelf_put, &m->shelf));
	tree_write(t, 0, t->n, w);
	assert_int_equal(listing_writer_finish(w, m->top, &m->levels, &m->entries, &e), 0);
	listing_writer_free(w);
}

static void
views_equal(struct fmt_view a, struct fmt_view b)
{
	assert_int_equal(a.len, b.len);
	if (a.len > 0)
		assert_memory_equal(a.p, b.p, a.len);
}

static void
entries_equal(const struct entry *a, const struct entry *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->mtime_s, b->mtime_s);
	assert_int_equal(a->mtime_ns, b->mtime_ns);
	assert_int_equal(a->ctime_s, b->ctime_s);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->inode, b->inode);
	views_equal(a->name, b->name);
	views_equal(a->user, b->user);
	views_equal(a->group, b->group);
	views_equal(a->target, b->target);
	views_equal(a->xattrs, b->xattrs);
	views_equal(a->extents, b->extents);
}

/* What the reader gives from where it is now is the items of ${t} from ${i} on. */
static void
reads_as(struct listing_reader *r, const struct tree *t, size_t i, size_t to)
{
	struct fmt_view dir;
	struct entry en;
	struct err e;

	err_clear(&e);
	for (; i < to; i++) {
		int rc = listing_reader_next(r, &dir, &en, &e);

		assert_int_equal(rc, t->item[i].is_dir ? 2 : 1);
		views_equal(dir, t->item[i].path);
		if (rc == 1)
			entries_equal(&en, &t->item[i].entry);
	}
	if (to == t->n)
		assert_int_equal(listing_reader_next(r, &dir, &en, &e), 0);
}

static void
what_was_written_is_read_back_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct tree t = { .seed = seed * 77 };
		struct made m;
		struct listing_reader *r;

		if (seed == 12)
			tree_chain(&t, 3);
		else if (seed > 1)
			tree_grow(&t, view_of("/", 1), (unsigned)(1u << seed), 4, 20000);
		make(&t, &m);
		r = listing_reader_new(m.top, m.levels, shelf_get, &m.shelf, NULL, NULL);
		reads_as(r, &t, 0, t.n);
		assert_int_equal(m.shelf.gets, m.shelf.n);	/* each chunk once */
		listing_reader_free(r);
		shelf_free(&m.shelf);
		tree_free(&t);
	}
}

static int
count_seen(void *arg, const uint8_t id[DIGEST_LEN], unsigned kind, struct err *e)
{
	(void)e;
	assert_int_equal(shelf_find(((struct shelf **)arg)[0], id)->kind, kind);
	((size_t *)((void **)arg)[1])[0]++;
	return 0;
}

static void
every_chunk_of_the_listing_is_told(void **state)
{
	struct tree t = { .seed = 5 };
	struct made m;
	size_t seen = 0;
	void *arg[2] = { &m.shelf, &seen };
	struct listing_reader *r;

	(void)state;
	tree_grow(&t, view_of("/", 1), 300, 4, 20000);
	make(&t, &m);
	r = listing_reader_new(m.top, m.levels, shelf_get, &m.shelf, count_seen, arg);
	reads_as(r, &t, 0, t.n);
	assert_int_equal(seen, m.shelf.n);
	listing_reader_free(r);
	shelf_free(&m.shelf);
	tree_free(&t);
}

static void
seeking_is_the_same_as_reading_up_to_there(void **state)
{
	struct tree t = { .seed = 21 };
	struct made m;
	struct listing_reader *r;
	struct err e;

	(void)state;
	err_clear(&e);
	tree_grow(&t, view_of("/", 1), 300, 5, 30000);
	make(&t, &m);
	assert_true(m.levels >= 1);
	r = listing_reader_new(m.top, m.levels, shelf_get, &m.shelf, NULL, NULL);
	for (int round = 0; round < 500; round++) {
		size_t i = (size_t)tree_below(&t, t.n), to;
		struct fmt_view path = t.item[i].path;

		switch (round % 3) {
		case 0:		/* a directory that is there */
			break;
		case 1:		/* one that is perhaps not */
			path = tree_join(&t, path, tree_name(&t, 1 + tree_below(&t, 20)));
			break;
		case 2:		/* an entry as if it were a directory */
			if (!t.item[i].is_dir)
				path = tree_join(&t, path, t.item[i].entry.name);
			break;
		}
		for (i = 0; i < t.n && !(t.item[i].is_dir && path_order(t.item[i].path, path) >= 0); i++)
			;
		to = i + 200 < t.n ? i + 200 : t.n;
		m.shelf.gets = 0;
		assert_int_equal(listing_reader_seek(r, path, &e), 0);
		assert_true(m.shelf.gets <= m.levels + 2u);
		reads_as(r, &t, i, to);
	}
	listing_reader_free(r);
	shelf_free(&m.shelf);
	tree_free(&t);
}

static void
every_entry_is_found_and_no_other(void **state)
{
	struct tree t = { .seed = 22 };
	struct made m;
	struct err e;
	struct entry en;
	uint8_t copy[ENTRY_LEN_MAX + 16];

	(void)state;
	err_clear(&e);
	tree_grow(&t, view_of("/", 1), 200, 5, 10000);
	make(&t, &m);
	for (size_t i = 0; i < t.n; i += 7) {
		struct fmt_view path = t.item[i].path;

		if (t.item[i].is_dir)
			continue;
		path = tree_join(&t, path, t.item[i].entry.name);
		m.shelf.gets = 0;
		assert_int_equal(listing_find(m.top, m.levels, shelf_get, &m.shelf, path, &en, copy, &e), 1);
		entries_equal(&en, &t.item[i].entry);
		assert_int_equal(m.shelf.gets, m.levels + 1);
		path = tree_join(&t, path, view_of("none", 4));
		assert_int_equal(listing_find(m.top, m.levels, shelf_get, &m.shelf, path, &en, copy, &e), 0);
	}
	assert_int_equal(listing_find(m.top, m.levels, shelf_get, &m.shelf, view_of("/", 1), &en, copy, &e), 0);
	shelf_free(&m.shelf);
	tree_free(&t);
}

static void
a_missing_chunk_is_named_missing(void **state)
{
	struct tree t = { .seed = 23 };
	struct made m;
	struct listing_reader *r;
	struct fmt_view dir;
	struct entry en;
	struct err e;
	int rc;

	(void)state;
	err_clear(&e);
	tree_grow(&t, view_of("/", 1), 300, 4, 20000);
	make(&t, &m);
	m.shelf.chunk[2].id[0] ^= 1;
	r = listing_reader_new(m.top, m.levels, shelf_get, &m.shelf, NULL, NULL);
	while ((rc = listing_reader_next(r, &dir, &en, &e)) > 0)
		;
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_MISSING);
	listing_reader_free(r);
	shelf_free(&m.shelf);
	tree_free(&t);
}

/* Read all of it; the code of the error it ends with, ERR_NONE at a good end. */
static enum err_code
read_all(const uint8_t top[DIGEST_LEN], uint8_t levels, struct shelf *s, size_t *items)
{
	struct listing_reader *r = listing_reader_new(top, levels, shelf_get, s, NULL, NULL);
	struct fmt_view dir;
	struct entry en;
	struct err e;
	int rc;

	err_clear(&e);
	*items = 0;
	while ((rc = listing_reader_next(r, &dir, &en, &e)) > 0)
		++*items;
	listing_reader_free(r);
	return rc == 0 ? ERR_NONE : e.code;
}

static void
a_flipped_bit_is_never_more_than_damage(void **state)
{
	struct tree t = { .seed = 24 };
	struct made m;
	size_t items;

	(void)state;
	tree_grow(&t, view_of("/", 1), 60, 4, 1500);
	make(&t, &m);
	assert_true(m.levels >= 1);
	m.shelf.most_gets = 1;
	for (int round = 0; round < 4000; round++) {
		struct shelf_chunk *c = &m.shelf.chunk[tree_below(&t, m.shelf.n)];
		size_t at = (size_t)tree_below(&t, round % 2 == 0 ? 64 : c->len);
		uint8_t bit = (uint8_t)(1u << tree_below(&t, 8));
		enum err_code code;

		c->bytes[at] ^= bit;
		m.shelf.most_gets = m.shelf.gets + 10 * m.shelf.n;
		code = read_all(m.top, m.levels, &m.shelf, &items);
		assert_true(code == ERR_NONE || code == ERR_DAMAGE || code == ERR_VERSION || code == ERR_MISSING);
		assert_true(items <= t.n);
		c->bytes[at] ^= bit;
	}
	for (int round = 0; round < 500; round++) {	/* and cut short or with more behind it */
		struct shelf_chunk *c = &m.shelf.chunk[tree_below(&t, m.shelf.n)];
		size_t len = c->len;

		c->len = (size_t)tree_below(&t, len);
		m.shelf.most_gets = m.shelf.gets + 10 * m.shelf.n;
		assert_int_equal(read_all(m.top, m.levels, &m.shelf, &items), ERR_DAMAGE);
		c->len = len;
	}
	shelf_free(&m.shelf);
	tree_free(&t);
}

/* By hand: a chunk with these rows or items. */
struct hand {
	uint8_t bytes[4096];
	struct wr w;
	uint32_t n;
};

static void
hand_begin(struct hand *h)
{
	h->w = (struct wr){ .p = h->bytes + LEAF_HEAD_LEN, .left = sizeof(h->bytes) - LEAF_HEAD_LEN };
	h->n = 0;
}

static void
hand_row(struct hand *h, uint8_t child, uint64_t entries, const char *path, const char *name)
{
	struct index_row row = { .child = { child }, .entries = entries, .path = view_of(path, strlen(path)),
	    .name = view_of(name, strlen(name)) };

	index_row_put(&h->w, &row);
	h->n++;
}

static void
hand_dir(struct hand *h, const char *path)
{
	item_dir_put(&h->w, view_of(path, strlen(path)));
	h->n++;
}

static void
hand_entry(struct hand *h, const char *name)
{
	struct entry en = { .type = ENTRY_FIFO, .name = view_of(name, strlen(name)) };

	item_entry_put(&h->w, &en);
	h->n++;
}

static void
hand_keep(struct hand *h, struct shelf *s, uint8_t id, unsigned level)
{
	uint8_t full[DIGEST_LEN] = { id };

	assert_false(h->w.bad);
	if (level == 0)
		leaf_head_encode(h->bytes, h->n);
	else
		node_head_encode(h->bytes, level, h->n);
	shelf_keep(s, full, level == 0 ? KIND_LISTING : KIND_INDEX, h->bytes, sizeof(h->bytes) - h->w.left);
	hand_begin(h);
}

/* Two good leaves, 1 and 2: "/" with a, b; then "/" with c, "/d" with e. */
static void
leaves_keep(struct hand *h, struct shelf *s)
{
	hand_begin(h);
	hand_dir(h, "/");
	hand_entry(h, "a");
	hand_entry(h, "b");
	hand_keep(h, s, 1, 0);
	hand_dir(h, "/");
	hand_entry(h, "c");
	hand_dir(h, "/d");
	hand_entry(h, "e");
	hand_keep(h, s, 2, 0);
}

static void
a_listing_made_by_hand_is_read(void **state)
{
	static const uint8_t top[DIGEST_LEN] = { 9 };
	struct shelf s = { .most_gets = 3 };
	struct hand h;
	size_t items;

	(void)state;
	leaves_keep(&h, &s);
	hand_row(&h, 1, 2, "/", "");
	hand_row(&h, 2, 2, "/", "c");
	hand_keep(&h, &s, 9, 1);
	assert_int_equal(read_all(top, 1, &s, &items), ERR_NONE);
	assert_int_equal(items, 6);
	shelf_free(&s);
}

struct bad_node {
	const char *what;
	unsigned level;			/* that the node 9 says; it is read as the top of level 1 */
	struct { uint8_t child; uint64_t entries; const char *path, *name; } row[3];
};

static void
an_index_that_lies_is_damage(void **state)
{
	static const struct bad_node t[] = {
		{ "points to itself", 1, { { 9, 4, "/", "" } } },
		{ "the wrong level", 2, { { 1, 2, "/", "" }, { 2, 2, "/", "c" } } },
		{ "the same child twice", 1, { { 1, 2, "/", "" }, { 1, 2, "/", "c" } } },
		{ "the same row twice", 1, { { 1, 2, "/", "" }, { 1, 2, "/", "" } } },
		{ "rows out of order", 1, { { 2, 2, "/", "c" }, { 1, 2, "/", "" } } },
		{ "too few entries", 1, { { 1, 1, "/", "" }, { 2, 2, "/", "c" } } },
		{ "too many entries", 1, { { 1, 2, "/", "" }, { 2, 3, "/", "c" } } },
		{ "more than there are numbers", 1, { { 1, UINT64_MAX, "/", "" }, { 2, 2, "/", "c" } } },
		{ "another first name", 1, { { 1, 2, "/", "" }, { 2, 2, "/", "b" } } },
		{ "another first path", 1, { { 1, 2, "/", "" }, { 2, 2, "/a", "" } } },
		{ "begins a directory that goes on", 1, { { 1, 2, "/", "" }, { 3, 1, "/", "b" } } },
		{ "begins within a directory", 1, { { 2, 2, "/", "c" } } },
		{ "an empty leaf", 1, { { 1, 2, "/", "" }, { 4, 0, "/x", "" } } },
		{ "an index where a leaf belongs", 1, { { 1, 2, "/", "" }, { 5, 0, "/x", "" } } },
		{ "goes on without having begun", 1, { { 1, 2, "/", "" }, { 6, 1, "/q", "c" } } },
		{ "does not say that it goes on", 1, { { 1, 2, "/", "" }, { 7, 1, "/a", "" } } },
	};
	static const uint8_t top[DIGEST_LEN] = { 9 };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct shelf s = { .most_gets = 5 };
		struct hand h;
		size_t items;
		enum err_code code;

		leaves_keep(&h, &s);
		hand_dir(&h, "/");
		hand_entry(&h, "b");	/* again */
		hand_keep(&h, &s, 3, 0);
		hand_keep(&h, &s, 4, 0);
		hand_row(&h, 1, 2, "/", "");
		hand_keep(&h, &s, 5, 1);
		hand_dir(&h, "/q");
		hand_entry(&h, "c");
		hand_keep(&h, &s, 6, 0);
		hand_dir(&h, "/");
		hand_entry(&h, "c");
		hand_keep(&h, &s, 7, 0);
		for (size_t k = 0; k < 3 && t[i].row[k].path != NULL; k++)
			hand_row(&h, t[i].row[k].child, t[i].row[k].entries, t[i].row[k].path, t[i].row[k].name);
		hand_keep(&h, &s, 9, t[i].level);
		code = read_all(top, 1, &s, &items);
		if (code != ERR_DAMAGE)
			fail_msg("an index with %s gives %d", t[i].what, code);
		shelf_free(&s);
	}
}

static void
levels_that_do_not_fall_are_damage(void **state)
{
	static const uint8_t top[DIGEST_LEN] = { 9 };
	struct shelf s = { .most_gets = 20 };
	struct hand h;
	size_t items;

	(void)state;
	leaves_keep(&h, &s);
	hand_row(&h, 9, 2, "/", "");
	hand_keep(&h, &s, 9, 2);
	assert_int_equal(read_all(top, 2, &s, &items), ERR_DAMAGE);	/* its own child */
	assert_int_equal(read_all(top, 12, &s, &items), ERR_DAMAGE);
	assert_int_equal(read_all(top, 13, &s, &items), ERR_DAMAGE);
	assert_int_equal(read_all(top, 255, &s, &items), ERR_DAMAGE);
	shelf_free(&s);
}

static void
a_leaf_that_lies_is_damage(void **state)
{
	/* ">x": directory x; "x": entry x */
	static const char *const t[][5] = {
		{ ">/", "b", "a" },
		{ ">/", "a", "a" },
		{ ">/", "a", ">/" },
		{ ">/a", ">/" },
		{ ">/a", ">/a" },
		{ ">/a/b", ">/a", "x" },
		{ ">/a-b", ">/a/b" },
	};
	static const uint8_t top[DIGEST_LEN] = { 9 };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct shelf s = { .most_gets = 5 };
		struct hand h;
		size_t items;

		hand_begin(&h);
		for (size_t k = 0; k < 5 && t[i][k] != NULL; k++) {
			if (t[i][k][0] == '>')
				hand_dir(&h, t[i][k] + 1);
			else
				hand_entry(&h, t[i][k]);
		}
		hand_keep(&h, &s, 9, 0);
		assert_int_equal(read_all(top, 0, &s, &items), ERR_DAMAGE);
		shelf_free(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back_in_order),
		cmocka_unit_test(every_chunk_of_the_listing_is_told),
		cmocka_unit_test(seeking_is_the_same_as_reading_up_to_there),
		cmocka_unit_test(every_entry_is_found_and_no_other),
		cmocka_unit_test(a_missing_chunk_is_named_missing),
		cmocka_unit_test(a_flipped_bit_is_never_more_than_damage),
		cmocka_unit_test(a_listing_made_by_hand_is_read),
		cmocka_unit_test(an_index_that_lies_is_damage),
		cmocka_unit_test(levels_that_do_not_fall_are_damage),
		cmocka_unit_test(a_leaf_that_lies_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
