#include "formats/fmt_vault.h"

#include "formats/names.h"

static enum fmt_status
sizes_check(uint32_t lo, uint32_t hi)
{
	return lo > hi || (lo & (lo - 1)) != 0 || (hi & (hi - 1)) != 0 ? FMT_RANGE : FMT_OK;
}

static enum fmt_status
vault_desc_check(const void *value)
{
	const struct vault_desc *d = value;

	if (!vault_name_is_valid(d->name))
		return FMT_RANGE;
	return sizes_check(d->chunk_avg_min, d->chunk_avg_max);
}

static const struct fmt_field vault_desc_fields[] = {
	FMT_BYTES(vault_desc, vault_id),
	FMT_U32(vault_desc, generation, 1, UINT32_MAX),
	FMT_STR(vault_desc, name, 2),
	FMT_BYTES(vault_desc, sign_pub),
	FMT_BYTES(vault_desc, box_pub),
	FMT_BYTES(vault_desc, tls_pin),
	FMT_STR(vault_desc, url, 0),
	FMT_STR(vault_desc, region, 0),
	FMT_U8(vault_desc, redundancy, REDUNDANCY_LOCAL, REDUNDANCY_GEO),
	FMT_U16(vault_desc, suite, SUITE_1, SUITE_1),
	FMT_U32(vault_desc, chunk_avg_min, CHUNK_AVG_MIN, CHUNK_AVG_MAX),
	FMT_U32(vault_desc, chunk_avg_max, CHUNK_AVG_MIN, CHUNK_AVG_MAX),
	FMT_I64(vault_desc, created),
};
const struct fmt_schema vault_desc_schema = {
	"vault descriptor", "SAMVDSC\n", 1, "samara vault descriptor v1",
	sizeof(struct vault_desc), offsetof(struct vault_desc, sig),
	FMT_FIELDS(vault_desc_fields), vault_desc_check
};

static const struct fmt_field vault_key_fields[] = {
	FMT_BYTES(vault_key, vault_id),
	FMT_BYTES(vault_key, sign_seed),
	FMT_BYTES(vault_key, box_seed),
};
const struct fmt_schema vault_key_schema = {
	"vault key", "SAMVKEY\n", 1, NULL,
	sizeof(struct vault_key), 0, FMT_FIELDS(vault_key_fields), NULL
};

static const struct fmt_field vault_key_wrapped_fields[] = {
	FMT_BYTES(vault_key_wrapped, vault_id),
	FMT_U64(vault_key_wrapped, kdf_ops, KDF_OPS_MIN, KDF_OPS_MAX),
	FMT_U64(vault_key_wrapped, kdf_mem, KDF_MEM_MIN, KDF_MEM_MAX),
	FMT_BYTES(vault_key_wrapped, salt),
	FMT_BYTES(vault_key_wrapped, nonce),
	FMT_BYTES(vault_key_wrapped, wrapped),
};
const struct fmt_schema vault_key_wrapped_schema = {
	"wrapped vault key", "SAMVKWR\n", 1, NULL,
	sizeof(struct vault_key_wrapped), 0, FMT_FIELDS(vault_key_wrapped_fields), NULL
};

static enum fmt_status
credential_check(const void *value)
{
	const struct credential *c = value;

	if (!vault_name_is_valid(c->vault_name) ||
	    (c->machine_name[0] != 0 && !machine_name_is_valid(c->machine_name)))
		return FMT_RANGE;
	return sizes_check(c->chunk_avg_min, c->chunk_avg_max);
}

static const struct fmt_field credential_fields[] = {
	FMT_BYTES(credential, credential_id),
	FMT_U8(credential, purpose, PURPOSE_NEW, PURPOSE_RESTORE_ONLY),
	FMT_STR(credential, machine_name, 0),
	FMT_BYTES(credential, machine_id),
	FMT_BYTES(credential, vault_id),
	FMT_STR(credential, vault_name, 2),
	FMT_BYTES(credential, vault_pub),
	FMT_BYTES(credential, vault_box_pub),
	FMT_BYTES(credential, tls_pin),
	FMT_STR(credential, url, 0),
	FMT_U16(credential, suite, SUITE_1, SUITE_1),
	FMT_U32(credential, chunk_avg_min, CHUNK_AVG_MIN, CHUNK_AVG_MAX),
	FMT_U32(credential, chunk_avg_max, CHUNK_AVG_MIN, CHUNK_AVG_MAX),
	FMT_I64(credential, issued),
	FMT_I64(credential, use_by),
	FMT_I64(credential, arrive_by),
	FMT_BYTES(credential, secret),
};
const struct fmt_schema credential_schema = {
	"vault credential", "SAMCRED\n", 1, "samara credential v1",
	sizeof(struct credential), offsetof(struct credential, sig),
	FMT_FIELDS(credential_fields), credential_check
};

static const struct fmt_field record_fields[] = {
	FMT_BYTES(record, vault_id),
	FMT_U64(record, number, 1, UINT64_MAX),
	FMT_BYTES(record, previous),
	FMT_U16(record, type, REC_VAULT_CREATED, REC_TYPE_MAX),
	FMT_I64(record, time),
	FMT_I64(record, slow_clock),
	FMT_STR(record, actor, 0),
	FMT_BLOB(record, body, 0, RECORD_BODY_MAX),
};
const struct fmt_schema record_schema = {
	"vault record", "SAMRECD\n", 1, "samara vault record v1",
	sizeof(struct record), offsetof(struct record, sig),
	FMT_FIELDS(record_fields), NULL
};

