#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/flow/credential_file.h"
#include "common/flow/keyring.h"
#include "common/flow/line_credential.h"
#include "common/flow/line_look.h"
#include "common/flow/machine_fate.h"
#include "common/flow/register.h"
#include "common/flow/serve.h"
#include "common/flow/vault_line.h"
#include "common/flow/vault_machine.h"
#include "common/flow/vault_token.h"
#include "flow/vault_site.h"

#define PASS	"correct horse battery staple"

/* The site, its server, and a place for a state. */
struct hall {
	struct site *s;
	struct serve *serve;
	unsigned port;			/* stays, however often it is started */
	char state[96], pass[96], credential[96], kit[96];
};

static void
hall_serve(struct hall *h)
{
	const char *paths[] = { h->s->vault };
	struct serve_options o = { .vaults = paths, .nvaults = 1, .listen = NULL };
	char url[64], listen[64];
	struct vault *v;

	err_clear(&h->s->e);
	(void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", h->port);
	o.listen = listen;
	h->serve = serve_start(&o, &h->s->e);
	if (h->serve == NULL)
		fail_msg("%s", h->s->e.msg);
	h->port = serve_port(h->serve);
	(void)snprintf(url, sizeof(url), "https://localhost:%u", h->port);
	v = vault_open(h->s->vault, 0, &h->s->e);
	assert_non_null(v);
	assert_true(vault_url(v, url, &h->s->e) >= 0);
	vault_close(v);
}

/* A credential file for ${name}. */
static void
hall_credential(struct hall *h, const char *name, unsigned purpose)
{
	struct credential_order o = { .machine = name, .purpose = purpose, .valid = CREDENTIAL_VALID,
	    .arrives_by = CREDENTIAL_ARRIVES };
	struct credential c;
	struct vault *v;
	struct buf text;

	err_clear(&h->s->e);
	buf_init(&text);
	v = vault_open(h->s->vault, 0, &h->s->e);
	assert_non_null(v);
	if (vault_credential(v, &o, &c, &h->s->e) != 0)
		fail_msg("%s", h->s->e.msg);
	assert_int_equal(credential_text(v, &c, &text, &h->s->e), 0);
	assert_int_equal(file_replace(AT_FDCWD, h->credential, text.p, text.len, 0600, &h->s->e), 0);
	buf_release(&text);
	vault_close(v);
}

/* Register at ${state} with the credential file; what register_contact returns, -2 where it did not come so far. */
static int
hall_register(struct hall *h, const char *state, const char *old_kit, const char *kit)
{
	struct register_options o = { .state = state, .credential = h->credential, .machine = NULL,
	    .passphrase_file = h->pass, .online = true, .old_kit = old_kit, .kit = kit, .proxy = "" };
	struct registering *r;
	int rc = -2;

	err_clear(&h->s->e);
	r = register_prepare(&o, &h->s->e);
	if (r != NULL && register_passphrase(r, &h->s->e) == 0 && register_make(r, &h->s->e) == 0 &&
	    register_write(r, &h->s->e) == 0)
		rc = register_contact(r, &h->s->e);
	register_free(r);
	return rc;
}

static int
setup(void **state)
{
	struct hall *h = calloc(1, sizeof(*h));

	secret_init();
	assert_int_equal(site_setup(state), 0);
	h->s = *state;
	(void)snprintf(h->state, sizeof(h->state), "%s/state", h->s->root);
	(void)snprintf(h->pass, sizeof(h->pass), "%s/pass", h->s->root);
	(void)snprintf(h->credential, sizeof(h->credential), "%s/c.crd", h->s->root);
	(void)snprintf(h->kit, sizeof(h->kit), "%s/kit.txt", h->s->root);
	assert_int_equal(file_replace(AT_FDCWD, h->pass, PASS "\n", strlen(PASS) + 1, 0600, &h->s->e), 0);
	hall_serve(h);
	*state = h;
	return 0;
}

static int
teardown(void **state)
{
	struct hall *h = *state;
	void *site = h->s;

	serve_stop(h->serve, 0);
	free(h);
	return site_teardown(&site);
}

static struct line *
hall_line(struct hall *h, const char *path, struct state **s)
{
	struct line_options o = { .proxy = "", .first_wait = 1 };
	struct line *l;

	err_clear(&h->s->e);
	o.state = *s = state_open(path, &h->s->e);
	if (*s == NULL)
		fail_msg("%s", h->s->e.msg);
	l = line_open(&o, &h->s->e);
	assert_non_null(l);
	return l;
}

/* A contact with the state at ${path}: 0 with ${k}, or -1. */
static int
hall_contact(struct hall *h, const char *path, struct contact *k)
{
	struct state *s;
	struct line *l = hall_line(h, path, &s);
	uint8_t *bytes = NULL;
	int rc = line_call(l, "GET", "contact", 2, NULL, NULL, &contact_schema, k, &bytes, &h->s->e);

	free(bytes);
	line_close(l);
	state_free(s);
	return rc;
}

static int
hall_decide(struct hall *h, const char *name, struct machine_order o)
{
	struct cat_machine m;
	struct vault *v;
	int rc;

	err_clear(&h->s->e);
	v = vault_open(h->s->vault, 0, &h->s->e);
	assert_non_null(v);
	rc = machine_decide(v, name, &o, &m, &h->s->e);
	vault_close(v);
	return rc;
}

static void
a_machine_registers_over_the_line_and_gets_its_token(void **state)
{
	struct hall *h = *state;
	struct contact k;
	char path[160];
	struct stat st;

	hall_credential(h, "db1", PURPOSE_NEW);
	if (hall_register(h, h->state, NULL, NULL) != 0)
		fail_msg("%s", h->s->e.msg);
	(void)snprintf(path, sizeof(path), "%s/token", h->state);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(hall_contact(h, h->state, &k), 0);
	assert_string_equal(k.machine_name, "db1");
	assert_int_equal(k.head_seq, 0);
	serve_stop(h->serve, 0);
	h->serve = NULL;
	site_rebuild_agrees(h->s);
}

static void
a_machine_that_registered_offline_gets_its_token_at_first_contact(void **state)
{
	struct hall *h = *state;
	struct register_options o = { .state = h->state, .credential = h->credential, .passphrase_file = h->pass };
	struct registering *r;
	struct contact k;

	hall_credential(h, "db1", PURPOSE_NEW);
	r = register_prepare(&o, &h->s->e);
	assert_non_null(r);
	assert_int_equal(register_passphrase(r, &h->s->e), 0);
	assert_int_equal(register_make(r, &h->s->e), 0);
	assert_int_equal(register_write(r, &h->s->e), 0);
	register_free(r);
	if (hall_contact(h, h->state, &k) != 0)
		fail_msg("%s", h->s->e.msg);
	assert_string_equal(k.machine_name, "db1");
}

static void
a_name_in_use_is_refused_and_nothing_is_left_registered(void **state)
{
	struct hall *h = *state;
	char second[96], path[160];

	(void)snprintf(second, sizeof(second), "%s/second", h->s->root);
	hall_credential(h, NULL, PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, NULL), 0);
	/* The same name again: the host's, since the credential names none. */
	hall_credential(h, NULL, PURPOSE_NEW);
	assert_int_equal(hall_register(h, second, NULL, NULL), -1);
	assert_int_equal(h->s->e.code, ERR_CRED_INVALID);
	(void)snprintf(path, sizeof(path), "%s/identity", second);
	assert_int_equal(access(path, F_OK), -1);
	/* The directory can be used again with a good one. */
	hall_credential(h, "db2", PURPOSE_NEW);
	assert_int_equal(hall_register(h, second, NULL, NULL), 0);
}

