#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/capture.h"
#include "common/base/log.h"

static struct capture c;

static const char *
all_three(enum say_level level)
{
	say_level_set(level);
	capture_start(&c, 2);
	say_info("info %d", 1);
	say_verbose("verbose");
	say_warn("warn");
	return capture_end(&c);
}

static void
levels_choose_what_is_said(void **state)
{
	(void)state;
	say_program("samara-seed");
	assert_string_equal(all_three(SAY_QUIET), "samara-seed: warning: warn\n");
	assert_string_equal(all_three(SAY_NORMAL),
	    "samara-seed: info 1\nsamara-seed: warning: warn\n");
	assert_string_equal(all_three(SAY_VERBOSE),
	    "samara-seed: info 1\nsamara-seed: verbose\nsamara-seed: warning: warn\n");
	say_level_set(SAY_NORMAL);
}

static void
no_control_character_reaches_the_terminal(void **state)
{
	(void)state;
	capture_start(&c, 2);
	say_info("open %s", "a\033]0;title\007\nb");
	assert_string_equal(capture_end(&c), "samara-seed: open a\\x1b]0;title\\x07\\nb\n");
}

static void
lines_are_written_above_the_sticky_line(void **state)
{
	(void)state;
	capture_start(&c, 2);
	say_sticky("50 %");
	say_info("hello");
	say_hold();
	say_go();
	say_sticky(NULL);
	say_info("end");
	assert_string_equal(capture_end(&c), "\r\033[K50 %\r\033[Ksamara-seed: hello\n50 %"
	    "\r\033[K50 %\r\033[Ksamara-seed: end\n");
}

static void *
shout(void *arg)
{
	for (int i = 0; i < 50; i++)
		say_info("%s", (const char *)arg);
	return NULL;
}

static void
lines_of_many_threads_stay_whole(void **state)
{
	static const char line[] = "samara-seed: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
	static char word[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	const char *at;
	pthread_t t[4];

	(void)state;
	capture_start(&c, 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, shout, word), 0);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(t[i], NULL);
	at = capture_end(&c);
	for (int i = 0; i < 200; i++, at += strlen(line))
		assert_memory_equal(at, line, strlen(line));
	assert_int_equal(*at, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_choose_what_is_said),
		cmocka_unit_test(no_control_character_reaches_the_terminal),
		cmocka_unit_test(lines_are_written_above_the_sticky_line),
		cmocka_unit_test(lines_of_many_threads_stay_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
