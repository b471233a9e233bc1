#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static enum fmt_status
refs_read(const uint8_t *b, size_t len)
{
	static const struct refs_head none;
	uint8_t *exact = bytes_copy(b, len), again[REFS_HEAD_LEN];
	struct refs_head h;
	enum fmt_status st = refs_head_decode(&h, exact, len);

	if (st == FMT_OK) {
		refs_head_encode(&h, again);
		assert_memory_equal(again, exact, sizeof(again));
		assert_true(refs_part_ids(&h) <= REFS_PART_IDS);
		assert_true(h.part + 1 == h.parts || refs_part_ids(&h) == REFS_PART_IDS);
	} else {
		assert_memory_equal(&h, &none, sizeof(h));
	}
	free(exact);
	return st;
}

static struct refs_head
whole_list(uint64_t ids)
{
	struct refs_head h = { .kind = REFS_WHOLE, .parts = 1, .count = ids, .added = ids };

	if (ids > 0)
		h.parts = (uint16_t)((ids + REFS_PART_IDS - 1) / REFS_PART_IDS);
	memset(h.domain_id, 1, sizeof(h.domain_id));
	memset(h.digest, 2, sizeof(h.digest));
	return h;
}

static struct refs_head
delta_list(uint64_t count, uint64_t added, uint64_t removed)
{
	struct refs_head h = whole_list(added + removed);

	h.kind = REFS_DELTA;
	h.count = count;
	h.added = added;
	h.removed = removed;
	memset(h.base, 3, sizeof(h.base));
	return h;
}

static enum fmt_status
refs_of(struct refs_head h)
{
	uint8_t b[REFS_HEAD_LEN];

	refs_head_encode(&h, b);
	return refs_read(b, sizeof(b));
}

static void
a_list_header_comes_back_and_a_cut_one_is_short(void **state)
{
	struct rng r = { 1 };
	struct refs_head h = delta_list(10, 1, 1);
	uint8_t b[REFS_HEAD_LEN];

	(void)state;
	assert_int_equal(refs_of(whole_list(0)), FMT_OK);
	assert_int_equal(refs_of(whole_list(1)), FMT_OK);
	assert_int_equal(refs_of(delta_list(10, 1, 1)), FMT_OK);
	assert_int_equal(refs_of(delta_list(0, 0, 9)), FMT_OK);
	refs_head_encode(&h, b);
	for (size_t n = 0; n < sizeof(b); n++)
		assert_int_equal(refs_read(b, n), FMT_SHORT);
	for (int k = 0; k < 20000; k++) {
		refs_head_encode(&h, b);
		bytes_mutate(&r, b, sizeof(b));
		(void)refs_read(b, sizeof(b));
	}
}

static void
each_bad_field_of_a_list_header_has_its_own_status(void **state)
{
	static const struct { size_t off, n; uint64_t v; enum fmt_status want; } t[] = {
		{ 0, 1, 'X', FMT_MAGIC }, { 8, 2, 2, FMT_VERSION }, { 8, 2, 0, FMT_VERSION },
		{ 10, 1, 2, FMT_RANGE }, { 10, 1, 0, FMT_CONTRADICTION }, { 11, 1, 1, FMT_RANGE },
		{ 12, 2, 1, FMT_RANGE }, { 12, 2, 0xffff, FMT_RANGE }, { 14, 2, 0, FMT_RANGE },
		{ 14, 2, 2, FMT_RANGE }, { 14, 2, 0xffff, FMT_RANGE },
		{ 80, 8, 1, FMT_CONTRADICTION }, { 80, 8, REFS_MAX + 1, FMT_RANGE },
		{ 120, 8, UINT64_C(1) << 63, FMT_RANGE }, { 120, 8, UINT64_MAX, FMT_RANGE },
		{ 128, 8, UINT64_MAX, FMT_RANGE }, { 128, 8, REFS_MAX, FMT_RANGE },
	};
	struct refs_head h = delta_list(10, 2, 1);
	uint8_t b[REFS_HEAD_LEN], v[8];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		refs_head_encode(&h, b);
		le64_put(v, t[i].v);
		memcpy(b + t[i].off, v, t[i].n);
		assert_int_equal(refs_read(b, sizeof(b)), t[i].want);
	}
}

static void
a_whole_list_has_neither_base_nor_removed_ids(void **state)
{
	struct refs_head h = whole_list(5);

	(void)state;
	h.base[31] = 1;
	assert_int_equal(refs_of(h), FMT_RANGE);
	h = whole_list(5);
	h.removed = 1;
	assert_int_equal(refs_of(h), FMT_CONTRADICTION);
	h = whole_list(5);
	h.added = 4;
	assert_int_equal(refs_of(h), FMT_CONTRADICTION);
}

