#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/sign.h"
#include "common/crypto/slots.h"
#include "common/flow/keyring.h"
#include "formats/armor.h"

/* A keyring of ${keys}, which it takes over, and of what ${s} knows. */
static struct keyring *
keyring_of_state(struct state *s, struct domain_keys *keys, struct err *e)
{
	struct keyring *k;

	if (keys == NULL)
		return NULL;
	if ((k = calloc(1, sizeof(*k))) == NULL) {
		(void)err_errno(e, "keys of %s", s->id.machine_name);
		domain_keys_free(keys);
		return NULL;
	}
	k->keys = keys;
	memcpy(k->machine_id, s->id.machine_id, ID_LEN);
	memcpy(k->machine_name, s->id.machine_name, sizeof(k->machine_name));
	memcpy(k->machine_pub, s->machine_pub, SIGN_PUB_LEN);
	k->domain = s->domain;
	k->member = s->member;
	memcpy(k->vault_id, s->trust.vault_id, ID_LEN);
	memcpy(k->vault_name, s->trust.vault_name, sizeof(k->vault_name));
	memcpy(k->vault_pub, s->trust.vault_pub, SIGN_PUB_LEN);
	return k;
}

struct keyring *
keyring_from_state(struct state *s, struct err *e)
{
	return keyring_of_state(s, state_keys(s, e), e);
}

struct keyring *
keyring_from_state_with(struct state *s, const struct slot_secret *how, struct err *e)
{
	return keyring_of_state(s, state_keys_with(s, how, e), e);
}

/* The master key in the kit's slots, and all that is derived from it. */
static struct domain_keys *
kit_keys(const struct kit *kit, const struct slot_secret *how, struct err *e)
{
	uint8_t *master = secret_new(KEY_LEN);
	struct domain_keys *keys = NULL;
	uint32_t generation;

	if (slots_open(kit->slots.p, kit->slots.len, NULL, how, master, &generation, e) == 0)
		keys = domain_keys_new(master);
	secret_free(master);
	return keys;
}

/* Descriptor and membership of the kit, believed by the key that its slots gave. */
static int
kit_believe(struct keyring *k, const struct kit *kit, struct err *e)
{
	const uint8_t *pub = k->keys->domain_pub;

	if (statement_open(&domain_desc_schema, &k->domain, kit->domain_desc.p, kit->domain_desc.len, pub, e) != 0 ||
	    statement_open(&membership_schema, &k->member, kit->membership.p, kit->membership.len, pub, e) != 0) {
		if (e != NULL && e->code != ERR_VERSION)
			e->code = ERR_KIT;
		return -1;
	}
	memcpy(k->machine_id, kit->machine_id, ID_LEN);
	memcpy(k->machine_name, kit->machine_name, sizeof(k->machine_name));
	memcpy(k->machine_pub, kit->machine_pub, SIGN_PUB_LEN);
	memcpy(k->vault_id, kit->vault_id, ID_LEN);
	memcpy(k->vault_name, kit->vault_name, sizeof(k->vault_name));
	memcpy(k->vault_pub, kit->vault_pub, SIGN_PUB_LEN);
	return 0;
}

struct keyring *
keyring_from_kit(const char *path, const char *pass, size_t len, struct err *e)
{
	const struct slot_secret how = { .type = SLOT_PASSPHRASE, .pass = pass, .pass_len = len };
	uint8_t *text, *bytes = NULL;
	struct keyring *k = NULL;
	struct kit kit;
	size_t n;

	if (file_read(AT_FDCWD, path, ARMOR_TEXT_MAX, &text, &n, e) != 0) {
		if (e != NULL && e->code == ERR_FORMAT)
			e->code = ERR_KIT;
		return NULL;
	}
	if (kit_from_text((const char *)text, n, &bytes, &kit, e) != 0)
		goto fail;
	if ((k = calloc(1, sizeof(*k))) == NULL) {
		(void)err_errno(e, "recovery kit");
		goto fail;
	}
	if ((k->keys = kit_keys(&kit, &how, e)) == NULL || kit_believe(k, &kit, e) != 0)
		goto fail;
	free(bytes);
	free(text);
	return k;
fail:
	(void)err_during(e, "%s", path);
	keyring_free(k);
	free(bytes);
	free(text);
	return NULL;
}

void
keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	domain_keys_free(k->keys);
	free(k);
}
