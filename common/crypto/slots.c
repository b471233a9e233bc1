#include <sodium.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/domain_keys.h"
#include "common/crypto/hash.h"
#include "common/crypto/seal.h"
#include "common/crypto/slot_wrap.h"
#include "common/crypto/slots.h"

/* Opening is in slots_open.c, so that a program that never opens a slot does not carry the means to. */

static void
slot_start(struct slot *s, unsigned type, const char *label)
{
	memset(s, 0, sizeof(*s));
	s->type = (uint8_t)type;
	io_random(s->slot_id, sizeof(s->slot_id));
	io_random(s->nonce, sizeof(s->nonce));
	s->created = io_now();
	if (label != NULL)
		memcpy(s->label, label, strnlen(label, sizeof(s->label)));
}

static void
slot_wrap(struct slot *s, const uint8_t master[KEY_LEN], const uint8_t kek[KEY_LEN])
{
	struct domain_keys *k = domain_keys_new(master);
	uint8_t ad[SLOT_AD_LEN];

	slot_ad(s, k->domain_id, ad);
	slot_commitment(s, kek, s->commitment);
	seal_make(kek, s->nonce, ad, sizeof(ad), master, KEY_LEN, s->wrapped);
	domain_keys_free(k);
}

int
slot_make_passphrase(struct slot *s, const uint8_t master[KEY_LEN], const char *pass, size_t len, const char *label,
    struct err *e)
{
	uint8_t *kek = secret_new(KEY_LEN);
	int rc;

	slot_start(s, SLOT_PASSPHRASE, label);
	s->kdf_ops = crypto_pwhash_argon2id_OPSLIMIT_MODERATE;
	s->kdf_mem = crypto_pwhash_argon2id_MEMLIMIT_MODERATE;
	io_random(s->salt, sizeof(s->salt));
	if ((rc = passphrase_stretch(pass, len, s->salt, s->kdf_ops, s->kdf_mem, kek, e)) == 0)
		slot_wrap(s, master, kek);
	secret_free(kek);
	return rc;
}

void
slot_make_key(struct slot *s, unsigned type, const uint8_t master[KEY_LEN], const uint8_t key[KEY_LEN], const char *label)
{
	slot_start(s, type, label);
	slot_wrap(s, master, key);
}

int
slots_make(const struct slot *slots, size_t n, uint32_t generation, const uint8_t domain_id[DIGEST_LEN],
    const uint8_t header_key[KEY_LEN], struct buf *out, struct err *e)
{
	struct slot_header h = { .generation = generation };
	uint8_t list[SLOTS_MAX * SLOT_LEN], *at;
	struct wr w = { .p = list, .left = sizeof(list) };
	size_t cap, len;

	for (size_t i = 0; i < n; i++)
		element_put(slot_fields, slot_nfields, &w, &slots[i]);
	memcpy(h.domain_id, domain_id, DIGEST_LEN);
	h.slots = (struct fmt_view){ .p = list, .len = (uint32_t)(sizeof(list) - w.left) };
	cap = schema_size(&slot_header_schema, &h);
	if (w.bad || cap == 0)
		return err_set(e, ERR_INTERNAL, "make key slots: %zu slots of generation %u are not encodable", n,
		    generation);
	if ((at = buf_room(out, cap)) == NULL)
		return buf_check(out, e);
	if (schema_encode(&slot_header_schema, &h, at, cap, &len) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "make key slots: they do not fit their own size");
	mac_once(header_key, at, len - DIGEST_LEN, at + len - DIGEST_LEN);
	buf_grew(out, len);
	return 0;
}
