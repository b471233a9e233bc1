/* Whether a registration that came on a disk is accepted, and where it is kept then. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/secret.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_rows.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_machine.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"

#define KEYS_MAX	(SMALL_STATEMENT_MAX * 4)

/* "No", in words. */
static int __attribute__((format(printf, 2, 3)))
no(char why[TEXT_MAX_LEN + 1], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, TEXT_MAX_LEN + 1, fmt, ap);
	va_end(ap);
	return 1;
}

/* The registration itself: form, signature, and that it is this machine's. */
static int
judge_form(const struct vault *v, const struct label *l, const uint8_t *bytes, size_t len, struct registration *g,
    char *why)
{
	if (bytes == NULL)
		return no(why, "there is no registration of its machine on the disk");
	if (statement_open(&registration_schema, g, bytes, len, l->machine_pub, NULL) != 0)
		return no(why, "its registration is not signed by the machine that made the disk");
	if (memcmp(g->machine_id, l->machine_id, ID_LEN) != 0 || memcmp(g->machine_pub, l->machine_pub, SIGN_PUB_LEN) != 0)
		return no(why, "its registration is of another machine");
	if (memcmp(g->vault_id, v->desc.vault_id, ID_LEN) != 0)
		return no(why, "its registration is for another vault");
	return 0;
}

/* Key domain and membership: the proof that this machine belongs to it. */
static int
judge_domain(const struct vault *v, const struct label *l, const struct registration *g, char *why)
{
	struct domain_desc d;
	struct membership m;
	uint8_t id[DIGEST_LEN];

	if (statement_open(&domain_desc_schema, &d, g->domain_desc.p, g->domain_desc.len, NULL, NULL) != 0 ||
	    !statement_check(&domain_desc_schema, g->domain_desc.p, g->domain_desc.len, d.domain_pub))
		return no(why, "the description of its key domain is not signed by the domain's key");
	hash_once(d.domain_pub, SIGN_PUB_LEN, id);
	if (memcmp(id, l->domain_id, DIGEST_LEN) != 0)
		return no(why, "its registration is of another key domain");
	if (d.suite != v->desc.suite || d.chunk_avg < v->desc.chunk_avg_min || d.chunk_avg > v->desc.chunk_avg_max)
		return no(why, "its chunk size of %u KiB or its suite is not one that the vault accepts", d.chunk_avg >> 10);
	if (statement_open(&membership_schema, &m, g->membership.p, g->membership.len, d.domain_pub, NULL) != 0)
		return no(why, "its membership is not signed by the key of its domain");
	if (memcmp(m.machine_id, g->machine_id, ID_LEN) != 0 || memcmp(m.machine_pub, g->machine_pub, SIGN_PUB_LEN) != 0 ||
	    strcmp(m.machine_name, g->machine_name) != 0)
		return no(why, "its membership is of another machine");
	if (m.from_seq > INT64_MAX)
		return no(why, "its membership begins at a snapshot number that a vault does not file");
	return 0;
}

struct newer {
	const struct cat_credential *than;
	const char *name;
	int used;
};

static int
newer_used(void *arg, const void *row, struct err *e)
{
	const struct cat_credential *c = row;
	struct newer *n = arg;

	(void)e;
	if (c->state == CREDENTIAL_USED && c->record > n->than->record &&
	    (c->machine_name[0] == '\0' || strcmp(c->machine_name, n->name) == 0))
		n->used = 1;
	return 0;
}

/* The authenticator: only who had the credential knows its secret. */
static int
judge_secret(const struct vault *v, const struct registration *g, const uint8_t *bytes, size_t len, char *why)
{
	uint8_t *secret = secret_new(KEY_LEN), mac[DIGEST_LEN];

	vault_credential_secret(v, g->credential_id, secret);
	mac_once(secret, bytes, len - SIGN_LEN - DIGEST_LEN, mac);
	secret_free(secret);
	if (!secret_equal(mac, g->mac, DIGEST_LEN))
		return no(why, "its registration was not made with the credential that it names");
	return 0;
}

static int
judge_times(const struct vault *v, const struct cat_credential *c, const struct registration *g, char *why)
{
	char day[HUMAN_MAX];

	if (g->made > c->use_by)
		return no(why, "it was registered after its credential had expired (%s)", human_date(day, c->use_by));
	if (vault_late_seconds(v) > c->arrive_by)
		return no(why, "its registration came later than its credential allows (%s)", human_date(day, c->arrive_by));
	return 0;
}

