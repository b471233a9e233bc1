#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/catalog/catalog_rows.h"
#include "common/flow/credential_file.h"
#include "common/flow/machine_fate.h"
#include "common/flow/vault_credential.h"
#include "common/flow/vault_keys.h"
#include "common/flow/vault_status.h"
#include "flow/vault_site.h"

#define T(x)	cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)

static int
create(struct site *s, const char *path, const char *name)
{
	struct vault_create o = { .name = name, .redundancy = REDUNDANCY_LOCAL };

	err_clear(&s->e);
	return vault_create(path, &o, &s->e);
}

static void
a_vault_says_who_it_is(void **state)
{
	struct site *s = *state;
	struct vault *v = vault_open(s->vault, 0, &s->e);

	assert_non_null(v);
	assert_string_equal(v->desc.name, "demo");
	assert_int_equal(v->desc.generation, 1);
	assert_int_equal(v->desc.redundancy, REDUNDANCY_LOCAL);
	assert_memory_equal(v->desc.vault_id, v->key->vault_id, ID_LEN);
	vault_close(v);
}

static void
names_and_places_are_refused_that_will_not_do(void **state)
{
	static const char *const names[] = { "", "a", "1ab", "-ab", "a b", "a_b", "ab/c", "..", "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijk" };
	struct site *s = *state;
	char path[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/new%zu", s->root, i);
		assert_int_equal(create(s, path, names[i]), -1);
		assert_int_equal(s->e.code, ERR_VAULT_NAME);
		assert_int_equal(access(path, F_OK), -1);
	}
	assert_int_equal(create(s, s->vault, "other"), -1);
	assert_int_equal(s->e.code, ERR_VAULT_EXISTS);
	(void)snprintf(path, sizeof(path), "%s/beside", s->root);
	assert_int_equal(create(s, path, "demo"), -1);
	assert_int_equal(s->e.code, ERR_VAULT_EXISTS);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)strcat(path, "/somebody");
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(create(s, path, "other"), -1);
	assert_int_equal(s->e.code, ERR_VAULT_EXISTS);
	assert_non_null(strstr(s->e.msg, "somebody"));
	(void)strcat(path, "/somebody");
	assert_int_equal(create(s, path, "other"), -1);
	assert_int_equal(s->e.code, ERR_VAULT_EXISTS);
}

static void
what_is_no_vault_is_named_so(void **state)
{
	struct site *s = *state;
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/none", s->root);
	assert_null(vault_open(path, 0, &s->e));
	assert_int_equal(s->e.code, ERR_NO_VAULT);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	err_clear(&s->e);
	assert_null(vault_open(path, 0, &s->e));
	assert_int_equal(s->e.code, ERR_NO_VAULT);
}

static void
overwrite(struct site *s, const char *name, const void *bytes, size_t len)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", s->vault, name);
	assert_int_equal(file_replace(AT_FDCWD, path, bytes, len, 0600, &s->e), 0);
}

static void
the_key_must_be_there_and_be_its_own(void **state)
{
	struct site *s = *state;
	char path[160];
	uint8_t *bytes;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/local/vault.key", s->vault);
	assert_int_equal(file_read(AT_FDCWD, path, 4096, &bytes, &len, &s->e), 0);
	bytes[len - 40] ^= 1;		/* in the seed that signs */
	overwrite(s, "local/vault.key", bytes, len);
	assert_null(vault_open(s->vault, 0, &s->e));
	assert_int_equal(s->e.code, ERR_VAULT_KEY);
	overwrite(s, "local/vault.key", bytes, len - 1);
	err_clear(&s->e);
	assert_null(vault_open(s->vault, 0, &s->e));
	assert_int_equal(s->e.code, ERR_VAULT_KEY);
	assert_int_equal(unlink(path), 0);
	err_clear(&s->e);
	assert_null(vault_open(s->vault, 0, &s->e));
	assert_int_equal(s->e.code, ERR_VAULT_KEY);
	free(bytes);
}

static void
attention_count(void *arg, const struct attention *a)
{
	(void)a;
	++*(unsigned *)arg;
}

