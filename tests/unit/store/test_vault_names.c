#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/store/store_dir.h"
#include "common/store/vault_names.h"
#include "formats/fmt_snapshot.h"

static const uint8_t id[DIGEST_LEN] = { 0xab, 0xcd, 1, 2 };

static void
names_are_what_the_specification_says(void **state)
{
	char n[VAULT_NAME_MAX];

	(void)state;
	vault_name_desc(n, 12);
	assert_string_equal(n, "vault/12.json");
	vault_name_record(n, 255);
	assert_string_equal(n, "records/00000000000000ff");
	vault_name_pack(n, id, 3);
	assert_string_equal(n, "packs/ab/abcd010200000000000000000000000000000000000000000000000000000000.3");
	vault_name_origin(n, id);
	assert_string_equal(n, "origins/ab/abcd010200000000000000000000000000000000000000000000000000000000");
	vault_name_envelope(n, id, 16);
	assert_string_equal(n, "snapshots/abcd0102000000000000000000000000/0000000000000010.env");
	vault_name_refs(n, id, 16, REFS_WHOLE, 2);
	assert_string_equal(n, "snapshots/abcd0102000000000000000000000000/0000000000000010.r02");
	vault_name_refs(n, id, 16, REFS_DELTA, 0);
	assert_string_equal(n, "snapshots/abcd0102000000000000000000000000/0000000000000010.d00");
	vault_name_keys(n, id, "slots", 7);
	assert_string_equal(n, "keys/abcd0102000000000000000000000000/slots.7");
	vault_name_image(n, id, "manif", 1);
	assert_string_equal(n, "images/abcd0102000000000000000000000000/manif-1");
	vault_name_bad_disk_pack(n, id, 1, 42, 2);
	assert_string_equal(n, "quarantine/abcd0102000000000000000000000000/1-00000042.2");
	assert_true(store_name_is_valid(n));
}

static void
what_is_written_is_read_back_and_nothing_else(void **state)
{
	static const char *const bad[] = {
		"", "packs/", "packs/ab/", "packs/ab/abcd", "packs/ac/abcd010200000000000000000000000000000000000000000000000000000000.1",
		"packs/ab/abcd010200000000000000000000000000000000000000000000000000000000.0",
		"packs/ab/abcd010200000000000000000000000000000000000000000000000000000000.01",
		"packs/ab/abcd010200000000000000000000000000000000000000000000000000000000.4294967296",
		"packs/ab/ABCD010200000000000000000000000000000000000000000000000000000000.1",
		"packs/ab/abcd010200000000000000000000000000000000000000000000000000000000.1x",
	};
	char n[VAULT_NAME_MAX];
	uint8_t back[DIGEST_LEN], machine[ID_LEN];
	uint64_t seq;
	uint32_t copy;

	(void)state;
	vault_name_pack(n, id, UINT32_MAX);
	assert_int_equal(vault_name_parse_pack(n, back, &copy), 0);
	assert_memory_equal(back, id, DIGEST_LEN);
	assert_int_equal(copy, UINT32_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vault_name_parse_pack(bad[i], back, &copy), -1);
	vault_name_envelope(n, id, UINT64_MAX - 1);
	assert_int_equal(vault_name_parse_envelope(n, machine, &seq), 0);
	assert_memory_equal(machine, id, ID_LEN);
	assert_true(seq == UINT64_MAX - 1);
	n[strlen(n) - 1] = 'x';
	assert_int_equal(vault_name_parse_envelope(n, machine, &seq), -1);
}

static void
the_number_at_the_end_is_found(void **state)
{
	(void)state;
	assert_int_equal(vault_name_number("vault/12.json"), 12);
	assert_int_equal(vault_name_number("keys/00/slots.3"), 3);
	assert_int_equal(vault_name_number("images/00/manif-4"), 4);
	assert_int_equal(vault_name_number("keys/00/slots"), 0);
	assert_int_equal(vault_name_number("keys/00/slots.03"), 0);
	assert_int_equal(vault_name_number("vault/99999999999.json"), 0);
	assert_int_equal(vault_name_number(""), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_what_the_specification_says),
		cmocka_unit_test(what_is_written_is_read_back_and_nothing_else),
		cmocka_unit_test(the_number_at_the_end_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
