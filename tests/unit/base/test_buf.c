#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"

static void
what_is_added_stands_in_order_and_little_endian(void **state)
{
	struct buf b;
	uint8_t *p;
	size_t len;

	(void)state;
	buf_init(&b);
	buf_u8(&b, 1);
	buf_u16(&b, 0x0302);
	buf_u32(&b, 0x07060504);
	buf_u64(&b, 0x0f0e0d0c0b0a0908);
	buf_str(&b, "ab");
	buf_print(&b, "%d", 42);
	buf_zeros(&b, 2);
	buf_add(&b, NULL, 0);
	assert_int_equal(buf_check(&b, NULL), 0);
	p = buf_take(&b, &len);
	assert_int_equal(len, 21);
	assert_memory_equal(p, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17ab42\0\0", 22);
	assert_null(b.p);
	free(p);
}

static void
it_grows_as_needed_and_starts_again_after_reset(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b);
	for (uint32_t i = 0; i < 100000; i++)
		buf_u32(&b, i);
	assert_int_equal(b.len, 400000);
	for (uint32_t i = 0; i < 100000; i += 999)
		assert_int_equal(b.p[4 * i], i & 255);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void
a_failure_is_remembered_until_it_is_looked_at(void **state)
{
	struct buf b;
	struct err e;
	size_t len;

	(void)state;
	buf_init(&b);
	err_clear(&e);
	buf_str(&b, "x");
	assert_null(buf_room(&b, SIZE_MAX / 2));
	buf_str(&b, "y");
	assert_int_equal(b.len, 1);
	assert_int_equal(buf_check(&b, &e), -1);
	assert_int_equal(e.code, ERR_MEMORY);
	assert_null(buf_take(&b, &len));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_stands_in_order_and_little_endian),
		cmocka_unit_test(it_grows_as_needed_and_starts_again_after_reset),
		cmocka_unit_test(a_failure_is_remembered_until_it_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
