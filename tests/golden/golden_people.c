#include <blake3.h>
#include <sodium.h>
#include <stdlib.h>

#include "formats/armor.h"

#include "tests/golden/golden_world.h"

struct fmt_view domain_bytes, member_bytes, regist_bytes, keys_bytes;
static struct fmt_view slots_bytes;

static void
make_slot(struct slot *s)
{
	static const char pass[] = "golden passphrase of version 1";
	uint8_t kek[KEY_LEN], ad[1 + 8 + DIGEST_LEN];
	blake3_hasher h;

	memset(s, 0, sizeof(*s));
	s->type = SLOT_PASSPHRASE;
	rising(s->slot_id, sizeof(s->slot_id), 0x11);
	s->kdf_ops = KDF_OPS_MIN;
	s->kdf_mem = KDF_MEM_MIN;
	rising(s->salt, sizeof(s->salt), 0x21);
	rising(s->nonce, sizeof(s->nonce), 0x31);
	s->created = CREATED;
	memcpy(s->label, "golden", 6);
	if (crypto_pwhash(kek, KEY_LEN, pass, sizeof(pass) - 1, s->salt, s->kdf_ops, s->kdf_mem,
	    crypto_pwhash_ALG_ARGON2ID13) != 0)
		die("Argon2id");
	ad[0] = s->type;
	memcpy(ad + 1, s->slot_id, 8);
	memcpy(ad + 9, w.domain_id, DIGEST_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(s->wrapped, NULL, w.master, KEY_LEN, ad, sizeof(ad), NULL, s->nonce, kek);
	blake3_hasher_init_keyed(&h, kek);
	blake3_hasher_update(&h, "samara slot v1", 14);
	blake3_hasher_update(&h, s->slot_id, 8);
	blake3_hasher_finalize(&h, s->commitment, DIGEST_LEN);
	fprintf(vectors, "# key slot\npassphrase = %s\n", pass);
	vector("key_encryption_key", kek, KEY_LEN);
}

/* Once without, once with the authenticator at the end. */
static struct fmt_view
golden_mac(const char *name, const struct fmt_schema *s, void *value, uint8_t *mac_field, const uint8_t key[KEY_LEN],
    const uint8_t *secret)
{
	struct fmt_view v = statement(s, value, NULL);
	size_t n = v.len - DIGEST_LEN - (s->context != NULL ? SIGN_LEN : 0);

	mac(mac_field, key, v.p, n);
	return golden(name, s, value, secret);
}

static void
make_slots(void)
{
	static uint8_t list[SLOT_LEN];
	struct wr out = { .p = list, .left = sizeof(list) };
	struct slot_header h = { .generation = 1 };
	struct slot s;

	make_slot(&s);
	element_put(slot_fields, slot_nfields, &out, &s);
	memcpy(h.domain_id, w.domain_id, DIGEST_LEN);
	h.slots = view_of(list, sizeof(list));
	slots_bytes = golden_mac("slot_header", &slot_header_schema, &h, h.mac, w.slots_key, NULL);
}

void
make_machine(void)
{
	struct domain_desc d = { .suite = SUITE_1, .chunk_avg = CHUNK_AVG_DEFAULT, .created = CREATED };
	struct membership m = { .machine_name = "web1", .from_seq = 1, .made = CREATED + 1 };
	struct identity i = { .machine_name = "web1" };
	struct trust t = { .vault_name = "north", .url = "https://vault.example:8741", .last_seq = 1, .slots_generation = 1 };

	memcpy(d.domain_pub, w.domain_pub, 32);
	domain_bytes = golden("domain_desc", &domain_desc_schema, &d, w.domain_secret);
	memcpy(m.domain_pub, w.domain_pub, 32);
	memcpy(m.machine_id, w.machine_id, ID_LEN);
	memcpy(m.machine_pub, w.machine_pub, 32);
	member_bytes = golden("membership", &membership_schema, &m, w.domain_secret);
	memcpy(i.machine_id, w.machine_id, ID_LEN);
	memcpy(i.seed, w.machine_seed, KEY_LEN);
	memcpy(i.domain_id, w.domain_id, DIGEST_LEN);
	golden("identity", &identity_schema, &i, NULL);
	memcpy(t.vault_id, w.vault_id, ID_LEN);
	memcpy(t.vault_pub, w.vault_pub, 32);
	memcpy(t.vault_box_pub, w.vault_box_pub, 32);
	memcpy(t.head, w.snapshot_id, ID_LEN);
	rising(t.tls_pin, DIGEST_LEN, 0x41);
	rising(t.head_digest, DIGEST_LEN, 0x51);
	golden_mac("trust", &trust_schema, &t, t.mac, w.trust_key, NULL);
	make_slots();
}

void
make_registration(void)
{
	struct registration r = { .machine_name = "web1", .made = CREATED + 2 };
	struct disk_keys k = { .openable = 0 };
	static uint8_t letter[4096], sealed[4096 + crypto_box_SEALBYTES];
	struct wr out = { .p = letter, .left = sizeof(letter) };

	wr_bytes(&out, w.vault_id, ID_LEN);
	wr_bytes(&out, w.machine_id, ID_LEN);
	wr_bytes(&out, w.domain_id, DIGEST_LEN);
	wr_bytes(&out, slots_bytes.p, slots_bytes.len);
	crypto_box_seal(sealed, letter, (size_t)(out.p - letter), w.vault_box_pub);
	memcpy(r.credential_id, w.credential_id, ID_LEN);
	memcpy(r.vault_id, w.vault_id, ID_LEN);
	memcpy(r.machine_id, w.machine_id, ID_LEN);
	memcpy(r.machine_pub, w.machine_pub, 32);
	r.domain_desc = domain_bytes;
	r.membership = member_bytes;
	r.sealed_slots = view_of(sealed, (size_t)(out.p - letter) + crypto_box_SEALBYTES);
	regist_bytes = golden_mac("registration", &registration_schema, &r, r.mac, w.credential_secret, w.machine_secret);
	memcpy(k.vault_id, w.vault_id, ID_LEN);
	memcpy(k.machine_id, w.machine_id, ID_LEN);
	memcpy(k.domain_id, w.domain_id, DIGEST_LEN);
	k.blob = r.sealed_slots;
	keys_bytes = golden("disk_keys", &disk_keys_schema, &k, NULL);
}

static void
save_armor(const char *name, const char *what, struct fmt_view v)
{
	size_t cap = armor_size(what, v.len) + 1;
	char *text = malloc(cap);

	if (text == NULL || armor_encode(what, v.p, v.len, text, cap) != FMT_OK)
		die(name);
	save(name, text, cap - 1);
	free(text);
}

void
make_kit(void)
{
	struct kit k = { .vault_name = "north", .url = "https://vault.example:8741", .machine_name = "web1",
		.made = CREATED + 3 };

	memcpy(k.vault_id, w.vault_id, ID_LEN);
	memcpy(k.vault_pub, w.vault_pub, 32);
	memcpy(k.machine_id, w.machine_id, ID_LEN);
	memcpy(k.machine_pub, w.machine_pub, 32);
	k.domain_desc = domain_bytes;
	k.membership = member_bytes;
	k.slots = slots_bytes;
	save_armor("kit.armor", ARMOR_KIT, golden("kit", &kit_schema, &k, NULL));
}

static void
make_vault_keys(void)
{
	struct vault_key k = { 0 };
	struct vault_key_wrapped wrapped = { .kdf_ops = KDF_OPS_MIN, .kdf_mem = KDF_MEM_MIN };

	memcpy(k.vault_id, w.vault_id, ID_LEN);
	memcpy(k.sign_seed, w.vault_seed, KEY_LEN);
	memcpy(k.box_seed, w.vault_box_seed, KEY_LEN);
	golden("vault_key", &vault_key_schema, &k, NULL);
	memcpy(wrapped.vault_id, w.vault_id, ID_LEN);
	rising(wrapped.salt, sizeof(wrapped.salt), 1);
	rising(wrapped.nonce, sizeof(wrapped.nonce), 2);
	rising(wrapped.wrapped, sizeof(wrapped.wrapped), 3);
	golden("vault_key_wrapped", &vault_key_wrapped_schema, &wrapped, NULL);
}

struct fmt_view
make_vault(void)
{
	struct vault_desc d = { .generation = 1, .name = "north", .url = "https://vault.example:8741", .region = "north hall",
		.redundancy = REDUNDANCY_LOCAL, .suite = SUITE_1, .chunk_avg_min = CHUNK_AVG_MIN,
		.chunk_avg_max = CHUNK_AVG_MAX, .created = CREATED - 100 };
	struct credential c = { .purpose = PURPOSE_NEW, .machine_name = "web1", .vault_name = "north",
		.url = "https://vault.example:8741", .suite = SUITE_1, .chunk_avg_min = CHUNK_AVG_MIN,
		.chunk_avg_max = CHUNK_AVG_MAX, .issued = CREATED - 50, .use_by = CREATED - 50 + 48 * 3600,
		.arrive_by = CREATED - 50 + 90 * 86400 };

	make_vault_keys();
	memcpy(d.vault_id, w.vault_id, ID_LEN);
	memcpy(d.sign_pub, w.vault_pub, 32);
	memcpy(d.box_pub, w.vault_box_pub, 32);
	rising(d.tls_pin, DIGEST_LEN, 0x41);
	memcpy(c.credential_id, w.credential_id, ID_LEN);
	memcpy(c.vault_id, w.vault_id, ID_LEN);
	memcpy(c.vault_pub, w.vault_pub, 32);
	memcpy(c.vault_box_pub, w.vault_box_pub, 32);
	rising(c.tls_pin, DIGEST_LEN, 0x41);
	memcpy(c.secret, w.credential_secret, KEY_LEN);
	save_armor("credential.armor", ARMOR_CREDENTIAL, golden("credential", &credential_schema, &c, w.vault_secret));
	return golden("vault_desc", &vault_desc_schema, &d, w.vault_secret);
}

/* Of the receiving desk; the label is any bytes here. */
static void
make_desk_records(void)
{
	static uint8_t label[100];
	struct rec_received received = { .tracking = "DHL 00340", .label = { label, sizeof(label) } };
	struct rec_refused refused = { .short_name = "RM4K", .disk = 2, .why = "this vault does not know its machine" };

	rising(label, sizeof(label), 0x11);
	rising(received.statement, DIGEST_LEN, 0x61);
	golden("rec_received", &rec_received_schema, &received, NULL);
	memcpy(refused.image_id, w.image_id, ID_LEN);
	memcpy(refused.machine_id, w.machine_id, ID_LEN);
	rising(refused.label, DIGEST_LEN, 0x91);
	golden("rec_refused", &rec_refused_schema, &refused, NULL);
}

void
make_records(struct fmt_view desc)
{
	static uint8_t ids[2 * DIGEST_LEN];
	struct record r = { .number = 1, .type = REC_VAULT_CREATED, .time = BEGIN, .slow_clock = 5000000000,
		.actor = "root@hall", .body = desc };
	struct rec_image image = { .short_name = "RM4K", .why = "the credential had expired", .registration = regist_bytes };
	struct rec_disk disk = { .disk = 1, .packs_whole = 2, .packs_repacked = 1, .chunks_new = 3, .chunks_held = 4,
		.chunks_bad = 5, .bytes_stored = 600000, .complete = 0 };
	struct rec_loss loss = { .disk = 2, .why = "RM4K-2, pack 00000003: cut short", .chunk_ids = { ids, sizeof(ids) } };
	struct rec_damage damage = { .copy = 1, .why = "does not match its digest", .chunk_ids = { ids, sizeof(ids) } };
	struct rec_note note = { .text = "copied to paper" };

	memcpy(r.vault_id, w.vault_id, ID_LEN);
	golden("record", &record_schema, &r, w.vault_secret);
	memcpy(image.image_id, w.image_id, ID_LEN);
	memcpy(image.machine_id, w.machine_id, ID_LEN);
	golden("rec_image", &rec_image_schema, &image, NULL);
	memcpy(disk.image_id, w.image_id, ID_LEN);
	rising(disk.statement, DIGEST_LEN, 0x61);
	golden("rec_disk", &rec_disk_schema, &disk, NULL);
	rising(ids, sizeof(ids), 0x71);
	memcpy(damage.machine_id, w.machine_id, ID_LEN);
	rising(damage.pack_id, DIGEST_LEN, 0x81);
	golden("rec_damage", &rec_damage_schema, &damage, NULL);
	memcpy(loss.machine_id, w.machine_id, ID_LEN);
	memcpy(loss.image_id, w.image_id, ID_LEN);
	rising(loss.pack_id, DIGEST_LEN, 0x71);
	golden("rec_loss", &rec_loss_schema, &loss, NULL);
	memcpy(note.machine_id, w.machine_id, ID_LEN);
	golden("rec_note", &rec_note_schema, &note, NULL);
	make_desk_records();
}

struct fmt_view
make_custody(void)
{
	struct custody c = { .by_vault = 0, .number = 1, .event = CUSTODY_SEALED, .disk = 0, .time = BEGIN + 9,
		.note = "sealed on the bench" };

	memcpy(c.image_id, w.image_id, ID_LEN);
	memcpy(c.signer_id, w.machine_id, ID_LEN);
	memcpy(c.signer_pub, w.machine_pub, 32);
	return golden("custody", &custody_schema, &c, w.machine_secret);
}
