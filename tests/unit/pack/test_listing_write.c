#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "common/base/err.h"
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
make(const struct tree *t, const uint8_t k[KEY_LEN], struct made *m)
{
	struct listing_writer *w;
	struct err e;

	err_clear(&e);
	memset(m, 0, sizeof(*m));
	assert_non_null(w = listing_writer_new(k, shelf_put, &m->shelf));
	tree_write(t, 0, t->n, w);
	assert_int_equal(listing_writer_finish(w, m->top, &m->levels, &m->entries, &e), 0);
	listing_writer_free(w);
}

static size_t
entries_of(const struct tree *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += !t->item[i].is_dir;
	return n;
}

static void
every_chunk_keeps_its_limits(void **state)
{
	struct tree t = { .seed = 11 };
	struct made m;

	(void)state;
	tree_grow(&t, view_of("/", 1), 300, 5, 60000);
	make(&t, key, &m);
	assert_int_equal(m.entries, entries_of(&t));
	assert_int_equal(m.shelf.puts, m.shelf.n);	/* no chunk twice */
	for (size_t i = 0; i < m.shelf.n; i++) {
		struct shelf_chunk *c = &m.shelf.chunk[i];

		assert_true(c->len <= LISTING_MAX);
		assert_int_equal(c->kind, memcmp(c->bytes, "SAMLIST\n", 8) == 0 ? KIND_LISTING : KIND_INDEX);
	}
	shelf_free(&m.shelf);
	tree_free(&t);
}

static void
chunks_are_between_the_minimum_and_the_maximum_and_near_the_average(void **state)
{
	struct tree t = { .seed = 12 };
	struct made m;
	size_t sum = 0, small = 0, leaves = 0;

	(void)state;
	tree_grow(&t, view_of("/", 1), 4000, 3, 80000);
	make(&t, key, &m);
	for (size_t i = 0; i < m.shelf.n; i++) {
		if (m.shelf.chunk[i].kind != KIND_LISTING)
			continue;
		leaves++;
		sum += m.shelf.chunk[i].len;
		small += m.shelf.chunk[i].len < LISTING_MIN;
	}
	assert_true(leaves > 50);
	assert_true(small <= 1);		/* the last one */
	assert_in_range(sum / leaves, LISTING_AVG / 2, LISTING_AVG * 2);
	shelf_free(&m.shelf);
	tree_free(&t);
}

static void
paths_of_the_greatest_length_still_fit(void **state)
{
	struct tree t = { .seed = 13 };
	struct made m;
	int longest = 0;

	(void)state;
	tree_chain(&t, 9);
	make(&t, key, &m);
	for (size_t i = 0; i < t.n; i++)
		longest |= t.item[i].path.len == PATH_LEN_MAX;
	assert_true(longest);
	assert_true(m.levels >= 2);
	for (size_t i = 0; i < m.shelf.n; i++)
		assert_true(m.shelf.chunk[i].len <= LISTING_CHUNK_MAX);
	shelf_free(&m.shelf);
	tree_free(&t);
}

static void
nothing_at_all_is_one_leaf_without_items(void **state)
{
	struct tree t = { .seed = 14 };
	struct made m;

	(void)state;
	make(&t, key, &m);
	assert_int_equal(m.levels, 0);
	assert_int_equal(m.entries, 0);
	assert_int_equal(m.shelf.n, 1);
	assert_int_equal(m.shelf.chunk[0].len, LEAF_HEAD_LEN);
	shelf_free(&m.shelf);
	tree_free(&t);
}

static void
the_same_items_give_the_same_chunks_and_another_key_others(void **state)
{
	static const uint8_t other[KEY_LEN] = { 8 };
	struct tree t = { .seed = 15 };
	struct made a, b, c;

	(void)state;
	tree_grow(&t, view_of("/", 1), 1000, 4, 30000);
	make(&t, key, &a);
	make(&t, key, &b);
	make(&t, other, &c);
	assert_memory_equal(a.top, b.top, DIGEST_LEN);
	assert_int_equal(shelf_new_in(&a.shelf, &b.shelf), 0);
	assert_true(shelf_new_in(&a.shelf, &c.shelf) > c.shelf.n / 2);
	shelf_free(&a.shelf);
	shelf_free(&b.shelf);
	shelf_free(&c.shelf);
	tree_free(&t);
}

