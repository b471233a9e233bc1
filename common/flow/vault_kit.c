#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/crypto/letter.h"
#include "common/crypto/sign.h"
#include "common/flow/keyring.h"
#include "common/flow/vault_claim.h"
#include "common/store/store.h"
#include "common/store/vault_names.h"
#include "formats/fmt_disk.h"

#define LETTER_HEAD	(2 * ID_LEN + DIGEST_LEN)	/* vault, machine and domain id before the slots */
#define PART_MAX	(SMALL_STATEMENT_MAX * 4)

/* What the vault keeps of a machine: the newest of each, as bytes. */
struct kept {
	uint8_t *domain, *member, *regist, *slots;
	size_t domain_len, member_len, regist_len, slots_len;
};

static int
newest(void *arg, const char *name, uint64_t len, struct err *e)
{
	uint32_t n = vault_name_number(name), *top = arg;

	(void)len;
	(void)e;
	if (n > *top)
		*top = n;
	return 0;
}

int
vault_keys_newest(struct vault *v, const uint8_t machine[ID_LEN], const char *what, uint8_t **out, size_t *len, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint32_t top = 0;

	vault_name_keys_prefix(name, machine, what);
	if (v->store->ops->list(v->store, name, "", newest, &top, e) != 0)
		return -1;
	if (top == 0)
		return 1;
	vault_name_keys(name, machine, what, top);
	return store_read(v->store, name, PART_MAX, out, len, e);
}

int
vault_keys_older(struct vault *v, const uint8_t machine[ID_LEN], const char *what, struct buf *out, struct err *e)
{
	char name[VAULT_NAME_MAX];
	uint32_t top = 0;
	uint8_t *bytes;
	size_t len;
	int rc;

	vault_name_keys_prefix(name, machine, what);
	if (v->store->ops->list(v->store, name, "", newest, &top, e) != 0)
		return -1;
	for (uint32_t n = 1; n < top; n++) {
		struct err own;

		err_clear(&own);
		vault_name_keys(name, machine, what, n);
		if ((rc = store_read(v->store, name, PART_MAX, &bytes, &len, &own)) != 0) {
			if (own.code == ERR_NOT_FOUND)
				continue;
			*e = own;
			return -1;
		}
		buf_u32(out, (uint32_t)len);
		buf_add(out, bytes, len);
		free(bytes);
	}
	return buf_check(out, e);
}

/* Open the letter to the vault; what is inside must be of this machine. */
static int
letter_take(struct vault *v, const struct cat_machine *m, const uint8_t *in, size_t len, struct buf *slots, struct err *e)
{
	struct buf inside;
	int rc;

	buf_init(&inside);
	if ((rc = letter_open(v->key->box_seed, in, len, &inside, e)) == 0) {
		if (inside.len <= LETTER_HEAD || memcmp(inside.p, v->desc.vault_id, ID_LEN) != 0 ||
		    memcmp(inside.p + ID_LEN, m->id, ID_LEN) != 0 ||
		    memcmp(inside.p + 2 * ID_LEN, m->domain_id, DIGEST_LEN) != 0)
			rc = err_set(e, ERR_DAMAGE, "the sealed slots are of another machine or vault");
		else
			buf_add(slots, inside.p + LETTER_HEAD, inside.len - LETTER_HEAD);
	}
	buf_release(&inside);
	return rc == 0 ? buf_check(slots, e) : rc;
}