static void
a_credential_is_used_once_and_a_newer_one_ends_it(void **state)
{
	struct hall *h = *state;
	char second[96];

	(void)snprintf(second, sizeof(second), "%s/second", h->s->root);
	hall_credential(h, "db1", PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, NULL), 0);
	assert_int_equal(hall_register(h, second, NULL, NULL), -1);
	assert_int_equal(h->s->e.code, ERR_CRED_INVALID);
}

static void
revoking_ends_the_token_now(void **state)
{
	struct hall *h = *state;
	struct contact k;

	hall_credential(h, "db1", PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, NULL), 0);
	assert_int_equal(hall_contact(h, h->state, &k), 0);
	assert_int_equal(hall_decide(h, "db1", (struct machine_order){ .fate = MFATE_REVOKED }), 0);
	assert_int_equal(hall_contact(h, h->state, &k), -1);
	assert_int_equal(h->s->e.code, ERR_TOKEN);
	assert_non_null(strstr(h->s->e.msg, "revoked"));
	assert_int_equal(hall_decide(h, "db1", (struct machine_order){ .fate = MFATE_REVOKED }), 1);
}

static void
a_machine_can_be_renamed_and_given_a_quota(void **state)
{
	struct hall *h = *state;
	struct quota_figures q;
	struct cat_machine m;
	struct contact k;
	struct vault *v;

	hall_credential(h, "db1", PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, NULL), 0);
	assert_int_equal(hall_decide(h, "db1", (struct machine_order){ .fate = MFATE_RENAMED, .name = "db9" }), 0);
	assert_int_equal(hall_decide(h, "db9", (struct machine_order){ .fate = MFATE_QUOTA, .value = 1000 }), 0);
	assert_int_equal(hall_contact(h, h->state, &k), 0);
	assert_string_equal(k.machine_name, "db9");
	assert_int_equal(k.quota, 1000);
	v = vault_open(h->s->vault, VAULT_NO_KEY, &h->s->e);
	assert_int_equal(vault_machine_named(v, "db9", &m, &h->s->e), 0);
	assert_int_equal(machine_quota(v, m.id, 1000, &q, &h->s->e), 0);
	assert_int_equal(machine_quota(v, m.id, 1001, &q, &h->s->e), -1);
	assert_int_equal(h->s->e.code, ERR_QUOTA);
	assert_int_equal(q.more, 1001);
	vault_close(v);
}

