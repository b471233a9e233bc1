#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/prompt.h"
#include "common/base/stop.h"
#include "common/base/text.h"

/* One byte; 0 at the end, -1 on failure or when somebody asked to stop. */
static int
next_byte(int fd, char *c)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		ssize_t n;

		if (stop_asked()) {
			errno = EINTR;
			return -1;
		}
		if (poll(&p, 1, 200) <= 0)	/* a signal between the two is seen soon */
			continue;
		n = read(fd, c, 1);
		if (n == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		return (int)n;
	}
}

/* Read up to the newline; what does not fit is read and counted, not kept. */
static int
read_line(int fd, char *buf, size_t n, size_t *len)
{
	char c = 0;
	int got;

	*len = 0;
	while ((got = next_byte(fd, &c)) == 1 && c != '\n') {
		if (*len < n)
			buf[(*len)++] = c;
	}
	if (got == 0 && *len > 0)
		got = 1;
	return got;
}

int
prompt_secret(const char *question, char *buf, size_t n, size_t *len, struct err *e)
{
	struct termios before, silent;
	char safe[256], line[300];
	int fd, got;

	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd == -1 || tcgetattr(fd, &before) != 0) {
		if (fd != -1)
			(void)close(fd);
		return err_set(e, ERR_NO_PASSPHRASE,
		    "no passphrase was given, and there is no terminal to ask for it");
	}
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	silent.c_lflag |= ECHONL | ICANON;
	(void)text_line(safe, sizeof(safe), question);
	(void)snprintf(line, sizeof(line), "%s: ", safe);
	say_hold();
	(void)tcsetattr(fd, TCSAFLUSH, &silent);
	if (write(fd, line, strlen(line)) < 0)
		got = -1;
	else
		got = read_line(fd, buf, n, len);
	(void)tcsetattr(fd, TCSAFLUSH, &before);
	(void)close(fd);
	say_go();
	if (got == 1)
		return 0;
	if (stop_asked())
		return stop_check(e);
	return err_set(e, ERR_NO_PASSPHRASE, "no passphrase was typed");
}

int
prompt_line(const char *question, char *buf, size_t n, size_t *len, struct err *e)
{
	char safe[512], line[600];
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), got = -1;

	if (fd == -1)
		return err_set(e, ERR_NOT_FOUND, "there is no terminal to ask on");
	(void)text_line(safe, sizeof(safe), question);
	(void)snprintf(line, sizeof(line), "%s ", safe);
	say_hold();
	if (write(fd, line, strlen(line)) >= 0)
		got = read_line(fd, buf, n - 1, len);
	(void)close(fd);
	say_go();
	if (got == 1) {
		buf[*len] = 0;
		return 0;
	}
	if (stop_asked())
		return stop_check(e);
	return err_set(e, ERR_NOT_FOUND, "nothing was answered");
}
