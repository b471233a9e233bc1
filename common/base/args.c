#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/args.h"
#include "common/base/args_help.h"
#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/base/progress.h"

#define COMMON_MAX	10

/* A walk over the words, and the table they are looked up in. */
struct walk {
	struct args *a;
	const struct opt *own;
	const struct opt *common;
	int at;			/* the word after the one in hand */
	struct err *e;
};

static void
common_table(struct args *a, int *help, int *version, struct opt t[COMMON_MAX])
{
	const struct opt rows[COMMON_MAX] = {
		{ "dry-run", 'n', OPT_FLAG, &a->dry_run, NULL, "say what would be done, change nothing" },
		{ "help", 'h', OPT_FLAG, help, NULL, "print this" },
		{ "json", 0, OPT_FLAG, &a->json, NULL, "results as one JSON object a line" },
		{ "memory", 0, OPT_SIZE, &a->memory, "SIZE", "memory to stay within (400M)" },
		{ "no-progress", 0, OPT_FLAG, &a->no_progress, NULL, "no progress line" },
		{ "quiet", 'q', OPT_FLAG, &a->quiet, NULL, "warnings and errors only" },
		{ "state", 0, OPT_STR, &a->state, "DIR", "where this machine's state lies" },
		{ "verbose", 'v', OPT_FLAG, &a->verbose, NULL, "say more" },
		{ "version", 0, OPT_FLAG, version, NULL, "print the version" },
		{ NULL, 0, OPT_FLAG, NULL, NULL, NULL },
	};

	memcpy(t, rows, sizeof(rows));
}

static const struct opt *
by_name(const struct opt *t, const char *name, size_t len)
{
	for (; t->name != NULL; t++)
		if (strlen(t->name) == len && memcmp(t->name, name, len) == 0)
			return t;
	return NULL;
}

static const struct opt *
by_letter(const struct opt *t, char letter)
{
	for (; t->name != NULL; t++)
		if (t->letter != 0 && t->letter == letter)
			return t;
	return NULL;
}

/* Say that --${name} is unknown, and which one it may have been. */
static int
unknown(const struct walk *w, const char *name, size_t len)
{
	const struct opt *tables[2] = { w->own, w->common };
	const char *names[64], *near;
	char word[64];
	size_t n = 0;

	for (size_t i = 0; i < 2; i++)
		for (const struct opt *o = tables[i]; o->name != NULL && n < 64; o++)
			names[n++] = o->name;
	(void)snprintf(word, sizeof(word), "%.*s", (int)(len < 63 ? len : 63), name);
	(void)err_set(w->e, ERR_USAGE, "unknown option --%s", word);
	if ((near = args_nearest(word, names, n)) != NULL)
		(void)err_next(w->e, "Did you mean --%s?  See %s %s --help.", near, w->a->tool,
		    w->a->cmd->name);
	else
		(void)err_next(w->e, "See %s %s --help.", w->a->tool, w->a->cmd->name);
	return -1;
}

/* All words of the command line fit into the first array that a list gets. */
static int
list_add(struct args *a, struct opt_list *l, const char *value, struct err *e)
{
	const size_t most = sizeof(a->arrays) / sizeof(a->arrays[0]);

	if (l->v == NULL) {
		if (a->narrays == most)
			return err_set(e, ERR_INTERNAL, "%s has more than %zu options that are lists",
			    a->cmd->name, most);
		if ((l->v = calloc((size_t)a->argc + 1, sizeof(*l->v))) == NULL)
			return err_errno(e, "read the command line");
		a->arrays[a->narrays++] = l->v;
	}
	l->v[l->n++] = value;
	return 0;
}

/* Store ${value} (NULL for a flag) where the row ${o} wants it. */
static int
store(const struct walk *w, const struct opt *o, const char *value)
{
	const struct opt_call *call = o->target;
	int rc = 0;

	switch (o->kind) {
	case OPT_FLAG:
		*(int *)o->target = 1;
		return 0;
	case OPT_STR:
		*(const char **)o->target = value;
		return 0;
	case OPT_LIST:
		return list_add(w->a, o->target, value, w->e);
	case OPT_NUMBER:
		rc = human_parse_number(value, UINT64_MAX, o->target, w->e);
		break;
	case OPT_SIZE:
		rc = human_parse_size(value, o->target, w->e);
		break;
	case OPT_RATE:
		rc = human_parse_rate(value, o->target, w->e);
		break;
	case OPT_DURATION:
		rc = human_parse_duration(value, o->target, w->e);
		break;
	case OPT_PERCENT:
		rc = human_parse_percent(value, o->target, w->e);
		break;
	case OPT_CALL:
		rc = call->fn(call->arg, value, w->e);
		break;
	}
	return rc == 0 ? 0 : err_during(w->e, "option --%s", o->name);
}

