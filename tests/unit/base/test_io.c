#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/io.h"

static struct io_ops ops;	/* the real ones with some replaced */
static unsigned calls;

static ssize_t
write_one_byte(int fd, const void *buf, size_t n, off_t at)
{
	(void)n;
	if (++calls % 3 == 0) {
		errno = EINTR;
		return -1;
	}
	return pwrite(fd, buf, 1, at);
}

static ssize_t
write_nothing(int fd, const void *buf, size_t n)
{
	(void)fd;
	(void)buf;
	(void)n;
	return 0;
}

static ssize_t
read_one_byte(int fd, void *buf, size_t n, off_t at)
{
	(void)n;
	if (++calls % 3 == 0) {
		errno = EINTR;
		return -1;
	}
	return pread(fd, buf, 1, at);
}

static int
fixed_clock(clockid_t id, struct timespec *ts)
{
	ts->tv_sec = id == CLOCK_MONOTONIC ? 5 : -2;
	ts->tv_nsec = 7;
	return 0;
}

static void
short_and_interrupted_calls_are_gone_on_with(void **state)
{
	int fd = memfd_create("io", 0);
	char back[16] = "";

	(void)state;
	ops = *io_real();
	ops.pwrite = write_one_byte;
	ops.pread = read_one_byte;
	(void)io_use(&ops);
	assert_int_equal(io_write_full(fd, "seed image", 10, 3), 0);
	assert_int_equal(io_read_full(fd, back, 16, 3), 10);
	(void)io_use(io_real());
	assert_string_equal(back, "seed image");
	assert_true(calls > 20);
	(void)close(fd);
}

static void
a_write_that_makes_no_progress_is_an_error(void **state)
{
	(void)state;
	ops = *io_real();
	ops.write = write_nothing;
	(void)io_use(&ops);
	errno = 0;
	assert_int_equal(io_write_full(1, "x", 1, -1), -1);
	(void)io_use(io_real());
	assert_int_equal(errno, EIO);
}

static void
errors_of_the_system_come_through(void **state)
{
	char c;

	(void)state;
	assert_int_equal(io_read_full(-1, &c, 1, 0), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(io_write_full(-1, &c, 1, 0), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(io_read_full(-1, &c, 0, 0), 0);
}

static void
the_clock_is_the_one_of_the_table(void **state)
{
	const struct io_ops *before;

	(void)state;
	ops = *io_real();
	ops.clock_gettime = fixed_clock;
	before = io_use(&ops);
	assert_ptr_equal(before, io_real());
	assert_int_equal(io_now_ns(), -1999999993);
	assert_int_equal(io_now(), -2);
	assert_int_equal(io_mono_ns(), 5000000007);
	assert_ptr_equal(io_use(before), &ops);
}

static void
random_bytes_fill_all_of_the_buffer(void **state)
{
	static uint8_t a[100000], b[100000];
	unsigned seen[256] = { 0 };

	(void)state;
	io_random(a, sizeof(a));
	io_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		seen[a[i]]++;
	for (size_t i = 0; i < 256; i++)
		assert_true(seen[i] > 0);
	assert_memory_not_equal(a + sizeof(a) - 32, b + sizeof(b) - 32, 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_and_interrupted_calls_are_gone_on_with),
		cmocka_unit_test(a_write_that_makes_no_progress_is_an_error),
		cmocka_unit_test(errors_of_the_system_come_through),
		cmocka_unit_test(the_clock_is_the_one_of_the_table),
		cmocka_unit_test(random_bytes_fill_all_of_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
