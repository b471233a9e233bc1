#ifndef SAMARA_FORMATS_FMT_RETAIN_H
#define SAMARA_FORMATS_FMT_RETAIN_H

/* What a vault decides about how long it keeps: bodies of its records.  Specification: docs/formats/vault.md. */

#include "formats/schema.h"

#define RETAIN_BY_HAND		1
#define RETAIN_BY_RULE		2
#define RETAIN_WITH_MACHINE	3	/* all of the machine's snapshots were deleted together */

/* A snapshot was deleted, undeleted, protected, unprotected, or is gone. */
struct rec_snapshot {
	uint8_t machine_id[ID_LEN];
	uint64_t seq;
	uint8_t snapshot_id[ID_LEN];
	uint8_t by;			/* RETAIN_… */
	char why[TEXT_MAX_LEN + 1];
};
extern const struct fmt_schema rec_snapshot_schema;

/* A collection came to its end: what it took away. */
struct rec_collected {
	uint64_t packs;			/* deleted */
	uint64_t bytes;			/* of them */
	uint64_t chunks;		/* copies in them */
	uint64_t repacked;		/* packs whose live chunks were written anew */
	uint64_t snapshots;		/* gone */
};
extern const struct fmt_schema rec_collected_schema;

#endif
