#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/capture.h"
#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/out.h"

/* What the command "build" of a tool for this test was given. */
static struct {
	int ran, full, answer;
	struct opt_list to;
	const char *set;
	uint64_t size, level, seconds, rate;
	uint32_t percent;
	char excluded[64];
	char seen[256];		/* operands and lists, joined */
	int dry_run, json;
	uint64_t memory;
} got;

static struct capture out, chatter;

static int
exclude(void *arg, const char *value, struct err *e)
{
	if (strcmp(value, "!") == 0)
		return err_set(e, ERR_USAGE, "\"!\" alone excludes nothing");
	(void)strcat(arg, value);
	return 0;
}

static int
build(struct args *a, struct err *e)
{
	struct opt_call call = { exclude, got.excluded };
	const struct opt opts[] = {
		{ "to", 0, OPT_LIST, &got.to, "DISK", "where to write" },
		{ "set", 's', OPT_STR, &got.set, "NAME", "the set" },
		{ "full", 'f', OPT_FLAG, &got.full, NULL, "carry everything" },
		{ "chunk-size", 0, OPT_SIZE, &got.size, "SIZE", "average size of a chunk" },
		{ "level", 'l', OPT_NUMBER, &got.level, "N", "how hard to compress" },
		{ "valid", 0, OPT_DURATION, &got.seconds, "TIME", "how long it is good" },
		{ "read-limit", 0, OPT_RATE, &got.rate, "RATE", "read no faster" },
		{ "parity", 0, OPT_PERCENT, &got.percent, "P%", "parity" },
		{ "exclude", 0, OPT_CALL, &call, "PATTERN", "leave out what matches" },
		{ NULL, 0, OPT_FLAG, NULL, NULL, NULL },
	};
	int rc = args_parse(a, opts, e);

	if (rc != 0)
		return rc > 0 ? 0 : -1;
	if (args_operands(a, 1, 3, e) != 0)
		return -1;
	got.ran++;
	for (size_t i = 0; i < a->n; i++)
		(void)strcat(strcat(got.seen, a->operands[i]), " ");
	for (size_t i = 0; i < got.to.n; i++)
		(void)strcat(strcat(strcat(got.seen, "to:"), got.to.v[i]), " ");
	got.dry_run = a->dry_run;
	got.json = a->json;
	got.memory = a->memory;
	if (got.answer < 0) {
		(void)err_set(e, ERR_WRONG_DISK, "the disk \"%s\" is RM4K-2", "a\033b");
		return err_next(e, "Plug in RM4K-1.");
	}
	return got.answer;
}

static int
key_test(struct args *a, struct err *e)
{
	const struct opt none[] = { { NULL, 0, OPT_FLAG, NULL, NULL, NULL } };

	(void)strcat(got.seen, "key test ");
	return args_parse(a, none, e) < 0 ? -1 : 0;
}

static const struct cmd cmds[] = {
	{ "build", "--to DISK PATH...", "write an image", build },
	{ "key test", "[IMAGE]", "open one chunk of an image", key_test },
	{ "key list", "", "list the slots", key_test },
};

/* Run the tool on words split at blanks; answer is its exit status. */
static int
tool(const char *words)
{
	static char copy[512];
	char *argv[32] = { copy }, *at;
	int argc = 1, rc;

	(void)snprintf(copy, sizeof(copy), "%s", words);
	for (at = strtok(copy, " "); at != NULL; at = strtok(NULL, " "))
		argv[argc++] = strcmp(at, "''") == 0 ? at + 2 : at;
	argv[argc] = NULL;
	argv[0] = copy;
	capture_start(&out, 1);
	capture_start(&chatter, 2);
	rc = cmd_main("samara-seed", "Seeds.", cmds, sizeof(cmds) / sizeof(cmds[0]), argc, argv);
	(void)capture_end(&chatter);
	(void)capture_end(&out);
	out_json_set(0);
	return rc;
}

static int
fresh(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	return 0;
}

static void
options_and_operands_come_in_any_order(void **state)
{
	(void)state;
	assert_int_equal(tool("build /srv --to /mnt/a -fn /home --to=/mnt/b -s files --chunk-size 1MiB "
	    "-l9 --valid 48h --read-limit 20Mbit/s --parity=5% --exclude a --exclude b -- --odd"), 0);
	assert_string_equal(chatter.text, "");
	assert_string_equal(got.seen, "/srv /home --odd to:/mnt/a to:/mnt/b ");
	assert_string_equal(got.excluded, "ab");
	assert_int_equal(got.full, 1);
	assert_int_equal(got.dry_run, 1);
	assert_int_equal(got.size, 1 << 20);
	assert_int_equal(got.level, 9);
	assert_int_equal(got.seconds, 172800);
	assert_int_equal(got.rate, 2500000);
	assert_int_equal(got.percent, 50000);
	assert_int_equal(got.memory, MEMORY_DEFAULT);
	assert_int_equal(got.json, 0);
}

