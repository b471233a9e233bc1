#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/base/secret.h"

#if defined(__SANITIZE_ADDRESS__)
#define LEAK_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAK_CHECKED 1
#endif
#endif

static void
give_up(const char *why)
{
	(void)fprintf(stderr, "samara: %s\n", why);
	_Exit(1);
}

void
secret_init(void)
{
	const struct rlimit none = { 0, 0 };

	if (sodium_init() == -1)
		give_up("the crypto library does not start");
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		give_up("core dumps cannot be forbidden");
#ifndef LEAK_CHECKED
	/*
	 * A core handler in a pipe is not bound by RLIMIT_CORE.  The leak
	 * checker looks at its own process from outside and would be shut out.
	 */
	if (prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) != 0)
		give_up("core dumps cannot be forbidden");
#endif
}

void *
secret_new(size_t n)
{
	void *p = NULL;

	/* Again is harmless; without it the guard pages are not where they belong. */
	if (sodium_init() == -1 || (p = sodium_malloc(n)) == NULL)
		give_up("there is no memory that can be guarded for a secret");
	sodium_memzero(p, n);
	return p;
}

void
secret_free(void *p)
{
	sodium_free(p);
}

void
secret_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

int
secret_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}
