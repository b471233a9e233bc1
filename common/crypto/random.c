#include <string.h>

#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/random.h"

#define POOL_LEN	4096u

/* What is left stands at the end of bytes. */
struct pool {
	const struct io_ops *from;	/* the table that filled it: another one fills it anew */
	size_t left;
	uint8_t bytes[POOL_LEN];
};

static _Thread_local struct pool mine;

void
random_take(void *out, size_t n)
{
	uint8_t *p = out, *at;
	size_t some;

	while (n > 0) {
		if (mine.left == 0 || mine.from != io) {
			io_random(mine.bytes, POOL_LEN);
			mine.from = io;
			mine.left = POOL_LEN;
		}
		some = n < mine.left ? n : mine.left;
		at = mine.bytes + POOL_LEN - mine.left;
		memcpy(p, at, some);
		secret_wipe(at, some);
		mine.left -= some;
		p += some;
		n -= some;
	}
}

uint32_t
random_below(uint32_t n)
{
	uint32_t v, skip = (0u - n) % n;	/* 2^32 mod n: so many values would count twice */

	do
		random_take(&v, sizeof(v));
	while (v < skip);
	return v % n;
}