static enum fmt_status
rec_image_check(const void *value)
{
	const struct rec_image *r = value;

	return short_name_is_valid(r->short_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field rec_image_fields[] = {
	FMT_BYTES(rec_image, image_id),
	FMT_BYTES(rec_image, machine_id),
	FMT_STR(rec_image, short_name, SHORT_LEN),
	FMT_STR(rec_image, why, 0),
	FMT_BLOB(rec_image, registration, 0, SMALL_STATEMENT_MAX * 4),
};
const struct fmt_schema rec_image_schema = {
	"record of an image", "SAMRIMG\n", 1, NULL,
	sizeof(struct rec_image), 0, FMT_FIELDS(rec_image_fields), rec_image_check
};

static const struct fmt_field rec_disk_fields[] = {
	FMT_BYTES(rec_disk, image_id),
	FMT_U32(rec_disk, disk, 1, DISKS_MAX),
	FMT_BYTES(rec_disk, statement),
	FMT_U32(rec_disk, packs_whole, 0, UINT32_MAX),
	FMT_U32(rec_disk, packs_repacked, 0, UINT32_MAX),
	FMT_U64(rec_disk, chunks_new, 0, UINT64_MAX),
	FMT_U64(rec_disk, chunks_held, 0, UINT64_MAX),
	FMT_U64(rec_disk, chunks_bad, 0, UINT64_MAX),
	FMT_U64(rec_disk, bytes_stored, 0, UINT64_MAX),
	FMT_U8(rec_disk, complete, 0, 1),
};
const struct fmt_schema rec_disk_schema = {
	"record of a disk", "SAMRDSK\n", 1, NULL,
	sizeof(struct rec_disk), 0, FMT_FIELDS(rec_disk_fields), NULL
};

static const struct fmt_field rec_damage_fields[] = {
	FMT_BYTES(rec_damage, machine_id),
	FMT_BYTES(rec_damage, pack_id),
	FMT_U32(rec_damage, copy, 0, UINT32_MAX),
	FMT_STR(rec_damage, why, 0),
	FMT_LIST(rec_damage, chunk_ids, DIGEST_LEN, 0, PACK_FRAMES_MAX),
};
const struct fmt_schema rec_damage_schema = {
	"record of damage", "SAMRDMG\n", 1, NULL,
	sizeof(struct rec_damage), 0, FMT_FIELDS(rec_damage_fields), NULL
};

static const struct fmt_field rec_loss_fields[] = {
	FMT_BYTES(rec_loss, machine_id),
	FMT_BYTES(rec_loss, image_id),
	FMT_U32(rec_loss, disk, 1, DISKS_MAX),
	FMT_BYTES(rec_loss, pack_id),
	FMT_STR(rec_loss, why, 0),
	FMT_LIST(rec_loss, chunk_ids, DIGEST_LEN, 1, PACK_FRAMES_MAX),
};
const struct fmt_schema rec_loss_schema = {
	"record of a loss", "SAMRLSS\n", 1, NULL,
	sizeof(struct rec_loss), 0, FMT_FIELDS(rec_loss_fields), NULL
};

static const struct fmt_field rec_note_fields[] = {
	FMT_BYTES(rec_note, machine_id),
	FMT_STR(rec_note, text, 0),
};
const struct fmt_schema rec_note_schema = {
	"record of a note", "SAMRNOT\n", 1, NULL,
	sizeof(struct rec_note), 0, FMT_FIELDS(rec_note_fields), NULL
};

static const struct fmt_field rec_received_fields[] = {
	FMT_BYTES(rec_received, statement),
	FMT_STR(rec_received, tracking, 0),
	FMT_BLOB(rec_received, label, 1, SMALL_STATEMENT_MAX),
};
const struct fmt_schema rec_received_schema = {
	"record of a disk received", "SAMRRCV\n", 1, NULL,
	sizeof(struct rec_received), 0, FMT_FIELDS(rec_received_fields), NULL
};

static enum fmt_status
rec_refused_check(const void *value)
{
	const struct rec_refused *r = value;

	return short_name_is_valid(r->short_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field rec_refused_fields[] = {
	FMT_BYTES(rec_refused, image_id),
	FMT_BYTES(rec_refused, machine_id),
	FMT_STR(rec_refused, short_name, SHORT_LEN),
	FMT_U32(rec_refused, disk, 1, DISKS_MAX),
	FMT_BYTES(rec_refused, label),
	FMT_STR(rec_refused, why, 0),
};
const struct fmt_schema rec_refused_schema = {
	"record of a disk refused", "SAMRREF\n", 1, NULL,
	sizeof(struct rec_refused), 0, FMT_FIELDS(rec_refused_fields), rec_refused_check
};

static const struct fmt_field custody_fields[] = {
	FMT_BYTES(custody, image_id),
	FMT_U8(custody, by_vault, 0, 1),
	FMT_BYTES(custody, signer_id),
	FMT_BYTES(custody, signer_pub),
	FMT_U32(custody, number, 1, UINT32_MAX),
	FMT_BYTES(custody, previous),
	FMT_U8(custody, event, 1, CUSTODY_EVENT_MAX - 1),
	FMT_U32(custody, disk, 0, DISKS_MAX),
	FMT_I64(custody, time),
	FMT_STR(custody, note, 0),
};
const struct fmt_schema custody_schema = {
	"custody record", "SAMCUST\n", 1, "samara custody v1",
	sizeof(struct custody), offsetof(struct custody, sig),
	FMT_FIELDS(custody_fields), NULL
};

const char *
custody_event_text(unsigned event)
{
	static const char *const text[] = {
		"?", "built", "closed", "read back", "not read back", "sealed", "sealed without a key test",
		"shipped", "received", "ingested", "repaired", "gap", "receipt", "handed off", "wiped",
		"returned", "cancelled", "lost", "reopened", "override"
	};

	return event < sizeof(text) / sizeof(text[0]) ? text[event] : "?";
}