static void
a_new_tls_key_is_believed_by_the_vaults_own_word(void **state)
{
	struct hall *h = *state;
	struct line_look k;
	struct state *s;
	struct line *l;
	char path[160];

	hall_credential(h, "db1", PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, NULL), 0);
	l = hall_line(h, h->state, &s);
	assert_int_equal(line_look(l, 0, &k, &h->s->e), 0);
	line_close(l);
	state_free(s);
	/* The key is lost; the server is started anew and makes another. */
	serve_stop(h->serve, 0);
	(void)snprintf(path, sizeof(path), "%s/local/tls.key", h->s->vault);
	assert_int_equal(unlink(path), 0);
	hall_serve(h);
	l = hall_line(h, h->state, &s);
	if (line_look(l, 0, &k, &h->s->e) != 0)
		fail_msg("%s", h->s->e.msg);
	assert_int_equal(k.renewed, 1);
	assert_int_equal(k.admitted, 1);
	assert_true(k.facts.generation >= 3);
	line_close(l);
	state_free(s);
}

static void
another_vault_at_the_address_is_not_believed(void **state)
{
	struct hall *h = *state;
	struct vault_create o = { .name = "demo", .redundancy = REDUNDANCY_LOCAL };
	char other[160];
	struct contact k;

	hall_credential(h, "db1", PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, NULL), 0);
	serve_stop(h->serve, 0);
	(void)snprintf(other, sizeof(other), "%s/elsewhere", h->s->root);
	assert_int_equal(mkdir(other, 0700), 0);
	(void)snprintf(h->s->vault, sizeof(h->s->vault), "%s/elsewhere/vault", h->s->root);
	assert_int_equal(vault_create(h->s->vault, &o, &h->s->e), 0);
	hall_serve(h);
	assert_int_equal(hall_contact(h, h->state, &k), -1);
	assert_int_equal(h->s->e.code, ERR_PIN);
}

