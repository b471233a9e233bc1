#ifndef SAMARA_FORMATS_FMT_RECEIPT_H
#define SAMARA_FORMATS_FMT_RECEIPT_H

/* How an image ends: receipt, answer, and what is missing.  Specification: docs/formats/receipt.md. */

#include "formats/schema.h"

/* What the vault has of one snapshot. */
struct receipt_snapshot {
	uint8_t envelope[DIGEST_LEN];	/* statement digest of its envelope */
	uint64_t needed;		/* ids of its reference list */
	uint64_t held, given_up;	/* of them; nothing else is left */
};
extern const struct fmt_field receipt_snapshot_fields[];
extern const size_t receipt_snapshot_nfields;
#define RECEIPT_SNAPSHOT_LEN	(DIGEST_LEN + 3 * 8)

/* "This is what I hold under that root."  Signed by the vault. */
struct receipt {
	uint8_t vault_id[ID_LEN];
	uint64_t number;		/* rises from receipt to receipt of one vault */
	uint8_t image_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint8_t root[DIGEST_LEN];	/* as the vault computed it from what it holds */
	uint8_t whole;			/* 1: every id is held; 0: all but those that the machine gave up */
	uint8_t redundancy;		/* REDUNDANCY_…: reached */
	struct fmt_view snapshots;	/* RECEIPT_SNAPSHOT_LEN each, envelope digests rising */
	uint64_t needed, held, given_up;	/* ids of all lists together, each once */
	uint8_t missing[DIGEST_LEN];	/* digest of the list of ids given up and not held; zeros where whole */
	struct fmt_view returned;	/* ids given up that are held all the same, DIGEST_LEN each, rising */
	int64_t time;			/* the vault's, nanoseconds */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema receipt_schema;

/* "I have seen your receipt; from here on it is yours."  Signed by the machine. */
struct handoff {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t image_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint64_t number;		/* of the receipt */
	uint8_t receipt[DIGEST_LEN];	/* statement digest of it */
	uint8_t root[DIGEST_LEN];
	uint8_t whole;
	uint64_t given_up;		/* ids that the machine does without, and the digest of their list */
	uint8_t missing[DIGEST_LEN];
	int64_t time;			/* the machine's, nanoseconds */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema handoff_schema;

/*
 * A part of a list of ids; each part stands and is signed for itself.  In a
 * file the parts follow each other, each with its length u32 before it.
 */
struct id_list {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint8_t image_id[ID_LEN];	/* whose gap it is; zeros: of several */
	uint8_t list_id[ID_LEN];	/* the same in all its parts */
	uint64_t count;			/* ids in all parts */
	uint8_t digest[DIGEST_LEN];	/* of the whole list, as of a reference list */
	uint32_t part, parts;
	int64_t time;			/* nanoseconds */
	struct fmt_view ids;		/* DIGEST_LEN each, rising; ID_LIST_PART of them but in the last part */
	uint8_t sig[SIGN_LEN];
};
/* What the vault needs, does not hold and is promised by nobody.  Signed by the vault. */
extern const struct fmt_schema gap_list_schema;
/* What the machine cannot give any more.  Signed by the machine. */
extern const struct fmt_schema given_up_schema;
/* What an image without snapshots carries, on its last disk and in its pledge.  Signed by the machine. */
extern const struct fmt_schema carried_schema;

/* How many parts a list of ${count} ids has, and how many ids stand in part ${part} of it. */
uint32_t id_list_parts(uint64_t count);
uint32_t id_list_part_ids(uint64_t count, uint32_t part);

#endif