static void
a_wrapped_copy_of_the_key_opens_the_vault(void **state)
{
	static const char pass[] = "correct horse battery staple";
	struct site *s = *state;
	char copy[160], command[512];
	struct vault_status st;
	struct vault *v = vault_open(s->vault, 0, &s->e);
	unsigned told = 0;

	assert_non_null(v);
	(void)snprintf(copy, sizeof(copy), "%s/copy", s->root);
	assert_int_equal(vault_key_copy(v, copy, pass, sizeof(pass) - 1, &s->e), 0);
	assert_int_equal(vault_key_copy(v, copy, NULL, 0, &s->e), -1);
	assert_int_equal(s->e.code, ERR_EXISTS);
	vault_close(v);
	(void)snprintf(command, sizeof(command), "mv %s %s/local/vault.key", copy, s->vault);
	assert_int_equal(system(command), 0);
	assert_int_equal(setenv("SAMARA_PASSPHRASE", "not this one but another", 1), 0);
	err_clear(&s->e);
	assert_null(vault_open(s->vault, 0, &s->e));
	assert_int_equal(err_exit(s->e.code), 12);
	assert_int_equal(setenv("SAMARA_PASSPHRASE", pass, 1), 0);
	err_clear(&s->e);
	v = vault_open(s->vault, 0, &s->e);
	(void)unsetenv("SAMARA_PASSPHRASE");
	assert_non_null(v);
	assert_int_equal(vault_status(v, &st, attention_count, &told, &s->e), 0);
	assert_int_equal(told, 0);
	assert_int_equal(st.key_copies, 1);
	vault_close(v);
}

static void
another_description_is_not_believed(void **state)
{
	struct site *s = *state;
	char path[160], *hex, was;
	uint8_t *text;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/vault/1.json", s->vault);
	assert_int_equal(file_read(AT_FDCWD, path, 65536, &text, &len, &s->e), 0);
	hex = strstr((char *)text, "statement\":\"");
	assert_non_null(hex);
	was = hex[100];
	hex[100] = was == '0' ? '1' : '0';
	overwrite(s, "vault/1.json", text, len);
	assert_null(vault_open(s->vault, 0, &s->e));
	assert_int_equal(s->e.code, ERR_SIGNATURE);
	hex[100] = was;
	overwrite(s, "vault/1.json", text, len);
	/* A generation that is broken does not hide the one before. */
	overwrite(s, "vault/2.json", "{}", 2);
	/* Nor does one under a number that is not its own. */
	overwrite(s, "vault/3.json", text, len);
	free(text);
	free(site_dump(s));
}

/* Everything in the credential's file, as a machine reads it. */
static void
a_credential_is_what_a_machine_accepts(void **state)
{
	struct credential_order o = { .machine = "db-1.example", .purpose = PURPOSE_NEW, .valid = 3600, .arrives_by = 7200 };
	struct site *s = *state;
	struct credential_file f = { NULL, NULL, 0 };
	struct credential c;
	char path[160], name[CREDENTIAL_NAME_MAX];
	struct vault *v = vault_open(s->vault, 0, &s->e);
	struct buf text;
	uint8_t secret[KEY_LEN];

	assert_non_null(v);
	assert_int_equal(vault_credential(v, &o, &c, &s->e), 0);
	buf_init(&text);
	assert_int_equal(credential_text(v, &c, &text, &s->e), 0);
	(void)snprintf(path, sizeof(path), "%s/c", s->root);
	assert_int_equal(file_replace(AT_FDCWD, path, text.p, text.len, 0600, &s->e), 0);
	buf_release(&text);
	assert_int_equal(credential_file_read(path, &f, &s->e), 0);
	assert_int_equal(credential_judge(f.c, "db-1.example", io_now(), 0, &s->e), 0);
	assert_int_equal(credential_judge(f.c, "db-2", io_now(), 0, &s->e), -1);
	assert_int_equal(f.c->use_by - f.c->issued, 3600);
	assert_int_equal(f.c->arrive_by - f.c->issued, 7200);
	vault_credential_secret(v, f.c->credential_id, secret);
	assert_memory_equal(f.c->secret, secret, KEY_LEN);
	credential_file_release(&f);
	vault_close(v);
	c.issued = 86400 * 365;
	credential_file_name(&c, 1, name);
	assert_non_null(strstr(name, "demo_197"));
	assert_non_null(strstr(name, "_db-1.example.credential"));
	credential_file_name(&c, 3, name);
	assert_non_null(strstr(name, "_db-1.example_3.credential"));
}

static unsigned
credential_state(struct site *s, const struct credential *c)
{
	struct vault *v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	struct cat_credential row;

	assert_non_null(v);
	memcpy(row.id, c->credential_id, ID_LEN);
	assert_int_equal(catalog_get(v->catalog, &cat_credentials, &row, &s->e), 0);
	vault_close(v);
	return row.state;
}

