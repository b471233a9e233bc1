#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "crypto/hex.h"
#include "formats/fmt_machine.h"

static struct err e;

/* RFC 8032, 7.1, tests 1 to 3. */
static void
public_keys_are_those_of_rfc_8032(void **state)
{
	static const struct { const char *seed, *pub; } t[] = {
		{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" },
		{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c" },
		{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025" },
	};
	uint8_t seed[KEY_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		(void)hex_get(t[i].seed, seed, sizeof(seed));
		sign_keys(seed, pub, secret);
		assert_hex(pub, SIGN_PUB_LEN, t[i].pub);
	}
}

static void
a_signature_is_ed25519_over_context_and_digest(void **state)
{
	uint8_t seed[KEY_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN], sig[SIGN_LEN];

	(void)state;
	/* docs/formats/vectors.md; made by another implementation of Ed25519 and BLAKE3. */
	count_up(seed, sizeof(seed), 0x40);
	sign_keys(seed, pub, secret);
	assert_hex(pub, SIGN_PUB_LEN, "2543b92ff1095511476adc8369db6ddc933665a11978dda1404ee1066ca9559d");
	sign_make(sig, secret, "samara test v1", "hello", 5);
	assert_hex(sig, SIGN_LEN, "6fe2c543ae30281a8c95d48db1dce4d790a90fd620cea33c56996155ce400ead"
	    "5511c75016a0dea4c14289206171dfb0a24ca86d909c67626dc7dc60ffa5cf07");
	assert_int_equal(sign_check(sig, pub, "samara test v1", "hello", 5), 1);
}

static void
no_other_context_content_key_or_signature_passes(void **state)
{
	uint8_t seed[KEY_LEN], pub[SIGN_PUB_LEN], other[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN], sig[SIGN_LEN];

	(void)state;
	count_up(seed, sizeof(seed), 1);
	sign_keys(seed, other, secret);
	count_up(seed, sizeof(seed), 0);
	sign_keys(seed, pub, secret);
	sign_make(sig, secret, "samara test v1", "hello", 5);
	assert_int_equal(sign_check(sig, pub, "samara test v2", "hello", 5), 0);
	assert_int_equal(sign_check(sig, pub, "samara test v", "hello", 5), 0);
	assert_int_equal(sign_check(sig, pub, "samara test v1", "hellp", 5), 0);
	assert_int_equal(sign_check(sig, pub, "samara test v1", "hello", 4), 0);
	assert_int_equal(sign_check(sig, other, "samara test v1", "hello", 5), 0);
	for (size_t i = 0; i < SIGN_LEN * 8; i++) {
		sig[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_int_equal(sign_check(sig, pub, "samara test v1", "hello", 5), 0);
		sig[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

static void
a_context_of_32_characters_counts_whole(void **state)
{
	uint8_t seed[KEY_LEN] = { 9 }, pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN], sig[SIGN_LEN];

	(void)state;
	sign_keys(seed, pub, secret);
	sign_make(sig, secret, "0123456789abcdef0123456789abcdef", "x", 1);
	assert_int_equal(sign_check(sig, pub, "0123456789abcdef0123456789abcdef", "x", 1), 1);
	assert_int_equal(sign_check(sig, pub, "0123456789abcdef0123456789abcdeg", "x", 1), 0);
}

static void
desc_fill(struct domain_desc *d, uint8_t secret[SIGN_SECRET_LEN])
{
	uint8_t seed[KEY_LEN];

	count_up(seed, sizeof(seed), 7);
	memset(d, 0, sizeof(*d));
	sign_keys(seed, d->domain_pub, secret);
	d->suite = SUITE_1;
	d->chunk_avg = CHUNK_AVG_DEFAULT;
	d->created = 1700000000;
}

static void
a_statement_opens_with_the_key_that_made_it(void **state)
{
	struct domain_desc d, again;
	uint8_t secret[SIGN_SECRET_LEN];
	struct buf b;

	(void)state;
	err_clear(&e);
	buf_init(&b);
	buf_add(&b, "before", 6);
	desc_fill(&d, secret);
	assert_int_equal(statement_make(&domain_desc_schema, &d, secret, &b, &e), 0);
	assert_memory_equal(b.p, "before", 6);
	assert_int_equal(statement_open(&domain_desc_schema, &again, b.p + 6, b.len - 6, d.domain_pub, &e), 0);
	assert_int_equal(again.chunk_avg, CHUNK_AVG_DEFAULT);
	assert_memory_equal(again.sig, d.sig, SIGN_LEN);
	assert_int_equal(statement_check(&domain_desc_schema, b.p + 6, b.len - 6, d.domain_pub), 1);
	assert_int_equal(statement_check(&domain_desc_schema, b.p + 6, SIGN_LEN - 1, d.domain_pub), 0);
	buf_release(&b);
}

static void
a_statement_with_any_byte_changed_is_refused(void **state)
{
	struct domain_desc d, again, none;
	uint8_t secret[SIGN_SECRET_LEN];
	struct buf b;

	(void)state;
	buf_init(&b);
	memset(&none, 0, sizeof(none));
	desc_fill(&d, secret);
	assert_int_equal(statement_make(&domain_desc_schema, &d, secret, &b, &e), 0);
	for (size_t i = 0; i < b.len; i++) {
		b.p[i] ^= 0x10;
		err_clear(&e);
		assert_int_equal(statement_open(&domain_desc_schema, &again, b.p, b.len, d.domain_pub, &e), -1);
		assert_true(e.code == ERR_FORMAT || e.code == ERR_VERSION || e.code == ERR_SIGNATURE);
		assert_int_equal(e.code == ERR_VERSION, i == 8 || i == 9);
		assert_memory_equal(&again, &none, sizeof(none));
		b.p[i] ^= 0x10;
	}
	buf_release(&b);
}

static void
a_statement_by_another_is_refused_and_one_without_a_key_is_only_read(void **state)
{
	struct domain_desc d, again;
	uint8_t secret[SIGN_SECRET_LEN], other[SIGN_PUB_LEN], seed[KEY_LEN] = { 1 }, ignored[SIGN_SECRET_LEN];
	struct buf b;

	(void)state;
	buf_init(&b);
	err_clear(&e);
	desc_fill(&d, secret);
	sign_keys(seed, other, ignored);
	assert_int_equal(statement_make(&domain_desc_schema, &d, secret, &b, &e), 0);
	assert_int_equal(statement_open(&domain_desc_schema, &again, b.p, b.len, other, &e), -1);
	assert_int_equal(e.code, ERR_SIGNATURE);
	b.p[b.len - 1] ^= 1;
	assert_int_equal(statement_open(&domain_desc_schema, &again, b.p, b.len, NULL, &e), 0);
	assert_int_equal(statement_check(&domain_desc_schema, b.p, b.len, d.domain_pub), 0);
	buf_release(&b);
}

static void
what_is_outside_its_limits_is_not_made(void **state)
{
	struct domain_desc d;
	uint8_t secret[SIGN_SECRET_LEN];
	struct buf b;

	(void)state;
	buf_init(&b);
	err_clear(&e);
	desc_fill(&d, secret);
	d.chunk_avg = 3;
	assert_int_equal(statement_make(&domain_desc_schema, &d, secret, &b, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void
the_digest_of_a_statement_leaves_its_signature_out(void **state)
{
	struct domain_desc d;
	struct identity id = { .machine_name = "barn" };
	uint8_t secret[SIGN_SECRET_LEN], one[DIGEST_LEN], two[DIGEST_LEN];
	struct buf b;

	(void)state;
	buf_init(&b);
	desc_fill(&d, secret);
	assert_int_equal(statement_make(&domain_desc_schema, &d, secret, &b, &e), 0);
	statement_digest(&domain_desc_schema, b.p, b.len, one);
	hash_once(b.p, b.len - SIGN_LEN, two);
	assert_memory_equal(one, two, DIGEST_LEN);
	buf_reset(&b);
	assert_int_equal(statement_make(&identity_schema, &id, NULL, &b, &e), 0);
	statement_digest(&identity_schema, b.p, b.len, one);
	hash_once(b.p, b.len, two);
	assert_memory_equal(one, two, DIGEST_LEN);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_keys_are_those_of_rfc_8032),
		cmocka_unit_test(a_signature_is_ed25519_over_context_and_digest),
		cmocka_unit_test(no_other_context_content_key_or_signature_passes),
		cmocka_unit_test(a_context_of_32_characters_counts_whole),
		cmocka_unit_test(a_statement_opens_with_the_key_that_made_it),
		cmocka_unit_test(a_statement_with_any_byte_changed_is_refused),
		cmocka_unit_test(a_statement_by_another_is_refused_and_one_without_a_key_is_only_read),
		cmocka_unit_test(what_is_outside_its_limits_is_not_made),
		cmocka_unit_test(the_digest_of_a_statement_leaves_its_signature_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
