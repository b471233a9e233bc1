#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/domain_keys.h"
#include "common/crypto/seal.h"
#include "common/crypto/slot_wrap.h"
#include "common/crypto/slots.h"
#include "crypto/hex.h"

#define PASS	"correct horse battery staple"

/* One header with a way in of each kind; stretching is slow, so it is made once. */
static struct {
	uint8_t master[KEY_LEN], recovery[KEY_LEN], local[KEY_LEN];
	struct domain_keys *keys;
	struct slot slots[3];
	struct buf header;
} f;
static struct err e;

static int
header_make(void **state)
{
	(void)state;
	err_clear(&e);
	count_up(f.master, KEY_LEN, 0);
	count_up(f.recovery, KEY_LEN, 0x60);
	count_up(f.local, KEY_LEN, 0xa0);
	f.keys = domain_keys_new(f.master);
	buf_init(&f.header);
	slot_make_key(&f.slots[0], SLOT_RECOVERY, f.master, f.recovery, "paper in the safe");
	slot_make_key(&f.slots[1], SLOT_LOCAL, f.master, f.local, NULL);
	if (slot_make_passphrase(&f.slots[2], f.master, PASS, strlen(PASS), "a label of exactly 32 characters", &e) != 0)
		return -1;
	return slots_make(f.slots, 3, 7, f.keys->domain_id, f.keys->slots, &f.header, &e);
}

static int
header_drop(void **state)
{
	(void)state;
	buf_release(&f.header);
	domain_keys_free(f.keys);
	return 0;
}

static struct slot_secret
by_key(unsigned type, const uint8_t *key)
{
	return (struct slot_secret){ .type = type, .key = key };
}

static struct slot_secret
by_pass(const char *pass)
{
	return (struct slot_secret){ .type = SLOT_PASSPHRASE, .pass = pass, .pass_len = strlen(pass) };
}

static int
try_open(const uint8_t *in, size_t len, const uint8_t *domain_id, struct slot_secret how, uint32_t *generation)
{
	uint8_t master[KEY_LEN], none[KEY_LEN] = { 0 };
	int rc;

	memset(master, 0x55, sizeof(master));
	err_clear(&e);
	*generation = 99;
	rc = slots_open(in, len, domain_id, &how, master, generation, &e);
	if (rc == 0)
		assert_memory_equal(master, f.master, KEY_LEN);
	else
		assert_memory_equal(master, none, KEY_LEN);
	return rc;
}

static void
opens_by(struct slot_secret how)
{
	uint32_t generation;

	assert_int_equal(try_open(f.header.p, f.header.len, f.keys->domain_id, how, &generation), 0);
	assert_int_equal(generation, 7);
	assert_int_equal(try_open(f.header.p, f.header.len, NULL, how, &generation), 0);
}

static void
fails_by(struct slot_secret how, const uint8_t *domain_id, enum err_code code)
{
	uint32_t generation;

	assert_int_equal(try_open(f.header.p, f.header.len, domain_id, how, &generation), -1);
	assert_int_equal(e.code, code);
	assert_int_equal(generation, 0);
}

static void
each_way_in_gives_the_master_key(void **state)
{
	(void)state;
	opens_by(by_key(SLOT_RECOVERY, f.recovery));
	opens_by(by_key(SLOT_LOCAL, f.local));
	opens_by(by_pass(PASS));
}

static void
another_passphrase_or_key_opens_nothing(void **state)
{
	(void)state;
	fails_by(by_pass(PASS " "), NULL, ERR_PASSPHRASE);
	fails_by(by_key(SLOT_RECOVERY, f.local), NULL, ERR_PASSPHRASE);
	fails_by(by_key(SLOT_LOCAL, f.recovery), NULL, ERR_PASSPHRASE);
}

static void
a_way_that_no_slot_has_is_said_so(void **state)
{
	const uint8_t key[KEY_LEN] = { 1 };

	(void)state;
	fails_by(by_key(SLOT_RECIPIENT, key), NULL, ERR_SLOTS);
	fails_by(by_key(SLOT_RECOVERY, NULL), NULL, ERR_SLOTS);
	fails_by(by_key(77, key), NULL, ERR_SLOTS);
}

