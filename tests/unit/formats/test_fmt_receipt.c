#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static uint8_t code[STATEMENT_ROOM], rows[2 * RECEIPT_SNAPSHOT_LEN], two[2 * DIGEST_LEN];

static enum fmt_status
encode(const struct fmt_schema *s, const void *value)
{
	size_t len;

	return schema_encode(s, value, code, sizeof(code), &len);
}

/* What the check of a receipt says: encode tells "impossible" for all of them. */
static enum fmt_status
judged(const struct receipt *r)
{
	return receipt_schema.check(r);
}

static void
put_row(unsigned i, uint8_t first, uint64_t needed, uint64_t held, uint64_t given_up)
{
	struct receipt_snapshot s = { .needed = needed, .held = held, .given_up = given_up };
	struct wr w = { .p = rows + i * RECEIPT_SNAPSHOT_LEN, .left = RECEIPT_SNAPSHOT_LEN };

	s.envelope[0] = first;
	element_put(receipt_snapshot_fields, receipt_snapshot_nfields, &w, &s);
}

static struct receipt
partial(void)
{
	struct receipt r = { .number = 1, .short_name = "RM4K", .redundancy = REDUNDANCY_LOCAL, .needed = 10, .held = 8, .given_up = 2,
		.missing = { 1 }, .snapshots = { rows, sizeof(rows) }, .returned = { two, sizeof(two) } };

	put_row(0, 1, 9, 7, 2);
	put_row(1, 2, 6, 5, 1);
	two[0] = 1;
	two[DIGEST_LEN] = 2;
	return r;
}

static void
a_partial_receipt_whose_counts_agree_is_taken(void **state)
{
	struct receipt r = partial();

	(void)state;
	assert_int_equal(judged(&r), FMT_OK);
	assert_int_equal(encode(&receipt_schema, &r), FMT_OK);
}

static void
a_receipt_that_contradicts_itself_is_refused(void **state)
{
	static const struct { uint64_t needed, held, given_up; uint8_t whole, missing; enum fmt_status want; } t[] = {
		{ 10, 8, 2, 0, 1, FMT_OK },
		{ 11, 8, 2, 0, 1, FMT_CONTRADICTION },	/* one is neither held nor given up */
		{ 10, 8, 2, 1, 1, FMT_CONTRADICTION },	/* whole, and something is not there */
		{ 10, 8, 2, 0, 0, FMT_CONTRADICTION },	/* given up, but no digest of what */
		{ 10, 10, 0, 0, 0, FMT_CONTRADICTION },	/* nothing given up, and not whole */
		{ 10, 9, 1, 0, 1, FMT_CONTRADICTION },	/* a snapshot lacks more than all together */
		{ 8, 6, 2, 0, 1, FMT_CONTRADICTION },	/* a snapshot needs more than all together */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct receipt r = partial();

		r.needed = t[i].needed;
		r.held = t[i].held;
		r.given_up = t[i].given_up;
		r.whole = t[i].whole;
		r.missing[0] = t[i].missing;
		assert_int_equal(judged(&r), t[i].want);
	}
}

static void
a_whole_receipt_lacks_nothing(void **state)
{
	struct receipt r = { .number = 1, .short_name = "RM4K", .redundancy = REDUNDANCY_GEO, .whole = 1, .needed = 10, .held = 10,
		.snapshots = { rows, sizeof(rows) } };

	(void)state;
	put_row(0, 1, 9, 9, 0);
	put_row(1, 2, 6, 6, 0);
	assert_int_equal(judged(&r), FMT_OK);
	r.missing[31] = 1;
	assert_int_equal(judged(&r), FMT_CONTRADICTION);
	r.missing[31] = 0;
	r.returned = view_of(two, DIGEST_LEN);
	assert_int_equal(judged(&r), FMT_CONTRADICTION);
	r.returned.len = 0;
	put_row(1, 2, 6, 5, 1);
	assert_int_equal(judged(&r), FMT_CONTRADICTION);
	put_row(1, 2, 6, 5, 0);
	assert_int_equal(judged(&r), FMT_CONTRADICTION);
	put_row(1, 2, 0, 0, 0);
	assert_int_equal(judged(&r), FMT_RANGE);
}

static void
snapshots_and_ids_that_came_back_stand_in_order_each_once(void **state)
{
	struct receipt r = partial();

	(void)state;
	put_row(1, 1, 6, 5, 1);
	assert_int_equal(judged(&r), FMT_ORDER);
	put_row(1, 0, 6, 5, 1);
	assert_int_equal(judged(&r), FMT_ORDER);
	r = partial();
	two[DIGEST_LEN] = 1;
	assert_int_equal(judged(&r), FMT_ORDER);
	two[DIGEST_LEN] = 0;
	assert_int_equal(judged(&r), FMT_ORDER);
}

