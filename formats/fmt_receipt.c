#include "formats/fmt_receipt.h"

#include "formats/fmt_vault.h"
#include "formats/names.h"

static bool
is_zero(const uint8_t p[DIGEST_LEN])
{
	uint8_t any = 0;

	for (size_t i = 0; i < DIGEST_LEN; i++)
		any |= p[i];
	return any == 0;
}

/* Do these ids rise, each once? */
static bool
ids_rise(struct fmt_view ids)
{
	for (size_t i = 1; i < list_count(ids, DIGEST_LEN); i++)
		if (memcmp(ids.p + (i - 1) * DIGEST_LEN, ids.p + i * DIGEST_LEN, DIGEST_LEN) >= 0)
			return false;
	return true;
}

const struct fmt_field receipt_snapshot_fields[] = {
	FMT_BYTES(receipt_snapshot, envelope),
	FMT_U64(receipt_snapshot, needed, 1, REFS_MAX),
	FMT_U64(receipt_snapshot, held, 0, REFS_MAX),
	FMT_U64(receipt_snapshot, given_up, 0, REFS_MAX),
};
const size_t receipt_snapshot_nfields = sizeof(receipt_snapshot_fields) / sizeof(receipt_snapshot_fields[0]);

static enum fmt_status
receipt_snapshots_check(const struct receipt *r)
{
	struct receipt_snapshot s;
	uint8_t last[DIGEST_LEN];
	enum fmt_status st;

	for (size_t i = 0; i < list_count(r->snapshots, RECEIPT_SNAPSHOT_LEN); i++) {
		st = element_get(receipt_snapshot_fields, receipt_snapshot_nfields, r->snapshots, i, &s);
		if (st != FMT_OK)
			return st;
		if (s.held + s.given_up != s.needed || s.given_up > r->given_up || s.needed > r->needed)
			return FMT_CONTRADICTION;
		if (i > 0 && memcmp(last, s.envelope, DIGEST_LEN) >= 0)
			return FMT_ORDER;
		memcpy(last, s.envelope, DIGEST_LEN);
	}
	return FMT_OK;
}

/* Whole says that nothing is left out; partial says what. */
static enum fmt_status
receipt_check(const void *value)
{
	const struct receipt *r = value;

	if (!short_name_is_valid(r->short_name))
		return FMT_RANGE;
	if (r->held + r->given_up != r->needed || (r->whole != 0) != (r->given_up == 0) ||
	    is_zero(r->missing) != (r->given_up == 0) || (r->whole && r->returned.len > 0))
		return FMT_CONTRADICTION;
	if (!ids_rise(r->returned))
		return FMT_ORDER;
	return receipt_snapshots_check(r);
}

static const struct fmt_field receipt_fields[] = {
	FMT_BYTES(receipt, vault_id),
	FMT_U64(receipt, number, 1, UINT64_MAX),
	FMT_BYTES(receipt, image_id),
	FMT_STR(receipt, short_name, SHORT_LEN),
	FMT_BYTES(receipt, machine_id),
	FMT_BYTES(receipt, domain_id),
	FMT_BYTES(receipt, root),
	FMT_U8(receipt, whole, 0, 1),
	FMT_U8(receipt, redundancy, REDUNDANCY_LOCAL, REDUNDANCY_GEO),
	FMT_LIST(receipt, snapshots, RECEIPT_SNAPSHOT_LEN, 0, SNAPS_PER_IMAGE_MAX),
	FMT_U64(receipt, needed, 0, REFS_MAX),
	FMT_U64(receipt, held, 0, REFS_MAX),
	FMT_U64(receipt, given_up, 0, REFS_MAX),
	FMT_BYTES(receipt, missing),
	FMT_LIST(receipt, returned, DIGEST_LEN, 0, RECEIPT_RETURNED_MAX),
	FMT_I64(receipt, time),
};
const struct fmt_schema receipt_schema = {
	"receipt", "SAMRCPT\n", 1, "samara receipt v1",
	sizeof(struct receipt), offsetof(struct receipt, sig), FMT_FIELDS(receipt_fields), receipt_check
};

static enum fmt_status
handoff_check(const void *value)
{
	const struct handoff *h = value;

	if (!short_name_is_valid(h->short_name))
		return FMT_RANGE;
	return (h->whole != 0) != (h->given_up == 0) || is_zero(h->missing) != (h->given_up == 0) ?
	    FMT_CONTRADICTION : FMT_OK;
}

