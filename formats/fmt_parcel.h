#ifndef SAMARA_FORMATS_FMT_PARCEL_H
#define SAMARA_FORMATS_FMT_PARCEL_H

/* An image on its way, and back.  Specification: docs/formats/parcel.md. */

#include "formats/schema.h"

#define PARCEL_ADDRESS_MAX	600

/*
 * How an image travels, as its machine says it: kept in the build journal, and
 * handed to the vault as an announcement.  The highest generation counts.
 * Signed by the machine.
 */
struct parcel {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t machine_pub[SIGN_PUB_LEN];
	uint8_t image_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint32_t generation;
	uint8_t manifest[DIGEST_LEN];	/* statement digest of the newest manifest */
	uint32_t disks;
	char carrier[TEXT_MAX_LEN + 1];
	char tracking[TEXT_MAX_LEN + 1];
	int64_t shipped;		/* seconds since 1970 */
	int64_t arrives;		/* seconds, noon UTC of the day; 0: nobody knows */
	char address[PARCEL_ADDRESS_MAX + 1];	/* where disks go back to; lines end with newlines */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema parcel_schema;

/* Body of a vault's record: a parcel that comes, or one in which disks go back. */
struct rec_parcel {
	uint8_t image_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	char machine_name[NAME_MAX_LEN + 1];
	char carrier[TEXT_MAX_LEN + 1];
	char tracking[TEXT_MAX_LEN + 1];
	int64_t arrives;		/* seconds; 0: nobody knows */
	char why[TEXT_MAX_LEN + 1];	/* where a rule was overridden */
	struct fmt_view announcement;	/* parcel, encoded; empty: somebody typed it in */
};
extern const struct fmt_schema rec_parcel_schema;

/* Body of a vault's record: the files of an image were deleted from a disk. */
struct rec_wiped {
	uint8_t image_id[ID_LEN];
	uint32_t disk;
	uint64_t files, bytes;
	uint8_t forced;			/* 1: the image was not handed off */
	char why[TEXT_MAX_LEN + 1];
};
extern const struct fmt_schema rec_wiped_schema;

/* Whether ${text} may stand as carrier or tracking number: 1 to TEXT_MAX_LEN bytes, no control characters. */
bool parcel_text_is_valid(const char *text);

#endif