static void
a_newer_credential_supersedes_those_for_its_name_or_all(void **state)
{
	struct site *s = *state;
	struct credential anna, bert, anna_again, any;

	site_credential(s, "anna", &anna);
	site_credential(s, "bert", &bert);
	site_credential(s, "anna", &anna_again);
	assert_int_equal(credential_state(s, &anna), CREDENTIAL_SUPERSEDED);
	assert_int_equal(credential_state(s, &bert), CREDENTIAL_ISSUED);
	assert_int_equal(credential_state(s, &anna_again), CREDENTIAL_ISSUED);
	site_credential(s, NULL, &any);
	assert_int_equal(credential_state(s, &bert), CREDENTIAL_SUPERSEDED);
	assert_int_equal(credential_state(s, &anna_again), CREDENTIAL_SUPERSEDED);
	assert_int_equal(credential_state(s, &any), CREDENTIAL_ISSUED);
	site_rebuild_agrees(s);
}

static void
a_credential_for_a_machine_fits_what_is_registered(void **state)
{
	struct credential_order o = { .machine = "nobody", .purpose = PURPOSE_REPLACE, .valid = 60, .arrives_by = 60 };
	struct site *s = *state;
	struct credential c;
	struct cat_machine m;
	struct seed_image im;
	struct vault *v;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 8);
	assert_int_equal(site_ingest(s, 0), 0);
	v = vault_open(s->vault, 0, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_credential(v, &o, &c, &s->e), -1);
	assert_int_equal(s->e.code, ERR_NOT_FOUND);
	o.machine = "laptop";
	assert_int_equal(vault_credential(v, &o, &c, &s->e), 0);
	assert_memory_equal(c.machine_id, s->m.id, ID_LEN);
	o.purpose = PURPOSE_NEW;
	assert_int_equal(vault_credential(v, &o, &c, &s->e), -1);
	assert_int_equal(s->e.code, ERR_RULE);
	/* A revoked one comes back by its replacement alone. */
	assert_int_equal(machine_decide(v, "laptop", &(struct machine_order){ .fate = MFATE_REVOKED }, &m, &s->e), 0);
	o.purpose = PURPOSE_REPLACE;
	memset(&c, 0, sizeof(c));
	assert_int_equal(vault_credential(v, &o, &c, &s->e), 0);
	assert_memory_equal(c.machine_id, s->m.id, ID_LEN);
	assert_int_equal(machine_decide(v, "laptop", &(struct machine_order){ .fate = MFATE_RETIRED }, &m, &s->e), 0);
	assert_int_equal(vault_credential(v, &o, &c, &s->e), -1);
	assert_int_equal(s->e.code, ERR_NOT_FOUND);
	o.machine = "with\nnewline";
	assert_int_equal(vault_credential(v, &o, &c, &s->e), -1);
	assert_int_equal(s->e.code, ERR_VAULT_NAME);
	vault_close(v);
}

/* No record holds what could be used: neither a secret nor a signed credential. */
static void
records_hold_no_secret(void **state)
{
	struct site *s = *state;
	struct vault *v = vault_open(s->vault, 0, &s->e);
	struct credential c;
	struct record r;
	uint8_t *bytes;
	size_t len;
	int seen = 0;

	assert_non_null(v);
	for (uint64_t n = 1; vault_record_read(v, n, &r, &bytes, &len, &s->e) == 0; n++) {
		static const uint8_t zeros[SIGN_LEN];

		if (r.type == REC_CREDENTIAL_ISSUED) {
			assert_int_equal(schema_decode(&credential_schema, &c, r.body.p, r.body.len), FMT_OK);
			assert_memory_equal(c.secret, zeros, KEY_LEN);
			assert_memory_equal(c.sig, zeros, SIGN_LEN);
			seen++;
		}
		free(bytes);
	}
	assert_int_equal(seen, 1);
	vault_close(v);
}

