#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static uint8_t code[COMMIT_ENVELOPES_MAX * (ENVELOPE_LEN_MAX + 2) + 1024], ids[(PAGE_IDS_MAX + 1) * DIGEST_LEN];

static enum fmt_status
taken(const struct fmt_schema *s, const void *value)
{
	size_t len;

	return schema_encode(s, value, code, sizeof(code), &len);
}

/* ${n} ids in rising order. */
static struct fmt_view
rising(size_t n)
{
	memset(ids, 0, sizeof(ids));
	for (size_t i = 0; i < n; i++) {
		ids[i * DIGEST_LEN] = (uint8_t)(i >> 16);
		ids[i * DIGEST_LEN + 1] = (uint8_t)(i >> 8);
		ids[i * DIGEST_LEN + 2] = (uint8_t)i;
	}
	return (struct fmt_view){ ids, (uint32_t)(n * DIGEST_LEN) };
}

static void
a_backup_names_its_set_and_nothing_else_needs_to(void **state)
{
	struct session_open o = { .kind = LINE_BACKUP };

	(void)state;
	assert_int_equal(session_open_schema.check(&o), FMT_CONTRADICTION);
	o.kind = LINE_REFILL;
	assert_int_equal(taken(&session_open_schema, &o), FMT_OK);
	o.kind = LINE_BACKUP;
	strcpy(o.set_name, "files");
	assert_int_equal(taken(&session_open_schema, &o), FMT_OK);
	o.kind = LINE_REFILL + 1;
	assert_int_equal(taken(&session_open_schema, &o), FMT_RANGE);
	o.kind = 0;
	assert_int_equal(taken(&session_open_schema, &o), FMT_RANGE);
}