static void
reading_by_a_credential_changes_nothing_for_the_machine(void **state)
{
	struct hall *h = *state;
	struct credential_file f;
	struct token_grant g, again;
	struct contact k;

	hall_credential(h, "db1", PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, h->kit), 0);
	hall_credential(h, "db1", PURPOSE_RESTORE_ONLY);
	assert_int_equal(credential_file_read(h->credential, &f, &h->s->e), 0);
	if (line_credential_token(f.c, "", &g, &h->s->e) != 0)
		fail_msg("%s", h->s->e.msg);
	assert_int_equal(g.purpose, PURPOSE_RESTORE_ONLY);
	assert_true(g.until > io_now() + 29 * 86400 && g.until < io_now() + 31 * 86400);
	/* Once. */
	assert_int_equal(line_credential_token(f.c, "", &again, &h->s->e), -1);
	assert_int_equal(h->s->e.code, ERR_CRED_INVALID);
	/* It reads, and does not write. */
	{
		struct kit kit = { .made = 0 };
		struct line_options o = { .kit = &kit, .kit_token = g.token, .proxy = "" };
		struct net_ask a = { .method = "DELETE", .path = "sessions/00112233445566778899aabbccddeeff" };
		struct net_answer r;
		uint8_t *bytes = NULL;
		struct line *l;

		memcpy(kit.vault_id, f.c->vault_id, ID_LEN);
		memcpy(kit.vault_pub, f.c->vault_pub, SIGN_PUB_LEN);
		(void)snprintf(kit.vault_name, sizeof(kit.vault_name), "%s", f.c->vault_name);
		(void)snprintf(kit.url, sizeof(kit.url), "%s", f.c->url);
		l = line_open(&o, &h->s->e);
		assert_non_null(l);
		if (line_call(l, "GET", "contact", 1, NULL, NULL, &contact_schema, &k, &bytes, &h->s->e) != 0)
			fail_msg("%s", h->s->e.msg);
		assert_int_equal(k.purpose, PURPOSE_RESTORE_ONLY);
		free(bytes);
		assert_int_equal(line_ask(l, &a, &r, &h->s->e), -1);
		assert_int_equal(h->s->e.code, ERR_PERMISSION);
		line_close(l);
	}
	assert_int_equal(hall_contact(h, h->state, &k), 0);
	assert_int_equal(k.purpose, PURPOSE_NEW);
	credential_file_release(&f);
}

static void
a_new_machine_takes_over_only_with_its_first_backup(void **state)
{
	struct hall *h = *state;
	struct contact k;
	struct state *s;
	struct vault *v;
	char second[96];

	(void)snprintf(second, sizeof(second), "%s/second", h->s->root);
	hall_credential(h, "db1", PURPOSE_NEW);
	assert_int_equal(hall_register(h, h->state, NULL, h->kit), 0);
	hall_credential(h, "db1", PURPOSE_REPLACE);
	if (hall_register(h, second, h->kit, NULL) != 0)
		fail_msg("%s", h->s->e.msg);
	assert_int_equal(hall_contact(h, second, &k), 0);
	assert_int_equal(hall_contact(h, h->state, &k), 0);	/* still */
	s = state_open(second, &h->s->e);
	v = vault_open(h->s->vault, 0, &h->s->e);
	assert_int_equal(vault_begin(v, &h->s->e), 0);
	assert_int_equal(vault_takeover(v, s->id.machine_id, s->machine_pub, 1, &h->s->e), 1);
	assert_int_equal(vault_takeover(v, s->id.machine_id, s->machine_pub, 2, &h->s->e), 0);
	assert_int_equal(vault_commit(v, &h->s->e), 0);
	vault_close(v);
	state_free(s);
	assert_int_equal(hall_contact(h, second, &k), 0);
	assert_int_equal(hall_contact(h, h->state, &k), -1);
	assert_int_equal(h->s->e.code, ERR_TOKEN);
}

static void
a_token_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "", "x", "00", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg",
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };
	struct hall *h = *state;
	struct cat_machine m;
	struct cat_token t;
	struct vault *v = vault_open(h->s->vault, 0, &h->s->e);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&h->s->e);
		assert_int_equal(vault_token_find(v, bad[i], &t, &m, &h->s->e), -1);
		assert_int_equal(h->s->e.code, ERR_TOKEN);
	}
	assert_int_equal(vault_token_find(v, NULL, &t, &m, &h->s->e), -1);
	vault_close(v);
}

