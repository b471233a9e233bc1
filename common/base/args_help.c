#include <stdio.h>
#include <string.h>

#include "common/base/args.h"
#include "common/base/args_help.h"

#define COLUMN	30	/* where the words of an option begin */

static void
print_opts(const struct opt *t)
{
	for (; t->name != NULL; t++) {
		int n = t->letter != 0 ? printf("  -%c, --%s", t->letter, t->name) :
		    printf("      --%s", t->name);

		if (t->kind != OPT_FLAG)
			n += printf(" %s", t->value);
		if (n >= COLUMN - 1) {
			(void)printf("\n");
			n = 0;
		}
		(void)printf("%*s%s\n", COLUMN - n, "", t->help);
	}
}

void
args_help_cmd(const char *tool, const struct cmd *cmd, const struct opt *own,
    const struct opt *common)
{
	(void)printf("Usage: %s %s %s\n\n%s.\n", tool, cmd->name, cmd->synopsis, cmd->summary);
	if (own->name != NULL) {
		(void)printf("\nOptions:\n");
		print_opts(own);
	}
	(void)printf("\nOptions of every command:\n");
	print_opts(common);
}

void
args_help_tool(const char *tool, const char *about, const struct cmd *cmds, size_t n)
{
	size_t widest = 0;

	for (size_t i = 0; i < n; i++)
		if (strlen(cmds[i].name) > widest)
			widest = strlen(cmds[i].name);
	(void)printf("Usage: %s COMMAND [OPTIONS] ...\n\n%s\n\nCommands:\n", tool, about);
	for (size_t i = 0; i < n; i++)
		(void)printf("  %-*s  %s\n", (int)widest, cmds[i].name, cmds[i].summary);
	(void)printf("\n\"%s COMMAND --help\" tells the options of one.\n", tool);
}
