#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/keystream.h"
#include "crypto/hex.h"

/* RFC 8439, A.1, test vectors 1 and 2: key and nonce zero, counters 0 and 1. */
static void
the_key_stream_is_that_of_rfc_8439(void **state)
{
	uint8_t key[32] = { 0 }, out[128];

	(void)state;
	keystream(key, out, sizeof(out));
	assert_hex(out, sizeof(out),
	    "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
	    "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
	    "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
	    "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_stream_is_that_of_rfc_8439),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
