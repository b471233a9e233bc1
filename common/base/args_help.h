#ifndef SAMARA_BASE_ARGS_HELP_H
#define SAMARA_BASE_ARGS_HELP_H

/* The help that the tables of commands and options hold. */

#include <stddef.h>

struct cmd;
struct opt;

/**
 * args_help_cmd(tool, cmd, own, common):
 * Print the help of one command to stdout: synopsis, summary, its options,
 * then those that every command has.
 */
void args_help_cmd(const char *tool, const struct cmd *cmd, const struct opt *own,
    const struct opt *common);

/* Print the list of ${n} commands to stdout. */
void args_help_tool(const char *tool, const char *about, const struct cmd *cmds, size_t n);

#endif
