#include <string.h>

#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/crypto/domain_keys.h"
#include "common/crypto/hash.h"
#include "common/crypto/seal.h"
#include "common/crypto/slot_wrap.h"
#include "common/crypto/slots.h"

static const char *
slot_type_text(unsigned type)
{
	switch (type) {
	case SLOT_PASSPHRASE:
		return "passphrase";
	case SLOT_RECOVERY:
		return "recovery key";
	case SLOT_RECIPIENT:
		return "recipient";
	case SLOT_LOCAL:
		return "local key";
	}
	return "way of this kind";
}

/* The key-encryption key that ${how} gives for slot ${s}. */
static int
slot_kek(const struct slot *s, const struct slot_secret *how, uint8_t kek[KEY_LEN], struct err *e)
{
	if (s->type == SLOT_PASSPHRASE)
		return passphrase_stretch(how->pass, how->pass_len, s->salt, s->kdf_ops, s->kdf_mem, kek, e);
	memcpy(kek, how->key, KEY_LEN);
	return 0;
}

/* 1 if ${kek} is the key of slot ${s}, 0 if not, -1 if it is and the slot is damaged all the same. */
static int
slot_unwrap(const struct slot *s, const uint8_t kek[KEY_LEN], const uint8_t domain_id[DIGEST_LEN],
    uint8_t master[KEY_LEN])
{
	uint8_t commitment[DIGEST_LEN], ad[SLOT_AD_LEN];

	slot_commitment(s, kek, commitment);
	if (!secret_equal(commitment, s->commitment, DIGEST_LEN))
		return 0;
	slot_ad(s, domain_id, ad);
	return seal_open(kek, s->nonce, ad, sizeof(ad), s->wrapped, WRAPPED_LEN, master) == 0 ? 1 : -1;
}

/* 0 if the whole header is one of ${master}'s own. */
static int
header_check(const struct slot_header *h, const uint8_t *in, size_t len, const uint8_t master[KEY_LEN])
{
	struct domain_keys *k = domain_keys_new(master);
	uint8_t mac[DIGEST_LEN];
	int same;

	mac_once(k->slots, in, len - DIGEST_LEN, mac);
	same = secret_equal(mac, h->mac, DIGEST_LEN) & secret_equal(k->domain_id, h->domain_id, DIGEST_LEN);
	domain_keys_free(k);
	return same ? 0 : -1;
}

/* Find the slot that ${how} opens: 0 with ${master} (unchecked), else -1. */
static int
slots_try(const struct slot_header *h, const struct slot_secret *how, uint8_t master[KEY_LEN], struct err *e)
{
	size_t n = list_count(h->slots, SLOT_LEN), tried = 0;
	uint8_t *kek = secret_new(KEY_LEN);
	struct slot s;
	int found = 0, rc = 0;

	for (size_t i = 0; i < n && found == 0 && rc == 0; i++) {
		if (element_get(slot_fields, slot_nfields, h->slots, i, &s) != FMT_OK || s.type != how->type)
			continue;
		tried++;
		if ((rc = slot_kek(&s, how, kek, e)) == 0)
			found = slot_unwrap(&s, kek, h->domain_id, master);
	}
	secret_free(kek);
	if (rc != 0 || found == 1)
		return rc;
	if (found == -1)
		return err_set(e, ERR_SLOTS, "key slots: the slot that this %s opens is damaged", slot_type_text(how->type));
	if (tried == 0)
		return err_set(e, ERR_SLOTS, "key slots: there is none for a %s among %zu", slot_type_text(how->type), n);
	return err_set(e, ERR_PASSPHRASE, "key slots: this %s opens none of %zu", slot_type_text(how->type), tried);
}

int
slots_open(const uint8_t *in, size_t len, const uint8_t *domain_id, const struct slot_secret *how,
    uint8_t master[KEY_LEN], uint32_t *generation, struct err *e)
{
	struct slot_header h;
	enum fmt_status st = schema_decode(&slot_header_schema, &h, in, len);

	memset(master, 0, KEY_LEN);
	*generation = 0;
	if (st != FMT_OK)
		return err_set(e, ERR_SLOTS, "key slots: %s", fmt_status_text(st));
	if (domain_id != NULL && memcmp(domain_id, h.domain_id, DIGEST_LEN) != 0)
		return err_set(e, ERR_SLOTS, "key slots: they belong to another key domain");
	if (how->type == SLOT_RECIPIENT || (how->type == SLOT_PASSPHRASE ? how->pass == NULL : how->key == NULL))
		return err_set(e, ERR_SLOTS, "key slots: there is no way to open one for a %s", slot_type_text(how->type));
	if (slots_try(&h, how, master, e) != 0)
		goto fail;
	if (header_check(&h, in, len, master) != 0) {
		err_set(e, ERR_SLOTS, "key slots: they were changed after they were made");
		goto fail;
	}
	*generation = h.generation;
	return 0;
fail:
	secret_wipe(master, KEY_LEN);
	return -1;
}
