#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/crypto/domain_keys.h"
#include "crypto/hex.h"

/* docs/formats/vectors.md; derived with Python's hashlib.blake2b and another Ed25519. */
static void
every_subkey_is_the_one_written_down(void **state)
{
	static const char *const ids[KIND_MAX + 1] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"ea856b85c2095962eb5e20a16f25d6e8bdd7ba754a99b00c996b6e72cce42ab4",
		"ddee970f9fa6d672a934ff5961e52e2444ad354b889e04f528948817fc603628",
		"ed5e2387ec76fecf84a657cc315122c879d34beefdb5d4f0a86a910a4b0609e5",
		"f2d466043abbec509ea9005c01bccadc1ae7817d62123c29818c4b6bc7fac6a5",
		"eda9e752a4fbf43bec842d75843a4440899168a25225ac79d08932286c304706",
		"c80c7a375f7fefab897fb7ec4cbfcc480afec33d3a6d0f2b21361d208b4259c3",
	};
	uint8_t master[KEY_LEN];
	struct domain_keys *k;

	(void)state;
	count_up(master, sizeof(master), 0);
	k = domain_keys_new(master);
	assert_memory_equal(k->master, master, KEY_LEN);
	assert_hex(k->cut, KEY_LEN, "798d5fd2b1cd87c4f28c60effff6c00a283f431bed691057bb3f56212bd28b2b");
	assert_hex(k->slots, KEY_LEN, "5e534d74b8f09bc6a2cc9d65797031da5f2f817cc7c9c6eaa8e2ffb7f389daba");
	assert_hex(k->trust, KEY_LEN, "83f59bdde56dba747a521e6d0ee606739e7797c4485775bd19220fc2e2277e21");
	for (unsigned i = 0; i <= KIND_MAX; i++)
		assert_hex(k->id[i], KEY_LEN, ids[i]);
	assert_hex(k->seal, KEY_LEN, "13b77fd321c2acf720f21f5d19cdd02bf07fa697f5860a5cb8619d9396608a60");
	assert_hex(k->nonce, KEY_LEN, "6d5c741060d3bf243fb2546628ce6d9e7972ae2a3df0e15f9284f16dc5459d20");
	assert_hex(k->sign_secret, KEY_LEN, "3f574e082b91879228ee0ca9489b7d4a978fbb222a2611020b4e3191f075691b");
	assert_hex(k->domain_pub, KEY_LEN, "c5f30b949261218ddf8dc42f24c52e65996a60b007b03a8d2526c4a5b64b75e8");
	assert_hex(k->domain_id, KEY_LEN, "3bb9129d2af0faee2516abbd8ca38f60c19ae929afa0da28aaf476cbbbdb665c");
	domain_keys_free(k);
	domain_keys_free(NULL);
}

static void
one_bit_of_the_master_key_changes_every_key(void **state)
{
	uint8_t master[KEY_LEN];
	struct domain_keys *a, *b;

	(void)state;
	count_up(master, sizeof(master), 0);
	a = domain_keys_new(master);
	master[31] ^= 0x80;
	b = domain_keys_new(master);
	assert_memory_not_equal(a->cut, b->cut, KEY_LEN);
	assert_memory_not_equal(a->slots, b->slots, KEY_LEN);
	assert_memory_not_equal(a->trust, b->trust, KEY_LEN);
	assert_memory_not_equal(a->seal, b->seal, KEY_LEN);
	assert_memory_not_equal(a->nonce, b->nonce, KEY_LEN);
	assert_memory_not_equal(a->domain_id, b->domain_id, DIGEST_LEN);
	for (unsigned i = 1; i <= KIND_MAX; i++)
		assert_memory_not_equal(a->id[i], b->id[i], KEY_LEN);
	domain_keys_free(a);
	domain_keys_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_subkey_is_the_one_written_down),
		cmocka_unit_test(one_bit_of_the_master_key_changes_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
