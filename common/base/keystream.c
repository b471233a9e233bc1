#include <sodium.h>

#include "common/base/keystream.h"

void
keystream(const uint8_t key[32], void *out, size_t n)
{
	static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];

	(void)crypto_stream_chacha20_ietf(out, n, nonce, key);	/* cannot fail below 256 GiB */
}
