#ifndef SAMARA_TESTS_BASE_CAPTURE_H
#define SAMARA_TESTS_BASE_CAPTURE_H

/* What a function writes to a descriptor (1 or 2), caught in a memory file. */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
	int fd, kept, into;
	char text[65536];
};

static inline void
capture_start(struct capture *c, int fd)
{
	(void)fflush(NULL);
	c->fd = fd;
	c->kept = dup(fd);
	c->into = memfd_create("capture", 0);
	assert_true(c->kept != -1 && c->into != -1);
	assert_true(dup2(c->into, fd) == fd);
}

/* Give the descriptor back; the text stays in ${c}. */
static inline const char *
capture_end(struct capture *c)
{
	ssize_t n;

	(void)fflush(NULL);
	n = pread(c->into, c->text, sizeof(c->text) - 1, 0);
	assert_true(n >= 0);
	c->text[n] = '\0';
	assert_true(dup2(c->kept, c->fd) == c->fd);
	(void)close(c->kept);
	(void)close(c->into);
	return c->text;
}

#endif
