#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/passphrase.h"
#include "common/base/stop.h"

#define GOOD	"correct horse battery"

static struct passphrase p;
static struct err e;
static char root[64], path[128];
static int dir;

static int
start(void **state)
{
	static const char *const names[] = { "SAMARA_PASSPHRASE", "SAMARA_PASSPHRASE_FILE",
		"SAMARA_PASSPHRASE_COMMAND", "SAMARA_PASSPHRASE_FD" };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(unsetenv(names[i]), 0);
	err_clear(&e);
	dir = scratch_make(root);
	(void)snprintf(path, sizeof(path), "%s/passphrase", root);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	passphrase_release(&p);
	(void)close(dir);
	scratch_remove(root);
	return 0;
}

static void
put(const char *text, size_t len)
{
	assert_int_equal(file_replace(dir, "passphrase", text, len, 0600, &e), 0);
}

static void
is(const char *want)
{
	assert_string_equal(p.text, want);
	assert_int_equal(p.len, strlen(want));
	passphrase_release(&p);
}

static void
the_first_source_that_is_there_is_taken(void **state)
{
	int ends[2];
	char number[16];

	(void)state;
	assert_int_equal(setenv("SAMARA_PASSPHRASE", "from the variable", 1), 0);
	assert_int_equal(passphrase_get(&p, NULL, "x", 1, &e), 0);
	is("from the variable");
	assert_null(getenv("SAMARA_PASSPHRASE"));	/* nobody after us reads it there */

	assert_int_equal(setenv("SAMARA_PASSPHRASE", "from the variable", 1), 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "from a descriptor\n", 18), 18);
	(void)close(ends[1]);
	(void)snprintf(number, sizeof(number), "%d", ends[0]);
	assert_int_equal(setenv("SAMARA_PASSPHRASE_FD", number, 1), 0);
	assert_int_equal(passphrase_get(&p, NULL, "x", 1, &e), 0);
	is("from a descriptor");

	assert_int_equal(setenv("SAMARA_PASSPHRASE_COMMAND", "echo from a command line", 1), 0);
	assert_int_equal(passphrase_get(&p, NULL, "x", 1, &e), 0);
	is("from a command line");

	put("from the file of the variable\n", 30);
	assert_int_equal(setenv("SAMARA_PASSPHRASE_FILE", path, 1), 0);
	assert_int_equal(passphrase_get(&p, NULL, "x", 1, &e), 0);
	is("from the file of the variable");

	assert_int_equal(setenv("SAMARA_PASSPHRASE_FILE", "/nonexistent", 1), 0);
	assert_int_equal(passphrase_get(&p, path, "x", 1, &e), 0);
	is("from the file of the variable");
}

static void
one_newline_is_cut_and_everything_else_counts(void **state)
{
	(void)state;
	put("  " GOOD "  \n\n", sizeof(GOOD) + 5);
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), 0);
	is("  " GOOD "  \n");
	put(GOOD "\r\n", sizeof(GOOD) + 1);
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), 0);
	is(GOOD);
}