static int
judge_purpose(struct vault *v, const struct cat_credential *c, const struct registration *g, char *why, struct err *e)
{
	struct cat_machine m;
	int rc;

	if (c->machine_name[0] != '\0' && strcmp(c->machine_name, g->machine_name) != 0)
		return no(why, "its credential was issued for a machine of another name");
	if (c->purpose == PURPOSE_RESTORE_ONLY)
		return no(why, "its credential allows reading only");
	if ((rc = vault_machine_named(v, g->machine_name, &m, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(m.id, g->machine_id, ID_LEN) != 0)
		return no(why, "another machine of that name is registered");
	if (c->purpose == PURPOSE_NEW && (rc = vault_machine(v, g->machine_id, &m, e)) != 1)
		return rc < 0 ? -1 : no(why, "that machine is registered already, and its credential is for a new one");
	if (c->purpose == PURPOSE_REPLACE && memcmp(c->machine_id, g->machine_id, ID_LEN) != 0)
		return no(why, "its credential is for taking the place of another machine");
	return 0;
}

static int
judge_credential(struct vault *v, const struct registration *g, const uint8_t *bytes, size_t len, char *why,
    struct err *e)
{
	struct newer n = { NULL, g->machine_name, 0 };
	struct cat_credential c;
	int rc;

	memcpy(c.id, g->credential_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_credentials, &c, e)) < 0)
		return -1;
	if (rc == 1)
		return no(why, "this vault issued no such credential");
	if ((rc = judge_secret(v, g, bytes, len, why)) != 0 || (rc = judge_times(v, &c, g, why)) != 0)
		return rc;
	if (c.state == CREDENTIAL_USED)
		return no(why, "its credential was used before");
	n.than = &c;
	if (catalog_each(v->catalog, &cat_credentials, 0, NULL, newer_used, &n, e) != 0)
		return -1;
	if (n.used)
		return no(why, "a newer credential for that name was used before");
	return judge_purpose(v, &c, g, why, e);
}

int
registration_judge(struct vault *v, const struct label *l, const uint8_t *bytes, size_t len, char why[TEXT_MAX_LEN + 1],
    struct err *e)
{
	struct registration g;
	int rc;

	if ((rc = judge_form(v, l, bytes, len, &g, why)) != 0 || (rc = judge_domain(v, l, &g, why)) != 0)
		return rc;
	return judge_credential(v, &g, bytes, len, why, e);
}

int
registration_sound(const struct vault *v, const uint8_t *bytes, size_t len, struct registration *g,
    char why[TEXT_MAX_LEN + 1])
{
	struct label l = { .disk = 1 };
	struct domain_desc d;
	int rc;

	if (len == 0 || schema_decode(&registration_schema, g, bytes, len) != FMT_OK ||
	    schema_decode(&domain_desc_schema, &d, g->domain_desc.p, g->domain_desc.len) != FMT_OK)
		return no(why, "no registration of its machine that can be read came with it");
	memcpy(l.machine_id, g->machine_id, ID_LEN);
	memcpy(l.machine_pub, g->machine_pub, SIGN_PUB_LEN);
	hash_once(d.domain_pub, SIGN_PUB_LEN, l.domain_id);
	if ((rc = judge_form(v, &l, bytes, len, g, why)) != 0)
		return rc;
	return judge_domain(v, &l, g, why);
}

struct newest {
	uint32_t n;
};

static int
newest_of(void *arg, const char *name, uint64_t len, struct err *e)
{
	struct newest *w = arg;
	uint32_t n = vault_name_number(name);

	(void)len;
	(void)e;
	if (n > w->n)
		w->n = n;
	return 0;
}

int
vault_keys_put(struct vault *v, const uint8_t machine[ID_LEN], const char *what, const void *bytes, size_t len,
    struct err *e)
{
	struct newest w = { 0 };
	char name[VAULT_NAME_MAX];
	uint8_t *was;
	size_t n;
	int rc;

	vault_name_keys_prefix(name, machine, what);
	if (v->store->ops->list(v->store, name, "", newest_of, &w, e) != 0)
		return -1;
	if (w.n > 0) {
		vault_name_keys(name, machine, what, w.n);
		if (store_read(v->store, name, KEYS_MAX, &was, &n, NULL) == 0) {
			int same = n == len && memcmp(was, bytes, n) == 0;

			free(was);
			if (same)
				return 0;
		}
	}
	do {
		vault_name_keys(name, machine, what, ++w.n);
		rc = v->store->ops->put_new(v->store, name, bytes, len, e);
	} while (rc == 1 && w.n < UINT32_MAX);
	return rc == 0 ? 0 : -1;
}

int
registration_file(struct vault *v, const uint8_t *bytes, size_t len, struct err *e)
{
	struct registration g;

	if (schema_decode(&registration_schema, &g, bytes, len) != FMT_OK)
		return err_set(e, ERR_FORMAT, "a registration cannot be read");
	if (vault_keys_put(v, g.machine_id, "domain", g.domain_desc.p, g.domain_desc.len, e) != 0 ||
	    vault_keys_put(v, g.machine_id, "member", g.membership.p, g.membership.len, e) != 0)
		return -1;
	return vault_keys_put(v, g.machine_id, "regist", bytes, len, e);
}