/* A chain of records with a link changed, taken out or put elsewhere is not replayed. */
static void
a_broken_chain_of_records_is_found(void **state)
{
	struct site *s = *state;
	struct rebuild_result r;
	struct credential c;
	char path[3][200];
	uint8_t *bytes[3];
	size_t len[3];

	site_credential(s, "anna", &c);		/* records 1 .. 3 */
	for (int i = 0; i < 3; i++) {
		(void)snprintf(path[i], sizeof(path[i]), "%s/records/%016x", s->vault, (unsigned)i + 1);
		assert_int_equal(file_read(AT_FDCWD, path[i], 65536, &bytes[i], &len[i], &s->e), 0);
	}
	bytes[1][40] ^= 1;
	assert_int_equal(file_replace(AT_FDCWD, path[1], bytes[1], len[1], 0644, &s->e), 0);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), -1);
	assert_int_equal(s->e.code, ERR_SIGNATURE);
	bytes[1][40] ^= 1;
	assert_int_equal(file_replace(AT_FDCWD, path[1], bytes[2], len[2], 0644, &s->e), 0);
	err_clear(&s->e);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), -1);
	assert_int_equal(s->e.code, ERR_DAMAGE);
	assert_int_equal(unlink(path[1]), 0);
	err_clear(&s->e);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), -1);
	assert_int_equal(s->e.code, ERR_DAMAGE);
	assert_int_equal(file_replace(AT_FDCWD, path[1], bytes[1], len[1], 0644, &s->e), 0);
	err_clear(&s->e);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), 0);
	assert_int_equal(r.records, 3);
	for (int i = 0; i < 3; i++)
		free(bytes[i]);
}

static void
a_vault_copied_without_its_catalog_is_a_whole_vault(void **state)
{
	struct site *s = *state;
	struct rebuild_result r;
	struct seed_image im;
	char command[512], was[sizeof(s->vault)], *before, *after;

	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 20);
	seed_snapshot(&im, s->disk[0], 1, 0, 20);
	seed_manifest(&im, s->disk[0], 1);
	assert_int_equal(site_ingest(s, 0), 0);
	before = site_dump(s);
	memcpy(was, s->vault, sizeof(was));
	(void)snprintf(s->vault, sizeof(s->vault), "%s/elsewhere", s->root);
	(void)snprintf(command, sizeof(command), "cp -r %s %s && rm -r %s/local %s/tmp", was, s->vault, s->vault, s->vault);
	assert_int_equal(system(command), 0);
	err_clear(&s->e);
	assert_null(vault_open(s->vault, VAULT_NO_KEY, &s->e));
	assert_int_equal(s->e.code, ERR_CATALOG);
	err_clear(&s->e);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), 0);
	assert_int_equal(r.snapshots, 1);
	after = site_dump(s);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void
a_rebuild_waits_for_nobody_who_works_on_the_vault(void **state)
{
	struct site *s = *state;
	struct vault *v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	struct rebuild_result r;

	assert_non_null(v);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), -1);
	assert_int_equal(s->e.code, ERR_BUSY);
	vault_close(v);
	err_clear(&s->e);
	assert_int_equal(vault_rebuild(s->vault, &r, &s->e), 0);
}

static void
the_vault_of_a_label_is_found_among_others(void **state)
{
	struct site *s = *state;
	char path[4096], other[160];
	uint8_t id[ID_LEN];
	struct seed_image im;

	(void)snprintf(other, sizeof(other), "%s/aaa", s->root);
	assert_int_equal(create(s, other, "aaa"), 0);
	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, 8);
	assert_int_equal(ingest_vault_of(s->disk[0], id, &s->e), 0);
	assert_int_equal(vault_find(s->root, id, path, sizeof(path), &s->e), 0);
	assert_string_equal(path, s->vault);
	id[0] ^= 1;
	assert_int_equal(vault_find(s->root, id, path, sizeof(path), &s->e), -1);
	assert_int_equal(s->e.code, ERR_NO_VAULT);
}

/* ------------------------------------------------------------------ the clocks */

static struct io_ops shifted;
static int64_t wall_by, up_by;

static int
clock_shifted(clockid_t id, struct timespec *t)
{
	int rc = io_real()->clock_gettime(id, t);

	t->tv_sec += (time_t)(id == CLOCK_REALTIME ? wall_by : id == CLOCK_BOOTTIME ? up_by : 0);
	return rc;
}

struct clocks {
	int64_t late, slow;	/* seconds */
	int jumped;
};

/* The clocks of a transaction that is ${wall} and ${up} seconds after the first. */
static struct clocks
clocks_at(struct site *s, int64_t wall, int64_t up)
{
	struct clocks c;
	struct vault *v;

	wall_by = wall;
	up_by = up;
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	assert_int_equal(vault_begin(v, &s->e), 0);
	c = (struct clocks){ v->late / 1000000000, v->slow / 1000000000, v->clock_jumped };
	assert_int_equal(vault_commit(v, &s->e), 0);
	vault_close(v);
	return c;
}

#define DAY	86400

/* ${a} is ${b}, but for the seconds that the test itself takes. */
static void
assert_near(int64_t a, int64_t b)
{
	assert_true(a - b < 600 && b - a < 600);
}

