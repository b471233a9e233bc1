#ifndef SAMARA_BASE_ARGS_H
#define SAMARA_BASE_ARGS_H

/*
 * The command line: TOOL COMMAND [OPTIONS] [OPERANDS], options and operands in
 * any order, "--" before operands that begin with "-", short options in one
 * word (-qv), "--name=value" and "--name value".  Options stand in a table,
 * out of which --help is written too.
 */

#include <stddef.h>
#include <stdint.h>

struct err;
struct args;

enum opt_kind {
	OPT_FLAG = 1,	/* int *: 1 when given */
	OPT_STR,	/* const char **: the last one given, in argv's memory */
	OPT_LIST,	/* struct opt_list *: all that were given, in order */
	OPT_NUMBER,	/* uint64_t *: plain digits */
	OPT_SIZE,	/* uint64_t *: human_parse_size */
	OPT_RATE,	/* uint64_t *: bytes a second, human_parse_rate */
	OPT_DURATION,	/* uint64_t *: seconds, human_parse_duration */
	OPT_PERCENT,	/* uint32_t *: millionths, human_parse_percent */
	OPT_CALL,	/* struct opt_call *: a function with each value, in order */
};

struct opt_list {
	const char **v;		/* NULL at first; freed after the command has returned */
	size_t n;
};

/* -1 with ${e} refuses the value. */
struct opt_call {
	int (*fn)(void *arg, const char *value, struct err *e);
	void *arg;
};

/* One row; the table ends with a row without a name. */
struct opt {
	const char *name;	/* "to", without the hyphens */
	char letter;		/* 'n', or 0 */
	enum opt_kind kind;
	void *target;
	const char *value;	/* "DISK", for the help; NULL for a flag */
	const char *help;	/* one line, lower case, no stop */
};

/* What every command of every tool has. */
struct args {
	const char *tool;
	const struct cmd *cmd;
	char **operands;		/* set by args_parse; NULL at the end */
	size_t n;
	int dry_run;			/* -n, --dry-run */
	int json;
	uint64_t memory;		/* --memory SIZE; 400 MB if not given */
	const char *state;		/* --state DIR, or NULL; see args_state */
	/* Below is for args.c alone. */
	int argc;
	char **argv;
	int quiet, verbose, no_progress;
	const char **arrays[8];		/* of the options that are lists */
	size_t narrays;
};

/**
 * struct cmd: one row of a tool's table.  ${name} is one word or two ("key
 * test").  ${synopsis} is what follows it ("--to DISK PATH..."), ${summary}
 * one line for the list.  ${run} parses the rest with args_parse and works; it
 * returns 0 when done, -1 with ${e}, or the exit status itself where there is
 * no error to print (a status command that found something).
 */
struct cmd {
	const char *name;
	const char *synopsis;
	const char *summary;
	int (*run)(struct args *a, struct err *e);
};

#define MEMORY_DEFAULT	UINT64_C(400000000)
#define MEMORY_LEAST	UINT64_C(32000000)

/**
 * args_parse(a, opts, e):
 * Read the words after the command by the table ${opts} and the common
 * options (--dry-run --help --json --memory --no-progress --quiet --state
 * --verbose --version), put them into force (levels, mode of output, progress)
 * and fill ${a}.  Return 0; 1 when --help or --version was asked and is
 * printed: the command returns 0 at once; -1 with ERR_USAGE, and the nearest
 * name where an option is unknown.
 */
int args_parse(struct args *a, const struct opt *opts, struct err *e);

/* 0 if there are ${least} to ${most} operands, else -1 with ERR_USAGE. */
int args_operands(const struct args *a, size_t least, size_t most, struct err *e);

/**
 * args_state(a, path, e):
 * Where the state lies: --state, else SAMARA_STATE, else /var/lib/samara for
 * root, else $XDG_STATE_HOME/samara or ~/.local/state/samara.  ${path} is new
 * and the caller's.  Return 0, or -1 with ${e} where none of them is known.
 */
int args_state(const struct args *a, char **path, struct err *e);

/**
 * cmd_main(tool, about, cmds, n, argc, argv):
 * All of a tool's main: secrets and signals are set up, the command is found
 * among the ${n} rows and run.  Without a command, with --help, help or
 * help COMMAND the list or the help is printed.  An error is printed once, as
 *
 *	TOOL: MESSAGE (S-1203)
 *	  WHAT TO DO NEXT
 *
 * on stderr, with --json also as {"type":"error","code":"S-1203",...} on
 * stdout.  Return the exit status.
 */
int cmd_main(const char *tool, const char *about, const struct cmd *cmds, size_t n, int argc,
    char **argv);

/**
 * args_nearest(word, names, n):
 * The one of ${n} names that ${word} was most likely meant to be, or NULL if
 * none is near (Damerau-Levenshtein distance, at most a third of the word).
 */
const char *args_nearest(const char *word, const char *const *names, size_t n);

#endif
