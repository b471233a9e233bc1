#include "formats/fmt_pledge.h"

#include "formats/names.h"

static bool
text_is_plain(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++)
		if (*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

static enum fmt_status
fate_check(const void *value)
{
	const struct fate_statement *f = value;

	return short_name_is_valid(f->short_name) && text_is_plain(f->why) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field fate_fields[] = {
	FMT_BYTES(fate_statement, vault_id),
	FMT_BYTES(fate_statement, machine_id),
	FMT_BYTES(fate_statement, image_id),
	FMT_STR(fate_statement, short_name, SHORT_LEN),
	FMT_U32(fate_statement, number, 1, UINT32_MAX),
	FMT_U8(fate_statement, fate, FATE_IS_LOST, FATE_IS_FOUND),
	FMT_STR(fate_statement, why, 0),
	FMT_I64(fate_statement, time),
};
const struct fmt_schema fate_schema = {
	"fate of an image", "SAMFATE\n", 1, "samara image fate v1",
	sizeof(struct fate_statement), offsetof(struct fate_statement, sig), FMT_FIELDS(fate_fields), fate_check
};

const struct fmt_field dispute_row_fields[] = {
	FMT_BYTES(dispute_row, id),
	FMT_BYTES(dispute_row, pack_id),
	FMT_U32(dispute_row, copy, 1, UINT32_MAX),
};
const size_t dispute_row_nfields = sizeof(dispute_row_fields) / sizeof(dispute_row_fields[0]);

static int
row_order(const struct dispute_row *a, const struct dispute_row *b)
{
	int c = memcmp(a->id, b->id, DIGEST_LEN);

	if (c == 0)
		c = memcmp(a->pack_id, b->pack_id, DIGEST_LEN);
	return c != 0 ? c : a->copy < b->copy ? -1 : a->copy > b->copy;
}

static enum fmt_status
dispute_check(const void *value)
{
	const struct dispute *d = value;
	struct dispute_row row, last;
	enum fmt_status st;

	for (size_t i = 0; i < list_count(d->rows, DISPUTE_ROW_LEN); i++) {
		if ((st = element_get(dispute_row_fields, dispute_row_nfields, d->rows, i, &row)) != FMT_OK)
			return st;
		if (i > 0 && row_order(&last, &row) >= 0)
			return FMT_ORDER;
		last = row;
	}
	return FMT_OK;
}

static const struct fmt_field dispute_fields[] = {
	FMT_BYTES(dispute, vault_id),
	FMT_BYTES(dispute, machine_id),
	FMT_BYTES(dispute, domain_id),
	FMT_LIST(dispute, rows, DISPUTE_ROW_LEN, 1, DISPUTES_MAX),
	FMT_I64(dispute, time),
};
const struct fmt_schema dispute_schema = {
	"dispute", "SAMDISP\n", 1, "samara dispute v1",
	sizeof(struct dispute), offsetof(struct dispute, sig), FMT_FIELDS(dispute_fields), dispute_check
};

const struct fmt_field files_lost_row_fields[] = {
	FMT_U64(files_lost_row, seq, 1, INT64_MAX),
	FMT_U64(files_lost_row, files, 1, INT64_MAX),
};
const size_t files_lost_row_nfields = sizeof(files_lost_row_fields) / sizeof(files_lost_row_fields[0]);

/* Each is within its limits, and the numbers rise. */
static enum fmt_status
lost_rows_check(struct fmt_view rows)
{
	struct files_lost_row row;
	enum fmt_status st;
	uint64_t last = 0;

	for (size_t i = 0; i < list_count(rows, FILES_LOST_ROW_LEN); i++) {
		if ((st = element_get(files_lost_row_fields, files_lost_row_nfields, rows, i, &row)) != FMT_OK)
			return st;
		if (row.seq <= last)
			return FMT_ORDER;
		last = row.seq;
	}
	return FMT_OK;
}

static enum fmt_status
files_lost_check(const void *value)
{
	return lost_rows_check(((const struct files_lost *)value)->rows);
}

static enum fmt_status
files_lost_page_check(const void *value)
{
	return lost_rows_check(((const struct files_lost_page *)value)->rows);
}

static const struct fmt_field files_lost_fields[] = {
	FMT_BYTES(files_lost, vault_id),
	FMT_BYTES(files_lost, machine_id),
	FMT_U32(files_lost, number, 1, UINT32_MAX),
	FMT_LIST(files_lost, rows, FILES_LOST_ROW_LEN, 1, FILES_LOST_ROWS_MAX),
	FMT_I64(files_lost, time),
};
const struct fmt_schema files_lost_schema = {
	"files lost", "SAMLOSF\n", 1, "samara files lost v1",
	sizeof(struct files_lost), offsetof(struct files_lost, sig), FMT_FIELDS(files_lost_fields), files_lost_check
};

static const struct fmt_field files_lost_page_fields[] = {
	FMT_BYTES(files_lost_page, vault_id),
	FMT_BYTES(files_lost_page, machine_id),
	FMT_LIST(files_lost_page, rows, FILES_LOST_ROW_LEN, 0, FILES_LOST_ROWS_MAX),
};
const struct fmt_schema files_lost_page_schema = {
	"answer of files lost", "SAMLOSP\n", 1, NULL,
	sizeof(struct files_lost_page), 0, FMT_FIELDS(files_lost_page_fields), files_lost_page_check
};

static const struct fmt_field pledge_post_fields[] = {
	FMT_BLOB(pledge_post, manifest, 1, RECORD_BODY_MAX),
	FMT_BLOB(pledge_post, commit, 0, PLEDGE_COMMIT_MAX),
	FMT_BLOB(pledge_post, announcement, 0, SMALL_STATEMENT_MAX),
};
const struct fmt_schema pledge_post_schema = {
	"pledge", "SAMPLDG\n", 1, NULL,
	sizeof(struct pledge_post), 0, FMT_FIELDS(pledge_post_fields), NULL
};

static const struct fmt_field pledge_taken_fields[] = {
	FMT_BYTES(pledge_taken, image_id),
	FMT_U32(pledge_taken, generation, 1, UINT32_MAX),
	FMT_I64(pledge_taken, until),
	FMT_U32(pledge_taken, disks_out, 0, DISKS_MAX),
};
const struct fmt_schema pledge_taken_schema = {
	"answer to a pledge", "SAMPLTK\n", 1, NULL,
	sizeof(struct pledge_taken), 0, FMT_FIELDS(pledge_taken_fields), NULL
};

static enum fmt_status
rec_lease_check(const void *value)
{
	return short_name_is_valid(((const struct rec_lease *)value)->short_name) ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field rec_lease_fields[] = {
	FMT_BYTES(rec_lease, image_id),
	FMT_BYTES(rec_lease, machine_id),
	FMT_STR(rec_lease, short_name, SHORT_LEN),
	FMT_U64(rec_lease, seconds, 1, PLEDGE_EXTEND_MAX),
	FMT_STR(rec_lease, why, 0),
};
const struct fmt_schema rec_lease_schema = {
	"record of a longer lease", "SAMRLEA\n", 1, NULL,
	sizeof(struct rec_lease), 0, FMT_FIELDS(rec_lease_fields), rec_lease_check
};

static const struct fmt_field image_told_fields[] = {
	FMT_BYTES(image_told, image_id),
	FMT_U32(image_told, generation, 0, UINT32_MAX),
	FMT_U32(image_told, parcel, 0, UINT32_MAX),
	FMT_U32(image_told, fate, 0, UINT32_MAX),
	FMT_U8(image_told, fate_is, 0, FATE_IS_FOUND),
	FMT_U8(image_told, fate_done, 0, 1),
	FMT_U32(image_told, custody, 0, UINT32_MAX),
	FMT_BYTES(image_told, answer),
	FMT_I64(image_told, until),
	FMT_U32(image_told, disks_out, 0, DISKS_MAX),
	FMT_I64(image_told, time),
};
const struct fmt_schema image_told_schema = {
	"note of what the vault was told", "SAMTOLD\n", 1, NULL,
	sizeof(struct image_told), 0, FMT_FIELDS(image_told_fields), NULL
};