static void
a_changed_entry_touches_one_leaf_and_one_node_a_level(void **state)
{
	struct tree t = { .seed = 16 };
	struct made a, b;

	(void)state;
	tree_grow(&t, view_of("/", 1), 500, 5, 100000);
	make(&t, key, &a);
	assert_true(a.levels >= 1);
	for (int round = 0; round < 20; round++) {
		size_t i;
		struct entry was;

		do
			i = (size_t)tree_below(&t, t.n);
		while (t.item[i].is_dir);
		was = t.item[i].entry;
		t.item[i].entry.mtime_s ^= 1;
		t.item[i].entry.mode ^= 1;
		make(&t, key, &b);
		assert_int_equal(shelf_new_in(&a.shelf, &b.shelf), a.levels + 1);
		t.item[i].entry = was;
		shelf_free(&b.shelf);
	}
	shelf_free(&a.shelf);
	tree_free(&t);
}

static void
an_entry_more_or_less_touches_few_chunks(void **state)
{
	struct tree t = { .seed = 17 };
	struct made a, b;
	size_t sum = 0;

	(void)state;
	tree_grow(&t, view_of("/", 1), 500, 5, 60000);
	make(&t, key, &a);
	for (int round = 0; round < 20; round++) {
		struct tree_item was;
		size_t i;

		do
			i = (size_t)tree_below(&t, t.n);
		while (t.item[i].is_dir || t.item[i].entry.type == ENTRY_DIR);
		was = t.item[i];
		memmove(t.item + i, t.item + i + 1, (t.n - i - 1) * sizeof(was));
		t.n--;
		make(&t, key, &b);
		sum += shelf_new_in(&a.shelf, &b.shelf);
		shelf_free(&b.shelf);
		memmove(t.item + i + 1, t.item + i, (t.n - i) * sizeof(was));
		t.item[i] = was;
		t.n++;
	}
	assert_true(sum <= 20u * 2 * (a.levels + 1u));
	shelf_free(&a.shelf);
	tree_free(&t);
}

static void
what_is_out_of_order_is_refused(void **state)
{
	struct shelf s = { 0 };
	struct listing_writer *w = listing_writer_new(key, shelf_put, &s);
	struct entry en = { .type = ENTRY_FIFO, .name = view_of("b", 1) };
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(listing_writer_entry(w, &en, &e), -1);		/* no directory yet */
	assert_int_equal(e.code, ERR_INTERNAL);
	assert_int_equal(listing_writer_dir(w, view_of("/a", 2), &e), 0);
	assert_int_equal(listing_writer_entry(w, &en, &e), 0);
	assert_int_equal(listing_writer_entry(w, &en, &e), -1);		/* twice */
	en.name = view_of("a", 1);
	assert_int_equal(listing_writer_entry(w, &en, &e), -1);
	assert_int_equal(listing_writer_dir(w, view_of("/a", 2), &e), -1);
	assert_int_equal(listing_writer_dir(w, view_of("/", 1), &e), -1);
	assert_int_equal(listing_writer_dir(w, view_of("/a/", 3), &e), -1);
	assert_int_equal(listing_writer_dir(w, view_of("/a/../b", 7), &e), -1);
	assert_int_equal(listing_writer_dir(w, view_of("/a/b", 4), &e), 0);
	assert_int_equal(listing_writer_dir(w, view_of("/a-b", 4), &e), 0);	/* '/' is lowest */
	listing_writer_free(w);
	shelf_free(&s);
}

static int
put_fails(void *arg, unsigned kind, const uint8_t *plain, size_t len, uint8_t id[DIGEST_LEN], struct err *e)
{
	(void)arg, (void)kind, (void)plain, (void)len, (void)id;
	return err_set(e, ERR_NO_SPACE, "full");
}

static void
a_store_that_fails_is_reported(void **state)
{
	struct listing_writer *w = listing_writer_new(key, put_fails, NULL);
	uint8_t top[DIGEST_LEN], levels;
	uint64_t entries;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(listing_writer_dir(w, view_of("/", 1), &e), 0);
	assert_int_equal(listing_writer_finish(w, top, &levels, &entries, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	listing_writer_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_chunk_keeps_its_limits),
		cmocka_unit_test(chunks_are_between_the_minimum_and_the_maximum_and_near_the_average),
		cmocka_unit_test(paths_of_the_greatest_length_still_fit),
		cmocka_unit_test(nothing_at_all_is_one_leaf_without_items),
		cmocka_unit_test(the_same_items_give_the_same_chunks_and_another_key_others),
		cmocka_unit_test(a_changed_entry_touches_one_leaf_and_one_node_a_level),
		cmocka_unit_test(an_entry_more_or_less_touches_few_chunks),
		cmocka_unit_test(what_is_out_of_order_is_refused),
		cmocka_unit_test(a_store_that_fails_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
