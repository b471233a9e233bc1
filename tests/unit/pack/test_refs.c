#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/pack/refs.h"
#include "pack/sealed.h"

static uint8_t domain[DIGEST_LEN];

static int
domain_make(void **state)
{
	struct domain_keys *k = keys_make();

	(void)state;
	memcpy(domain, k->domain_id, DIGEST_LEN);
	domain_keys_free(k);
	return 0;
}

static void
digest_of(uint8_t (*ids)[DIGEST_LEN], size_t n, const uint8_t *of, uint8_t out[DIGEST_LEN])
{
	struct refs_digest *d = refs_digest_new(of);
	uint64_t count;

	assert_non_null(d);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(refs_digest_add(d, ids[i]), 0);
	refs_digest_final(d, out, &count);
	assert_int_equal(count, n);
	refs_digest_free(d);
}

/* docs/formats/vectors.md; made by another implementation. */
static void
digests_are_those_written_down(void **state)
{
	uint8_t ids[4][DIGEST_LEN], out[DIGEST_LEN];

	(void)state;
	memset(ids, 0, sizeof(ids));
	ids[1][31] = 1;
	memset(ids[2], 0x55, DIGEST_LEN);
	ids[2][0] = 0x80;
	ids[2][1] = 0x01;
	memset(ids[3], 0xff, DIGEST_LEN);
	digest_of(ids, 4, domain, out);
	assert_hex(out, DIGEST_LEN, "69dc1f156932611b1662d26b67c2836aaaeb3db6e6fe32bfea5213a075b0c0ca");
	digest_of(ids, 0, domain, out);
	assert_hex(out, DIGEST_LEN, "8978adaf6226a97a833d7339b799dec48fe80f2b7c3f1da2a5028c7402441936");
}

static void
ids_that_do_not_rise_are_refused(void **state)
{
	struct refs_digest *d = refs_digest_new(domain);
	uint8_t id[DIGEST_LEN] = { 5 }, lower[DIGEST_LEN] = { 4, 255 };

	(void)state;
	assert_int_equal(refs_digest_add(d, id), 0);
	assert_int_equal(refs_digest_add(d, id), -1);
	assert_int_equal(refs_digest_add(d, lower), -1);
	id[31] = 1;
	assert_int_equal(refs_digest_add(d, id), 0);
	refs_digest_free(d);
	refs_digest_free(NULL);
}

static void
any_id_more_or_less_or_other_and_any_other_domain_is_another_digest(void **state)
{
	uint8_t ids[3][DIGEST_LEN] = { { 1 }, { 1, 2 }, { 200 } }, a[DIGEST_LEN], b[DIGEST_LEN], other[DIGEST_LEN] = { 1 };

	(void)state;
	digest_of(ids, 3, domain, a);
	digest_of(ids, 2, domain, b);
	assert_memory_not_equal(a, b, DIGEST_LEN);
	digest_of(ids + 1, 2, domain, b);
	assert_memory_not_equal(a, b, DIGEST_LEN);
	digest_of(ids, 3, other, b);
	assert_memory_not_equal(a, b, DIGEST_LEN);
	ids[1][31] ^= 1;
	digest_of(ids, 3, domain, b);
	assert_memory_not_equal(a, b, DIGEST_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_those_written_down),
		cmocka_unit_test(ids_that_do_not_rise_are_refused),
		cmocka_unit_test(any_id_more_or_less_or_other_and_any_other_domain_is_another_digest),
	};

	return cmocka_run_group_tests(tests, domain_make, NULL);
}
