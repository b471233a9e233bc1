#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/fmt_listing.h"

#include "tests/unit/formats/bytes.h"

static struct fmt_view
text(const char *s)
{
	return view_of(s, strlen(s));
}

static size_t
make_node(struct rng *r, uint8_t *out, size_t cap)
{
	struct wr w = { .p = out + NODE_HEAD_LEN, .left = cap - NODE_HEAD_LEN };
	struct index_row row;
	static const char *const paths[] = { "/", "/a", "/a/b" };

	node_head_encode(out, 1, 3);
	for (size_t i = 0; i < 3; i++) {
		rng_fill(r, &row, sizeof(row));
		row.path = text(paths[i]);
		row.name = text(i == 1 ? "" : "name");
		index_row_put(&w, &row);
	}
	assert_false(w.bad);
	return (size_t)(w.p - out);
}

static enum fmt_status
node_read(const uint8_t *b, size_t len)
{
	uint8_t *exact = bytes_copy(b, len), *again = bytes_copy(b, len);
	struct wr w = { .p = again, .left = len };
	struct rd r;
	struct index_row row;
	unsigned level;
	uint32_t n;
	enum fmt_status st = node_decode(exact, len, &r, &level, &n);

	if (st == FMT_OK)
		node_head_encode(wr_room(&w, NODE_HEAD_LEN), level, n);
	for (uint32_t i = 0; st == FMT_OK && i < n; i++)
		if ((st = index_row_next(&r, &row)) == FMT_OK)
			index_row_put(&w, &row);
	if (st == FMT_OK && r.left != 0)
		st = FMT_TRAILING;
	if (st == FMT_OK) {
		assert_false(w.bad);
		assert_memory_equal(again, exact, len);
	}
	free(exact);
	free(again);
	return st;
}

static void
an_index_node_holds_to_its_layout(void **state)
{
	static const struct { size_t off, n; uint32_t v; enum fmt_status want; } t[] = {
		{ 0, 1, 'X', FMT_MAGIC }, { 8, 2, 2, FMT_VERSION }, { 10, 2, 0, FMT_RANGE },
		{ 10, 2, LISTING_LEVELS_MAX, FMT_OK }, { 10, 2, LISTING_LEVELS_MAX + 1, FMT_RANGE },
		{ 12, 4, 0, FMT_RANGE }, { 12, 4, 2, FMT_TRAILING }, { 12, 4, 0x80000000, FMT_RANGE },
		{ 12, 4, 0xffffffff, FMT_RANGE }, { 56, 2, 0, FMT_RANGE }, { 56, 2, 0xffff, FMT_SHORT },
		{ 58, 1, 'a', FMT_RANGE }, { 60, 1, '/', FMT_RANGE },
	};
	static uint8_t b[1024];
	struct rng r = { 7 };
	size_t len = make_node(&r, b, sizeof(b));
	uint8_t v[4];

	(void)state;
	assert_int_equal(node_read(b, len), FMT_OK);
	for (size_t n = 0; n < len; n++)
		assert_int_not_equal(node_read(b, n), FMT_OK);
	b[len] = 0;
	assert_int_equal(node_read(b, len + 1), FMT_TRAILING);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		len = make_node(&r, b, sizeof(b));
		le32_put(v, t[i].v);
		memcpy(b + t[i].off, v, t[i].n);
		assert_int_equal(node_read(b, len), t[i].want);
	}
	for (int k = 0; k < 20000; k++) {
		len = make_node(&r, b, sizeof(b));
		bytes_mutate(&r, b, len);
		(void)node_read(b, len);
	}
}

static void
a_row_that_no_reader_takes_is_not_written(void **state)
{
	static uint8_t b[200000];
	static char path[65537];
	const struct index_row bad[] = {
		{ .path = text("a") }, { .path = text("/a"), .name = text("..") }, { .path = text("") },
		{ .path = view_of(path, 65536) }, { .path = text("/"), .name = view_of(path + 1, 256) },
	};
	struct wr w;

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		w = (struct wr){ .p = b, .left = sizeof(b) };
		index_row_put(&w, &bad[i]);
		assert_true(w.bad);
	}
	w = (struct wr){ .p = b, .left = sizeof(b) };
	item_dir_put(&w, text("/a/../b"));
	assert_true(w.bad);
	w = (struct wr){ .p = b, .left = 3 };
	item_dir_put(&w, text("/a"));
	assert_true(w.bad);
}

static void
a_spill_node_has_exactly_its_rows(void **state)
{
	static uint8_t b[NODE_HEAD_LEN + 4 * SPILL_ROW_LEN];
	const size_t len = NODE_HEAD_LEN + 3 * SPILL_ROW_LEN;
	struct rng r = { 8 };
	struct rd rd;
	unsigned level;
	uint32_t n;

	(void)state;
	rng_fill(&r, b, sizeof(b));
	spill_node_head_encode(b, SPILL_LEVELS_MAX, 3);
	assert_int_equal(spill_node_decode(b, len, &rd, &level, &n), FMT_OK);
	assert_int_equal(level, SPILL_LEVELS_MAX);
	assert_int_equal(n, 3);
	assert_ptr_equal(rd.p, b + NODE_HEAD_LEN);
	assert_int_equal(rd.left, 3 * SPILL_ROW_LEN);
	for (size_t i = 0; i < sizeof(b); i++) {
		uint8_t *exact = bytes_copy(b, i);

		assert_int_equal(spill_node_decode(exact, i, &rd, &level, &n),
		    i < NODE_HEAD_LEN ? FMT_SHORT : i == len ? FMT_OK : FMT_CONTRADICTION);
		free(exact);
	}
	spill_node_head_encode(b, 0, 3);
	assert_int_equal(spill_node_decode(b, len, &rd, &level, &n), FMT_RANGE);
	spill_node_head_encode(b, SPILL_LEVELS_MAX + 1, 3);
	assert_int_equal(spill_node_decode(b, len, &rd, &level, &n), FMT_RANGE);
	spill_node_head_encode(b, 1, 0);
	assert_int_equal(spill_node_decode(b, NODE_HEAD_LEN, &rd, &level, &n), FMT_RANGE);
	spill_node_head_encode(b, 1, 0x80000000);
	assert_int_equal(spill_node_decode(b, len, &rd, &level, &n), FMT_CONTRADICTION);
	spill_node_head_encode(b, 1, 0xffffffff);
	assert_int_equal(spill_node_decode(b, len, &rd, &level, &n), FMT_CONTRADICTION);
	spill_node_head_encode(b, 1, 3);
	b[8] = 2;
	assert_int_equal(spill_node_decode(b, len, &rd, &level, &n), FMT_VERSION);
	leaf_head_encode(b, 3);
	assert_int_equal(spill_node_decode(b, len, &rd, &level, &n), FMT_MAGIC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_node_holds_to_its_layout),
		cmocka_unit_test(a_row_that_no_reader_takes_is_not_written),
		cmocka_unit_test(a_spill_node_has_exactly_its_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
