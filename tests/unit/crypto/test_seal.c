#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto/seal.h"
#include "crypto/hex.h"

/* draft-irtf-cfrg-xchacha-03, A.3.1. */
static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    "sunscreen would be it.";
static const char sealed_text[] =
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
    "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
    "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
    "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49";

static uint8_t key[KEY_LEN], nonce[NONCE_LEN], ad[12], sealed[sizeof(text) - 1 + SEAL_TAG_LEN];

static int
vector_make(void **state)
{
	(void)state;
	count_up(key, sizeof(key), 0x80);
	count_up(nonce, sizeof(nonce), 0x40);
	(void)hex_get("50515253c0c1c2c3c4c5c6c7", ad, sizeof(ad));
	seal_make(key, nonce, ad, sizeof(ad), text, sizeof(text) - 1, sealed);
	return 0;
}

static void
what_is_sealed_is_the_vector_of_the_draft(void **state)
{
	uint8_t out[sizeof(text)];

	(void)state;
	assert_hex(sealed, sizeof(sealed), sealed_text);
	assert_int_equal(seal_open(key, nonce, ad, sizeof(ad), sealed, sizeof(sealed), out), 0);
	assert_memory_equal(out, text, sizeof(text) - 1);
}

static void
refuses(const uint8_t *k, const uint8_t *n, const uint8_t *a, size_t a_len, const uint8_t *in, size_t len)
{
	uint8_t out[sizeof(text)] = { 0 }, none[sizeof(text)] = { 0 };

	assert_int_equal(seal_open(k, n, a, a_len, in, len, out), -1);
	assert_memory_equal(out, none, sizeof(out));
}

static void
any_bit_of_key_nonce_data_or_text_matters(void **state)
{
	uint8_t *const parts[] = { key, nonce, ad, sealed };
	const size_t lens[] = { sizeof(key), sizeof(nonce), sizeof(ad), sizeof(sealed) };

	(void)state;
	for (size_t p = 0; p < 4; p++)
		for (size_t i = 0; i < lens[p] * 8; i++) {
			parts[p][i / 8] ^= (uint8_t)(1u << (i % 8));
			refuses(key, nonce, ad, sizeof(ad), sealed, sizeof(sealed));
			parts[p][i / 8] ^= (uint8_t)(1u << (i % 8));
		}
	for (size_t len = 0; len < sizeof(sealed); len++)
		refuses(key, nonce, ad, sizeof(ad), sealed, len);
	refuses(key, nonce, ad, sizeof(ad) - 1, sealed, sizeof(sealed));
}

static void
nonces_are_those_of_another_blake2b(void **state)
{
	uint8_t k[KEY_LEN], out[NONCE_LEN];

	(void)state;
	/* Python's hashlib.blake2b(b"samara", key=bytes(range(32)), digest_size=24). */
	count_up(k, sizeof(k), 0);
	seal_nonce(k, "samara", 6, out);
	assert_hex(out, NONCE_LEN, "b7e92f49aba0aa88f804374f91691ffcf7ca7de7b950d276");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_is_the_vector_of_the_draft),
		cmocka_unit_test(any_bit_of_key_nonce_data_or_text_matters),
		cmocka_unit_test(nonces_are_those_of_another_blake2b),
	};

	return cmocka_run_group_tests(tests, vector_make, NULL);
}
