#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/secret.h"
#include "common/crypto/slots.h"
#include "common/flow/keyring.h"
#include "flow/machine_maker.h"

static struct machine_maker m;
static struct err e;

static int
group_start(void **state)
{
	(void)state;
	err_clear(&e);
	machine_maker_start(&m);
	m.o.kit = m.kit;
	assert_int_equal(machine_maker_register(&m, &e), 0);
	return 0;
}

static int
group_end(void **state)
{
	(void)state;
	machine_maker_end(&m);
	return 0;
}

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	return 0;
}

static void
the_same(const struct keyring *a, const struct keyring *b)
{
	assert_memory_equal(a->keys->master, b->keys->master, KEY_LEN);
	assert_memory_equal(a->keys->id, b->keys->id, sizeof(a->keys->id));
	assert_memory_equal(a->machine_id, b->machine_id, ID_LEN);
	assert_memory_equal(a->machine_pub, b->machine_pub, SIGN_PUB_LEN);
	assert_string_equal(a->machine_name, b->machine_name);
	assert_memory_equal(a->domain.domain_pub, b->domain.domain_pub, SIGN_PUB_LEN);
	assert_int_equal(a->domain.chunk_avg, b->domain.chunk_avg);
	assert_memory_equal(a->member.sig, b->member.sig, SIGN_LEN);
	assert_memory_equal(a->vault_id, b->vault_id, ID_LEN);
	assert_memory_equal(a->vault_pub, b->vault_pub, SIGN_PUB_LEN);
	assert_string_equal(a->vault_name, b->vault_name);
}

static void
state_and_kit_and_passphrase_lead_to_the_same_keys(void **state)
{
	const struct slot_secret how = { .type = SLOT_PASSPHRASE, .pass = MACHINE_PASS, .pass_len = strlen(MACHINE_PASS) };
	struct state *s = state_open(m.state, &e);
	struct keyring *a, *b, *c;

	(void)state;
	assert_non_null(s);
	a = keyring_from_state(s, &e);
	b = keyring_from_state_with(s, &how, &e);
	c = keyring_from_kit(m.kit, MACHINE_PASS, strlen(MACHINE_PASS), &e);
	assert_true(a != NULL && b != NULL && c != NULL);
	the_same(a, b);
	the_same(a, c);
	assert_memory_equal(a->keys->domain_id, s->id.domain_id, DIGEST_LEN);
	keyring_free(a);
	keyring_free(b);
	keyring_free(c);
	state_free(s);
}

static void
another_passphrase_opens_nothing(void **state)
{
	(void)state;
	assert_null(keyring_from_kit(m.kit, "correct horse battery stapler", 29, &e));
	assert_int_equal(e.code, ERR_PASSPHRASE);
	err_clear(&e);
	assert_null(keyring_from_kit(m.kit, "", 0, &e));
	assert_int_equal(e.code, ERR_PASSPHRASE);
}

static void
what_is_not_a_kit_is_refused_in_words(void **state)
{
	(void)state;
	assert_null(keyring_from_kit(m.pass, MACHINE_PASS, strlen(MACHINE_PASS), &e));
	assert_int_equal(e.code, ERR_KIT);
	err_clear(&e);
	assert_null(keyring_from_kit(m.credential, MACHINE_PASS, strlen(MACHINE_PASS), &e));
	assert_int_equal(e.code, ERR_KIT);
	err_clear(&e);
	assert_null(keyring_from_kit(m.root, MACHINE_PASS, strlen(MACHINE_PASS), &e));
	assert_int_equal(e.code, ERR_KIT);
	err_clear(&e);
	assert_null(keyring_from_kit("/nowhere/kit", MACHINE_PASS, strlen(MACHINE_PASS), &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, start)
	const struct CMUnitTest tests[] = {
		T(state_and_kit_and_passphrase_lead_to_the_same_keys),
		T(another_passphrase_opens_nothing),
		T(what_is_not_a_kit_is_refused_in_words),
	};

	secret_init();
	return cmocka_run_group_tests(tests, group_start, group_end);
}
