#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/net/tls_key.h"

static void
a_key_has_the_same_pin_whenever_it_is_opened(void **state)
{
	struct tls_key *a, *b;
	uint8_t one[32], two[32];
	struct buf pem;
	struct err e;

	(void)state;
	err_clear(&e);
	buf_init(&pem);
	assert_int_equal(tls_key_make(&pem, &e), 0);
	a = tls_key_open(pem.p, pem.len, "hq", &e);
	b = tls_key_open(pem.p, pem.len, "a name with blanks", &e);
	assert_non_null(a);
	assert_non_null(b);
	tls_key_pin(a, one);
	tls_key_pin(b, two);
	assert_memory_equal(one, two, 32);
	assert_string_equal(tls_key_name(a), "hq");
	assert_non_null(strstr(tls_key_certificate(a), "BEGIN CERTIFICATE"));
	assert_non_null(strstr(tls_key_secret(a), "BEGIN PRIVATE KEY"));
	tls_key_free(a);
	tls_key_free(b);
	buf_release(&pem);
}

/* RFC 7469's own way to a pin, by the command in its section 2.4 over a key made for this test. */
static void
the_pin_is_that_of_rfc_7469(void **state)
{
	static const char pem[] =
	    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6QLSm2c1DAUr5BdB\n"
	    "OmXfoj8mbgc2woT8N2kGV1vrWdehRANCAARf1Q8myeGY1ThemUxB03n0ovx3tCjQ\n"
	    "aBceSkzzRrhHQZCQW2Pf+QmchgVTRyVWooeBF4Y2OJRaFqbrxmGcX6Ya\n-----END PRIVATE KEY-----\n";
	static const uint8_t want[32] = {
		0xbd, 0xf5, 0x0d, 0x57, 0xa7, 0x81, 0xf0, 0x42, 0xcf, 0x81, 0xc6, 0x53, 0x6f, 0xb6, 0x64, 0x5d,
		0xcc, 0xdd, 0x12, 0x9e, 0xa3, 0x1e, 0x84, 0x45, 0x8a, 0x86, 0xa1, 0xe8, 0x00, 0x52, 0xa2, 0x9e
	};
	struct tls_key *k;
	uint8_t pin[32];
	struct err e;

	(void)state;
	err_clear(&e);
	k = tls_key_open((const uint8_t *)pem, strlen(pem), "hq", &e);
	assert_non_null(k);
	tls_key_pin(k, pin);
	assert_memory_equal(pin, want, 32);
	tls_key_free(k);
}

static void
what_is_no_key_is_refused(void **state)
{
	static const char *const bad[] = { "", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&e);
		assert_null(tls_key_open((const uint8_t *)bad[i], strlen(bad[i]), "hq", &e));
		assert_int_equal(e.code, ERR_VAULT_KEY);
	}
	tls_key_free(NULL);
}

static int
begin(void **state)
{
	(void)state;
	secret_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_the_same_pin_whenever_it_is_opened),
		cmocka_unit_test(the_pin_is_that_of_rfc_7469),
		cmocka_unit_test(what_is_no_key_is_refused),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