static void
slots_of_another_domain_are_refused(void **state)
{
	uint8_t other[DIGEST_LEN] = { 1 };

	(void)state;
	fails_by(by_key(SLOT_RECOVERY, f.recovery), other, ERR_SLOTS);
}

static void
with_any_byte_changed_the_header_is_refused(void **state)
{
	uint32_t generation;

	(void)state;
	for (size_t i = 0; i < f.header.len; i++) {
		f.header.p[i] ^= 0x20;
		assert_int_equal(try_open(f.header.p, f.header.len, f.keys->domain_id, by_key(SLOT_RECOVERY, f.recovery),
		    &generation), -1);
		assert_true(e.code == ERR_SLOTS || e.code == ERR_PASSPHRASE);
		f.header.p[i] ^= 0x20;
	}
	for (size_t len = 0; len < f.header.len; len++)
		assert_int_equal(try_open(f.header.p, len, NULL, by_key(SLOT_RECOVERY, f.recovery), &generation), -1);
}

static void
a_header_of_another_master_key_under_the_same_recovery_key_is_not_mixed_in(void **state)
{
	uint8_t other[KEY_LEN] = { 3 };
	struct domain_keys *k = domain_keys_new(other);
	struct slot mixed[2];
	struct buf b;
	uint32_t generation;

	(void)state;
	buf_init(&b);
	err_clear(&e);
	mixed[0] = f.slots[0];
	slot_make_key(&mixed[1], SLOT_LOCAL, other, f.local, "");
	/* The slot of our domain in a header made by who holds another master key. */
	assert_int_equal(slots_make(mixed, 2, 1, f.keys->domain_id, k->slots, &b, &e), 0);
	assert_int_equal(try_open(b.p, b.len, NULL, by_key(SLOT_RECOVERY, f.recovery), &generation), -1);
	assert_int_equal(e.code, ERR_SLOTS);
	/* And theirs under our domain's name. */
	assert_int_equal(try_open(b.p, b.len, NULL, by_key(SLOT_LOCAL, f.local), &generation), -1);
	assert_int_equal(e.code, ERR_SLOTS);
	buf_release(&b);
	domain_keys_free(k);
}

static void
stretching_beyond_bounds_is_refused_before_any_work(void **state)
{
	static const struct { uint64_t ops, mem; } t[] = {
		{ KDF_OPS_MIN - 1, KDF_MEM_MIN }, { KDF_OPS_MAX + 1, KDF_MEM_MIN },
		{ KDF_OPS_MIN, KDF_MEM_MIN - 1 }, { KDF_OPS_MIN, KDF_MEM_MAX + 1 },
		{ UINT64_MAX, UINT64_MAX },
	};
	uint32_t generation;
	struct buf b;
	uint8_t *at;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		buf_init(&b);
		buf_add(&b, f.header.p, f.header.len);
		/* magic, version, domain id, generation, count, two slots; then type and slot id of the third */
		at = b.p + 8 + 2 + DIGEST_LEN + 4 + 4 + 2 * SLOT_LEN + 1 + 8;
		assert_int_equal(le64_get(at), f.slots[2].kdf_ops);
		le64_put(at, t[i].ops);
		le64_put(at + 8, t[i].mem);
		assert_int_equal(try_open(b.p, b.len, NULL, by_pass(PASS), &generation), -1);
		assert_int_equal(e.code, ERR_SLOTS);
		buf_release(&b);
	}
}

static void
a_new_slot_never_repeats_salt_nonce_or_id(void **state)
{
	struct slot a, b;

	(void)state;
	slot_make_key(&a, SLOT_LOCAL, f.master, f.local, "x");
	slot_make_key(&b, SLOT_LOCAL, f.master, f.local, "x");
	assert_memory_not_equal(a.slot_id, b.slot_id, sizeof(a.slot_id));
	assert_memory_not_equal(a.nonce, b.nonce, sizeof(a.nonce));
	assert_memory_not_equal(a.wrapped, b.wrapped, sizeof(a.wrapped));
	assert_memory_not_equal(a.commitment, b.commitment, sizeof(a.commitment));
	assert_memory_equal(f.slots[2].label, "a label of exactly 32 characters", 32);
	assert_true(f.slots[2].kdf_ops >= KDF_OPS_MIN && f.slots[2].kdf_mem >= KDF_MEM_MIN);
}

