#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "base/capture.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/queue.h"
#include "common/base/text.h"

#define SECOND	INT64_C(1000000000)

static struct capture c;

static void
a_line_holds_what_is_known(void **state)
{
	struct progress_state s = { .title = "read", .total = 2400000000000,
		.bytes = 1200000000000, .items = 11204118, .elapsed_ns = 2162 * SECOND,
		.item = "/srv/mail/a", .note = "2.1 TB to the next disk" };
	char line[300];

	(void)state;
	assert_string_equal(progress_line(line, sizeof(line), 0, &s), "read: 50.0 %, 1.2 TB, "
	    "11,204,118 items, 555 MB/s, 36 min left, 2.1 TB to the next disk  /srv/mail/a");
	s.note = s.item = "";
	s.bytes = s.items = 0;
	assert_string_equal(progress_line(line, sizeof(line), 0, &s),
	    "read: 0.0 %, 0 B, 0 items, 0 B/s");
	s.total = 0;
	s.bytes = 5000000;
	s.elapsed_ns = SECOND;
	assert_string_equal(progress_line(line, sizeof(line), 0, &s),
	    "read: 5.0 MB, 0 items, 5.0 MB/s");
	s.total = 1000000;			/* more than there should be */
	assert_string_equal(progress_line(line, sizeof(line), 0, &s),
	    "read: 100.0 %, 5.0 MB, 0 items, 5.0 MB/s, 0.0 s left");
}

static void
a_line_is_never_wider_than_the_terminal(void **state)
{
	struct progress_state s = { .title = "read", .total = 100, .bytes = 50, .items = 3,
		.elapsed_ns = SECOND, .note = "",
		.item = "/srv/Gr\303\274\303\237e/\303\274\303\274\303\274\303\274\303\274\303\274/end" };
	char line[300];

	(void)state;
	for (size_t columns = 1; columns < 100; columns++) {
		(void)progress_line(line, sizeof(line), columns, &s);
		assert_true(text_length(line, strlen(line)) <= columns);
		assert_true(text_is_utf8(line, strlen(line)));
	}
	(void)progress_line(line, sizeof(line), 60, &s);
	assert_string_equal(line + strlen(line) - 4, "/end");
	for (size_t n = 2; n < 80; n++) {
		memset(line, 'Z', sizeof(line));
		(void)progress_line(line, n, 0, &s);
		assert_true(strlen(line) < n);
	}
}

static void
add_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100000; i++) {
		progress_add(3, 1);
		if (i % 1000 == 0)
			progress_item("\033name", 5);
	}
}

static void
many_threads_add_up(void **state)
{
	uint64_t bytes, items;

	(void)state;
	progress_allow(0);
	progress_start("read", 0);
	assert_int_equal(pool_run(4, add_often, NULL, NULL), 0);
	progress_done(&bytes, &items);
	progress_end();
	progress_end();
	assert_int_equal(bytes, 1200000);
	assert_int_equal(items, 400000);
}

static void
sigusr1_prints_a_line_even_when_quiet(void **state)
{
	(void)state;
	progress_allow(0);
	capture_start(&c, 2);
	progress_start("check RM4K-1", 1000);
	progress_add(500, 2);
	progress_item("a\nb", 3);
	progress_note("one more disk");
	assert_int_equal(raise(SIGUSR1), 0);
	for (;;) {		/* until the other thread has written it */
		char all[1000];
		ssize_t n = pread(c.into, all, sizeof(all) - 1, 0);

		assert_true(n >= 0);
		if (n > 0 && all[n - 1] == '\n')
			break;
	}
	progress_end();
	assert_int_equal(raise(SIGUSR1), 0);	/* and after the job it does no harm */
	(void)capture_end(&c);
	assert_memory_equal(c.text, "check RM4K-1: 50.0 %, 500 B, 2 items, ", 38);
	assert_non_null(strstr(c.text, ", one more disk  a\\nb\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_holds_what_is_known),
		cmocka_unit_test(a_line_is_never_wider_than_the_terminal),
		cmocka_unit_test(many_threads_add_up),
		cmocka_unit_test(sigusr1_prints_a_line_even_when_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