/* The slot header: from the newest keys/…/slots, else from the registration. */
static int
slots_take(struct vault *v, const struct cat_machine *m, const struct kept *k, struct buf *slots, struct err *e)
{
	struct registration g;
	struct disk_keys d;

	if (k->slots != NULL && schema_decode(&disk_keys_schema, &d, k->slots, k->slots_len) == FMT_OK) {
		struct slot_header h;

		if (d.openable && schema_decode(&slot_header_schema, &h, d.blob.p, d.blob.len) == FMT_OK &&
		    memcmp(h.domain_id, m->domain_id, DIGEST_LEN) == 0) {
			buf_add(slots, d.blob.p, d.blob.len);
			return buf_check(slots, e);
		}
		/* Nobody signs what stands beside the registration on a disk: it counts only where it is what it should be. */
		if (!d.openable && letter_take(v, m, d.blob.p, d.blob.len, slots, NULL) == 0)
			return 0;
		buf_reset(slots);
	}
	if (k->regist == NULL || schema_decode(&registration_schema, &g, k->regist, k->regist_len) != FMT_OK)
		return err_set(e, ERR_NOT_FOUND, "the vault keeps no key slots of machine %s", m->name);
	return letter_take(v, m, g.sealed_slots.p, g.sealed_slots.len, slots, e);
}

static int
kit_make(struct vault *v, const struct cat_machine *m, const struct kept *k, struct buf *out, struct err *e)
{
	struct kit kit = { .made = io_now() };
	struct slot_header h;
	struct buf slots;
	int rc;

	buf_init(&slots);
	if ((rc = slots_take(v, m, k, &slots, e)) == 0 && schema_decode(&slot_header_schema, &h, slots.p, slots.len) != FMT_OK)
		rc = err_set(e, ERR_SLOTS, "the key slots of machine %s cannot be read", m->name);
	if (rc == 0) {
		memcpy(kit.vault_name, v->desc.name, sizeof(kit.vault_name));
		memcpy(kit.vault_id, v->desc.vault_id, ID_LEN);
		memcpy(kit.vault_pub, v->desc.sign_pub, SIGN_PUB_LEN);
		memcpy(kit.url, v->desc.url, sizeof(kit.url));
		memcpy(kit.machine_name, m->name, sizeof(kit.machine_name));
		memcpy(kit.machine_id, m->id, ID_LEN);
		memcpy(kit.machine_pub, m->pub, SIGN_PUB_LEN);
		kit.domain_desc = (struct fmt_view){ k->domain, (uint32_t)k->domain_len };
		kit.membership = (struct fmt_view){ k->member, (uint32_t)k->member_len };
		kit.slots = (struct fmt_view){ slots.p, (uint32_t)slots.len };
		rc = kit_text(&kit, out, e);
	}
	buf_release(&slots);
	return rc;
}

static int
reading_record(struct vault *v, const struct cat_machine *m, struct err *e)
{
	struct rec_note n = { { 0 }, "" };

	memcpy(n.machine_id, m->id, ID_LEN);
	(void)snprintf(n.text, sizeof(n.text), "kit of %.200s", m->name);
	if (vault_begin(v, e) != 0)
		return -1;
	if (vault_record(v, REC_KIT_READ, &rec_note_schema, &n, e) == 0)
		return vault_commit(v, e);
	vault_rollback(v);
	return -1;
}

int
vault_kit(struct vault *v, const struct cat_machine *m, struct buf *out, struct err *e)
{
	struct kept k = { .domain = NULL };
	int rc = -1;

	if (vault_keys_newest(v, m->id, "slots", &k.slots, &k.slots_len, e) < 0 ||
	    vault_keys_newest(v, m->id, "regist", &k.regist, &k.regist_len, e) < 0)
		goto free;
	if (vault_keys_newest(v, m->id, "domain", &k.domain, &k.domain_len, e) != 0 ||
	    vault_keys_newest(v, m->id, "member", &k.member, &k.member_len, e) != 0) {
		if (e != NULL && e->code == ERR_NONE)
			(void)err_set(e, ERR_NOT_FOUND, "the vault does not keep the domain and membership of machine %s", m->name);
		goto free;
	}
	/* The reading is recorded before anything is given out. */
	if (reading_record(v, m, e) == 0)
		rc = kit_make(v, m, &k, out, e);
free:
	free(k.domain);
	free(k.member);
	free(k.regist);
	free(k.slots);
	return rc;
}
