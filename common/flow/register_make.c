/* Everything that a registration consists of, made in memory. */

#include <string.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/crypto/letter.h"
#include "common/crypto/sign.h"
#include "common/crypto/slots.h"
#include "common/flow/registering.h"
#include "common/flow/state.h"

#define SLOT_LABEL	"passphrase"
#define LOCAL_LABEL	"this machine"

/* A machine's id and key, and a key domain of its own. */
static int
identity_make(struct registering *r, struct err *e)
{
	uint8_t *master, pub[SIGN_PUB_LEN];
	enum fmt_status st;

	if (r->o->old_kit != NULL) {
		if (register_old_open(r, e) != 0 || register_head(r, e) != 0)
			return -1;
	} else {
		master = secret_new(KEY_LEN);
		io_random(master, KEY_LEN);
		r->keys = domain_keys_new(master);
		secret_free(master);
	}
	r->id = secret_new(sizeof(*r->id));
	r->sign_secret = secret_new(SIGN_SECRET_LEN);
	r->identity = secret_new(IDENTITY_MAX);
	if (r->old != NULL)
		memcpy(r->id->machine_id, r->old->machine_id, ID_LEN);
	else
		io_random(r->id->machine_id, ID_LEN);
	io_random(r->id->seed, KEY_LEN);
	memcpy(r->id->machine_name, r->machine_name, sizeof(r->machine_name));
	memcpy(r->id->domain_id, r->keys->domain_id, DIGEST_LEN);
	sign_keys(r->id->seed, pub, r->sign_secret);
	st = schema_encode(&identity_schema, r->id, r->identity, IDENTITY_MAX, &r->identity_len);
	return st == FMT_OK ? 0 : err_set(e, ERR_INTERNAL, "make an identity: %s", fmt_status_text(st));
}

static void
machine_pub(const struct registering *r, uint8_t pub[SIGN_PUB_LEN])
{
	memcpy(pub, r->sign_secret + SIGN_SECRET_LEN - SIGN_PUB_LEN, SIGN_PUB_LEN);	/* Ed25519: seed | public key */
}

static int
domain_make(struct registering *r, struct err *e)
{
	struct domain_desc d = { .suite = SUITE_1, .chunk_avg = r->chunk_avg, .created = io_now() };
	struct membership m = { .from_seq = r->head_seq + 1, .made = d.created };

	if (r->old != NULL)
		d = r->old->domain;	/* the domain is what it was */

	memcpy(d.domain_pub, r->keys->domain_pub, SIGN_PUB_LEN);
	memcpy(m.domain_pub, r->keys->domain_pub, SIGN_PUB_LEN);
	memcpy(m.machine_id, r->id->machine_id, ID_LEN);
	memcpy(m.machine_name, r->machine_name, sizeof(m.machine_name));
	machine_pub(r, m.machine_pub);
	/* Ed25519 signs the same bytes the same way: an old domain's statement comes out as it was. */
	if (statement_make(&domain_desc_schema, &d, r->keys->sign_secret, &r->domain, e) != 0)
		return -1;
	return statement_make(&membership_schema, &m, r->keys->sign_secret, &r->member, e);
}

/* The slots of the passphrase and, unless it is not wanted, of a key that stays on the machine. */
static int
slots_both_make(struct registering *r, struct err *e)
{
	const struct domain_keys *k = r->keys;
	struct slot s;

	if (slot_make_passphrase(&s, k->master, r->pass.text, r->pass.len, SLOT_LABEL, e) != 0 ||
	    slots_make(&s, 1, 1, k->domain_id, k->slots, &r->slots, e) != 0)
		return -1;
	if (r->o->ask_always)
		return 0;
	r->local_key = secret_new(KEY_LEN);
	io_random(r->local_key, KEY_LEN);
	slot_make_key(&s, SLOT_LOCAL, k->master, r->local_key, LOCAL_LABEL);
	return slots_make(&s, 1, 1, k->domain_id, k->slots, &r->local, e);
}

/* Vault, machine and domain id and the slots, for the vault alone. */
static int
letter_make(const struct registering *r, struct buf *letter, struct err *e)
{
	const struct credential *c = r->cred.c;
	struct buf text;
	int rc;

	buf_init(&text);
	buf_add(&text, c->vault_id, ID_LEN);
	buf_add(&text, r->id->machine_id, ID_LEN);
	buf_add(&text, r->keys->domain_id, DIGEST_LEN);
	buf_add(&text, r->slots.p, r->slots.len);
	if ((rc = buf_check(&text, e)) == 0)
		rc = letter_seal(c->vault_box_pub, text.p, text.len, letter, e);
	buf_release(&text);
	return rc;
}

static struct fmt_view
view_of(const struct buf *b)
{
	return (struct fmt_view){ .p = b->p, .len = (uint32_t)b->len };
}

/* Fill in the authenticator: under the credential's secret, over everything before it. */
static int
registration_mac(const struct registering *r, struct registration *g, struct err *e)
{
	struct buf bytes;
	int rc;

	buf_init(&bytes);
	if ((rc = statement_make(&registration_schema, g, r->sign_secret, &bytes, e)) == 0)
		mac_once(r->cred.c->secret, bytes.p, bytes.len - SIGN_LEN - DIGEST_LEN, g->mac);
	buf_release(&bytes);
	return rc;
}

static int
registration_make(struct registering *r, struct err *e)
{
	struct registration g = { .made = io_now(), .domain_desc = view_of(&r->domain), .membership = view_of(&r->member) };
	struct buf letter;
	int rc = -1;

	buf_init(&letter);
	memcpy(g.credential_id, r->cred.c->credential_id, ID_LEN);
	memcpy(g.vault_id, r->cred.c->vault_id, ID_LEN);
	memcpy(g.machine_id, r->id->machine_id, ID_LEN);
	memcpy(g.machine_name, r->machine_name, sizeof(g.machine_name));
	machine_pub(r, g.machine_pub);
	if (letter_make(r, &letter, e) == 0) {
		g.sealed_slots = view_of(&letter);
		if (registration_mac(r, &g, e) == 0)
			rc = statement_make(&registration_schema, &g, r->sign_secret, &r->regist, e);
	}
	buf_release(&letter);
	return rc;
}

static int
trust_first(struct registering *r, struct err *e)
{
	const struct credential *c = r->cred.c;
	struct trust t = { .slots_generation = 1, .last_seq = r->head_seq };

	memcpy(t.vault_id, c->vault_id, ID_LEN);
	memcpy(t.vault_name, c->vault_name, sizeof(t.vault_name));
	memcpy(t.vault_pub, c->vault_pub, SIGN_PUB_LEN);
	memcpy(t.vault_box_pub, c->vault_box_pub, BOX_PUB_LEN);
	memcpy(t.tls_pin, c->tls_pin, DIGEST_LEN);
	memcpy(t.url, c->url, sizeof(t.url));
	memcpy(t.head, r->head_id, ID_LEN);
	memcpy(t.head_digest, r->head, DIGEST_LEN);
	return trust_make(&t, r->keys, &r->trust, e);
}

int
register_make(struct registering *r, struct err *e)
{
	if (identity_make(r, e) != 0 || domain_make(r, e) != 0 || slots_both_make(r, e) != 0 ||
	    registration_make(r, e) != 0 || trust_first(r, e) != 0)
		return err_during(e, "register %s", r->machine_name);
	return 0;
}
