#include "formats/fmt_machine.h"

#include "formats/names.h"

static enum fmt_status
domain_desc_check(const void *value)
{
	const struct domain_desc *d = value;

	if ((d->chunk_avg & (d->chunk_avg - 1)) != 0)
		return FMT_RANGE;
	return FMT_OK;
}

static const struct fmt_field domain_desc_fields[] = {
	FMT_BYTES(domain_desc, domain_pub),
	FMT_U16(domain_desc, suite, SUITE_1, SUITE_1),
	FMT_U32(domain_desc, chunk_avg, CHUNK_AVG_MIN, CHUNK_AVG_MAX),
	FMT_I64(domain_desc, created),
};
const struct fmt_schema domain_desc_schema = {
	"domain descriptor", "SAMDOMN\n", 1, "samara domain descriptor v1",
	sizeof(struct domain_desc), offsetof(struct domain_desc, sig),
	FMT_FIELDS(domain_desc_fields), domain_desc_check
};

static enum fmt_status
membership_check(const void *value)
{
	const struct membership *m = value;

	return machine_name_is_valid(m->machine_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field membership_fields[] = {
	FMT_BYTES(membership, domain_pub),
	FMT_BYTES(membership, machine_id),
	FMT_STR(membership, machine_name, 2),
	FMT_BYTES(membership, machine_pub),
	FMT_U64(membership, from_seq, 1, UINT64_MAX),
	FMT_I64(membership, made),
};
const struct fmt_schema membership_schema = {
	"membership", "SAMMEMB\n", 1, "samara membership v1",
	sizeof(struct membership), offsetof(struct membership, sig),
	FMT_FIELDS(membership_fields), membership_check
};

static enum fmt_status
identity_check(const void *value)
{
	const struct identity *i = value;

	return machine_name_is_valid(i->machine_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field identity_fields[] = {
	FMT_BYTES(identity, machine_id),
	FMT_STR(identity, machine_name, 2),
	FMT_BYTES(identity, seed),
	FMT_BYTES(identity, domain_id),
};
const struct fmt_schema identity_schema = {
	"machine identity", "SAMIDEN\n", 1, NULL,
	sizeof(struct identity), 0, FMT_FIELDS(identity_fields), identity_check
};

const struct fmt_field slot_fields[] = {
	FMT_U8(slot, type, SLOT_PASSPHRASE, SLOT_LOCAL),
	FMT_BYTES(slot, slot_id),
	FMT_U64(slot, kdf_ops, 0, KDF_OPS_MAX),
	FMT_U64(slot, kdf_mem, 0, KDF_MEM_MAX),
	FMT_BYTES(slot, salt),
	FMT_BYTES(slot, public_key),
	FMT_BYTES(slot, nonce),
	FMT_BYTES(slot, wrapped),
	FMT_BYTES(slot, commitment),
	FMT_I64(slot, created),
	FMT_BYTES(slot, label),
};
const size_t slot_nfields = sizeof(slot_fields) / sizeof(slot_fields[0]);

static enum fmt_status
slot_header_check(const void *value)
{
	const struct slot_header *h = value;
	struct slot s;
	enum fmt_status st;

	for (size_t i = 0; i < list_count(h->slots, SLOT_LEN); i++) {
		if ((st = element_get(slot_fields, slot_nfields, h->slots, i, &s)) != FMT_OK)
			return st;
		if (s.type == SLOT_PASSPHRASE && (s.kdf_ops < KDF_OPS_MIN || s.kdf_mem < KDF_MEM_MIN))
			return FMT_RANGE;
	}
	return FMT_OK;
}

static const struct fmt_field slot_header_fields[] = {
	FMT_BYTES(slot_header, domain_id),
	FMT_U32(slot_header, generation, 1, UINT32_MAX),
	FMT_LIST(slot_header, slots, SLOT_LEN, 1, SLOTS_MAX),
	FMT_BYTES(slot_header, mac),
};
const struct fmt_schema slot_header_schema = {
	"key slots", "SAMSLOT\n", 1, NULL,
	sizeof(struct slot_header), 0, FMT_FIELDS(slot_header_fields), slot_header_check
};

static enum fmt_status
registration_check(const void *value)
{
	const struct registration *r = value;

	return machine_name_is_valid(r->machine_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field registration_fields[] = {
	FMT_BYTES(registration, credential_id),
	FMT_BYTES(registration, vault_id),
	FMT_BYTES(registration, machine_id),
	FMT_STR(registration, machine_name, 2),
	FMT_BYTES(registration, machine_pub),
	FMT_BLOB(registration, domain_desc, 1, SMALL_STATEMENT_MAX),
	FMT_BLOB(registration, membership, 1, SMALL_STATEMENT_MAX),
	FMT_BLOB(registration, sealed_slots, 1, SMALL_STATEMENT_MAX),
	FMT_I64(registration, made),
	FMT_BYTES(registration, mac),
};
const struct fmt_schema registration_schema = {
	"registration", "SAMREGI\n", 1, "samara registration v1",
	sizeof(struct registration), offsetof(struct registration, sig),
	FMT_FIELDS(registration_fields), registration_check
};

static enum fmt_status
kit_check(const void *value)
{
	const struct kit *k = value;

	return vault_name_is_valid(k->vault_name) && machine_name_is_valid(k->machine_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field kit_fields[] = {
	FMT_STR(kit, vault_name, 2),
	FMT_BYTES(kit, vault_id),
	FMT_BYTES(kit, vault_pub),
	FMT_STR(kit, url, 0),
	FMT_STR(kit, machine_name, 2),
	FMT_BYTES(kit, machine_id),
	FMT_BYTES(kit, machine_pub),
	FMT_BLOB(kit, domain_desc, 1, SMALL_STATEMENT_MAX),
	FMT_BLOB(kit, membership, 1, SMALL_STATEMENT_MAX),
	FMT_BLOB(kit, slots, 1, SMALL_STATEMENT_MAX),
	FMT_I64(kit, made),
};
const struct fmt_schema kit_schema = {
	"recovery kit", "SAMKIT1\n", 1, NULL,
	sizeof(struct kit), 0, FMT_FIELDS(kit_fields), kit_check
};

static enum fmt_status
trust_check(const void *value)
{
	const struct trust *t = value;

	return vault_name_is_valid(t->vault_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field trust_fields[] = {
	FMT_BYTES(trust, vault_id),
	FMT_STR(trust, vault_name, 2),
	FMT_BYTES(trust, vault_pub),
	FMT_BYTES(trust, vault_box_pub),
	FMT_BYTES(trust, tls_pin),
	FMT_STR(trust, url, 0),
	FMT_U64(trust, last_seq, 0, UINT64_MAX),
	FMT_BYTES(trust, head),
	FMT_BYTES(trust, head_digest),
	FMT_U64(trust, receipt_number, 0, UINT64_MAX),
	FMT_U32(trust, slots_generation, 0, UINT32_MAX),
	FMT_BYTES(trust, mac),
};
const struct fmt_schema trust_schema = {
	"trust state", "SAMTRST\n", 1, NULL,
	sizeof(struct trust), 0, FMT_FIELDS(trust_fields), trust_check
};
