#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/text.h"

#define LINE_MAX_LEN	8192
#define ERASE		"\r\033[K"
#define ERASE_BELOW	"\r\033[J"
#define UP		"\033[%uA"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* stderr and sticky */
static const char *program = "samara";
static enum say_level level_now = SAY_NORMAL;
static char sticky[LINE_MAX_LEN];	/* one line, or several with newlines between them */

void
say_program(const char *name)
{
	program = name;
}

const char *
say_program_name(void)
{
	return program;
}

void
say_level_set(enum say_level level)
{
	level_now = level;
}

enum say_level
say_level_get(void)
{
	return level_now;
}

/* Chatter that cannot be written is lost: there is nowhere to say so. */
static void
put(const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = write(STDERR_FILENO, text, left);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		left -= (size_t)n;
	}
}

/* Take what is sticky off the terminal: the cursor stands in its last line. */
static void
erase(void)
{
	char up[24];
	unsigned lines = 0;

	for (const char *at = sticky; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	if (lines > 0) {
		(void)snprintf(up, sizeof(up), UP, lines);
		put(up);
	}
	put(lines > 0 ? ERASE_BELOW : ERASE);
}

static void
put_above_sticky(const char *text)
{
	if (sticky[0] != '\0')
		erase();
	put(text);
	if (sticky[0] != '\0')
		put(sticky);
}

static void say(const char *kind, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
say(const char *kind, const char *fmt, va_list ap)
{
	char raw[LINE_MAX_LEN / 4], safe[LINE_MAX_LEN], line[LINE_MAX_LEN + 256];
	int kept = errno;

	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	(void)text_line(safe, sizeof(safe), raw);
	(void)snprintf(line, sizeof(line), "%.100s: %s%s\n", program, kind, safe);
	(void)pthread_mutex_lock(&lock);
	put_above_sticky(line);
	(void)pthread_mutex_unlock(&lock);
	errno = kept;
}

void
say_info(const char *fmt, ...)
{
	va_list ap;

	if (level_now < SAY_NORMAL)
		return;
	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
}

void
say_verbose(const char *fmt, ...)
{
	va_list ap;

	if (level_now < SAY_VERBOSE)
		return;
	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
}

void
say_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("warning: ", fmt, ap);
	va_end(ap);
}

void
say_raw(const char *text)
{
	(void)pthread_mutex_lock(&lock);
	put_above_sticky(text);
	(void)pthread_mutex_unlock(&lock);
}

void
say_sticky(const char *line)
{
	(void)pthread_mutex_lock(&lock);
	if (line == NULL) {
		if (sticky[0] != '\0')
			erase();
		sticky[0] = '\0';
	} else {
		erase();
		(void)snprintf(sticky, sizeof(sticky), "%s", line);
		put(sticky);
	}
	(void)pthread_mutex_unlock(&lock);
}

void
say_hold(void)
{
	(void)pthread_mutex_lock(&lock);
	if (sticky[0] != '\0')
		erase();
}

void
say_go(void)
{
	if (sticky[0] != '\0')
		put(sticky);
	(void)pthread_mutex_unlock(&lock);
}