static void
the_clocks_go_on_together_and_never_back(void **state)
{
	struct site *s = *state;
	struct clocks first, c;

	shifted = *io_real();
	shifted.clock_gettime = clock_shifted;
	(void)io_use(&shifted);
	first = clocks_at(s, 0, 0);
	c = clocks_at(s, 10 * DAY, 10 * DAY);
	assert_near(c.late, first.late + 10 * DAY);
	assert_near(c.slow, first.slow + 10 * DAY);
	/* A few hours back are no jump; nothing goes back with them. */
	c = clocks_at(s, 10 * DAY - 7200, 10 * DAY + 60);
	assert_int_equal(c.jumped, 0);
	assert_near(c.late, first.late + 10 * DAY);
	assert_near(c.slow, first.slow + 10 * DAY);
}

static void
confirm(struct site *s)
{
	struct vault *v = vault_open(s->vault, 0, &s->e);

	assert_non_null(v);
	assert_int_equal(vault_clock_confirm(v, &s->e), 0);
	vault_close(v);
}

static void
a_jump_of_the_clock_stops_both(void **state)
{
	static const int64_t jumps[] = { 2 * DAY, 3650 * DAY, -2 * DAY, -3650 * DAY };

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct site *s = *state;
		struct clocks first, c;
		char path[160];

		shifted = *io_real();
		shifted.clock_gettime = clock_shifted;
		(void)io_use(&shifted);
		wall_by = up_by = 0;
		(void)snprintf(path, sizeof(path), "%s/vaults/v%zu", s->root, i);
		assert_int_equal(create(s, path, "jumping"), 0);
		(void)snprintf(s->vault, sizeof(s->vault), "%.90s", path);
		first = clocks_at(s, 0, 0);
		c = clocks_at(s, jumps[i], 60);
		assert_int_equal(c.jumped, 1);
		assert_near(c.late, first.late);
		assert_near(c.slow, first.slow);
		c = clocks_at(s, jumps[i] + 60, 120);
		assert_int_equal(c.jumped, 1);
		assert_near(c.late, first.late);
		/* Until a person says that it is right: forward or back. */
		confirm(s);
		c = clocks_at(s, jumps[i] + 120, 180);
		assert_int_equal(c.jumped, 0);
		assert_near(c.late, first.late + jumps[i]);
		assert_near(c.slow, first.slow);
		(void)snprintf(path, sizeof(path), "%s/vaults/v%zu/vault/1.json", s->root, i);
		assert_int_equal(unlink(path), 0);	/* the next may have its name */
	}
}

/* Over a restart of the computer only a day counts, whatever the wall shows. */
static void
a_restart_lets_the_slow_clock_go_on_by_a_day_at_most(void **state)
{
	struct site *s = *state;
	struct clocks first, c;
	struct vault *v;

	shifted = *io_real();
	shifted.clock_gettime = clock_shifted;
	(void)io_use(&shifted);
	first = clocks_at(s, 0, 0);
	v = vault_open(s->vault, VAULT_NO_KEY, &s->e);
	assert_non_null(v);
	assert_int_equal(catalog_bytes_set(v->catalog, "clock boot", "00000000-0000-0000-0000-000000000000", 36, &s->e), 0);
	vault_close(v);
	c = clocks_at(s, 30 * DAY, 30);
	assert_int_equal(c.jumped, 0);
	assert_near(c.late, first.late + 30 * DAY);
	assert_near(c.slow, first.slow + DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_vault_says_who_it_is),
		T(names_and_places_are_refused_that_will_not_do),
		T(what_is_no_vault_is_named_so),
		T(the_key_must_be_there_and_be_its_own),
		T(a_wrapped_copy_of_the_key_opens_the_vault),
		T(another_description_is_not_believed),
		T(a_credential_is_what_a_machine_accepts),
		T(a_newer_credential_supersedes_those_for_its_name_or_all),
		T(a_credential_for_a_machine_fits_what_is_registered),
		T(records_hold_no_secret),
		T(a_broken_chain_of_records_is_found),
		T(a_vault_copied_without_its_catalog_is_a_whole_vault),
		T(a_rebuild_waits_for_nobody_who_works_on_the_vault),
		T(the_vault_of_a_label_is_found_among_others),
		T(the_clocks_go_on_together_and_never_back),
		T(a_jump_of_the_clock_stops_both),
		T(a_restart_lets_the_slow_clock_go_on_by_a_day_at_most),
	};

	secret_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
