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
a_domain_with_an_average_that_is_no_power_of_two_is_refused(void **state)
{
	struct domain_desc d = { .suite = SUITE_1, .chunk_avg = CHUNK_AVG_DEFAULT };

	(void)state;
	assert_int_equal(encode(&domain_desc_schema, &d), FMT_OK);
	d.chunk_avg++;
	assert_int_equal(encode(&domain_desc_schema, &d), FMT_RANGE);
	d.chunk_avg = 3u << 16;
	assert_int_equal(encode(&domain_desc_schema, &d), FMT_RANGE);
}

static struct slot
passphrase_slot(void)
{
	return (struct slot){ .type = SLOT_PASSPHRASE, .kdf_ops = KDF_OPS_MIN, .kdf_mem = KDF_MEM_MIN };
}

/* A header of this one slot. */
static enum fmt_status
header_of(const struct slot *s)
{
	uint8_t bytes[SLOT_LEN];
	struct wr w = { .p = bytes, .left = sizeof(bytes) };
	struct slot_header h = { .generation = 1 };

	element_put(slot_fields, slot_nfields, &w, s);
	assert_false(w.bad);
	assert_int_equal(w.left, 0);
	h.slots = view_of(bytes, sizeof(bytes));
	return encode(&slot_header_schema, &h);
}

static void
a_slot_that_asks_for_a_terabyte_is_refused(void **state)
{
	struct slot s = passphrase_slot();

	(void)state;
	assert_int_equal(header_of(&s), FMT_OK);
	s.kdf_mem = UINT64_C(1) << 40;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s.kdf_mem = KDF_MEM_MAX;
	assert_int_equal(header_of(&s), FMT_OK);
	s.kdf_mem++;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s.kdf_mem = UINT64_MAX;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s = passphrase_slot();
	s.kdf_ops = KDF_OPS_MAX + 1;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s.kdf_ops = UINT64_MAX;
	assert_int_equal(header_of(&s), FMT_RANGE);
}

static void
a_passphrase_slot_that_is_too_cheap_is_refused(void **state)
{
	struct slot s = passphrase_slot();

	(void)state;
	s.kdf_mem = KDF_MEM_MIN - 1;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s = passphrase_slot();
	s.kdf_ops = KDF_OPS_MIN - 1;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s.kdf_ops = 0;
	s.kdf_mem = 0;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s.type = SLOT_RECOVERY;
	assert_int_equal(header_of(&s), FMT_OK);
}

static void
a_slot_of_no_known_type_is_refused(void **state)
{
	struct slot s = passphrase_slot();

	(void)state;
	s.type = 0;
	assert_int_equal(header_of(&s), FMT_RANGE);
	s.type = SLOT_LOCAL + 1;
	assert_int_equal(header_of(&s), FMT_RANGE);
}

static void
slots_are_read_one_by_one_and_none_beyond_the_last(void **state)
{
	uint8_t bytes[3 * SLOT_LEN];
	struct wr w = { .p = bytes, .left = sizeof(bytes) };
	struct rng r = { 1 };
	struct slot in[3], out;

	(void)state;
	memset(in, 0, sizeof(in));
	for (size_t i = 0; i < 3; i++) {
		in[i] = passphrase_slot();
		rng_fill(&r, in[i].wrapped, sizeof(in[i].wrapped));
		rng_fill(&r, in[i].label, sizeof(in[i].label));
		in[i].created = (int64_t)rng_next(&r);
		element_put(slot_fields, slot_nfields, &w, &in[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		memset(&out, 0, sizeof(out));
		assert_int_equal(element_get(slot_fields, slot_nfields, view_of(bytes, sizeof(bytes)), i, &out), FMT_OK);
		assert_memory_equal(out.wrapped, in[i].wrapped, sizeof(out.wrapped));
		assert_memory_equal(out.label, in[i].label, sizeof(out.label));
		assert_int_equal(out.created, in[i].created);
	}
	assert_int_equal(element_get(slot_fields, slot_nfields, view_of(bytes, sizeof(bytes)), 3, &out), FMT_RANGE);
	assert_int_equal(element_get(slot_fields, slot_nfields, view_of(bytes, sizeof(bytes) - 1), 2, &out), FMT_RANGE);
	assert_int_equal(element_get(slot_fields, slot_nfields, view_of(bytes, 0), 0, &out), FMT_RANGE);
}

static void
names_that_cannot_be_names_are_refused(void **state)
{
	struct membership m = { .machine_name = "web1", .from_seq = 1 };
	struct trust t = { .vault_name = "north" };

	(void)state;
	assert_int_equal(encode(&membership_schema, &m), FMT_OK);
	strcpy(m.machine_name, "../x");
	assert_int_equal(encode(&membership_schema, &m), FMT_RANGE);
	assert_int_equal(encode(&trust_schema, &t), FMT_OK);
	strcpy(t.vault_name, "no/rth");
	assert_int_equal(encode(&trust_schema, &t), FMT_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_with_an_average_that_is_no_power_of_two_is_refused),
		cmocka_unit_test(a_slot_that_asks_for_a_terabyte_is_refused),
		cmocka_unit_test(a_passphrase_slot_that_is_too_cheap_is_refused),
		cmocka_unit_test(a_slot_of_no_known_type_is_refused),
		cmocka_unit_test(slots_are_read_one_by_one_and_none_beyond_the_last),
		cmocka_unit_test(names_that_cannot_be_names_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
