#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/capture.h"
#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io_fault.h"
#include "common/flow/job.h"
#include "common/flow/state.h"

static struct state s;	/* jobs need no more of a state than its directory */
static char root[64];
static struct err e;
static char seen[4096];
static unsigned lines;

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	memset(&s, 0, sizeof(s));
	s.fd = scratch_make(root);
	lines = 0;
	seen[0] = '\0';
	return 0;
}

static int
end(void **state)
{
	(void)state;
	(void)close(s.fd);
	scratch_remove(root);
	return 0;
}

static void
collect(void *arg, const char *text)
{
	(void)arg;
	lines++;
	if (strlen(seen) + strlen(text) + 2 < sizeof(seen)) {
		strcat(seen, text);
		strcat(seen, "\n");
	}
}

static void
a_job_is_on_record_from_start_to_end(void **state)
{
	struct job *j = job_start(&s, "build", "files onto RM4K-1", &e);
	struct job_info info;

	(void)state;
	assert_non_null(j);
	assert_int_equal(job_number(j), 1);
	assert_int_equal(job_read(&s, 1, &info, &e), 0);
	assert_true(info.running);
	assert_null(info.result);
	assert_true(info.start > 0 && info.end == 0);
	job_info_release(&info);
	job_end(j, 0, "completed");
	assert_int_equal(job_read(&s, 1, &info, &e), 0);
	assert_false(info.running);
	assert_string_equal(info.kind, "build");
	assert_string_equal(info.what, "files onto RM4K-1");
	assert_string_equal(info.result, "completed");
	assert_int_equal(info.exit, 0);
	assert_int_equal(info.warnings, 0);
	assert_true(info.end >= info.start);
	job_info_release(&info);
	assert_int_equal(job_read(&s, 2, &info, &e), 1);
}

static void
numbers_rise_and_are_never_given_twice(void **state)
{
	struct job *one = job_start(&s, "build", "a", &e), *two = job_start(&s, "restore", "b", &e);
	uint64_t *numbers;
	size_t n;

	(void)state;
	assert_int_equal(job_number(one), 1);
	assert_int_equal(job_number(two), 2);
	job_end(one, 0, "completed");
	one = job_start(&s, "build", "c", &e);
	assert_int_equal(job_number(one), 3);
	job_end(two, 1, "failed");
	job_end(one, 0, "completed");
	assert_int_equal(job_list(&s, &numbers, &n, &e), 0);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(numbers[i], i + 1);
	free(numbers);
}

static void
warnings_are_kept_in_order_and_cannot_reach_the_terminal_raw(void **state)
{
	struct job *j = job_start(&s, "build", "a", &e);
	struct job_info info;

	(void)state;
	job_warn(j, "%s: %s", "/srv/a", "Permission denied");
	job_warn(j, "/srv/b\nsamara-seed: all is well\033[2J");
	assert_int_equal(job_warnings(j), 2);
	assert_int_equal(job_read(&s, 1, &info, &e), 0);	/* also while it runs */
	assert_int_equal(info.warnings, 2);
	job_info_release(&info);
	job_end(j, 3, "completed with warnings: 2");
	assert_int_equal(job_each_warning(&s, 1, collect, NULL, &e), 0);
	assert_string_equal(seen, "/srv/a: Permission denied\n/srv/b\\nsamara-seed: all is well\\x1b[2J\n");
	assert_int_equal(job_read(&s, 1, &info, &e), 0);
	assert_int_equal(info.warnings, 2);
	assert_int_equal(info.exit, 3);
	job_info_release(&info);
}

static void
a_warning_may_be_as_long_as_the_longest_path(void **state)
{
	struct job *j = job_start(&s, "build", "a", &e);
	char *path = malloc(65536);

	(void)state;
	memset(path, 1, 65535);		/* each byte becomes four characters */
	path[65535] = '\0';
	for (int i = 0; i < 40; i++)
		job_warn(j, "%s", path);
	free(path);
	job_end(j, 3, "completed with warnings");
	assert_int_equal(job_each_warning(&s, 1, collect, NULL, &e), 0);
	assert_int_equal(lines, 40);
}

static void
a_job_that_was_cut_off_is_neither_running_nor_ended(void **state)
{
	struct job *j = job_start(&s, "build", "a", &e);
	struct fault_plan plan = { .kind = FAULT_ANY, .nth = 1, .every = 1, .sys = EIO };
	struct capture c;
	struct job_info info;

	(void)state;
	job_warn(j, "one");
	capture_start(&c, 2);
	fault_start(&plan);		/* nothing of its end is written */
	job_end(j, 0, "completed");
	fault_stop();
	assert_non_null(strstr(capture_end(&c), "the end of job 1 is not on record"));
	assert_int_equal(job_read(&s, 1, &info, &e), 0);
	assert_false(info.running);
	assert_null(info.result);
	assert_int_equal(info.warnings, 1);
	job_info_release(&info);
}

static void
a_record_that_is_damaged_is_said_and_hides_no_other(void **state)
{
	struct job_info info;
	uint64_t *numbers;
	size_t n;
	int fd;

	(void)state;
	job_end(job_start(&s, "build", "a", &e), 0, "completed");
	job_end(job_start(&s, "build", "b", &e), 0, "completed");
	assert_true((fd = openat(s.fd, "jobs/00000001.json", O_WRONLY | O_TRUNC | O_CLOEXEC)) != -1);
	assert_int_equal(write(fd, "{\"number\":1}\n", 13), 13);
	(void)close(fd);
	assert_int_equal(job_list(&s, &numbers, &n, &e), 0);
	assert_int_equal(n, 2);
	free(numbers);
	assert_int_equal(job_read(&s, 1, &info, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(job_read(&s, 2, &info, &e), 0);
	job_info_release(&info);
}

static void *
warn_much(void *arg)
{
	for (int i = 0; i < 500; i++)
		job_warn(arg, "a warning of some length, so that two that are mixed up show: %04d", i);
	return NULL;
}

static void
warnings_from_many_threads_stay_whole_lines(void **state)
{
	struct job *j = job_start(&s, "build", "a", &e);
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, warn_much, j), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(job_warnings(j), 2000);
	job_end(j, 3, "completed with warnings");
	assert_int_equal(job_each_warning(&s, 1, collect, NULL, &e), 0);
	assert_int_equal(lines, 2000);
	for (const char *at = seen; *at != '\0'; at = strchr(at, '\n') + 1)
		assert_int_equal(strchr(at, '\n') - at, (long)strlen("a warning of some length, so that two that are mixed up show: 0000"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(a_job_is_on_record_from_start_to_end),
		T(numbers_rise_and_are_never_given_twice),
		T(warnings_are_kept_in_order_and_cannot_reach_the_terminal_raw),
		T(a_warning_may_be_as_long_as_the_longest_path),
		T(a_job_that_was_cut_off_is_neither_running_nor_ended),
		T(a_record_that_is_damaged_is_said_and_hides_no_other),
		T(warnings_from_many_threads_stay_whole_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
