#include "common/flow/vault_token.h"

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_machine.h"
#include "formats/fmt_disk.h"

/* The request itself: form, signature, addressee. */
static int
request_open(const struct vault *v, const void *bytes, size_t len, const uint8_t pin[DIGEST_LEN], struct token_request *q,
    struct err *e)
{
	if (statement_open(&token_request_schema, q, bytes, len, NULL, e) != 0)
		return -1;
	if (!statement_check(&token_request_schema, bytes, len, q->machine_pub))
		return err_set(e, ERR_SIGNATURE, "the request is not signed with the key that it names");
	if (memcmp(q->vault_id, v->desc.vault_id, ID_LEN) != 0)
		return err_set(e, ERR_WRONG_VAULT, "the request is for another vault than %s", v->desc.name);
	if (memcmp(q->tls_pin, pin, DIGEST_LEN) != 0)
		return err_set(e, ERR_PIN, "the request was made for a server with another key");
	return 0;
}

/* May this machine come at all? */
static int
machine_may(const struct cat_machine *m, struct err *e)
{
	char safe[NAME_MAX_LEN * 4 + 4];

	(void)text_safe(safe, sizeof(safe), m->name, strlen(m->name));
	if (m->state == MACHINE_REVOKED)
		return err_set(e, ERR_TOKEN, "the operator of the vault has revoked machine %s", safe);
	if (m->state == MACHINE_RETIRED || m->state == MACHINE_DELETED)
		return err_set(e, ERR_TOKEN, "the operator of the vault has retired machine %s", safe);
	return m->state == MACHINE_LIVE ? 0 : err_set(e, ERR_TOKEN, "another machine has taken the place of %s", safe);
}

/* The registration was refused: which of the credential's errors is it? */
static int
refused(struct vault *v, const struct registration *g, const char *why, struct err *e)
{
	struct cat_credential c;

	memcpy(c.id, g->credential_id, ID_LEN);
	if (catalog_get(v->catalog, &cat_credentials, &c, NULL) == 0 &&
	    (g->made > c.use_by || vault_late_seconds(v) > c.arrive_by))
		return err_set(e, ERR_CRED_EXPIRED, "%s", why);
	return err_set(e, ERR_CRED_INVALID, "%s", why);
}

/* The machine's own token: it is known by this key, or comes in now. */
static int
own_token(struct vault *v, const struct token_request *q, struct cat_machine *m, struct err *e)
{
	char why[TEXT_MAX_LEN + 1];
	struct label l = { .disk = 1 };
	struct registration g;
	struct domain_desc d;
	int rc;

	if (schema_decode(&registration_schema, &g, q->registration.p, q->registration.len) != FMT_OK ||
	    schema_decode(&domain_desc_schema, &d, g.domain_desc.p, g.domain_desc.len) != FMT_OK)
		return err_set(e, ERR_FORMAT, "the registration in the request cannot be read");
	if (memcmp(g.machine_id, q->machine_id, ID_LEN) != 0 || memcmp(g.machine_pub, q->machine_pub, SIGN_PUB_LEN) != 0)
		return err_set(e, ERR_SIGNATURE, "the registration in the request is of another machine or key");
	if ((rc = vault_machine(v, q->machine_id, m, e)) < 0)
		return -1;
	if (rc == 0 && memcmp(m->pub, q->machine_pub, SIGN_PUB_LEN) == 0)
		return machine_may(m, e);
	if (rc == 0 && (rc = vault_machine_has_key(v, q->machine_id, q->machine_pub, e)) != 0)
		return rc < 0 ? -1 : err_set(e, ERR_TOKEN, "another machine has taken the place of this one");
	memcpy(l.machine_id, g.machine_id, ID_LEN);
	memcpy(l.machine_pub, g.machine_pub, SIGN_PUB_LEN);
	hash_once(d.domain_pub, SIGN_PUB_LEN, l.domain_id);
	if ((rc = registration_judge(v, &l, q->registration.p, q->registration.len, why, e)) != 0)
		return rc < 0 ? -1 : refused(v, &g, why, e);
	if (registration_file(v, q->registration.p, q->registration.len, e) != 0 ||
	    vault_record_bytes(v, REC_MACHINE_REGISTERED, q->registration.p, q->registration.len, e) != 0)
		return -1;
	return vault_machine(v, q->machine_id, m, e) == 0 ? 0 : -1;
}