/* The first read of a pack waits until the vault's alerts were looked at, as a large image's would take long. */
static struct {
	struct io_ops ops;
	const struct io_ops *real;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool read, looked, gave_up;	/* a pack; after alerts; they were not, for a minute */
} slow = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* Wait for it, a minute at most; the lock is held. */
static void
slow_until(const bool *what)
{
	struct timespec late = { .tv_sec = time(NULL) + 60 };

	while (!*what && !slow.gave_up)
		slow.gave_up = pthread_cond_timedwait(&slow.changed, &slow.lock, &late) == ETIMEDOUT;
}

static void
slow_note(bool *what)
{
	*what = true;
	(void)pthread_cond_broadcast(&slow.changed);
}

static ssize_t
slow_pread(int fd, void *buf, size_t n, off_t at)
{
	char link[64], name[512] = "";

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name) - 1) > 0 && strstr(name, "/packs/") != NULL) {
		(void)pthread_mutex_lock(&slow.lock);
		slow_note(&slow.read);
		slow_until(&slow.looked);
		(void)pthread_mutex_unlock(&slow.lock);
	}
	return slow.real->pread(fd, buf, n, at);
}

static int
slow_rename(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	int rc = slow.real->renameat2(fromfd, from, tofd, to, flags);

	if (strcmp(to, "alerts") == 0) {
		(void)pthread_mutex_lock(&slow.lock);
		slow_note(&slow.looked);
		(void)pthread_mutex_unlock(&slow.lock);
	}
	return rc;
}

static int
row_count(void *arg, const void *row, struct err *e)
{
	(void)row, (void)e;
	++*(int *)arg;
	return 0;
}

static int
receipts_of(struct hall *h)
{
	struct vault *v = vault_open(h->s->vault, VAULT_NO_KEY, &h->s->e);
	int n = 0;

	assert_non_null(v);
	assert_int_equal(catalog_each(v->catalog, &cat_receipts, 0, NULL, row_count, &n, &h->s->e), 0);
	vault_close(v);
	return n;
}

static void
a_receipt_that_takes_long_holds_up_no_other_housekeeping(void **state)
{
	struct hall *h = *state;
	struct seed_image a;

	serve_stop(h->serve, 0);
	h->serve = NULL;
	seed_image_make(&a, &h->s->m, "AAAA");
	seed_disk(&a, h->s->disk[0], 1, 0, 16);
	seed_snapshot(&a, h->s->disk[0], 1, 0, 16);
	seed_manifest(&a, h->s->disk[0], 1);
	assert_int_equal(site_ingest(h->s, 0), 0);
	slow.ops = *io_real();
	slow.ops.pread = slow_pread;
	slow.ops.renameat2 = slow_rename;
	slow.real = io_use(&slow.ops);
	hall_serve(h);
	(void)pthread_mutex_lock(&slow.lock);
	slow_until(&slow.read);
	slow_until(&slow.looked);
	(void)pthread_mutex_unlock(&slow.lock);
	serve_stop(h->serve, 0);
	h->serve = NULL;
	(void)io_use(slow.real);
	assert_false(slow.gave_up);
	assert_int_equal(receipts_of(h), 1);
}

int
main(void)
{
#define H(x)	cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		H(a_machine_registers_over_the_line_and_gets_its_token),
		H(a_machine_that_registered_offline_gets_its_token_at_first_contact),
		H(a_name_in_use_is_refused_and_nothing_is_left_registered),
		H(a_credential_is_used_once_and_a_newer_one_ends_it),
		H(revoking_ends_the_token_now),
		H(a_machine_can_be_renamed_and_given_a_quota),
		H(a_new_tls_key_is_believed_by_the_vaults_own_word),
		H(another_vault_at_the_address_is_not_believed),
		H(reading_by_a_credential_changes_nothing_for_the_machine),
		H(a_new_machine_takes_over_only_with_its_first_backup),
		H(a_token_that_is_none_is_refused),
		H(a_receipt_that_takes_long_holds_up_no_other_housekeeping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
