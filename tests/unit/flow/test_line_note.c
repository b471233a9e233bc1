/* What a machine remembers of its vault: it never remembers less, and nobody else changes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/flow/line_note.h"
#include "flow/machine_maker.h"

static struct machine_maker m;
static struct state *s;
static struct domain_keys *k;
static struct err e;

static int
group_start(void **state)
{
	(void)state;
	err_clear(&e);
	machine_maker_start(&m);
	assert_int_equal(machine_maker_register(&m, &e), 0);
	assert_non_null(s = state_open(m.state, &e));
	assert_non_null(k = state_keys(s, &e));
	return 0;
}

static int
group_end(void **state)
{
	(void)state;
	domain_keys_free(k);
	state_free(s);
	machine_maker_end(&m);
	return 0;
}

static void
what_was_never_noted_is_zeros(void **state)
{
	struct line_note n;

	(void)state;
	assert_int_equal(line_note_load(s, k, &n, &e), 0);
	assert_true(n.head_seq == 0 && n.rate == 0 && n.first_contact == 0);
	assert_memory_equal(n.vault_id, s->trust.vault_id, ID_LEN);
}

static void
a_head_is_remembered_and_never_falls(void **state)
{
	static const uint8_t one[DIGEST_LEN] = { 1 }, two[DIGEST_LEN] = { 2 };
	struct line_note n;

	(void)state;
	assert_int_equal(line_note_acknowledged(s, k, 7, two, &e), 0);
	assert_int_equal(line_note_acknowledged(s, k, 6, one, &e), 0);
	assert_int_equal(line_note_load(s, k, &n, &e), 0);
	assert_int_equal(n.head_seq, 7);
	assert_memory_equal(n.head, two, DIGEST_LEN);
}

static void
a_rate_is_measured_over_enough_bytes(void **state)
{
	struct line_note n;

	(void)state;
	assert_int_equal(line_note_contact(s, k, 50000000, INT64_C(20000000000), &e), 0);
	assert_int_equal(line_note_contact(s, k, 100, 1, &e), 0);	/* says nothing of the line */
	assert_int_equal(line_note_load(s, k, &n, &e), 0);
	assert_int_equal(n.rate, 2500000);
	assert_true(n.first_contact > 0 && n.last_contact >= n.first_contact);
}

static void
a_note_that_somebody_changed_is_refused(void **state)
{
	struct line_note n;
	uint8_t *bytes;
	size_t len;

	(void)state;
	assert_int_equal(file_read(s->fd, "line", 4096, &bytes, &len, &e), 0);
	for (size_t i = 10; i < len; i += 7) {
		bytes[i] ^= 1;
		assert_int_equal(file_replace(s->fd, "line", bytes, len, 0600, &e), 0);
		assert_int_equal(line_note_load(s, k, &n, &e), -1);
		assert_int_equal(e.code, ERR_STATE);
		err_clear(&e);
		bytes[i] ^= 1;
	}
	assert_int_equal(file_replace(s->fd, "line", bytes, len, 0600, &e), 0);
	assert_int_equal(line_note_load(s, k, &n, &e), 0);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_never_noted_is_zeros),
		cmocka_unit_test(a_head_is_remembered_and_never_falls),
		cmocka_unit_test(a_rate_is_measured_over_enough_bytes),
		cmocka_unit_test(a_note_that_somebody_changed_is_refused),
	};

	return cmocka_run_group_tests(tests, group_start, group_end);
}
