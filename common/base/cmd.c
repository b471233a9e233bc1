#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/args_help.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/base/text.h"

#define WORD_MAX	64

/* The distance of two words: changes, and swaps of neighbours. */
static size_t
distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1] = { { 0 } };
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t d = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < d)
				d = last[j] + 1;
			if (now[j - 1] + 1 < d)
				d = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			now[j] = d;
		}
	}
	return rows[la % 3][lb];
}

const char *
args_nearest(const char *word, const char *const *names, size_t n)
{
	size_t len = strlen(word), best = len < 3 ? 1 : len / 3 + 1;
	const char *near = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, names[i]);

		if (len >= 3 && strncmp(word, names[i], len) == 0)
			d = 0;		/* the beginning of a name is meant to be it */
		if (d < best) {
			best = d;
			near = names[i];
		}
	}
	return near;
}

/* How many words of ${argv} name the command ${c}: 0, 1 or 2. */
static int
words_of(const struct cmd *c, int argc, char **argv)
{
	const char *blank = strchr(c->name, ' ');
	size_t len = blank == NULL ? strlen(c->name) : (size_t)(blank - c->name);

	if (argc < 1 || strlen(argv[0]) != len || memcmp(argv[0], c->name, len) != 0)
		return 0;
	if (blank == NULL)
		return 1;
	return argc > 1 && strcmp(argv[1], blank + 1) == 0 ? 2 : 0;
}

static const struct cmd *
cmd_find(const struct cmd *cmds, size_t n, int argc, char **argv, int *words)
{
	const struct cmd *found = NULL;

	*words = 0;
	for (size_t i = 0; i < n; i++) {
		int w = words_of(&cmds[i], argc, argv);

		if (w > *words) {
			*words = w;
			found = &cmds[i];
		}
	}
	return found;
}

static int
cmd_unknown(const char *tool, const struct cmd *cmds, size_t n, int argc, char **argv,
    struct err *e)
{
	const char *names[64], *near;
	char word[WORD_MAX + 1];
	size_t count = 0;
	int two = 0;		/* the first word begins a name of two */

	for (size_t i = 0; i < n && count < 64; i++) {
		const char *blank = strchr(cmds[i].name, ' ');

		names[count++] = cmds[i].name;
		if (blank != NULL && strncmp(cmds[i].name, argv[0], strlen(argv[0])) == 0 &&
		    cmds[i].name + strlen(argv[0]) == blank)
			two = 1;
	}
	if (two && argc > 1)
		(void)snprintf(word, sizeof(word), "%.31s %.31s", argv[0], argv[1]);
	else
		(void)snprintf(word, sizeof(word), "%.64s", argv[0]);
	(void)err_set(e, ERR_USAGE, "there is no command \"%s\"", word);
	if ((near = args_nearest(word, names, count)) != NULL)
		return err_next(e, "Did you mean \"%s %s\"?  See %s --help.", tool, near, tool);
	return err_next(e, "See %s --help for all commands.", tool);
}

static void
error_print(const char *tool, const struct err *e)
{
	const char *next = e->next[0] != '\0' ? e->next : err_cure(e->code);
	char msg[ERR_MSG_MAX * 4], todo[sizeof(e->next) * 4], code[16];
	char line[sizeof(msg) + sizeof(todo) + 128];
	struct out *o;

	(void)snprintf(code, sizeof(code), "S-%04d", (int)e->code);
	(void)text_line(msg, sizeof(msg), e->msg);
	(void)text_line(todo, sizeof(todo), next);
	(void)snprintf(line, sizeof(line), "%s: %s (%s)\n  %s\n", tool, msg, code, todo);
	say_raw(line);

	o = out_object("error");
	out_str(o, "code", code);
	out_str(o, "message", e->msg);
	out_str(o, "cause", err_cause(e->code));
	out_str(o, "next", next);
	out_i64(o, "exit", err_exit(e->code));
	if (e->sys != 0)
		out_i64(o, "errno", e->sys);
	out_emit(o);
}

/* A descriptor 0, 1 or 2 that is closed would be given to the next file opened. */
static void
standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		(void)close(fd);
}

static void
start(const char *tool, int argc, char **argv)
{
	sigset_t none;

	standard_descriptors();
	secret_init();
	say_program(tool);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_IGN);		/* a closed pipe is an error of its write */
	(void)signal(SIGCHLD, SIG_DFL);
	stop_init();
	/* Also an error in the words before it is wanted as JSON. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			out_json_set(1);
}

static int
is_one_of(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static void
args_release(struct args *a)
{
	for (size_t i = 0; i < a->narrays; i++)
		free(a->arrays[i]);
	free(a->operands);
}

/* Find the command in ${argv} (without the tool) and run it. */
static int
dispatch(const char *tool, const struct cmd *cmds, size_t n, int argc, char **argv, struct err *e)
{
	static char ask[] = "--help";
	char *help[2] = { ask, NULL };
	struct args a = { .tool = tool };
	int words, rc, helping = strcmp(argv[0], "help") == 0;

	argc -= helping;
	argv += helping;
	if ((a.cmd = cmd_find(cmds, n, argc, argv, &words)) == NULL)
		return cmd_unknown(tool, cmds, n, argc, argv, e);
	a.argc = helping ? 1 : argc - words;
	a.argv = helping ? help : argv + words;
	rc = a.cmd->run(&a, e);
	args_release(&a);
	return rc;
}

int
cmd_main(const char *tool, const char *about, const struct cmd *cmds, size_t n, int argc,
    char **argv)
{
	struct err e;
	int rc = 0;

	start(tool, argc, argv);
	err_clear(&e);
	if (argc < 2) {
		rc = err_set(&e, ERR_USAGE, "no command was given");
		(void)err_next(&e, "See %s --help for all commands.", tool);
	} else if (is_one_of(argv[1], "--help", "-h") ||
	    (strcmp(argv[1], "help") == 0 && argc == 2)) {
		args_help_tool(tool, about, cmds, n);
	} else if (strcmp(argv[1], "--version") == 0) {
		(void)printf("%s %s\n", tool, SAMARA_VERSION);
	} else {
		rc = dispatch(tool, cmds, n, argc - 1, argv + 1, &e);
	}
	if (rc < 0 && e.code == ERR_NONE)
		(void)err_set(&e, ERR_INTERNAL, "the command failed without a cause");
	if (rc < 0)
		error_print(tool, &e);
	if (out_finish(rc < 0 ? NULL : &e) != 0 && rc >= 0) {
		error_print(tool, &e);
		rc = -1;
	}
	return rc < 0 ? err_exit(e.code) : rc;
}
