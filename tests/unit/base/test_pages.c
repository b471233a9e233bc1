#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/pages.h"

static void
memory_begins_at_a_large_page_and_all_of_it_can_be_written(void **state)
{
	static const size_t lens[] = { 1, 4096, PAGES_ALIGN - 1, PAGES_ALIGN, 3 * PAGES_ALIGN + 5 };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint8_t *p = pages_new(lens[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % PAGES_ALIGN, 0);
		memset(p, 0xa5, lens[i]);
		assert_int_equal(p[lens[i] - 1], 0xa5);
		free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_begins_at_a_large_page_and_all_of_it_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