static void
wrong_words_are_refused_each_in_its_own_way(void **state)
{
	static const struct { const char *words, *says; } t[] = {
		{ "build --too x /srv", "Did you mean --to?" },
		{ "build --chunksize 1 /srv", "Did you mean --chunk-size?" },
		{ "build --zzzzzzzz /srv", "See samara-seed build --help." },
		{ "build -x /srv", "unknown option -x" },
		{ "build /srv --to", "option --to needs a value: --to DISK" },
		{ "build --full=yes /srv", "option --full takes no value" },
		{ "build --chunk-size big /srv", "option --chunk-size: \"big\" is not a size" },
		{ "build --exclude ! /srv", "option --exclude: \"!\" alone" },
		{ "build --memory 1M /srv", "at least 32M" },
		{ "build", "Usage: samara-seed build --to DISK PATH..." },
		{ "build a b c d", "\"d\" is one word too many" },
		{ "biuld /srv", "Did you mean \"samara-seed build\"?" },
		{ "key tset", "Did you mean \"samara-seed key test\"?" },
		{ "key", "there is no command \"key\"" },
		{ "xyzzy", "See samara-seed --help for all commands." },
		{ "", "no command was given" },
		{ "help xyzzy", "there is no command \"xyzzy\"" },
		{ "build --t\033[2Jo /srv", "unknown option --t\\x1b[2Jo (S-1101)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(tool(t[i].words), 2);
		if (strstr(chatter.text, t[i].says) == NULL)
			fail_msg("\"%s\" says: %s", t[i].words, chatter.text);
		assert_non_null(strstr(chatter.text, "(S-1101)\n  "));
		assert_string_equal(out.text, "");
	}
	assert_int_equal(got.ran, 0);
}

static void
an_error_has_message_code_and_next_step(void **state)
{
	(void)state;
	got.answer = -1;
	assert_int_equal(tool("build /srv"), 14);
	assert_string_equal(chatter.text,
	    "samara-seed: the disk \"a\\x1bb\" is RM4K-2 (S-1203)\n  Plug in RM4K-1.\n");
	assert_string_equal(out.text, "");
}

static void
with_json_an_error_is_an_object_too(void **state)
{
	(void)state;
	got.answer = -1;
	assert_int_equal(tool("build /srv --json"), 14);
	assert_string_equal(out.text, "{\"cause\":\"this is not the disk, image or machine that was "
	    "asked for\",\"code\":\"S-1203\",\"exit\":14,\"message\":\"the disk \\\"a\\u001Bb\\\" is "
	    "RM4K-2\",\"next\":\"Plug in RM4K-1.\",\"type\":\"error\"}\n");
	assert_int_equal(tool("build --nonsense --json"), 2);
	assert_non_null(strstr(out.text, "\"code\":\"S-1101\""));
}

static void
a_status_of_its_own_is_the_exit_status(void **state)
{
	(void)state;
	got.answer = 3;
	assert_int_equal(tool("build /srv"), 3);
	assert_string_equal(chatter.text, "");
}

static void
help_is_made_of_the_tables(void **state)
{
	static const char *const asks[] = { "build --help", "help build", "build -h --to x" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(tool(asks[i]), 0);
		assert_non_null(strstr(out.text, "Usage: samara-seed build --to DISK PATH...\n"));
		assert_non_null(strstr(out.text, "\n  -s, --set NAME              the set\n"));
		assert_non_null(strstr(out.text, "\n  -f, --full                  carry"));
		assert_non_null(strstr(out.text, "\n  -n, --dry-run "));
	}
	assert_int_equal(got.ran, 0);
	assert_int_equal(tool("--help"), 0);
	assert_non_null(strstr(out.text, "\n  build     write an image\n  key test  open"));
	assert_int_equal(tool("help"), 0);
	assert_int_equal(tool("--version"), 0);
	assert_string_equal(out.text, "samara-seed " SAMARA_VERSION "\n");
	assert_int_equal(tool("build --version"), 0);
	assert_string_equal(out.text, "samara-seed " SAMARA_VERSION "\n");
}

static void
a_command_may_have_a_name_of_two_words(void **state)
{
	(void)state;
	assert_int_equal(tool("key test RM4K"), 0);
	assert_string_equal(got.seen, "key test ");
}

static void
the_nearest_name_is_near(void **state)
{
	static const char *const names[] = { "restore", "register", "receipt" };

	(void)state;
	assert_string_equal(args_nearest("restroe", names, 3), "restore");
	assert_string_equal(args_nearest("reg", names, 3), "register");
	assert_null(args_nearest("xxxxxxx", names, 3));
	assert_null(args_nearest("", names, 3));
}

static void
the_state_directory_is_found_in_its_order(void **state)
{
	struct args a = { .tool = "t" };
	char *path;

	(void)state;
	assert_int_equal(setenv("SAMARA_STATE", "/env", 1), 0);
	a.state = "/given";
	assert_int_equal(args_state(&a, &path, NULL), 0);
	assert_string_equal(path, "/given");
	free(path);
	a.state = NULL;
	assert_int_equal(args_state(&a, &path, NULL), 0);
	assert_string_equal(path, "/env");
	free(path);
	assert_int_equal(unsetenv("SAMARA_STATE"), 0);
	assert_int_equal(setenv("XDG_STATE_HOME", "/xdg", 1), 0);
	assert_int_equal(args_state(&a, &path, NULL), 0);
	assert_string_equal(path, geteuid() == 0 ? "/var/lib/samara" : "/xdg/samara");
	free(path);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest tests[] = {
		T(options_and_operands_come_in_any_order),
		T(wrong_words_are_refused_each_in_its_own_way),
		T(an_error_has_message_code_and_next_step),
		T(with_json_an_error_is_an_object_too),
		T(a_status_of_its_own_is_the_exit_status),
		T(help_is_made_of_the_tables),
		T(a_command_may_have_a_name_of_two_words),
		T(the_nearest_name_is_near),
		T(the_state_directory_is_found_in_its_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