static void
what_cannot_be_one_is_refused(void **state)
{
	static char longer[PASSPHRASE_MOST + 1];

	(void)state;
	put("", 0);
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), -1);
	assert_int_equal(e.code, ERR_NO_PASSPHRASE);
	put("\n", 1);
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), -1);
	assert_int_equal(e.code, ERR_NO_PASSPHRASE);
	put("a long enough\0 one", 18);
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), -1);
	assert_int_equal(e.code, ERR_PASSPHRASE);
	memset(longer, 'x', sizeof(longer));
	put(longer, sizeof(longer));
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), -1);
	assert_int_equal(e.code, ERR_PASSPHRASE);
	put(longer, sizeof(longer) - 1);
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), 0);
	passphrase_release(&p);
	assert_int_equal(passphrase_get(&p, "/nonexistent", "x", 0, &e), -1);
	assert_int_equal(e.code, ERR_NO_PASSPHRASE);
	assert_int_equal(setenv("SAMARA_PASSPHRASE_COMMAND", "echo a long enough one; exit 3", 1), 0);
	assert_int_equal(passphrase_get(&p, NULL, "x", 0, &e), -1);
	assert_int_equal(e.code, ERR_NO_PASSPHRASE);
	assert_null(p.text);
	assert_int_equal(unsetenv("SAMARA_PASSPHRASE_COMMAND"), 0);
	assert_int_equal(setenv("SAMARA_PASSPHRASE_FD", "zwei", 1), 0);
	assert_int_equal(passphrase_get(&p, NULL, "x", 0, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
}

static void
a_new_one_has_sixteen_characters_however_many_bytes(void **state)
{
	(void)state;
	put("0123456789abcde\n", 16);
	assert_int_equal(passphrase_get(&p, path, "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_WEAK);
	assert_null(p.text);
	assert_int_equal(passphrase_get(&p, path, "x", 0, &e), 0);	/* an old one may be short */
	passphrase_release(&p);
	put("\303\274\303\274\303\274\303\274\303\274\303\274\303\274\303\274", 16);	/* eight */
	assert_int_equal(passphrase_get(&p, path, "x", 1, &e), -1);
	put("0123456789abcde\303\274\n", 18);
	assert_int_equal(passphrase_get(&p, path, "x", 1, &e), 0);
}

static void
a_generated_one_is_six_groups_of_five_without_look_alikes(void **state)
{
	unsigned seen[256] = { 0 };

	(void)state;
	for (int round = 0; round < 2000; round++) {
		passphrase_generate(&p);
		assert_int_equal(p.len, 35);
		assert_int_equal(strlen(p.text), 35);
		for (size_t i = 0; i < 35; i++) {
			if (i % 6 == 5)
				assert_int_equal(p.text[i], '-');
			else
				seen[(uint8_t)p.text[i]]++;
		}
		assert_int_equal(passphrase_check(&p, &e), 0);
		passphrase_release(&p);
	}
	for (unsigned c = 0; c < 256; c++) {
		int good = c != 0 && strchr("23456789abcdefghjkmnpqrstuvwxyz", (int)c) != NULL;

		/* 60,000 picks of 31: 1935 each, and 300 off is seven deviations */
		assert_true(good ? seen[c] > 1635 && seen[c] < 2235 : seen[c] == 0);
	}
}

/* In a session of its own on a new terminal: ask, and exit with what came of it. */
static void
child(const char *terminal, int fresh)
{
	int fd;

	if (setsid() == -1)
		_exit(100);
	if (terminal != NULL) {
		fd = open(terminal, O_RDWR);	/* becomes the controlling terminal */
		if (fd == -1 || ioctl(fd, TIOCSCTTY, 0) != 0)
			_exit(101);
	}
	err_clear(&e);
	stop_init();
	if (passphrase_get(&p, NULL, "passphrase of machine db1", fresh, &e) != 0)
		_exit(e.code == ERR_NO_PASSPHRASE ? 1 : e.code == ERR_PASSPHRASE ? 2 :
		    e.code == ERR_WEAK ? 3 : e.code == ERR_INTERRUPTED ? 4 : 102);
	_exit(strcmp(p.text, GOOD) == 0 ? 0 : 103);
}

/*
 * Type ${lines}, each once its question has come; what the terminal showed is
 * in ${shown}.  Return the child's exit status.
 */
static int
on_terminal(const char *const *lines, int fresh, char shown[1024])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), status;
	size_t used = 0, from = 0;
	pid_t pid;

	assert_true(master != -1 && grantpt(master) == 0 && unlockpt(master) == 0);
	if ((pid = fork()) == 0)
		child(ptsname(master), fresh);
	for (;;) {
		ssize_t n = read(master, shown + used, 1023 - used);

		if (n <= 0)
			break;		/* the child has gone */
		used += (size_t)n;
		shown[used] = '\0';
		if (*lines != NULL && strstr(shown + from, ": ") != NULL) {
			assert_true(write(master, *lines, strlen(*lines)) > 0);
			lines++;
			from = used;
		}
	}
	shown[used] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(master);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static void
the_terminal_asks_without_echo_and_twice_for_a_new_one(void **state)
{
	static const char *const once[] = { GOOD "\n", NULL };
	static const char *const twice[] = { GOOD "\n", GOOD "\n", NULL };
	static const char *const differ[] = { GOOD "\n", GOOD "!\n", NULL };
	static const char *const weak[] = { "short\n", NULL };
	static const char *const ended[] = { "\004", NULL };
	static const char *const stopped[] = { "\003", NULL };
	char shown[1024];

	(void)state;
	assert_int_equal(on_terminal(once, 0, shown), 0);
	assert_non_null(strstr(shown, "passphrase of machine db1: "));
	assert_null(strstr(shown, "horse"));
	assert_int_equal(on_terminal(twice, 1, shown), 0);
	assert_null(strstr(shown, "horse"));
	assert_int_equal(on_terminal(differ, 1, shown), 2);
	assert_int_equal(on_terminal(weak, 1, shown), 3);
	assert_int_equal(on_terminal(ended, 0, shown), 1);
	assert_int_equal(on_terminal(stopped, 0, shown), 4);
}

static void
without_a_terminal_there_is_none(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		child(NULL, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(the_first_source_that_is_there_is_taken),
		T(one_newline_is_cut_and_everything_else_counts),
		T(what_cannot_be_one_is_refused),
		T(a_new_one_has_sixteen_characters_however_many_bytes),
		T(a_generated_one_is_six_groups_of_five_without_look_alikes),
		T(the_terminal_asks_without_echo_and_twice_for_a_new_one),
		T(without_a_terminal_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