/* Who shows a credential's secret may read what the credential names. */
static int
credential_token(struct vault *v, const struct token_request *q, const uint8_t *bytes, size_t len, struct cat_machine *m,
    struct err *e)
{
	uint8_t *secret = secret_new(KEY_LEN), mac[DIGEST_LEN];
	struct cat_credential c;
	int rc;

	vault_credential_secret(v, q->credential_id, secret);
	mac_once(secret, bytes, len - SIGN_LEN - DIGEST_LEN, mac);
	secret_free(secret);
	memcpy(c.id, q->credential_id, ID_LEN);
	if ((rc = catalog_get(v->catalog, &cat_credentials, &c, e)) < 0)
		return -1;
	if (rc == 1 || !secret_equal(mac, q->mac, DIGEST_LEN) || c.purpose != q->purpose ||
	    memcmp(c.machine_id, q->machine_id, ID_LEN) != 0)
		return err_set(e, ERR_CRED_INVALID, "this vault issued no such credential for that");
	if (c.state != CREDENTIAL_ISSUED)
		return err_set(e, ERR_CRED_INVALID, c.state == CREDENTIAL_USED ? "the credential was used before" :
		    "a newer credential has taken the place of this one");
	if (vault_late_seconds(v) > c.use_by)
		return err_set(e, ERR_CRED_EXPIRED, "the credential has expired");
	if ((rc = vault_machine(v, q->machine_id, m, e)) != 0)
		return rc < 0 ? -1 : err_set(e, ERR_NO_MACHINE, "the machine that the credential names is not there");
	return 0;
}

/* In the transaction. */
static int
grant_make(struct vault *v, const struct token_request *q, const uint8_t *bytes, size_t len, struct token_grant *g,
    struct err *e)
{
	struct rec_token t = { .purpose = q->purpose };
	struct cat_machine m;

	if ((q->purpose == PURPOSE_NEW ? own_token(v, q, &m, e) : credential_token(v, q, bytes, len, &m, e)) != 0)
		return -1;
	io_random(g->token, TOKEN_LEN);
	memcpy(g->vault_id, v->desc.vault_id, ID_LEN);
	memcpy(g->machine_id, m.id, ID_LEN);
	(void)snprintf(g->machine_name, sizeof(g->machine_name), "%s", m.name);
	g->purpose = q->purpose;
	/* The late clock, not a wall that jumped: it would be good for all the years of the jump when that is set right. */
	g->until = q->purpose == PURPOSE_NEW ? 0 : v->late / 1000000000 + (q->purpose == PURPOSE_REPLACE ? TOKEN_LOOKING : TOKEN_READING);
	memcpy(t.machine_id, m.id, ID_LEN);
	memcpy(t.machine_pub, q->machine_pub, SIGN_PUB_LEN);
	hash_once(g->token, TOKEN_LEN, t.hash);
	t.until = g->until;
	if (q->purpose == PURPOSE_RESTORE_ONLY)
		memcpy(t.credential_id, q->credential_id, ID_LEN);
	return vault_record(v, REC_TOKEN, &rec_token_schema, &t, e);
}

int
vault_token_grant(struct vault *v, const void *bytes, size_t len, const uint8_t pin[DIGEST_LEN], struct token_grant *grant,
    struct err *e)
{
	struct token_request q;