static void
an_answer_says_whole_or_what_it_does_without(void **state)
{
	struct handoff h = { .short_name = "RM4K", .number = 1, .whole = 1 };

	(void)state;
	assert_int_equal(encode(&handoff_schema, &h), FMT_OK);
	h.given_up = 1;
	assert_int_equal(handoff_schema.check(&h), FMT_CONTRADICTION);
	h.whole = 0;
	assert_int_equal(handoff_schema.check(&h), FMT_CONTRADICTION);
	h.missing[0] = 1;
	assert_int_equal(handoff_schema.check(&h), FMT_OK);
	h.given_up = 0;
	assert_int_equal(handoff_schema.check(&h), FMT_CONTRADICTION);
	strcpy(h.short_name, "rm4k");
	assert_int_equal(handoff_schema.check(&h), FMT_RANGE);
}

static void
a_list_is_cut_into_parts_that_are_full_but_for_the_last(void **state)
{
	(void)state;
	assert_int_equal(id_list_parts(0), 1);
	assert_int_equal(id_list_parts(1), 1);
	assert_int_equal(id_list_parts(ID_LIST_PART), 1);
	assert_int_equal(id_list_parts(ID_LIST_PART + 1), 2);
	assert_int_equal(id_list_parts(REFS_MAX), ID_LIST_PARTS_MAX);
	assert_int_equal(id_list_part_ids(0, 0), 0);
	assert_int_equal(id_list_part_ids(ID_LIST_PART + 1, 0), ID_LIST_PART);
	assert_int_equal(id_list_part_ids(ID_LIST_PART + 1, 1), 1);
	assert_int_equal(id_list_part_ids(ID_LIST_PART + 1, 2), 0);
}

static void
a_part_that_does_not_fit_its_list_is_refused(void **state)
{
	static const struct { uint64_t count; uint32_t part, parts; uint32_t ids; enum fmt_status want; } t[] = {
		{ 2, 0, 1, 2, FMT_OK },
		{ 0, 0, 1, 0, FMT_OK },
		{ ID_LIST_PART + 2, 1, 2, 2, FMT_OK },
		{ 2, 1, 1, 2, FMT_RANGE },		/* no such part */
		{ 2, 0, 2, 2, FMT_CONTRADICTION },	/* more parts than it takes */
		{ 3, 0, 1, 2, FMT_CONTRADICTION },	/* an id short */
		{ 1, 0, 1, 2, FMT_CONTRADICTION },	/* an id too many */
		{ ID_LIST_PART + 2, 0, 2, 2, FMT_CONTRADICTION },	/* not the last, and not full */
	};

	(void)state;
	two[0] = 1;
	two[DIGEST_LEN] = 2;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct id_list l = { .count = t[i].count, .part = t[i].part, .parts = t[i].parts,
			.ids = { two, t[i].ids * DIGEST_LEN } };

		assert_int_equal(gap_list_schema.check(&l), t[i].want);
		assert_int_equal(given_up_schema.check(&l), t[i].want);
		assert_int_equal(carried_schema.check(&l), t[i].want);
	}
	two[DIGEST_LEN] = 1;
	assert_int_equal(gap_list_schema.check(&(struct id_list){ .count = 2, .parts = 1, .ids = { two, sizeof(two) } }), FMT_ORDER);
}

static void
the_longest_statements_have_room_in_a_record(void **state)
{
	(void)state;
	assert_true((uint64_t)SNAPS_PER_IMAGE_MAX * RECEIPT_SNAPSHOT_LEN + (uint64_t)RECEIPT_RETURNED_MAX * DIGEST_LEN + 1024 <
	    RECORD_BODY_MAX);
	assert_true((uint64_t)ID_LIST_PART * DIGEST_LEN + 400 < ID_LIST_PART_LEN);
	assert_true(ID_LIST_PART_LEN < RECORD_BODY_MAX);
	assert_int_equal(element_size(receipt_snapshot_fields, receipt_snapshot_nfields), RECEIPT_SNAPSHOT_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_partial_receipt_whose_counts_agree_is_taken),
		cmocka_unit_test(a_receipt_that_contradicts_itself_is_refused),
		cmocka_unit_test(a_whole_receipt_lacks_nothing),
		cmocka_unit_test(snapshots_and_ids_that_came_back_stand_in_order_each_once),
		cmocka_unit_test(an_answer_says_whole_or_what_it_does_without),
		cmocka_unit_test(a_list_is_cut_into_parts_that_are_full_but_for_the_last),
		cmocka_unit_test(a_part_that_does_not_fit_its_list_is_refused),
		cmocka_unit_test(the_longest_statements_have_room_in_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
