#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/letter.h"
#include "crypto/hex.h"

static const char text[] = "the slots of a machine";
static struct err e;

static void
only_the_key_it_was_sealed_to_opens_a_letter(void **state)
{
	uint8_t seed[KEY_LEN] = { 1 }, other[KEY_LEN] = { 2 }, pub[BOX_PUB_LEN], secret[KEY_LEN];
	struct buf sealed, out;

	(void)state;
	err_clear(&e);
	buf_init(&sealed);
	buf_init(&out);
	letter_keys(seed, pub, secret);
	assert_int_equal(letter_seal(pub, text, sizeof(text), &sealed, &e), 0);
	assert_int_equal(letter_open(other, sealed.p, sealed.len, &out, &e), -1);
	assert_int_equal(e.code, ERR_DAMAGE);
	assert_int_equal(out.len, 0);
	buf_add(&out, "in front", 8);
	assert_int_equal(letter_open(seed, sealed.p, sealed.len, &out, &e), 0);
	assert_int_equal(out.len, 8 + sizeof(text));
	assert_memory_equal(out.p + 8, text, sizeof(text));
	buf_release(&sealed);
	buf_release(&out);
}

static void
a_letter_changed_or_cut_short_does_not_open(void **state)
{
	uint8_t seed[KEY_LEN] = { 1 }, pub[BOX_PUB_LEN], secret[KEY_LEN];
	struct buf sealed, out;

	(void)state;
	buf_init(&sealed);
	buf_init(&out);
	letter_keys(seed, pub, secret);
	assert_int_equal(letter_seal(pub, text, sizeof(text), &sealed, &e), 0);
	for (size_t i = 0; i < sealed.len; i++) {
		err_clear(&e);
		sealed.p[i] ^= 4;
		assert_int_equal(letter_open(seed, sealed.p, sealed.len, &out, &e), -1);
		assert_int_equal(e.code, ERR_DAMAGE);
		sealed.p[i] ^= 4;
		assert_int_equal(letter_open(seed, sealed.p, i, &out, &e), -1);
	}
	assert_int_equal(out.len, 0);
	buf_release(&sealed);
	buf_release(&out);
}

static void
key_pairs_of_one_seed_are_the_same_each_time(void **state)
{
	uint8_t seed[KEY_LEN] = { 5 }, a[BOX_PUB_LEN], b[BOX_PUB_LEN], sa[KEY_LEN], sb[KEY_LEN];

	(void)state;
	letter_keys(seed, a, sa);
	letter_keys(seed, b, sb);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_equal(sa, sb, sizeof(sa));
	seed[31] = 1;
	letter_keys(seed, b, sb);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void
a_vaults_key_comes_back_under_its_passphrase_alone(void **state)
{
	struct vault_key k, again, none;
	struct buf b;

	(void)state;
	err_clear(&e);
	memset(&none, 0, sizeof(none));
	count_up(k.vault_id, ID_LEN, 1);
	count_up(k.sign_seed, KEY_LEN, 2);
	count_up(k.box_seed, KEY_LEN, 3);
	buf_init(&b);
	assert_int_equal(vault_key_wrap(&k, "open, sesame", 12, &b, &e), 0);
	assert_int_equal(vault_key_unwrap(b.p, b.len, "open, sesame", 12, &again, &e), 0);
	assert_memory_equal(&again, &k, sizeof(k));
	assert_int_equal(vault_key_unwrap(b.p, b.len, "open, sesame", 11, &again, &e), -1);
	assert_int_equal(e.code, ERR_PASSPHRASE);
	assert_memory_equal(&again, &none, sizeof(none));
	buf_release(&b);
}

static void
a_wrapped_vaults_key_that_was_changed_is_refused(void **state)
{
	/* One byte of each field: magic, version, vault id, passes, memory, salt, nonce, wrapped, tag. */
	static const size_t places[] = { 0, 8, 10, 26, 34, 42, 58, 82, 82 + 64 };
	struct vault_key k = { .vault_id = { 1 } }, again, none;
	struct buf b;

	(void)state;
	memset(&none, 0, sizeof(none));
	buf_init(&b);
	assert_int_equal(vault_key_wrap(&k, "open, sesame", 12, &b, &e), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		err_clear(&e);
		b.p[places[i]] ^= 0x40;
		assert_int_equal(vault_key_unwrap(b.p, b.len, "open, sesame", 12, &again, &e), -1);
		assert_true(e.code == ERR_PASSPHRASE || e.code == ERR_VAULT_KEY);
		assert_memory_equal(&again, &none, sizeof(none));
		b.p[places[i]] ^= 0x40;
	}
	assert_int_equal(vault_key_unwrap(b.p, b.len - 1, "open, sesame", 12, &again, &e), -1);
	assert_int_equal(e.code, ERR_VAULT_KEY);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_key_it_was_sealed_to_opens_a_letter),
		cmocka_unit_test(a_letter_changed_or_cut_short_does_not_open),
		cmocka_unit_test(key_pairs_of_one_seed_are_the_same_each_time),
		cmocka_unit_test(a_vaults_key_comes_back_under_its_passphrase_alone),
		cmocka_unit_test(a_wrapped_vaults_key_that_was_changed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
