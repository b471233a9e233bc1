#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/file.h>

#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/crypto/slots.h"
#include "common/flow/state.h"
#include "flow/machine_maker.h"

/* Two machines registered once; each test works on a copy of the first. */
static struct machine_maker a, b;
static char path[128];
static struct state *s;
static struct err e;

static int
group_start(void **state)
{
	(void)state;
	err_clear(&e);
	machine_maker_start(&a);
	machine_maker_start(&b);
	b.o.machine = "db2";
	assert_int_equal(machine_maker_register(&a, &e), 0);
	assert_int_equal(machine_maker_register(&b, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/copy", a.root);
	return 0;
}

static int
group_end(void **state)
{
	(void)state;
	machine_maker_end(&a);
	machine_maker_end(&b);
	return 0;
}

static void
copy_parts(const char *from)
{
	char **names, file[256];
	uint8_t *bytes;
	size_t n, len;
	int fd;

	assert_int_equal(dir_make(AT_FDCWD, path, 0700, &e), 0);
	assert_true((fd = dir_open(AT_FDCWD, path, &e)) != -1);
	assert_int_equal(dir_list(AT_FDCWD, from, &names, &n, &e), 0);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", from, names[i]);
		assert_int_equal(file_read(AT_FDCWD, file, 65536, &bytes, &len, &e), 0);
		assert_int_equal(file_replace(fd, names[i], bytes, len, 0600, &e), 0);
		free(bytes);
	}
	dir_list_free(names, n);
	(void)close(fd);
}

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	copy_parts(a.state);
	s = state_open(path, &e);
	assert_non_null(s);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	state_free(s);
	scratch_remove(path);
	return 0;
}

/* Open the copy anew and all its keys: -1 with ${e}. */
static int
opens(void)
{
	struct domain_keys *k = NULL;
	struct state *again;

	err_clear(&e);
	if ((again = state_open(path, &e)) != NULL)
		k = state_keys(again, &e);
	domain_keys_free(k);
	state_free(again);
	return k != NULL ? 0 : -1;
}

static void
a_directory_that_is_not_there_or_empty_has_no_machine(void **state)
{
	char where[192];

	(void)state;
	(void)snprintf(where, sizeof(where), "%s/nowhere", path);
	assert_null(state_open(where, &e));
	assert_int_equal(e.code, ERR_NO_STATE);
	assert_int_equal(mkdir(where, 0700), 0);
	assert_null(state_open(where, &e));
	assert_int_equal(e.code, ERR_NO_STATE);
}

static const char *const parts[] = { "identity", "domain", "member", "slots", "regist", "trust", "local.key", "local.slt" };

static void
a_state_with_any_byte_changed_does_not_open(void **state)
{
	uint8_t *bytes;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		assert_int_equal(file_read(s->fd, parts[i], 65536, &bytes, &len, &e), 0);
		for (size_t at = 0; at < len; at += len / 29 + 1) {
			bytes[at] ^= 0x10;
			assert_int_equal(file_replace(s->fd, parts[i], bytes, len, 0600, &e), 0);
			assert_int_equal(opens(), -1);
			if (e.code != ERR_STATE && e.code != ERR_VERSION)
				fail_msg("%s at %zu: %d %s", parts[i], at, (int)e.code, e.msg);
			bytes[at] ^= 0x10;
		}
		assert_int_equal(file_replace(s->fd, parts[i], bytes, len, 0600, &e), 0);
		assert_int_equal(opens(), 0);
		free(bytes);
	}
}

