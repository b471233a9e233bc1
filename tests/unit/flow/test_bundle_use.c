#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/flow/bundle_use.h"

static void
id_of(uint8_t id[DIGEST_LEN], unsigned n)
{
	memset(id, 0, DIGEST_LEN);
	for (unsigned i = 0; i < 16; i++)
		id[i] = (uint8_t)((n * 2654435761u) >> (i % 4 * 8));
}

static void
a_bundle_is_thin_once_less_than_half_is_used(void **state)
{
	struct bundle_use *u = bundle_use_new();
	uint8_t id[DIGEST_LEN];

	(void)state;
	id_of(id, 1);
	assert_false(bundle_use_thin(u, id));
	assert_int_equal(bundle_use_add(u, id, 0, 499, 1000), 0);
	assert_true(bundle_use_thin(u, id));
	assert_int_equal(bundle_use_add(u, id, 900, 1, 0), 0);
	assert_false(bundle_use_thin(u, id));
	assert_int_equal(bundle_use_files(u), 2);
	bundle_use_free(u);
}

static void
the_length_of_a_bundle_comes_from_the_table_before(void **state)
{
	struct bundle_use *base = bundle_use_new(), *u = bundle_use_new();
	uint8_t id[DIGEST_LEN];

	(void)state;
	id_of(id, 1);
	assert_int_equal(bundle_use_add(base, id, 0, 1000, 1000), 0);
	assert_int_equal(bundle_use_add(u, id, 0, 100, 0), 0);
	assert_false(bundle_use_thin(u, id));
	bundle_use_lengths(u, base);
	assert_true(bundle_use_thin(u, id));
	bundle_use_free(base);
	bundle_use_free(u);
}

static void
a_table_comes_back_as_it_was_saved_and_a_damaged_one_is_empty(void **state)
{
	struct bundle_use *u = bundle_use_new(), *back;
	uint8_t id[DIGEST_LEN], *bytes;
	char root[64];
	struct err e;
	size_t len;
	int fd = scratch_make(root);

	(void)state;
	err_clear(&e);
	for (unsigned i = 0; i < 5000; i++) {
		id_of(id, i);
		assert_int_equal(bundle_use_add(u, id, 0, i % 2 ? 10 : 900, 1000), 0);
	}
	assert_int_equal(bundle_use_save(u, fd, "use", &e), 0);
	back = bundle_use_load(fd, "use");
	assert_int_equal(bundle_use_files(back), 5000);
	for (unsigned i = 0; i < 5000; i++) {
		id_of(id, i);
		assert_int_equal(bundle_use_thin(back, id), i % 2);
	}
	bundle_use_free(back);
	assert_int_equal(file_read(fd, "use", 1u << 20, &bytes, &len, &e), 0);
	for (size_t cut = 0; cut < len; cut += 37) {
		bytes[cut] ^= 1;
		assert_int_equal(file_replace(fd, "use", bytes, cut % 2 ? len : cut, 0600, &e), 0);
		bytes[cut] ^= 1;
		back = bundle_use_load(fd, "use");
		assert_int_equal(bundle_use_files(back), 0);
		bundle_use_free(back);
		cut += len / 40;
	}
	free(bytes);
	bundle_use_free(u);
	close(fd);
	scratch_remove(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_thin_once_less_than_half_is_used),
		cmocka_unit_test(the_length_of_a_bundle_comes_from_the_table_before),
		cmocka_unit_test(a_table_comes_back_as_it_was_saved_and_a_damaged_one_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
