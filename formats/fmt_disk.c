#include "formats/fmt_disk.h"

#include "formats/names.h"

static enum fmt_status
label_check(const void *value)
{
	const struct label *l = value;

	return short_name_is_valid(l->short_name) && vault_name_is_valid(l->vault_name) &&
	    machine_name_is_valid(l->machine_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field label_fields[] = {
	FMT_BYTES(label, image_id),
	FMT_STR(label, short_name, SHORT_LEN),
	FMT_U32(label, disk, 1, DISKS_MAX),
	FMT_BYTES(label, vault_id),
	FMT_STR(label, vault_name, 2),
	FMT_BYTES(label, machine_id),
	FMT_STR(label, machine_name, 2),
	FMT_BYTES(label, machine_pub),
	FMT_BYTES(label, domain_id),
	FMT_U16(label, format, FORMAT_VERSION, FORMAT_VERSION),
	FMT_U16(label, suite, SUITE_1, SUITE_1),
	FMT_STR(label, fs_type, 0),
	FMT_BYTES(label, fs_id),
	FMT_I64(label, created),
};
const struct fmt_schema label_schema = {
	"label", "SAMLABL\n", 1, "samara label v1",
	sizeof(struct label), offsetof(struct label, sig), FMT_FIELDS(label_fields), label_check
};

int
label_is_export(const struct label *l)
{
	return memcmp(l->machine_id, l->vault_id, ID_LEN) == 0;
}

static const char index_magic[8] = { 'S', 'A', 'M', 'D', 'I', 'D', 'X', '\n' };

enum fmt_status
index_part_decode(struct index_part *h, const uint8_t *in, size_t len)
{
	struct rd r = { .p = in, .left = len };
	const uint8_t *m = rd_bytes(&r, 8);
	uint16_t version = rd_u16(&r);
	uint16_t part = rd_u16(&r);
	uint32_t zero = rd_u32(&r);
	const uint8_t *image = rd_bytes(&r, ID_LEN);
	uint32_t disk = rd_u32(&r);
	uint64_t n = rd_u64(&r);

	memset(h, 0, sizeof(*h));
	if (r.bad)
		return FMT_SHORT;
	if (memcmp(m, index_magic, 8) != 0)
		return FMT_MAGIC;
	if (version != 1)
		return FMT_VERSION;
	if (zero != 0 || part >= PARTS_MAX || disk == 0 || disk > DISKS_MAX || n > PART_LEN_MAX)
		return FMT_RANGE;
	h->part = part;
	memcpy(h->image_id, image, ID_LEN);
	h->disk = disk;
	h->payload_len = n;
	return FMT_OK;
}

void
index_part_encode(const struct index_part *h, uint8_t out[INDEX_PART_HEAD_LEN])
{
	struct wr w = { .p = out, .left = INDEX_PART_HEAD_LEN };

	wr_bytes(&w, index_magic, 8);
	wr_u16(&w, 1);
	wr_u16(&w, h->part);
	wr_u32(&w, 0);
	wr_bytes(&w, h->image_id, ID_LEN);
	wr_u32(&w, h->disk);
	wr_u64(&w, h->payload_len);
}

static const struct fmt_field disk_statement_fields[] = {
	FMT_BYTES(disk_statement, vault_id),
	FMT_BYTES(disk_statement, machine_id),
	FMT_BYTES(disk_statement, domain_id),
	FMT_BYTES(disk_statement, image_id),
	FMT_U32(disk_statement, disk, 1, DISKS_MAX),
	FMT_BYTES(disk_statement, label_digest),
	FMT_U32(disk_statement, packs, 0, PACKS_PER_DISK_MAX),
	FMT_U64(disk_statement, pack_bytes, 0, (uint64_t)PACKS_PER_DISK_MAX * PACK_LEN_MAX),
	FMT_U64(disk_statement, chunks, 0, REFS_MAX),
	FMT_BYTES(disk_statement, index_digest),
	FMT_U16(disk_statement, index_parts, 1, PARTS_MAX),
	FMT_U64(disk_statement, index_bytes, 0, PARTS_MAX * PART_LEN_MAX),
	FMT_U8(disk_statement, parity_percent, 0, 20),
	FMT_U32(disk_statement, parity_groups, 0, PACKS_PER_DISK_MAX),
	FMT_I64(disk_statement, closed),
};
const struct fmt_schema disk_statement_schema = {
	"disk statement", "SAMDSTM\n", 1, "samara disk statement v1",
	sizeof(struct disk_statement), offsetof(struct disk_statement, sig),
	FMT_FIELDS(disk_statement_fields), NULL
};

const struct fmt_field manifest_disk_fields[] = {
	FMT_U32(manifest_disk, disk, 1, DISKS_MAX),
	FMT_U32(manifest_disk, replaces, 0, DISKS_MAX),
	FMT_BYTES(manifest_disk, statement),
};
const size_t manifest_disk_nfields = sizeof(manifest_disk_fields) / sizeof(manifest_disk_fields[0]);

static bool
is_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

static enum fmt_status
manifest_check(const void *value)
{
	const struct manifest *m = value;
	struct manifest_disk d;
	uint32_t last = 0;
	enum fmt_status st;

	if (!short_name_is_valid(m->short_name))
		return FMT_RANGE;
	if (m->envelopes.len > 0 && !is_zero(m->carried, DIGEST_LEN))
		return FMT_CONTRADICTION;
	for (size_t i = 0; i < list_count(m->disks, MANIFEST_DISK_LEN); i++) {
		if ((st = element_get(manifest_disk_fields, manifest_disk_nfields, m->disks, i, &d)) != FMT_OK)
			return st;
		if (d.disk <= last)
			return FMT_ORDER;
		last = d.disk;
	}
	for (size_t i = 1; i < list_count(m->envelopes, DIGEST_LEN); i++)
		if (memcmp(m->envelopes.p + (i - 1) * DIGEST_LEN, m->envelopes.p + i * DIGEST_LEN, DIGEST_LEN) >= 0)
			return FMT_ORDER;
	return FMT_OK;
}

static const struct fmt_field manifest_fields[] = {
	FMT_BYTES(manifest, vault_id),
	FMT_BYTES(manifest, machine_id),
	FMT_BYTES(manifest, domain_id),
	FMT_BYTES(manifest, image_id),
	FMT_STR(manifest, short_name, SHORT_LEN),
	FMT_U32(manifest, generation, 1, UINT32_MAX),
	FMT_LIST(manifest, disks, MANIFEST_DISK_LEN, 1, DISKS_MAX),
	FMT_LIST(manifest, envelopes, DIGEST_LEN, 0, SNAPS_PER_IMAGE_MAX),
	FMT_LIST(manifest, leans_on, ID_LEN, 0, 4096),
	FMT_BYTES(manifest, carried),
	FMT_BYTES(manifest, root),
	FMT_U8(manifest, parity_across, 0, 0),
	FMT_U8(manifest, key_tested, 0, 1),
	FMT_I64(manifest, sealed),
};
const struct fmt_schema manifest_schema = {
	"manifest", "SAMMANI\n", 1, "samara manifest v1",
	sizeof(struct manifest), offsetof(struct manifest, sig), FMT_FIELDS(manifest_fields), manifest_check
};

static const struct fmt_field disk_keys_fields[] = {
	FMT_BYTES(disk_keys, vault_id),
	FMT_BYTES(disk_keys, machine_id),
	FMT_BYTES(disk_keys, domain_id),
	FMT_U8(disk_keys, openable, 0, 1),
	FMT_BLOB(disk_keys, blob, 1, SMALL_STATEMENT_MAX),
};
const struct fmt_schema disk_keys_schema = {
	"sealed slots", "SAMDKEY\n", 1, NULL,
	sizeof(struct disk_keys), 0, FMT_FIELDS(disk_keys_fields), NULL
};