static void
no_slots_or_too_many_are_not_made(void **state)
{
	struct slot many[SLOTS_MAX + 1];
	struct buf b;

	(void)state;
	buf_init(&b);
	for (size_t i = 0; i <= SLOTS_MAX; i++)
		many[i] = f.slots[0];
	assert_int_equal(slots_make(many, 0, 1, f.keys->domain_id, f.keys->slots, &b, &e), -1);
	assert_int_equal(slots_make(many, SLOTS_MAX + 1, 1, f.keys->domain_id, f.keys->slots, &b, &e), -1);
	assert_int_equal(slots_make(many, 1, 0, f.keys->domain_id, f.keys->slots, &b, &e), -1);
	assert_int_equal(b.len, 0);
	assert_int_equal(slots_make(many, SLOTS_MAX, 1, f.keys->domain_id, f.keys->slots, &b, &e), 0);
	buf_release(&b);
}

/* docs/formats/vectors.md; made by another implementation. */
static void
wrap_and_commitment_are_those_written_down(void **state)
{
	struct slot s = { .type = SLOT_RECOVERY };
	uint8_t ad[SLOT_AD_LEN], out[DIGEST_LEN], wrapped[WRAPPED_LEN];

	(void)state;
	count_up(s.slot_id, sizeof(s.slot_id), 1);
	count_up(s.nonce, sizeof(s.nonce), 0x20);
	slot_commitment(&s, f.recovery, out);
	assert_hex(out, DIGEST_LEN, "deef6c840e85b963d07520226da045d43b05aa8a70386e9be7255cf50a69702d");
	slot_ad(&s, f.keys->domain_id, ad);
	seal_make(f.recovery, s.nonce, ad, sizeof(ad), f.master, KEY_LEN, wrapped);
	assert_hex(wrapped, WRAPPED_LEN, "4a85684fd126cc392160e045173732b45c92d79761b85c073820408ca367466e"
	    "b2975156d7d969e79718085c0f11eff0");
}

static void
stretching_is_the_argon2id_of_the_reference_implementation(void **state)
{
	uint8_t salt[16], key[KEY_LEN];

	(void)state;
	/* By libargon2, argon2id_hash_raw(t = 3, m = KiB, p = 1). */
	count_up(salt, sizeof(salt), 0);
	assert_int_equal(passphrase_stretch(PASS, strlen(PASS), salt, 3, 8u << 10, key, &e), 0);
	assert_hex(key, KEY_LEN, "7744e9ee1925ffcab43d94e81f1e845b930f4beb49226906b5da0ecaefff4c73");
	assert_int_equal(passphrase_stretch(PASS, strlen(PASS), salt, 3, 256u << 20, key, &e), 0);
	assert_hex(key, KEY_LEN, "aad608b5866cef907f47d5cae529ed01a91301c92c5d5fef46e1a65e394e5742");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_way_in_gives_the_master_key),
		cmocka_unit_test(another_passphrase_or_key_opens_nothing),
		cmocka_unit_test(a_way_that_no_slot_has_is_said_so),
		cmocka_unit_test(slots_of_another_domain_are_refused),
		cmocka_unit_test(with_any_byte_changed_the_header_is_refused),
		cmocka_unit_test(a_header_of_another_master_key_under_the_same_recovery_key_is_not_mixed_in),
		cmocka_unit_test(stretching_beyond_bounds_is_refused_before_any_work),
		cmocka_unit_test(a_new_slot_never_repeats_salt_nonce_or_id),
		cmocka_unit_test(no_slots_or_too_many_are_not_made),
		cmocka_unit_test(wrap_and_commitment_are_those_written_down),
		cmocka_unit_test(stretching_is_the_argon2id_of_the_reference_implementation),
	};

	return cmocka_run_group_tests(tests, header_make, header_drop);
}
