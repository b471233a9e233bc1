#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static uint8_t code[STATEMENT_ROOM];

static enum fmt_status
encode(const struct fmt_schema *s, const void *value)
{
	size_t len;

	return schema_encode(s, value, code, sizeof(code), &len);
}

static void
accepted_chunk_sizes_are_powers_of_two_in_order(void **state)
{
	static const struct { uint32_t lo, hi; enum fmt_status want; } t[] = {
		{ CHUNK_AVG_MIN, CHUNK_AVG_MAX, FMT_OK }, { CHUNK_AVG_MAX, CHUNK_AVG_MAX, FMT_OK },
		{ CHUNK_AVG_MAX, CHUNK_AVG_MIN, FMT_RANGE }, { CHUNK_AVG_MIN + 1, CHUNK_AVG_MAX, FMT_RANGE },
		{ CHUNK_AVG_MIN, CHUNK_AVG_MAX - 1, FMT_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct vault_desc d = { .generation = 1, .name = "north", .redundancy = REDUNDANCY_LOCAL,
			.suite = SUITE_1, .chunk_avg_min = t[i].lo, .chunk_avg_max = t[i].hi };
		struct credential c = { .purpose = PURPOSE_NEW, .vault_name = "north", .suite = SUITE_1,
			.chunk_avg_min = t[i].lo, .chunk_avg_max = t[i].hi };

		assert_int_equal(encode(&vault_desc_schema, &d), t[i].want);
		assert_int_equal(encode(&credential_schema, &c), t[i].want);
	}
}

static void
a_credential_may_leave_the_machine_open_but_not_misname_it(void **state)
{
	struct credential c = { .purpose = PURPOSE_NEW, .vault_name = "north", .suite = SUITE_1,
		.chunk_avg_min = CHUNK_AVG_MIN, .chunk_avg_max = CHUNK_AVG_MAX };

	(void)state;
	assert_int_equal(encode(&credential_schema, &c), FMT_OK);
	strcpy(c.machine_name, "web1");
	assert_int_equal(encode(&credential_schema, &c), FMT_OK);
	strcpy(c.machine_name, "a/b");
	assert_int_equal(encode(&credential_schema, &c), FMT_RANGE);
	strcpy(c.machine_name, "a");
	assert_int_equal(encode(&credential_schema, &c), FMT_RANGE);
	c.machine_name[0] = 0;
	strcpy(c.vault_name, "../north");
	assert_int_equal(encode(&credential_schema, &c), FMT_RANGE);
}

static void
a_wrapped_key_that_asks_for_a_terabyte_is_refused(void **state)
{
	struct vault_key_wrapped k = { .kdf_ops = KDF_OPS_MIN, .kdf_mem = KDF_MEM_MIN };

	(void)state;
	assert_int_equal(encode(&vault_key_wrapped_schema, &k), FMT_OK);
	k.kdf_mem = UINT64_C(1) << 40;
	assert_int_equal(encode(&vault_key_wrapped_schema, &k), FMT_RANGE);
	k.kdf_mem = KDF_MEM_MIN - 1;
	assert_int_equal(encode(&vault_key_wrapped_schema, &k), FMT_RANGE);
}

static void
an_image_in_a_record_has_a_short_name_that_is_one(void **state)
{
	struct rec_image r = { .short_name = "RM4K" };

	(void)state;
	assert_int_equal(encode(&rec_image_schema, &r), FMT_OK);
	strcpy(r.short_name, "/../");
	assert_int_equal(encode(&rec_image_schema, &r), FMT_RANGE);
}

static void
each_custody_event_has_words_of_its_own(void **state)
{
	(void)state;
	assert_string_equal(custody_event_text(0), "?");
	assert_string_equal(custody_event_text(CUSTODY_EVENT_MAX), "?");
	assert_string_equal(custody_event_text(UINT32_MAX), "?");
	assert_string_equal(custody_event_text(CUSTODY_BUILT), "built");
	assert_string_equal(custody_event_text(CUSTODY_READ_BACK), "read back");
	assert_string_equal(custody_event_text(CUSTODY_OVERRIDE), "override");
	for (unsigned a = 1; a < CUSTODY_EVENT_MAX; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(custody_event_text(a), custody_event_text(b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_chunk_sizes_are_powers_of_two_in_order),
		cmocka_unit_test(a_credential_may_leave_the_machine_open_but_not_misname_it),
		cmocka_unit_test(a_wrapped_key_that_asks_for_a_terabyte_is_refused),
		cmocka_unit_test(an_image_in_a_record_has_a_short_name_that_is_one),
		cmocka_unit_test(each_custody_event_has_words_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
