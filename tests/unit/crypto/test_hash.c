#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto/hash.h"
#include "crypto/hex.h"

/* The official vectors of BLAKE3 (test_vectors.json): input 0, 1 … 250, 0, 1 …, the first 32 bytes of each output. */
#define ELVISH	"whats the Elvish word for friend"

static const struct {
	size_t len;
	const char *hash, *keyed;
} official[] = {
	{ 0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
	    "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26" },
	{ 1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
	    "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b" },
	{ 1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
	    "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e" },
	{ 1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
	    "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4" },
	{ 1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
	    "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69" },
	{ 2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
	    "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1" },
	{ 2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
	    "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5" },
	{ 5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
	    "6ccf1c34753e7a044db80798ecd0782a8f76f33563accaddbfbb2e0ea4b2d024" },
	{ 31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
	    "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419" },
	{ 102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
	    "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7" },
};
static uint8_t pattern[102400];

static int
pattern_make(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i % 251);
	return 0;
}

static void
digests_are_those_of_the_official_vectors(void **state)
{
	uint8_t out[DIGEST_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(official) / sizeof(official[0]); i++) {
		hash_once(pattern, official[i].len, out);
		assert_hex(out, DIGEST_LEN, official[i].hash);
		hash_keyed((const uint8_t *)ELVISH, pattern, official[i].len, out);
		assert_hex(out, DIGEST_LEN, official[i].keyed);
	}
}

static void
in_pieces_of_any_size_it_is_the_same_digest(void **state)
{
	static const size_t pieces[] = { 1, 63, 64, 65, 1000, 1024, 5000, 40000 };
	struct hash h;
	uint8_t out[DIGEST_LEN];

	(void)state;
	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		hash_init_keyed(&h, (const uint8_t *)ELVISH);
		for (size_t at = 0; at < 31744; at += pieces[p])
			hash_update(&h, pattern + at, 31744 - at < pieces[p] ? 31744 - at : pieces[p]);
		hash_final(&h, out);
		assert_hex(out, DIGEST_LEN, official[8].keyed);
	}
}

static void
a_hash_goes_on_after_its_digest_was_looked_at(void **state)
{
	struct hash h;
	uint8_t out[DIGEST_LEN];

	(void)state;
	hash_init(&h);
	hash_update(&h, pattern, 1024);
	hash_final(&h, out);
	assert_hex(out, DIGEST_LEN, official[3].hash);
	hash_update(&h, pattern + 1024, 1024);
	hash_final(&h, out);
	assert_hex(out, DIGEST_LEN, official[5].hash);
}

static void
authenticators_are_those_of_another_blake2b(void **state)
{
	uint8_t key[KEY_LEN], out[DIGEST_LEN];

	(void)state;
	/* By Python's hashlib.blake2b(…, key=bytes(range(32)), digest_size=32). */
	count_up(key, sizeof(key), 0);
	mac_once(key, "samara", 6, out);
	assert_hex(out, DIGEST_LEN, "cf3628ab679cc311ae67dc9de4544da6c085cd345b2bab58df9abe1f0048cf02");
	mac_once(key, "", 0, out);
	assert_hex(out, DIGEST_LEN, "4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_those_of_the_official_vectors),
		cmocka_unit_test(in_pieces_of_any_size_it_is_the_same_digest),
		cmocka_unit_test(a_hash_goes_on_after_its_digest_was_looked_at),
		cmocka_unit_test(authenticators_are_those_of_another_blake2b),
	};

	return cmocka_run_group_tests(tests, pattern_make, NULL);
}
