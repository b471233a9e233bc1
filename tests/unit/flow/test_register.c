#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "common/base/io_crash.h"
#include "common/base/io_fault.h"
#include "common/base/io_tape.h"
#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/crypto/slots.h"
#include "common/flow/registering.h"
#include "common/flow/state.h"
#include "flow/machine_maker.h"

static struct machine_maker m;
static struct err e;

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	machine_maker_start(&m);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	machine_maker_end(&m);
	return 0;
}

static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Refused with this code and these words, and nothing was written. */
static void
refused(enum err_code code, const char *words)
{
	err_clear(&e);
	assert_null(register_prepare(&m.o, &e));
	if (e.code != code || strstr(e.msg, words) == NULL)
		fail_msg("%d instead of %d: %s", (int)e.code, (int)code, e.msg);
	assert_false(is_there(m.state));
}

static void
a_registration_holds_everything_a_machine_needs(void **state)
{
	struct state *s;
	struct domain_keys *k;
	struct stat st;

	(void)state;
	m.o.kit = m.kit;
	assert_int_equal(machine_maker_register(&m, &e), 0);
	s = state_open(m.state, &e);
	assert_non_null(s);
	assert_string_equal(s->id.machine_name, "db1");
	assert_int_equal(s->domain.chunk_avg, CHUNK_AVG_DEFAULT);
	assert_int_equal(s->member.from_seq, 1);
	k = state_keys(s, &e);
	assert_non_null(k);
	assert_memory_equal(k->domain_id, s->id.domain_id, DIGEST_LEN);
	assert_memory_equal(s->trust.vault_pub, m.vault.sign_pub, SIGN_PUB_LEN);
	assert_int_equal(s->trust.last_seq, 0);
	assert_int_equal(s->trust.slots_generation, 1);
	domain_keys_free(k);
	state_free(s);
	assert_int_equal(stat(m.state, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(m.kit, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
the_vault_can_open_the_registration_and_nobody_else_makes_one(void **state)
{
	uint8_t mac[DIGEST_LEN];
	struct registration g;
	struct membership mb;
	struct domain_desc d;
	struct slot_header h;
	struct state *s;
	struct buf letter;

	(void)state;
	assert_int_equal(machine_maker_register(&m, &e), 0);
	s = state_open(m.state, &e);
	assert_non_null(s);
	assert_int_equal(statement_open(&registration_schema, &g, s->regist_bytes, s->regist_len, s->machine_pub, &e), 0);
	mac_once(m.c.secret, s->regist_bytes, s->regist_len - SIGN_LEN - DIGEST_LEN, mac);
	assert_memory_equal(mac, g.mac, DIGEST_LEN);
	assert_memory_equal(g.credential_id, m.c.credential_id, ID_LEN);
	assert_int_equal(statement_open(&domain_desc_schema, &d, g.domain_desc.p, g.domain_desc.len, NULL, &e), 0);
	assert_int_equal(statement_open(&membership_schema, &mb, g.membership.p, g.membership.len, d.domain_pub, &e), 0);
	buf_init(&letter);
	assert_int_equal(letter_open(m.vault.box_seed, g.sealed_slots.p, g.sealed_slots.len, &letter, &e), 0);
	assert_memory_equal(letter.p, m.c.vault_id, ID_LEN);
	assert_memory_equal(letter.p + ID_LEN, s->id.machine_id, ID_LEN);
	assert_memory_equal(letter.p + 2 * ID_LEN, s->id.domain_id, DIGEST_LEN);
	assert_int_equal(schema_decode(&slot_header_schema, &h, letter.p + 64, letter.len - 64), FMT_OK);
	assert_int_equal(letter.len - 64, s->slots_len);
	assert_memory_equal(letter.p + 64, s->slots_bytes, s->slots_len);
	buf_release(&letter);
	state_free(s);
}

static void
each_credential_that_is_not_good_is_refused_in_its_own_words(void **state)
{
	const struct credential good = m.c;
	int64_t now = io_now();
	struct vault_maker other;

	(void)state;
	m.c = good;
	m.c.issued = now - 49 * 3600;
	m.c.use_by = now - 3600;
	vault_maker_write(&m.vault, &m.c, m.credential);
	refused(ERR_CRED_EXPIRED, "expired");
	m.c = good;
	m.c.issued = now + 2 * 86400;
	m.c.use_by = now + 4 * 86400;
	vault_maker_write(&m.vault, &m.c, m.credential);
	refused(ERR_CRED_INVALID, "from the future");
	m.c = good;
	vault_maker_init(&other);
	vault_maker_write(&other, &m.c, m.credential);
	refused(ERR_CRED_INVALID, "not signed by the vault \"dc-north\"");
	m.c = good;
	memcpy(m.c.machine_name, "web7", 5);
	vault_maker_write(&m.vault, &m.c, m.credential);
	refused(ERR_CRED_INVALID, "for the machine \"web7\", not for \"db1\"");
	m.c = good;
	m.c.purpose = PURPOSE_REPLACE;
	vault_maker_write(&m.vault, &m.c, m.credential);
	refused(ERR_RULE, "needs the line");
	m.c.purpose = PURPOSE_RESTORE_ONLY;
	vault_maker_write(&m.vault, &m.c, m.credential);
	refused(ERR_RULE, "registers none");
}

static void
every_damaged_character_of_a_credential_is_noticed(void **state)
{
	uint8_t *text;
	size_t len, changed = 0;

	(void)state;
	assert_int_equal(file_read(AT_FDCWD, m.credential, 65536, &text, &len, &e), 0);
	for (size_t i = 0; i < len; i += 7) {
		uint8_t was = text[i];

		if (was == '\n' || was == ' ')
			continue;
		text[i] = was == 'x' ? 'y' : 'x';
		assert_int_equal(file_replace(AT_FDCWD, m.credential, text, len, 0600, &e), 0);
		refused(ERR_CRED_UNREADABLE, "vault credential");
		text[i] = was;
		changed++;
	}
	assert_true(changed > 50);
	for (size_t cut = 0; cut < len - 1; cut += 11) {
		assert_int_equal(file_replace(AT_FDCWD, m.credential, text, cut, 0600, &e), 0);
		refused(ERR_CRED_UNREADABLE, "vault credential");
	}
	free(text);
	assert_int_equal(unlink(m.credential), 0);
	refused(ERR_NOT_FOUND, "vault.crd");
}

static void
a_chunk_size_the_vault_does_not_take_is_refused_at_once(void **state)
{
	(void)state;
	m.c.chunk_avg_min = 512u << 10;
	m.c.chunk_avg_max = 1u << 20;
	vault_maker_write(&m.vault, &m.c, m.credential);
	m.o.chunk_avg = 256u << 10;
	refused(ERR_CHUNK_SIZE, "512 to 1024 KiB");
	m.o.chunk_avg = 600u << 10;
	refused(ERR_USAGE, "not a size");
	m.o.chunk_avg = UINT64_C(1) << 40;
	refused(ERR_USAGE, "not a size");
}

static void
without_a_size_the_nearest_that_the_vault_takes_is_chosen(void **state)
{
	struct registering *r;

	(void)state;
	m.c.chunk_avg_min = 512u << 10;
	m.c.chunk_avg_max = 1u << 20;
	vault_maker_write(&m.vault, &m.c, m.credential);
	r = register_prepare(&m.o, &e);
	assert_non_null(r);
	assert_int_equal(register_chunk_avg(r), 512u << 10);
	register_free(r);
}

static void
the_name_comes_from_the_credential_or_else_the_host(void **state)
{
	struct registering *r;

	(void)state;
	m.o.machine = "a/b";
	refused(ERR_VAULT_NAME, "a/b");
	m.o.machine = "a\033[2J";
	refused(ERR_VAULT_NAME, "\\x1b");
	m.o.machine = NULL;
	r = register_prepare(&m.o, &e);
	assert_non_null(r);
	assert_true(strlen(register_machine(r)) >= 2);
	register_free(r);
	memcpy(m.c.machine_name, "web7", 5);
	vault_maker_write(&m.vault, &m.c, m.credential);
	r = register_prepare(&m.o, &e);
	assert_non_null(r);
	assert_string_equal(register_machine(r), "web7");
	register_free(r);
}

static void
a_weak_passphrase_is_refused_and_nothing_is_written(void **state)
{
	(void)state;
	assert_int_equal(file_replace(AT_FDCWD, m.pass, "fifteen letters\n", 16, 0600, &e), 0);
	assert_int_equal(machine_maker_register(&m, &e), -1);
	assert_int_equal(e.code, ERR_WEAK);
	assert_false(is_there(m.state));
}

static void
a_second_registration_in_one_state_is_refused(void **state)
{
	(void)state;
	assert_int_equal(machine_maker_register(&m, &e), 0);
	assert_null(register_prepare(&m.o, &e));
	assert_int_equal(e.code, ERR_REGISTERED);
}

static void
files_that_are_there_are_never_written_over(void **state)
{
	(void)state;
	m.o.kit = m.pass;
	refused(ERR_EXISTS, "is already there");
	m.o.kit = NULL;
	m.o.generate = m.pass;
	refused(ERR_EXISTS, "is already there");
	m.o.generate = "/nowhere/at/all/pass";
	refused(ERR_NOT_FOUND, "/nowhere/at/all");
}

static void
a_directory_with_other_things_in_it_is_left_alone(void **state)
{
	char path[128];

	(void)state;
	m.o.state = m.root;		/* holds a credential and a passphrase */
	assert_null(register_prepare(&m.o, &e));
	assert_int_equal(e.code, ERR_TARGET);
	m.o.state = m.state;
	assert_int_equal(machine_maker_register(&m, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/identity", m.state);
	assert_int_equal(unlink(path), 0);
	assert_null(register_prepare(&m.o, &e));	/* slots and local key of a lost identity */
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.msg, "but not its identity"));
}

static void
with_ask_always_no_key_stays_on_the_machine(void **state)
{
	struct slot_secret how = { .type = SLOT_PASSPHRASE, .pass = MACHINE_PASS, .pass_len = strlen(MACHINE_PASS) };
	struct domain_keys *k;
	struct state *s;
	char path[128];

	(void)state;
	m.o.ask_always = true;
	assert_int_equal(machine_maker_register(&m, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/local.key", m.state);
	assert_false(is_there(path));
	s = state_open(m.state, &e);
	assert_non_null(s);
	assert_null(state_keys(s, &e));
	assert_int_equal(e.code, ERR_NO_PASSPHRASE);
	k = state_keys_with(s, &how, &e);
	assert_non_null(k);
	domain_keys_free(k);
	how.pass = "correct horse battery stapler";
	how.pass_len++;
	assert_null(state_keys_with(s, &how, &e));
	assert_int_equal(e.code, ERR_PASSPHRASE);
	state_free(s);
}

/*
 * Faults and power cuts.  The keys are made once: what is tried is the writing.
 */
static struct registering *made;

static int
no_fsync(int fd)
{
	(void)fd;
	return 0;
}

static void
make_once(void)
{
	m.o.passphrase_file = NULL;
	m.o.generate = m.pass;
	m.o.kit = m.kit;
	assert_int_equal(unlink(m.pass), 0);
	assert_non_null(made = register_prepare(&m.o, &e));
	assert_int_equal(register_passphrase(made, &e), 0);
	assert_int_equal(register_make(made, &e), 0);
	assert_non_null(register_passphrase_made(made));
}

/* Whether the state below m.root is that of a registered machine whose passphrase lies in its file. */
static bool
is_registered(void)
{
	const char *want = register_passphrase_made(made);
	struct domain_keys *k = NULL;
	struct state *s = state_open(m.state, &e);
	uint8_t *text = NULL;
	bool yes;
	size_t len;

	yes = s != NULL && (k = state_keys(s, &e)) != NULL && file_read(AT_FDCWD, m.pass, 256, &text, &len, &e) == 0 &&
	    len == strlen(want) + 1 && memcmp(text, want, len - 1) == 0;
	free(text);
	domain_keys_free(k);
	state_free(s);
	return yes;
}

/* Whether what is below m.root counts as registered, or the same command registers; else ${e} says why. */
static bool
is_registered_or_can_be(void)
{
	struct registering *again;
	bool same = true;

	err_clear(&e);
	if ((again = register_prepare(&m.o, &e)) == NULL) {
		if (e.code != ERR_REGISTERED)
			return false;
		err_clear(&e);
		return is_registered();
	}
	made->left = again->left;
	if (again->left)
		same = strcmp(again->pass.text, made->pass.text) == 0;
	register_free(again);
	return same && register_write(made, &e) == 0 && is_registered() && is_there(m.kit);
}

static bool
has_identity(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/identity", m.state);
	return is_there(path);
}

static void
fresh(void)
{
	int fd = open(m.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(crash_clear(fd, &e), 0);
	(void)close(fd);
	vault_maker_write(&m.vault, &m.c, m.credential);
	made->left = false;
}

static void
after_any_call_that_fails_the_same_command_works_or_it_is_registered(void **state)
{
	struct io_ops quick = *io_real();
	uint64_t calls, failed = 0, kit_only = 0;
	struct fault_plan plan = { .kind = FAULT_ANY };

	(void)state;
	make_once();
	quick.fsync = no_fsync;
	(void)io_use(&quick);
	fault_start(&plan);
	assert_int_equal(register_write(made, &e), 0);
	calls = fault_count();
	fault_stop();
	assert_true(calls > 100);
	for (plan.nth = 1; plan.nth <= calls; plan.nth++) {
		int rc;

		fresh();
		plan.sys = plan.nth % 2 == 0 ? ENOSPC : EIO;
		plan.every = plan.nth % 3 == 0;
		err_clear(&e);
		fault_start(&plan);
		rc = register_write(made, &e);
		fault_stop();
		failed += rc != 0;
		if (rc != 0 && strstr(e.msg, "recovery kit is not written") != NULL)
			kit_only++;
		if (!is_registered_or_can_be())
			fail_msg("call %u: %s", (unsigned)plan.nth, e.msg);
	}
	(void)io_use(io_real());
	assert_true(failed > calls / 2);
	assert_true(kit_only > 0);
	register_free(made);
}

/* How many of ${n} power cuts during a registration leave something that is neither the one nor the other. */
static unsigned
power_cuts_that_hurt(unsigned bugs, unsigned n)
{
	struct io_ops quick = *io_real();
	uint64_t promised, cut, seed;
	unsigned hurt = 0, registered = 0;
	struct tape *t;
	int fd;

	fresh();
	t = tape_start(m.root, bugs, &e);
	assert_non_null(t);
	assert_int_equal(register_write(made, &e), 0);
	promised = tape_length(t);
	tape_stop(t);
	quick.fsync = no_fsync;
	(void)io_use(&quick);
	fd = open(m.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (uint64_t i = 0; i < n; i++) {
		bool there;

		crash_pick(t, i, n, &cut, &seed);
		assert_int_equal(crash_clear(fd, &e), 0);
		assert_int_equal(crash_make(t, cut, seed, fd, &e), 0);
		made->left = false;
		there = has_identity();
		registered += there;
		hurt += (cut >= promised && !(there && is_there(m.kit))) || !is_registered_or_can_be();
	}
	(void)close(fd);
	(void)io_use(io_real());
	tape_free(t);
	assert_true(registered > 0 && registered < n);
	return hurt;
}

static void
after_any_power_cut_the_same_command_works_or_it_is_registered(void **state)
{
	(void)state;
	make_once();
	if (power_cuts_that_hurt(0, 600) != 0)
		fail_msg("%s", e.msg);
	register_free(made);
}

static void
power_cuts_find_a_sync_that_is_missing_or_late(void **state)
{
	(void)state;
	make_once();
	assert_true(power_cuts_that_hurt(TAPE_DROP_FILE_SYNC, 300) > 0);
	assert_true(power_cuts_that_hurt(TAPE_DROP_DIR_SYNC, 300) > 0);
	assert_true(power_cuts_that_hurt(TAPE_SYNC_AFTER_RENAME, 300) > 0);
	register_free(made);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(a_registration_holds_everything_a_machine_needs),
		T(the_vault_can_open_the_registration_and_nobody_else_makes_one),
		T(each_credential_that_is_not_good_is_refused_in_its_own_words),
		T(every_damaged_character_of_a_credential_is_noticed),
		T(a_chunk_size_the_vault_does_not_take_is_refused_at_once),
		T(without_a_size_the_nearest_that_the_vault_takes_is_chosen),
		T(the_name_comes_from_the_credential_or_else_the_host),
		T(a_weak_passphrase_is_refused_and_nothing_is_written),
		T(a_second_registration_in_one_state_is_refused),
		T(files_that_are_there_are_never_written_over),
		T(a_directory_with_other_things_in_it_is_left_alone),
		T(with_ask_always_no_key_stays_on_the_machine),
		T(after_any_call_that_fails_the_same_command_works_or_it_is_registered),
		T(after_any_power_cut_the_same_command_works_or_it_is_registered),
		T(power_cuts_find_a_sync_that_is_missing_or_late),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
