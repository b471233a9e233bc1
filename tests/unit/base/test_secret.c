#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/secret.h"

static void
core_dumps_are_forbidden(void **state)
{
	struct rlimit r;

	(void)state;
	secret_init();
	assert_int_equal(getrlimit(RLIMIT_CORE, &r), 0);
	assert_int_equal(r.rlim_max, 0);
}

static void
a_new_secret_is_zero_and_wiping_clears_it(void **state)
{
	uint8_t *p = secret_new(100);

	(void)state;
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	p[0] = p[99] = 7;
	secret_wipe(p, 100);
	assert_int_equal(p[0] | p[99], 0);
	secret_free(p);
	secret_free(NULL);
}

static void
one_byte_past_a_secret_ends_the_process(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid != -1);
	if (pid == 0) {
		volatile uint8_t *p = secret_new(32);

		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		_exit(p[32] & 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void
equality_looks_at_every_byte(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	assert_int_equal(secret_equal(a, b, 32), 1);
	for (size_t i = 0; i < 32; i++) {
		b[i] = 1;
		assert_int_equal(secret_equal(a, b, 32), 0);
		b[i] = 0;
	}
	assert_int_equal(secret_equal(a, b, 0), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_dumps_are_forbidden),
		cmocka_unit_test(a_new_secret_is_zero_and_wiping_clears_it),
		cmocka_unit_test(one_byte_past_a_secret_ends_the_process),
		cmocka_unit_test(equality_looks_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
