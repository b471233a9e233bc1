#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "common/base/err.h"
#include "common/base/stop.h"

static void
signals_only_ask_and_as_often_as_they_come(void **state)
{
	struct err e;

	(void)state;
	stop_init();
	err_clear(&e);
	assert_int_equal(stop_check(&e), 0);
	assert_int_equal(raise(SIGHUP), 0);
	assert_int_equal(stop_asked(), 0);
	assert_int_equal(raise(SIGINT), 0);
	assert_int_equal(raise(SIGINT), 0);
	assert_int_equal(raise(SIGTERM), 0);
	assert_int_equal(stop_asked(), 1);
	assert_int_equal(stop_check(&e), -1);
	assert_int_equal(e.code, ERR_INTERRUPTED);
	stop_reset();
	assert_int_equal(stop_asked(), 0);
	stop_ask();
	assert_int_equal(stop_asked(), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_only_ask_and_as_often_as_they_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
