#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static uint8_t room[4096];

static const struct line_snapshot good = { .seq = 7, .state = LINE_PENDING, .flags = LINE_PROTECTED, .missing = 1, .promised = 2,
	.given_up = 3, .received = -4, .image = "RM4K", .envelope = { (const uint8_t *)"envelope", 8 } };

static size_t
put(const struct line_snapshot *s)
{
	struct wr w = { .p = room, .left = sizeof(room) };

	line_snapshot_put(&w, s);
	return w.bad ? 0 : (size_t)(w.p - room);
}

static enum fmt_status
take(size_t len, struct line_snapshot *s)
{
	struct rd r = { .p = room, .left = len };

	return line_snapshot_next(&r, s);
}

static void
a_row_comes_back_as_it_was_and_is_short_wherever_it_is_cut(void **state)
{
	struct line_snapshot s;
	size_t n = put(&good);

	(void)state;
	assert_true(n > 0);
	for (size_t cut = 0; cut < n; cut++) {
		assert_int_equal(take(cut, &s), FMT_SHORT);
		assert_int_equal(s.seq, 0);
	}
	assert_int_equal(take(n, &s), FMT_OK);
	assert_true(s.seq == 7 && s.state == LINE_PENDING && s.flags == LINE_PROTECTED && s.missing == 1 && s.promised == 2 &&
	    s.given_up == 3 && s.received == -4);
	assert_string_equal(s.image, "RM4K");
	assert_int_equal(s.envelope.len, 8);
}

static void
each_bad_field_of_a_row_is_refused(void **state)
{
	static const struct { size_t off; uint8_t val; } bad[] = {
		{ 0, 0 },	/* number 0 */
		{ 7, 0x80 },	/* number 2^63 and more */
		{ 8, 0 }, { 8, 7 },	/* state */
		{ 8, LINE_GONE },	/* gone, with an envelope */
		{ 9, 4 },	/* flags */
		{ 15, 1 }, { 23, 1 }, { 31, 1 },	/* more ids than there can be */
		{ 42, 'r' }, { 42, 0 },	/* no name of an image */
	};
	struct line_snapshot s;
	size_t n = put(&good);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t was = room[bad[i].off];

		room[bad[i].off] = bad[i].val;
		assert_int_equal(take(n, &s), FMT_RANGE);
		room[bad[i].off] = was;
	}
	assert_int_equal(take(n, &s), FMT_OK);
}

/* The status of a page with these rows (0 ends them). */
static enum fmt_status
page(uint64_t after, const uint64_t *seq, uint64_t head, uint8_t more)
{
	struct wr w = { .p = room, .left = sizeof(room) };
	struct line_page p = { .after = after, .head = head, .more = more };

	for (; *seq != 0; seq++) {
		struct line_snapshot s = good;

		s.seq = *seq;
		line_snapshot_put(&w, &s);
	}
	p.rows = (struct fmt_view){ room, (uint32_t)(w.p - room) };
	return line_page_schema.check(&p);
}

static void
a_page_rises_ends_at_the_head_and_never_promises_more_than_there_is(void **state)
{
	(void)state;
	assert_int_equal(page(0, (uint64_t[]){ 1, 2, 5, 0 }, 5, 0), FMT_OK);
	assert_int_equal(page(0, (uint64_t[]){ 1, 2, 0 }, 5, 1), FMT_OK);
	assert_int_equal(page(5, (uint64_t[]){ 0 }, 5, 0), FMT_OK);
	assert_int_equal(page(0, (uint64_t[]){ 0 }, 0, 0), FMT_OK);
	assert_int_equal(page(0, (uint64_t[]){ 2, 1, 0 }, 2, 0), FMT_ORDER);
	assert_int_equal(page(0, (uint64_t[]){ 1, 1, 0 }, 1, 0), FMT_ORDER);
	assert_int_equal(page(2, (uint64_t[]){ 2, 3, 0 }, 3, 0), FMT_ORDER);
	assert_int_equal(page(0, (uint64_t[]){ 1, 6, 0 }, 5, 0), FMT_CONTRADICTION);
	assert_int_equal(page(0, (uint64_t[]){ 1, 2, 0 }, 5, 0), FMT_CONTRADICTION);	/* the end, and the head is not there */
	assert_int_equal(page(0, (uint64_t[]){ 1, 5, 0 }, 5, 1), FMT_CONTRADICTION);	/* more, and nothing can be */
	assert_int_equal(page(0, (uint64_t[]){ 0 }, 5, 1), FMT_CONTRADICTION);	/* more, for ever */
}

static enum fmt_status
place(uint32_t copy, uint64_t off, uint32_t len)
{
	struct line_place p = { .pack_id = { 1 }, .copy = copy, .off = off, .len = len };
	struct wr w = { .p = room, .left = sizeof(room) };
	struct line_places l = { .places = { room, LINE_PLACE_LEN } };

	element_put(line_place_fields, line_place_nfields, &w, &p);
	assert_false(w.bad);
	return line_places_schema.check(&l);
}

static void
a_place_lies_within_a_pack_or_is_nowhere(void **state)
{
	static const uint8_t zeros[LINE_PLACE_LEN];
	struct line_places none = { .places = { zeros, sizeof(zeros) } };

	(void)state;
	assert_int_equal(line_places_schema.check(&none), FMT_OK);
	assert_int_equal(place(1, PACK_HEAD_LEN, FRAME_LEN_MIN), FMT_OK);
	assert_int_equal(place(0, PACK_HEAD_LEN, FRAME_LEN_MIN), FMT_RANGE);
	assert_int_equal(place(1, 0, FRAME_LEN_MIN), FMT_RANGE);
	assert_int_equal(place(1, PACK_HEAD_LEN, FRAME_LEN_MIN - 1), FMT_RANGE);
	assert_int_equal(place(1, PACK_LEN_MAX - FRAME_LEN_MIN, FRAME_LEN_MIN), FMT_RANGE);
	assert_int_equal(place(1, PACK_LEN_MAX + 1, FRAME_LEN_MIN), FMT_RANGE);
	assert_int_equal(place(1, PACK_HEAD_LEN, FRAME_LEN_MAX + 1), FMT_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_comes_back_as_it_was_and_is_short_wherever_it_is_cut),
		cmocka_unit_test(each_bad_field_of_a_row_is_refused),
		cmocka_unit_test(a_page_rises_ends_at_the_head_and_never_promises_more_than_there_is),
		cmocka_unit_test(a_place_lies_within_a_pack_or_is_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
