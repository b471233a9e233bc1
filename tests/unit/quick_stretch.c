/*
 * In the place of libsodium's Argon2id, for the programs that are about what
 * is done with a key and not about how it is stretched: of the same inputs a
 * key of the same length, without its second of work and its 256 MiB.  The
 * tools always stretch, and tests/unit/crypto, the golden files and the
 * journeys have the real thing; what stands in a file is the same either way.
 */
#include <errno.h>

#include <sodium.h>

int
crypto_pwhash(unsigned char *const out, unsigned long long out_len, const char *const pass, unsigned long long pass_len,
    const unsigned char *const salt, unsigned long long ops, size_t mem, int alg)
{
	crypto_generichash_state s;
	unsigned long long costs[] = { ops, mem, (unsigned long long)alg };

	if (out_len < crypto_generichash_BYTES_MIN || out_len > crypto_generichash_BYTES_MAX) {
		errno = EINVAL;
		return -1;
	}
	(void)crypto_generichash_init(&s, salt, crypto_pwhash_SALTBYTES, (size_t)out_len);
	(void)crypto_generichash_update(&s, (const unsigned char *)costs, sizeof(costs));
	(void)crypto_generichash_update(&s, (const unsigned char *)pass, pass_len);
	(void)crypto_generichash_final(&s, out, (size_t)out_len);
	return 0;
}
