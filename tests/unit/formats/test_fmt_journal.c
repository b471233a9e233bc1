#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static void
a_journal_head_holds_to_its_layout(void **state)
{
	static const struct { size_t off; uint8_t v; enum fmt_status want; } t[] = {
		{ 0, 'X', FMT_MAGIC }, { 7, 0, FMT_MAGIC }, { 8, 2, FMT_VERSION }, { 9, 1, FMT_VERSION },
		{ 10, 1, FMT_RANGE }, { 11, 1, FMT_RANGE }, { 12, 1, FMT_RANGE }, { 15, 0x80, FMT_RANGE },
	};
	uint8_t b[JOURNAL_HEAD_LEN];

	(void)state;
	journal_head_encode(b);
	assert_int_equal(journal_head_decode(b, sizeof(b)), FMT_OK);
	for (size_t n = 0; n < sizeof(b); n++) {
		uint8_t *exact = bytes_copy(b, n);

		assert_int_equal(journal_head_decode(exact, n), FMT_SHORT);
		free(exact);
	}
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		journal_head_encode(b);
		b[t[i].off] = t[i].v;
		assert_int_equal(journal_head_decode(b, sizeof(b)), t[i].want);
	}
}

static size_t
make_record(struct rng *r, uint8_t type, uint32_t len, uint8_t *out)
{
	journal_record_head_encode(out, type, len);
	rng_fill(r, out + JOURNAL_RECORD_HEAD, len + 8);
	return len + JOURNAL_RECORD_OVERHEAD;
}

static enum fmt_status
record_read(const uint8_t *b, size_t len)
{
	static const struct journal_record none;
	uint8_t *exact = bytes_copy(b, len), head[JOURNAL_RECORD_HEAD];
	struct journal_record rec;
	enum fmt_status st = journal_record_decode(&rec, exact, len);

	if (st == FMT_OK) {
		journal_record_head_encode(head, rec.type, rec.payload.len);
		assert_memory_equal(head, exact, sizeof(head));
		assert_ptr_equal(rec.payload.p, exact + JOURNAL_RECORD_HEAD);
		assert_int_equal(rec.len, rec.payload.len + JOURNAL_RECORD_OVERHEAD);
		assert_true(rec.len <= len);
		assert_int_equal(rec.xxh, le64_get(exact + rec.len - 8));
	} else {
		assert_memory_equal(&rec, &none, sizeof(rec));
	}
	free(exact);
	return st;
}

static void
a_record_comes_back_and_a_torn_one_is_short(void **state)
{
	static uint8_t b[100 * JOURNAL_TYPE_MAX + 100];
	struct rng r = { 1 };

	(void)state;
	for (uint8_t type = 1; type <= JOURNAL_TYPE_MAX; type++) {
		uint32_t payload = type == JOURNAL_CANCELLED ? 0 : 100u * type;
		size_t len = make_record(&r, type, payload, b);

		assert_int_equal(record_read(b, len), FMT_OK);
		assert_int_equal(record_read(b, sizeof(b)), FMT_OK);	/* more may follow */
		for (size_t n = 0; n < len; n++)
			assert_int_equal(record_read(b, n), FMT_SHORT);
	}
}

static void
each_bad_field_of_a_record_is_refused(void **state)
{
	static const struct { size_t off, n; uint32_t v; enum fmt_status want; } t[] = {
		{ 0, 4, JOURNAL_RECORD_MAX, FMT_SHORT }, { 0, 4, JOURNAL_RECORD_MAX + 1, FMT_RANGE },
		{ 0, 4, 0x80000000, FMT_RANGE }, { 0, 4, 0xffffffff, FMT_RANGE }, { 4, 1, 0, FMT_RANGE },
		{ 4, 1, JOURNAL_TYPE_MAX + 1, FMT_RANGE }, { 4, 1, 0xff, FMT_RANGE }, { 5, 1, 1, FMT_RANGE },
		{ 6, 1, 1, FMT_RANGE }, { 7, 1, 1, FMT_RANGE },
	};
	static uint8_t b[200];
	struct rng r = { 2 };
	uint8_t v[4];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		len = make_record(&r, JOURNAL_ITEMS, 100, b);
		le32_put(v, t[i].v);
		memcpy(b + t[i].off, v, t[i].n);
		assert_int_equal(record_read(b, len), t[i].want);
	}
	for (int k = 0; k < 20000; k++) {
		len = make_record(&r, JOURNAL_ITEMS, 20, b);
		bytes_mutate(&r, b, len);
		(void)record_read(b, len);
	}
}

