/*
 * A library that a journey loads into tools: AT_CLOCK seconds later than it is, by the wall
 * clock and by the time since the computer started alike, as if it had stood there and nobody
 * had looked.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *t);
int
clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t id, struct timespec *t);
	const char *s = getenv("AT_CLOCK");
	int rc;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, t);
	if (rc == 0 && s != NULL && (id == CLOCK_REALTIME || id == CLOCK_BOOTTIME))
		t->tv_sec += atol(s);
	return rc;
}
