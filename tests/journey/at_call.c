/*
 * A library that a journey loads into a tool (at_call.sh): at a call of its
 * choice the tool stands still, is killed, or gets another signal.  The
 * environment says at which: AT_CALL=pwrite:3:9 is signal 9 before the third
 * pwrite of the whole process, whichever of its threads makes it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_ulong calls;
static unsigned long when;
static int what;
static char which[32];

__attribute__((constructor)) static void
at_call_begin(void)
{
	const char *s = getenv("AT_CALL"), *colon = s == NULL ? NULL : strchr(s, ':');
	char *rest;

	if (colon == NULL || (size_t)(colon - s) >= sizeof(which))
		return;
	when = strtoul(colon + 1, &rest, 10);
	if (*rest == ':')
		what = atoi(rest + 1);
	memcpy(which, s, (size_t)(colon - s));
	/* What the tool starts itself is left alone. */
	(void)unsetenv("AT_CALL");
	(void)unsetenv("LD_PRELOAD");
}

/* What a journey says that fails because it ended before. */
__attribute__((destructor)) static void
at_call_end(void)
{
	if (what != 0 && atomic_load(&calls) < when)
		(void)fprintf(stderr, "at_call: process %ld ended after %lu calls of %s, not %lu\n", (long)getpid(),
		    atomic_load(&calls), which, when);
}

static void
at_call(const char *name)
{
	if (what != 0 && strcmp(name, which) == 0 && atomic_fetch_add(&calls, 1) + 1 == when)
		(void)raise(what);
}

/* The function of this name that would have been called. */
#define STANDS_IN(type, name, params, args)				\
	type name params;						\
	type name params						\
	{								\
		static type (*real) params;				\
									\
		if (real == NULL)					\
			*(void **)&real = dlsym(RTLD_NEXT, #name);	\
		at_call(#name);						\
		return real args;					\
	}

/* As the tools are built every offset has 64 bits. */
STANDS_IN(ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
STANDS_IN(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
STANDS_IN(int, fsync, (int fd), (fd))
STANDS_IN(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
STANDS_IN(int, linkat, (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))
STANDS_IN(int, renameat2, (int from, const char *old, int to, const char *new, unsigned flags), (from, old, to, new, flags))