static const struct fmt_field handoff_fields[] = {
	FMT_BYTES(handoff, vault_id),
	FMT_BYTES(handoff, machine_id),
	FMT_BYTES(handoff, image_id),
	FMT_STR(handoff, short_name, SHORT_LEN),
	FMT_U64(handoff, number, 1, UINT64_MAX),
	FMT_BYTES(handoff, receipt),
	FMT_BYTES(handoff, root),
	FMT_U8(handoff, whole, 0, 1),
	FMT_U64(handoff, given_up, 0, REFS_MAX),
	FMT_BYTES(handoff, missing),
	FMT_I64(handoff, time),
};
const struct fmt_schema handoff_schema = {
	"answer to a receipt", "SAMHAND\n", 1, "samara handoff v1",
	sizeof(struct handoff), offsetof(struct handoff, sig), FMT_FIELDS(handoff_fields), handoff_check
};

uint32_t
id_list_parts(uint64_t count)
{
	return count == 0 ? 1 : (uint32_t)((count + ID_LIST_PART - 1) / ID_LIST_PART);
}

uint32_t
id_list_part_ids(uint64_t count, uint32_t part)
{
	uint64_t before = (uint64_t)part * ID_LIST_PART;

	return before >= count ? 0 : count - before < ID_LIST_PART ? (uint32_t)(count - before) : ID_LIST_PART;
}

static enum fmt_status
id_list_check(const void *value)
{
	const struct id_list *l = value;

	if (l->part >= l->parts)
		return FMT_RANGE;
	if (l->parts != id_list_parts(l->count) || list_count(l->ids, DIGEST_LEN) != id_list_part_ids(l->count, l->part))
		return FMT_CONTRADICTION;
	return ids_rise(l->ids) ? FMT_OK : FMT_ORDER;
}

static const struct fmt_field gap_list_fields[] = {
	FMT_BYTES(id_list, vault_id),
	FMT_BYTES(id_list, machine_id),
	FMT_BYTES(id_list, domain_id),
	FMT_BYTES(id_list, image_id),
	FMT_BYTES(id_list, list_id),
	FMT_U64(id_list, count, 0, REFS_MAX),
	FMT_BYTES(id_list, digest),
	FMT_U32(id_list, part, 0, ID_LIST_PARTS_MAX - 1),
	FMT_U32(id_list, parts, 1, ID_LIST_PARTS_MAX),
	FMT_I64(id_list, time),
	FMT_LIST(id_list, ids, DIGEST_LEN, 0, ID_LIST_PART),
};
const struct fmt_schema gap_list_schema = {
	"gap list", "SAMGAPS\n", 1, "samara gap list v1",
	sizeof(struct id_list), offsetof(struct id_list, sig), FMT_FIELDS(gap_list_fields), id_list_check
};

static const struct fmt_field given_up_fields[] = {
	FMT_BYTES(id_list, vault_id),
	FMT_BYTES(id_list, machine_id),
	FMT_BYTES(id_list, domain_id),
	FMT_BYTES(id_list, image_id),
	FMT_BYTES(id_list, list_id),
	FMT_U64(id_list, count, 0, REFS_MAX),
	FMT_BYTES(id_list, digest),
	FMT_U32(id_list, part, 0, ID_LIST_PARTS_MAX - 1),
	FMT_U32(id_list, parts, 1, ID_LIST_PARTS_MAX),
	FMT_I64(id_list, time),
	FMT_LIST(id_list, ids, DIGEST_LEN, 0, ID_LIST_PART),
};
const struct fmt_schema given_up_schema = {
	"list of what is given up", "SAMGONE\n", 1, "samara given up v1",
	sizeof(struct id_list), offsetof(struct id_list, sig), FMT_FIELDS(given_up_fields), id_list_check
};

static const struct fmt_field carried_fields[] = {
	FMT_BYTES(id_list, vault_id),
	FMT_BYTES(id_list, machine_id),
	FMT_BYTES(id_list, domain_id),
	FMT_BYTES(id_list, image_id),
	FMT_BYTES(id_list, list_id),
	FMT_U64(id_list, count, 0, REFS_MAX),
	FMT_BYTES(id_list, digest),
	FMT_U32(id_list, part, 0, ID_LIST_PARTS_MAX - 1),
	FMT_U32(id_list, parts, 1, ID_LIST_PARTS_MAX),
	FMT_I64(id_list, time),
	FMT_LIST(id_list, ids, DIGEST_LEN, 0, ID_LIST_PART),
};
const struct fmt_schema carried_schema = {
	"list of what is carried", "SAMCARR\n", 1, "samara carried v1",
	sizeof(struct id_list), offsetof(struct id_list, sig), FMT_FIELDS(carried_fields), id_list_check
};