/* The next word as the value of ${o}. */
static int
store_next(struct walk *w, const struct opt *o)
{
	if (w->at >= w->a->argc)
		return err_set(w->e, ERR_USAGE, "option --%s needs a value: --%s %s", o->name,
		    o->name, o->value);
	return store(w, o, w->a->argv[w->at++]);
}

/* "--name", "--name=value": ${word} begins after the hyphens. */
static int
parse_long(struct walk *w, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct opt *o = by_name(w->own, word, len);

	if (o == NULL && (o = by_name(w->common, word, len)) == NULL)
		return unknown(w, word, len);
	if (o->kind == OPT_FLAG && word[len] == '=')
		return err_set(w->e, ERR_USAGE, "option --%s takes no value", o->name);
	if (o->kind == OPT_FLAG)
		return store(w, o, NULL);
	return word[len] == '=' ? store(w, o, word + len + 1) : store_next(w, o);
}

/* "-qv", "-oFILE", "-o FILE": ${word} begins after the hyphen. */
static int
parse_short(struct walk *w, const char *word)
{
	for (; *word != '\0'; word++) {
		const struct opt *o = by_letter(w->own, *word);

		if (o == NULL && (o = by_letter(w->common, *word)) == NULL)
			return err_set(w->e, ERR_USAGE, "unknown option -%c", *word);
		if (o->kind != OPT_FLAG)
			return word[1] != '\0' ? store(w, o, word + 1) : store_next(w, o);
		if (store(w, o, NULL) != 0)
			return -1;
	}
	return 0;
}

static int
parse_words(struct walk *w)
{
	struct args *a = w->a;
	int rest = 0;		/* after "--" */

	while (w->at < a->argc) {
		char *word = a->argv[w->at++];
		int rc = 0;

		if (rest || word[0] != '-' || word[1] == '\0')
			a->operands[a->n++] = word;
		else if (strcmp(word, "--") == 0)
			rest = 1;
		else if (word[1] == '-')
			rc = parse_long(w, word + 2);
		else
			rc = parse_short(w, word + 1);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static void
apply(const struct args *a)
{
	say_level_set(a->quiet ? SAY_QUIET : a->verbose ? SAY_VERBOSE : SAY_NORMAL);
	out_json_set(a->json);
	progress_allow(!a->quiet && !a->no_progress);
}

int
args_parse(struct args *a, const struct opt *opts, struct err *e)
{
	struct opt common[COMMON_MAX];
	struct walk w = { .a = a, .own = opts, .common = common, .e = e };
	int help = 0, version = 0;

	a->memory = MEMORY_DEFAULT;
	if ((a->operands = calloc((size_t)a->argc + 1, sizeof(*a->operands))) == NULL)
		return err_errno(e, "read the command line");
	common_table(a, &help, &version, common);
	if (parse_words(&w) != 0)
		return -1;
	if (version) {
		(void)printf("%s %s\n", a->tool, SAMARA_VERSION);
		return 1;
	}
	if (help) {
		args_help_cmd(a->tool, a->cmd, opts, common);
		return 1;
	}
	if (a->memory < MEMORY_LEAST)
		return err_set(e, ERR_USAGE, "--memory: at least 32M are needed");
	apply(a);
	return 0;
}

int
args_operands(const struct args *a, size_t least, size_t most, struct err *e)
{
	if (a->n >= least && a->n <= most)
		return 0;
	if (a->n < least)
		(void)err_set(e, ERR_USAGE, "%s %s: something is missing", a->tool, a->cmd->name);
	else
		(void)err_set(e, ERR_USAGE, "%s %s: \"%s\" is one word too many", a->tool,
		    a->cmd->name, a->operands[most]);
	return err_next(e, "Usage: %s %s %s", a->tool, a->cmd->name, a->cmd->synopsis);
}

int
args_state(const struct args *a, char **path, struct err *e)
{
	const char *env, *tail = "";

	if (a->state != NULL && a->state[0] != '\0')
		env = a->state;
	else if ((env = getenv("SAMARA_STATE")) != NULL && env[0] != '\0')
		;
	else if (geteuid() == 0)
		env = "/var/lib/samara";
	else if ((env = getenv("XDG_STATE_HOME")) != NULL && env[0] == '/')
		tail = "/samara";
	else if ((env = getenv("HOME")) != NULL && env[0] == '/')
		tail = "/.local/state/samara";
	else
		return err_set(e, ERR_USAGE, "neither --state nor HOME says where the state lies");
	if (asprintf(path, "%s%s", env, tail) != -1)
		return 0;
	*path = NULL;
	errno = ENOMEM;
	return err_errno(e, "find the state directory");
}
