#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/io_fault.h"

static char root[64];
static int dir;
static struct err e;

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	dir = scratch_make(root);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	(void)close(dir);
	scratch_remove(root);
	return 0;
}

/* Run file_put_new under ${plan}; the file has the content afterwards or is not there. */
static int
put_under(const struct fault_plan *plan, const char *content)
{
	uint8_t *data;
	size_t len;
	int rc;

	fault_start(plan);
	rc = file_put_new(dir, "file", content, strlen(content), 0600, &e);
	fault_stop();
	if (file_read(dir, "file", 1000, &data, &len, NULL) == 0) {
		assert_string_equal((char *)data, content);
		free(data);
		assert_int_equal(unlinkat(dir, "file", 0), 0);
	} else {
		assert_int_equal(rc, -1);
	}
	return rc;
}

static void
each_call_of_each_kind_can_fail_and_a_file_is_whole_or_not_there(void **state)
{
	static const enum fault_kind kinds[] = { FAULT_OPEN, FAULT_WRITE, FAULT_FSYNC,
		FAULT_CLOSE, FAULT_STAT, FAULT_RENAME };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct fault_plan plan = { .kind = kinds[k], .sys = EIO };
		uint64_t calls;
		char **list;
		size_t n;

		assert_int_equal(put_under(&plan, "content"), 0);
		calls = fault_count();
		assert_true(calls >= 1);
		assert_int_equal(fault_hits(), 0);
		for (plan.nth = 1; plan.nth <= calls; plan.nth++) {
			(void)put_under(&plan, "content");
			assert_int_equal(fault_hits(), 1);
		}
		assert_int_equal(put_under(&plan, "content"), 0);	/* beyond the last call */
		assert_int_equal(fault_hits(), 0);
		assert_int_equal(dir_list(dir, ".", &list, &n, &e), 0);
		assert_int_equal(n, 0);		/* and no temporary file stays */
		dir_list_free(list, n);
	}
}

static void
every_call_from_one_on_can_fail(void **state)
{
	struct fault_plan plan = { .kind = FAULT_FSYNC, .nth = 2, .every = 1, .sys = EIO };

	(void)state;
	fault_start(&plan);
	assert_int_equal(io->fsync(dir), 0);
	for (int i = 0; i < 3; i++) {
		errno = 0;
		assert_int_equal(io->fsync(dir), -1);
		assert_int_equal(errno, EIO);
	}
	assert_int_equal(io->ftruncate(-1, 0), -1);	/* another kind is not counted */
	assert_int_equal(errno, EBADF);
	assert_int_equal(fault_count(), 4);
	assert_int_equal(fault_hits(), 3);
	fault_stop();
	assert_ptr_equal(io, io_real());
}

static void
a_write_without_errno_is_a_short_one_that_callers_go_on_from(void **state)
{
	const struct fault_plan plan = { .kind = FAULT_WRITE, .nth = 1, .every = 1 };

	(void)state;
	assert_int_equal(put_under(&plan, "a content of some length"), 0);
	assert_true(fault_hits() >= 5);
}

static void
any_kind_counts_all_of_them(void **state)
{
	struct fault_plan plan = { .kind = FAULT_ANY, .sys = ENOSPC };
	uint64_t calls;

	(void)state;
	assert_int_equal(put_under(&plan, "content"), 0);
	calls = fault_count();
	assert_true(calls >= 8);
	for (plan.nth = 1; plan.nth <= calls; plan.nth++) {
		plan.every = 1;
		(void)put_under(&plan, "content");
		assert_true(fault_hits() >= 1);
		plan.every = 0;
		(void)put_under(&plan, "content");
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(each_call_of_each_kind_can_fail_and_a_file_is_whole_or_not_there),
		T(every_call_from_one_on_can_fail),
		T(a_write_without_errno_is_a_short_one_that_callers_go_on_from),
		T(any_kind_counts_all_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
