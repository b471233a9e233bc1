#ifndef SAMARA_BASE_LOG_H
#define SAMARA_BASE_LOG_H

/*
 * Chatter on stderr: what a person watches, never what a script reads.
 * Every line is "PROGRAM: MESSAGE", written with one call, from any thread;
 * control characters in it are escaped (text_line), so that no name from
 * outside reaches the terminal raw.
 */

#include <stddef.h>

enum say_level {
	SAY_QUIET = -1,		/* -q: warnings only */
	SAY_NORMAL = 0,
	SAY_VERBOSE = 1,	/* -v */
};

/* The program's name for every line; kept by pointer.  Once, before threads. */
void say_program(const char *name);
const char *say_program_name(void);

/* How much to say.  Before threads. */
void say_level_set(enum say_level level);
enum say_level say_level_get(void);

/* One line for everyone who did not say -q; for -v only; in any case. */
void say_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * say_raw(text):
 * Write ${text}, which is already made and ends in a newline, to stderr as it
 * is, whatever the level.  For errors and prompts.
 */
void say_raw(const char *text);

/**
 * say_sticky(line):
 * Keep ${line} (copied; no newline at its end, but there may be some inside,
 * for a table) at the foot of the terminal: every other line is written above
 * it.  No line of it may be wider than the terminal.  NULL takes it away.
 * Only for a terminal.
 */
void say_sticky(const char *line);

/**
 * say_hold(void), say_go(void):
 * Around a line for stdout: the sticky line is taken off the terminal and
 * put back after it.  Nothing else is said in between.
 */
void say_hold(void);
void say_go(void);

#endif
