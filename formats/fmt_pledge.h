#ifndef SAMARA_FORMATS_FMT_PLEDGE_H
#define SAMARA_FORMATS_FMT_PLEDGE_H

/* What goes over the line between sealed and handed off.  Specification: docs/formats/pledge.md. */

#include "formats/schema.h"

#define PLEDGE_LEASE_DAYS	60u	/* from the first manifest, on the vault's slow clock */
#define PLEDGE_EXTEND_MAX	(UINT64_C(366) * 86400)	/* seconds, at a time */
#define PLEDGE_COMMIT_MAX	(4u << 20)	/* bytes of a commit inside a pledge */
#define PLEDGE_LEN_MAX		(RECORD_BODY_MAX + PLEDGE_COMMIT_MAX + SMALL_STATEMENT_MAX + 64u)	/* bytes of a pledge, at most */
#define DISPUTES_MAX		16384u	/* copies in one statement */
#define DISPUTE_LEN_MAX	(DISPUTES_MAX * 68u + 256u)	/* bytes of such a statement, at most */

enum fate { FATE_IS_LOST = 1, FATE_IS_CANCELLED = 2, FATE_IS_FOUND = 3 };

/* What became of an image on its way, as its machine says it.  The highest number counts.  Signed by the machine. */
struct fate_statement {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t image_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint32_t number;		/* 1, 2, 3 … of this image */
	uint8_t fate;			/* FATE_IS_… */
	char why[TEXT_MAX_LEN + 1];
	int64_t time;			/* nanoseconds */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema fate_schema;

/* One copy that was fetched and is wrong: it opens to nothing, or to something else. */
struct dispute_row {
	uint8_t id[DIGEST_LEN];		/* of the chunk */
	uint8_t pack_id[DIGEST_LEN];
	uint32_t copy;			/* the n of the vault's pack ID.n */
};
extern const struct fmt_field dispute_row_fields[];
extern const size_t dispute_row_nfields;
#define DISPUTE_ROW_LEN	(2 * DIGEST_LEN + 4)

/* "These copies that you gave me are wrong."  Signed by the machine that wrote them. */
struct dispute {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t domain_id[DIGEST_LEN];
	struct fmt_view rows;		/* DISPUTE_ROW_LEN each, rising, each once */
	int64_t time;			/* nanoseconds */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema dispute_schema;

#define FILES_LOST_ROWS_MAX	16384u	/* snapshots in one statement, or in an answer */
#define FILES_LOST_LEN_MAX	(FILES_LOST_ROWS_MAX * 16u + 256u)	/* bytes of such a statement, at most */

/* How many files of a snapshot are lost. */
struct files_lost_row {
	uint64_t seq;			/* of the snapshot */
	uint64_t files;
};
extern const struct fmt_field files_lost_row_fields[];
extern const size_t files_lost_row_nfields;
#define FILES_LOST_ROW_LEN	16u

/* "With the chunks that I gave up these files went."  Their names stay with the machine.  Signed by it. */
struct files_lost {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint32_t number;		/* of the list of what was given up; what was said of it before is replaced */
	struct fmt_view rows;		/* FILES_LOST_ROW_LEN each, numbers rising */
	int64_t time;			/* nanoseconds */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema files_lost_schema;

/* Answer to GET lost: of all lists together. */
struct files_lost_page {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	struct fmt_view rows;		/* as above; the newest where there are more */
};
extern const struct fmt_schema files_lost_page_schema;

/* A pledge as it is sent: nothing in it is believed but what its parts are signed for. */
struct pledge_post {
	struct fmt_view manifest;
	struct fmt_view commit;		/* of its snapshot (fmt_line.h); empty: the image has none, or the vault has it */
	struct fmt_view announcement;	/* of its parcel; empty: it has none yet */
};
extern const struct fmt_schema pledge_post_schema;

/* What the vault says to it. */
struct pledge_taken {
	uint8_t image_id[ID_LEN];
	uint32_t generation;		/* of the manifest that counts */
	int64_t until;			/* seconds, by the wall clock as it goes now: the end of its lease */
	uint32_t disks_out;		/* disks that are still to come */
};
extern const struct fmt_schema pledge_taken_schema;

/* Body of a vault's record: a lease is longer. */
struct rec_lease {
	uint8_t image_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint64_t seconds;		/* added to its end, slow clock */
	char why[TEXT_MAX_LEN + 1];
};
extern const struct fmt_schema rec_lease_schema;

/* How far the vault has heard of an image: the machine's note, images/rm4k/told.  Not believed by anybody else. */
struct image_told {
	uint8_t image_id[ID_LEN];
	uint32_t generation;		/* of the manifest that was pledged; 0: none */
	uint32_t parcel;		/* generation of the announcement; 0: none */
	uint32_t fate;			/* number of the newest fate statement; 0: none */
	uint8_t fate_is;		/* what it says; 0: none */
	uint8_t fate_done;		/* 1: the vault has it */
	uint32_t custody;		/* records of the custody log */
	uint8_t answer[DIGEST_LEN];	/* statement digest of the answer to a receipt; zeros: none */
	int64_t until;			/* seconds: end of the lease, as the vault said last; 0: none */
	uint32_t disks_out;
	int64_t time;			/* seconds, of the newest of these */
};
extern const struct fmt_schema image_told_schema;

#endif