static void
a_part_that_is_missing_or_of_another_machine_is_noticed(void **state)
{
	char file[256];
	uint8_t *mine, *theirs;
	size_t len, n;

	(void)state;
	for (size_t i = 1; i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", b.state, parts[i]);
		assert_int_equal(file_read(s->fd, parts[i], 65536, &mine, &len, &e), 0);
		assert_int_equal(file_read(AT_FDCWD, file, 65536, &theirs, &n, &e), 0);
		assert_int_equal(file_replace(s->fd, parts[i], theirs, n, 0600, &e), 0);
		assert_int_equal(opens(), -1);
		assert_int_equal(e.code, ERR_STATE);
		assert_int_equal(unlinkat(s->fd, parts[i], 0), 0);
		assert_int_equal(opens(), -1);
		assert_int_equal(e.code, strcmp(parts[i], "local.key") == 0 ? ERR_NO_PASSPHRASE : ERR_STATE);
		assert_int_equal(file_replace(s->fd, parts[i], mine, len, 0600, &e), 0);
		free(mine);
		free(theirs);
	}
	assert_int_equal(opens(), 0);
}

static void
what_is_trusted_is_saved_and_believed_only_with_its_authenticator(void **state)
{
	struct domain_keys *k = state_keys(s, &e);
	struct trust forged;
	struct buf out;

	(void)state;
	assert_non_null(k);
	s->trust.last_seq = 7;
	assert_int_equal(state_trust_save(s, k, &e), 0);
	s->trust.last_seq = 0;
	assert_int_equal(state_trust_load(s, k, &e), 0);
	assert_int_equal(s->trust.last_seq, 7);
	forged = s->trust;
	forged.last_seq = 3;
	buf_init(&out);
	assert_int_equal(statement_make(&trust_schema, &forged, NULL, &out, &e), 0);
	assert_int_equal(file_replace(s->fd, "trust", out.p, out.len, 0600, &e), 0);
	assert_int_equal(state_trust_load(s, k, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(s->trust.last_seq, 7);
	assert_int_equal(opens(), -1);
	buf_release(&out);
	domain_keys_free(k);
}

static void
slots_that_were_put_back_from_an_older_day_are_noticed(void **state)
{
	struct domain_keys *k = state_keys(s, &e);

	(void)state;
	assert_non_null(k);
	s->trust.slots_generation = 2;
	assert_int_equal(state_trust_save(s, k, &e), 0);
	assert_int_equal(opens(), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.msg, "older"));
	domain_keys_free(k);
}

static void
a_set_has_no_latest_snapshot_until_one_is_saved(void **state)
{
	uint64_t seq = 99;

	(void)state;
	assert_int_equal(set_latest(s, "files", &seq, &e), 0);
	assert_int_equal(seq, 0);
	assert_int_equal(set_latest_save(s, "files", 123456789012, &e), 0);
	assert_int_equal(set_latest(s, "files", &seq, &e), 0);
	assert_true(seq == 123456789012);
	assert_int_equal(set_latest_save(s, "files", 0, &e), 0);
	assert_int_equal(set_latest(s, "files", &seq, &e), 0);
	assert_int_equal(seq, 0);
	assert_int_equal(file_replace(s->fd, "sets/files/latest", "12x\n", 4, 0600, &e), 0);
	assert_int_equal(set_latest(s, "files", &seq, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
}

static void
names_of_sets_cannot_lead_out_of_the_state(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "../x", ".hidden", "a b", "a\n", "\303\244",
		"0123456789012345678901234567890123456789012345678901234567890123x" };
	uint64_t seq;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(set_latest(s, bad[i], &seq, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
		assert_int_equal(set_lock(s, bad[i], &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
	}
}

static void
one_build_of_a_set_at_a_time(void **state)
{
	int first, other;

	(void)state;
	assert_true((first = set_lock(s, "files", &e)) != -1);
	assert_int_equal(set_lock(s, "files", &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_true((other = set_lock(s, "mail", &e)) != -1);
	(void)close(first);
	assert_true((first = set_lock(s, "files", &e)) != -1);
	(void)close(first);
	(void)close(other);
}

static void
the_lock_of_the_state_is_taken_and_given_back(void **state)
{
	int fd, again;

	(void)state;
	assert_true((fd = state_lock(s, &e)) != -1);
	assert_true((again = openat(s->fd, "lock", O_RDONLY | O_CLOEXEC)) != -1);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	(void)close(fd);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), 0);
	(void)close(again);
}

/* The envelope of snapshot ${seq}, signed by ${st}, as snaps/${name} of the copy. */
static void
envelope_put(const struct state *st, uint64_t seq, const char *name)
{
	struct envelope env = { .seq = seq, .kind = SNAP_FILES, .refs_count = 1 };
	char file[64];
	struct buf out;

	memcpy(env.machine_id, st->id.machine_id, ID_LEN);
	memcpy(env.domain_id, st->id.domain_id, DIGEST_LEN);
	(void)snprintf(env.set_name, sizeof(env.set_name), "files");
	(void)snprintf(file, sizeof(file), "snaps/%s", name);
	buf_init(&out);
	assert_int_equal(statement_make(&envelope_schema, &env, st->sign_secret, &out, &e), 0);
	assert_int_equal(dir_make(s->fd, "snaps", 0700, &e), 0);
	assert_int_equal(file_replace(s->fd, file, out.p, out.len, 0600, &e), 0);
	buf_release(&out);
}

static void
only_envelopes_of_this_machine_under_their_own_number_are_read(void **state)
{
	struct state *other = state_open(b.state, &e);
	struct envelope env;
	uint8_t *bytes;
	uint64_t seq;
	size_t len;

	(void)state;
	assert_non_null(other);
	assert_int_equal(state_envelope(s, 1, &bytes, &len, &env, &e), 1);
	assert_int_equal(state_highest(s, &seq, &e), 0);
	assert_int_equal(seq, 0);
	envelope_put(s, 1, "00000001.env");
	envelope_put(s, 1, "00000002.env");		/* another's number */
	envelope_put(other, 3, "00000003.env");		/* another's signature */
	envelope_put(s, 4, "4.env");			/* not a name of an envelope */
	envelope_put(s, 5, "00000005.env.old");
	assert_int_equal(state_envelope(s, 1, &bytes, &len, &env, &e), 0);
	assert_string_equal(env.set_name, "files");
	free(bytes);
	for (seq = 2; seq <= 3; seq++) {
		assert_int_equal(state_envelope(s, seq, &bytes, &len, &env, &e), -1);
		assert_int_equal(e.code, ERR_STATE);
		assert_null(bytes);
	}
	assert_int_equal(state_highest(s, &seq, &e), 0);
	assert_int_equal(seq, 3);
	state_free(other);
}

static void
images_are_directories_with_short_names(void **state)
{
	static const char *const made[] = { "images", "images/rm4k", "images/RM4K", "images/abc", "images/.tmp", "images/zz99" };
	char **names;
	size_t n;

	(void)state;
	assert_int_equal(state_images(s, &names, &n, &e), 0);
	assert_int_equal(n, 0);
	dir_list_free(names, n);
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		assert_int_equal(mkdirat(s->fd, made[i], 0700), 0);
	assert_int_equal(state_images(s, &names, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(names[0], "rm4k");
	assert_string_equal(names[1], "zz99");
	dir_list_free(names, n);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(a_directory_that_is_not_there_or_empty_has_no_machine),
		T(a_state_with_any_byte_changed_does_not_open),
		T(a_part_that_is_missing_or_of_another_machine_is_noticed),
		T(what_is_trusted_is_saved_and_believed_only_with_its_authenticator),
		T(slots_that_were_put_back_from_an_older_day_are_noticed),
		T(a_set_has_no_latest_snapshot_until_one_is_saved),
		T(names_of_sets_cannot_lead_out_of_the_state),
		T(one_build_of_a_set_at_a_time),
		T(the_lock_of_the_state_is_taken_and_given_back),
		T(only_envelopes_of_this_machine_under_their_own_number_are_read),
		T(images_are_directories_with_short_names),
	};

	secret_init();
	return cmocka_run_group_tests(tests, group_start, group_end);
}