	memset(grant, 0, sizeof(*grant));
	if (request_open(v, bytes, len, pin, &q, e) != 0 || vault_begin(v, e) != 0)
		return -1;
	if (grant_make(v, &q, bytes, len, grant, e) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	secret_wipe(grant->token, TOKEN_LEN);
	return -1;
}

static int
token_read(const char *text, uint8_t token[TOKEN_LEN])
{
	static const char digits[] = "0123456789abcdef";

	if (text == NULL || strlen(text) != 2 * TOKEN_LEN)
		return -1;
	for (size_t i = 0; i < 2 * TOKEN_LEN; i++) {
		const char *d = strchr(digits, text[i]);

		if (d == NULL)
			return -1;
		token[i / 2] = (uint8_t)(token[i / 2] << 4 | (d - digits));
	}
	return 0;
}

static int
token_row(struct vault *v, const uint8_t hash[DIGEST_LEN], struct cat_token *t, struct cat_machine *m, struct err *e)
{
	int64_t late, now = io_now_ns();
	int rc;

	memcpy(t->hash, hash, DIGEST_LEN);
	if ((rc = catalog_get(v->catalog, &cat_tokens, t, e)) < 0 || catalog_number(v->catalog, "clock late", &late, e) < 0)
		return -1;
	if (rc == 1 || !secret_equal(t->hash, hash, DIGEST_LEN))
		return err_set(e, ERR_TOKEN, "the vault knows no such token");
	if (t->until != 0 && (late > now ? late : now) / 1000000000 > t->until)
		return err_set(e, ERR_TOKEN, "the token has ended");
	if ((rc = vault_machine(v, t->machine_id, m, e)) != 0)
		return rc < 0 ? -1 : err_set(e, ERR_TOKEN, "the machine of this token is not there");
	return machine_may(m, e);
}

int
vault_token_find(struct vault *v, const char *text, struct cat_token *t, struct cat_machine *m, struct err *e)
{
	uint8_t token[TOKEN_LEN] = { 0 }, hash[DIGEST_LEN];
	int rc;

	if (token_read(text, token) != 0)
		return err_set(e, ERR_TOKEN, text == NULL ? "a token is needed" : "the token is not well formed");
	/* Found by its hash: how long that takes says something of the hash and nothing of the token. */
	hash_once(token, TOKEN_LEN, hash);
	secret_wipe(token, sizeof(token));
	if (catalog_begin(v->catalog, 0, e) != 0)
		return -1;
	rc = token_row(v, hash, t, m, e);
	catalog_rollback(v->catalog);
	return rc;
}

struct others {
	const uint8_t *machine, *pub;
	int there;
};

static int
is_other(void *arg, const void *row, struct err *e)
{
	const struct cat_token *t = row;
	struct others *o = arg;

	(void)e;
	if (t->purpose == PURPOSE_NEW && memcmp(t->machine_id, o->machine, ID_LEN) == 0 &&
	    memcmp(t->pub, o->pub, SIGN_PUB_LEN) != 0)
		o->there = 1;
	return 0;
}

int
vault_takeover(struct vault *v, const uint8_t machine[ID_LEN], const uint8_t pub[SIGN_PUB_LEN], uint64_t seq,
    struct err *e)
{
	struct rec_takeover t = { .seq = seq };
	struct others o = { machine, pub, 0 };
	struct cat_machine m;
	int rc;

	if ((rc = vault_machine(v, machine, &m, e)) != 0)
		return rc < 0 ? -1 : 0;
	/* Only the newest key takes over: what an older one still sends ends nobody's token. */
	if (memcmp(m.pub, pub, SIGN_PUB_LEN) != 0)
		return 0;
	if (catalog_each(v->catalog, &cat_tokens, 0, NULL, is_other, &o, e) != 0)
		return -1;
	if (!o.there)
		return 0;
	memcpy(t.machine_id, machine, ID_LEN);
	memcpy(t.machine_pub, pub, SIGN_PUB_LEN);
	if (vault_record(v, REC_TAKEOVER, &rec_takeover_schema, &t, e) != 0)
		return -1;
	say_warn("vault %s: machine %s was taken over by a new one; the token of the old one has ended", v->desc.name, m.name);
	return 1;
}