static void
pages_and_questions_hold_rising_ids_up_to_their_limits(void **state)
{
	static const struct { size_t n; uint8_t more; enum fmt_status page, ask; } t[] = {
		{ 0, 0, FMT_OK, FMT_RANGE },
		{ 0, 1, FMT_RANGE, FMT_RANGE },		/* nothing, and more above it */
		{ 1, 1, FMT_OK, FMT_OK },
		{ ASK_IDS_MAX, 0, FMT_OK, FMT_OK },
		{ ASK_IDS_MAX + 1, 0, FMT_OK, FMT_RANGE },
		{ PAGE_IDS_MAX, 1, FMT_OK, FMT_RANGE },
		{ PAGE_IDS_MAX + 1, 0, FMT_RANGE, FMT_RANGE },
		{ 1, 2, FMT_RANGE, FMT_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct fmt_view v = rising(t[i].n);

		assert_int_equal(taken(&id_page_schema, &(struct id_page){ .ids = v, .more = t[i].more }), t[i].page);
		assert_int_equal(taken(&ask_schema, &(struct ask){ .ids = v }), t[i].ask);
	}
}

static void
ids_that_do_not_rise_are_refused(void **state)
{
	struct fmt_view v = rising(3);

	(void)state;
	assert_int_equal(ask_schema.check(&(struct ask){ .ids = v }), FMT_OK);
	memcpy(ids + DIGEST_LEN, ids, DIGEST_LEN);
	assert_int_equal(ask_schema.check(&(struct ask){ .ids = v }), FMT_ORDER);
	assert_int_equal(id_page_schema.check(&(struct id_page){ .ids = v }), FMT_ORDER);
	ids[0] = 1;
	assert_int_equal(ask_schema.check(&(struct ask){ .ids = v }), FMT_ORDER);
	assert_int_equal(id_page_schema.check(&(struct id_page){ .ids = v, .more = 1 }), FMT_ORDER);
}

static void
an_answer_says_held_promised_or_missing_and_nothing_else(void **state)
{
	(void)state;
	for (unsigned s = 0; s < 256; s++) {
		uint8_t states[] = { ID_HELD, (uint8_t)s, ID_MISSING };
		struct answer a = { { states, sizeof(states) } };

		assert_int_equal(answer_schema.check(&a), s >= ID_HELD && s <= ID_MISSING ? FMT_OK : FMT_RANGE);
	}
	assert_int_equal(taken(&answer_schema, &(struct answer){ { NULL, 0 } }), FMT_RANGE);
}

static void
the_rows_of_a_commit_come_back_one_by_one(void **state)
{
	static uint8_t rows[4096], long_one[ENVELOPE_LEN_MAX + 1];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct fmt_view v;
	struct rd r;

	(void)state;
	commit_put(&w, "a", 1);
	commit_put(&w, long_one, ENVELOPE_LEN_MAX);
	assert_false(w.bad);
	r = (struct rd){ .p = rows, .left = (size_t)(w.p - rows) };
	assert_int_equal(commit_next(&r, &v), FMT_OK);
	assert_int_equal(v.len, 1);
	assert_memory_equal(v.p, "a", 1);
	assert_int_equal(commit_next(&r, &v), FMT_OK);
	assert_int_equal(v.len, ENVELOPE_LEN_MAX);
	assert_int_equal(r.left, 0);
	assert_int_equal(commit_next(&r, &v), FMT_SHORT);
	commit_put(&w, long_one, sizeof(long_one));
	assert_true(w.bad);
	w = (struct wr){ .p = rows, .left = sizeof(rows) };
	commit_put(&w, "", 0);
	assert_true(w.bad);
}

static void
a_commit_whose_rows_are_cut_empty_long_or_too_many_is_refused(void **state)
{
	static uint8_t rows[(COMMIT_ENVELOPES_MAX + 1) * 3];
	static const uint8_t cut[] = { 4, 0, 'a', 'b', 'c' }, empty[] = { 0, 0, 1, 0, 'a' }, tail[] = { 1, 0, 'a', 1 };
	static uint8_t long_one[2 + ENVELOPE_LEN_MAX + 1];
	struct wr w = { .p = rows, .left = sizeof(rows) };
	struct commit c = { .envelopes = { cut, sizeof(cut) } };

	(void)state;
	assert_int_equal(commit_schema.check(&c), FMT_SHORT);
	c.envelopes = (struct fmt_view){ empty, sizeof(empty) };
	assert_int_equal(commit_schema.check(&c), FMT_RANGE);
	c.envelopes = (struct fmt_view){ tail, sizeof(tail) };
	assert_int_equal(commit_schema.check(&c), FMT_SHORT);
	le16_put(long_one, ENVELOPE_LEN_MAX + 1);
	c.envelopes = (struct fmt_view){ long_one, sizeof(long_one) };
	assert_int_equal(commit_schema.check(&c), FMT_RANGE);
	for (unsigned i = 0; i <= COMMIT_ENVELOPES_MAX; i++)
		commit_put(&w, "x", 1);
	c.envelopes = (struct fmt_view){ rows, sizeof(rows) };
	assert_int_equal(commit_schema.check(&c), FMT_RANGE);
	c.envelopes.len -= 3;
	assert_int_equal(commit_schema.check(&c), FMT_OK);
}

static void
the_longest_envelope_has_room_in_a_row(void **state)
{
	struct envelope env = { .seq = 1, .kind = SNAP_FILES, .refs_count = 1 };

	(void)state;
	memset(env.set_name, 'x', SET_NAME_MAX);
	assert_true(schema_size(&envelope_schema, &env) > 0);
	assert_true(schema_size(&envelope_schema, &env) <= ENVELOPE_LEN_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_names_its_set_and_nothing_else_needs_to),
		cmocka_unit_test(pages_and_questions_hold_rising_ids_up_to_their_limits),
		cmocka_unit_test(ids_that_do_not_rise_are_refused),
		cmocka_unit_test(an_answer_says_held_promised_or_missing_and_nothing_else),
		cmocka_unit_test(the_rows_of_a_commit_come_back_one_by_one),
		cmocka_unit_test(a_commit_whose_rows_are_cut_empty_long_or_too_many_is_refused),
		cmocka_unit_test(the_longest_envelope_has_room_in_a_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