static void
parts_of_a_long_list_hold_all_its_ids(void **state)
{
	static const uint64_t counts[] = { REFS_PART_IDS - 1, REFS_PART_IDS, REFS_PART_IDS + 1, 3 * REFS_PART_IDS,
		REFS_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct refs_head h = whole_list(counts[i]);
		uint64_t sum = 0;

		for (unsigned part = 0; part < h.parts; part++) {
			h.part = (uint16_t)part;
			assert_int_equal(refs_of(h), FMT_OK);
			sum += refs_part_ids(&h);
		}
		assert_int_equal(sum, counts[i]);
		h.part = h.parts;
		assert_int_equal(refs_of(h), FMT_RANGE);
	}
	assert_int_equal(refs_of(whole_list(REFS_MAX + 1)), FMT_RANGE);
	assert_true(REFS_HEAD_LEN + REFS_PART_IDS * DIGEST_LEN <= PART_LEN_MAX);
}

static void
a_row_of_file_systems_comes_back_and_a_cut_one_is_refused(void **state)
{
	uint8_t b[512];
	struct wr w = { .p = b, .left = sizeof(b) };
	struct filesystem in = { .type = view_of("btrfs", 5), .uuid = view_of("6f-1", 4), .path = view_of("/srv", 4),
		.subvolume = 257 }, out;
	struct rd r;
	size_t len;

	(void)state;
	filesystem_put(&w, &in);
	assert_false(w.bad);
	len = (size_t)(w.p - b);
	r = (struct rd){ .p = b, .left = len };
	assert_int_equal(filesystem_next(&r, &out), FMT_OK);
	assert_int_equal(r.left, 0);
	assert_int_equal(out.subvolume, 257);
	assert_memory_equal(out.type.p, "btrfs", out.type.len);
	assert_memory_equal(out.uuid.p, "6f-1", out.uuid.len);
	assert_memory_equal(out.path.p, "/srv", out.path.len);
	assert_int_equal(filesystem_next(&r, &out), FMT_SHORT);
	for (size_t n = 0; n < len; n++) {
		uint8_t *exact = bytes_copy(b, n);

		r = (struct rd){ .p = exact, .left = n };
		assert_int_equal(filesystem_next(&r, &out), FMT_SHORT);
		free(exact);
	}
}

static void
a_part_of_a_row_that_is_too_long_is_not_written(void **state)
{
	static uint8_t b[200000], text[70000];
	struct filesystem fs[] = {
		{ .type = view_of(text, 256) }, { .uuid = view_of(text, 256) }, { .path = view_of(text, 65536) },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct wr w = { .p = b, .left = sizeof(b) };

		filesystem_put(&w, &fs[i]);
		assert_true(w.bad);
	}
}

static enum fmt_status
root_with(struct fmt_view filesystems, struct fmt_view paths, uint64_t entries, uint64_t files)
{
	static uint8_t code[262144];
	struct snapshot_root s = { .seq = 1, .set_name = "files", .kind = SNAP_FILES, .entries = entries, .files = files,
		.filesystems = filesystems, .paths = paths };
	size_t len;

	return schema_encode(&snapshot_root_schema, &s, code, sizeof(code), &len);
}

static void
a_root_with_cut_rows_or_too_many_is_refused(void **state)
{
	static uint8_t rows[(FILESYSTEMS_MAX + 1) * 12];	/* the shortest rows there are: all zeros */
	const uint8_t cut[] = { 5, 0, 'a' };

	(void)state;
	assert_int_equal(root_with(view_of(rows, FILESYSTEMS_MAX * 12), view_of(NULL, 0), 2, 2), FMT_OK);
	assert_int_equal(root_with(view_of(rows, sizeof(rows)), view_of(NULL, 0), 2, 2), FMT_RANGE);
	assert_int_equal(root_with(view_of(rows, 13), view_of(NULL, 0), 2, 2), FMT_RANGE);
	assert_int_equal(root_with(view_of(NULL, 0), view_of(cut, sizeof(cut)), 2, 2), FMT_RANGE);
	assert_int_equal(root_with(view_of(NULL, 0), view_of(cut, 1), 2, 2), FMT_RANGE);
	assert_int_equal(root_with(view_of(NULL, 0), view_of(NULL, 0), 2, 3), FMT_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_header_comes_back_and_a_cut_one_is_short),
		cmocka_unit_test(each_bad_field_of_a_list_header_has_its_own_status),
		cmocka_unit_test(a_whole_list_has_neither_base_nor_removed_ids),
		cmocka_unit_test(parts_of_a_long_list_hold_all_its_ids),
		cmocka_unit_test(a_row_of_file_systems_comes_back_and_a_cut_one_is_refused),
		cmocka_unit_test(a_part_of_a_row_that_is_too_long_is_not_written),
		cmocka_unit_test(a_root_with_cut_rows_or_too_many_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