static void
counts_come_back_and_no_other_length_is_taken(void **state)
{
	const struct journal_counts c = { 5, 4, UINT64_MAX, 2, 1 };
	uint8_t b[JOURNAL_COUNTS_LEN + 1] = { 0 };
	struct journal_counts again;

	(void)state;
	journal_counts_encode(&c, b);
	assert_int_equal(journal_counts_decode(&again, b, JOURNAL_COUNTS_LEN), FMT_OK);
	assert_memory_equal(&again, &c, sizeof(c));
	for (size_t n = 0; n < JOURNAL_COUNTS_LEN; n++)
		assert_int_equal(journal_counts_decode(&again, b, n), FMT_SHORT);
	assert_int_equal(journal_counts_decode(&again, b, sizeof(b)), FMT_TRAILING);
	assert_true(again.entries == 0 && again.warnings == 0);
}

static enum fmt_status
begin_with(const char *short_name, struct fmt_view paths, struct fmt_view excludes)
{
	static uint8_t code[4096];
	struct journal_begin b = { .set_name = "files", .flags = JB_FULL, .level_u = -7, .paths = paths,
		.excludes = excludes }, again;
	size_t len;
	enum fmt_status st;

	strcpy(b.short_name, short_name);
	st = schema_encode(&journal_begin_schema, &b, code, sizeof(code), &len);
	if (st == FMT_OK) {
		assert_int_equal(schema_decode(&journal_begin_schema, &again, code, len), FMT_OK);
		assert_int_equal(again.level_u, -7);	/* a negative level of zstd comes through */
		assert_int_equal(again.paths.len, paths.len);
	}
	return st;
}

static void
the_start_of_a_build_has_whole_rows(void **state)
{
	const struct fmt_view rows = view_of("\4\0/srv\4\0/etc", 12), cut = view_of("\4\0/sr", 5), half = view_of("\4", 1);
	const struct fmt_view none = view_of(NULL, 0);

	(void)state;
	assert_int_equal(begin_with("RM4K", rows, rows), FMT_OK);
	assert_int_equal(begin_with("RM4K", none, none), FMT_OK);
	assert_int_equal(begin_with("RM4K", cut, none), FMT_RANGE);
	assert_int_equal(begin_with("RM4K", rows, cut), FMT_RANGE);
	assert_int_equal(begin_with("RM4K", half, none), FMT_RANGE);
	assert_int_equal(begin_with("rm4k", rows, none), FMT_RANGE);
}

static void
options_come_back_and_each_bad_field_is_refused(void **state)
{
	struct journal_options o = { .parity = 20, .flags = JO_SPREAD, .reserve = UINT64_C(0x123456789abcdef0) }, again;
	uint8_t code[JOURNAL_OPTIONS_LEN + 1] = { 0 };

	(void)state;
	journal_options_encode(&o, code);
	assert_int_equal(journal_options_decode(&again, code, JOURNAL_OPTIONS_LEN), FMT_OK);
	assert_int_equal(again.parity, 20);
	assert_int_equal(again.flags, JO_SPREAD);
	assert_true(again.reserve == o.reserve);
	for (size_t n = 0; n < JOURNAL_OPTIONS_LEN; n++)
		assert_int_equal(journal_options_decode(&again, code, n), FMT_SHORT);
	assert_int_equal(journal_options_decode(&again, code, JOURNAL_OPTIONS_LEN + 1), FMT_TRAILING);
	code[0] = 21;
	assert_int_equal(journal_options_decode(&again, code, JOURNAL_OPTIONS_LEN), FMT_RANGE);
	code[0] = 20;
	code[1] = 2;
	assert_int_equal(journal_options_decode(&again, code, JOURNAL_OPTIONS_LEN), FMT_RANGE);
	code[1] = 0;
	code[3] = 1;
	assert_int_equal(journal_options_decode(&again, code, JOURNAL_OPTIONS_LEN), FMT_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_journal_head_holds_to_its_layout),
		cmocka_unit_test(a_record_comes_back_and_a_torn_one_is_short),
		cmocka_unit_test(each_bad_field_of_a_record_is_refused),
		cmocka_unit_test(counts_come_back_and_no_other_length_is_taken),
		cmocka_unit_test(the_start_of_a_build_has_whole_rows),
		cmocka_unit_test(options_come_back_and_each_bad_field_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
