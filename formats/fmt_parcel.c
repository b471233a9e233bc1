#include "formats/fmt_parcel.h"

#include "formats/names.h"

static bool
has_control(const char *text, char but)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++)
		if ((*p < 0x20 && *p != (unsigned char)but) || *p == 0x7f)
			return true;
	return false;
}

bool
parcel_text_is_valid(const char *text)
{
	size_t n = strnlen(text, TEXT_MAX_LEN + 1);

	return n > 0 && n <= TEXT_MAX_LEN && !has_control(text, ' ');
}

static enum fmt_status
parcel_check(const void *value)
{
	const struct parcel *p = value;

	return short_name_is_valid(p->short_name) && machine_name_is_valid(p->machine_name) && !has_control(p->carrier, ' ') &&
	    !has_control(p->tracking, ' ') && !has_control(p->address, '\n') ? FMT_OK : FMT_RANGE;
}

static const struct fmt_field parcel_fields[] = {
	FMT_BYTES(parcel, vault_id),
	FMT_BYTES(parcel, machine_id),
	FMT_STR(parcel, machine_name, 2),
	FMT_BYTES(parcel, machine_pub),
	FMT_BYTES(parcel, image_id),
	FMT_STR(parcel, short_name, SHORT_LEN),
	FMT_U32(parcel, generation, 1, UINT32_MAX),
	FMT_BYTES(parcel, manifest),
	FMT_U32(parcel, disks, 1, DISKS_MAX),
	FMT_STR(parcel, carrier, 1),
	FMT_STR(parcel, tracking, 1),
	FMT_I64(parcel, shipped),
	FMT_I64(parcel, arrives),
	FMT_STR(parcel, address, 0),
};
const struct fmt_schema parcel_schema = {
	"parcel", "SAMPARC\n", 1, "samara parcel v1",
	sizeof(struct parcel), offsetof(struct parcel, sig), FMT_FIELDS(parcel_fields), parcel_check
};

static enum fmt_status
rec_parcel_check(const void *value)
{
	const struct rec_parcel *r = value;

	return short_name_is_valid(r->short_name) && (r->machine_name[0] == 0 || machine_name_is_valid(r->machine_name)) ?
	    FMT_OK : FMT_RANGE;
}

static const struct fmt_field rec_parcel_fields[] = {
	FMT_BYTES(rec_parcel, image_id),
	FMT_BYTES(rec_parcel, machine_id),
	FMT_STR(rec_parcel, short_name, SHORT_LEN),
	FMT_STR(rec_parcel, machine_name, 0),
	FMT_STR(rec_parcel, carrier, 0),
	FMT_STR(rec_parcel, tracking, 0),
	FMT_I64(rec_parcel, arrives),
	FMT_STR(rec_parcel, why, 0),
	FMT_BLOB(rec_parcel, announcement, 0, SMALL_STATEMENT_MAX),
};
const struct fmt_schema rec_parcel_schema = {
	"record of a parcel", "SAMRPAR\n", 1, NULL,
	sizeof(struct rec_parcel), 0, FMT_FIELDS(rec_parcel_fields), rec_parcel_check
};

static const struct fmt_field rec_wiped_fields[] = {
	FMT_BYTES(rec_wiped, image_id),
	FMT_U32(rec_wiped, disk, 1, DISKS_MAX),
	FMT_U64(rec_wiped, files, 0, UINT64_MAX),
	FMT_U64(rec_wiped, bytes, 0, UINT64_MAX),
	FMT_U8(rec_wiped, forced, 0, 1),
	FMT_STR(rec_wiped, why, 0),
};
const struct fmt_schema rec_wiped_schema = {
	"record of a wiped disk", "SAMRWIP\n", 1, NULL,
	sizeof(struct rec_wiped), 0, FMT_FIELDS(rec_wiped_fields), NULL
};
