#ifndef SAMARA_CATALOG_CATALOG_ROWS_H
#define SAMARA_CATALOG_CATALOG_ROWS_H

/* The small things of a vault's catalog: a struct each, and the table that describes it. */

#include <stddef.h>
#include <stdint.h>

#include "formats/limits.h"

enum cat_type { CAT_I64, CAT_U32, CAT_BYTES, CAT_TEXT };

struct cat_col {
	const char *name;
	enum cat_type type;
	size_t off, size;	/* of text: with its zero */
};
struct cat_table {
	const char *name;
	size_t nkeys, ncols, row_size;
	const struct cat_col *cols;
};

enum cat_machine_state {
	MACHINE_LIVE = 1, MACHINE_REPLACED = 2, MACHINE_REVOKED = 3,
	MACHINE_RETIRED = 4,		/* its snapshots are kept */
	MACHINE_DELETED = 5		/* its snapshots go the way of deleted ones */
};
struct cat_machine {
	uint8_t id[ID_LEN];
	char name[NAME_MAX_LEN + 1];
	uint32_t state;
	uint8_t pub[SIGN_PUB_LEN];
	uint8_t domain_id[DIGEST_LEN];
	uint32_t chunk_avg;
	int64_t from_seq;
	int64_t registered;		/* the vault's wall clock, nanoseconds */
	uint8_t credential_id[ID_LEN];
	uint8_t registration[DIGEST_LEN];	/* BLAKE3 of the registration that admitted it */
	int64_t quota;			/* bytes; 0: none */
	uint32_t subscription;		/* SUBSCRIPTION_… (fmt_line_machine.h) */
	int64_t changed;		/* when its state last changed, on the slow clock, nanoseconds; 0: never */
	int64_t taken_over;		/* when a new machine last took the place of an old one, wall clock, nanoseconds; 0: never */
	int64_t slots_changed;		/* when it was last registered anew, and with other key slots; the same */
};
extern const struct cat_table cat_machines;

/* Every key that a machine ever signed with: what it signed stays believed. */
struct cat_machine_key {
	uint8_t machine_id[ID_LEN];
	uint8_t pub[SIGN_PUB_LEN];
	int64_t from_seq;
	int64_t since;
};
extern const struct cat_table cat_machine_keys;

/* A token that a machine, or who reads for it, may show: its hash. */
struct cat_token {
	uint8_t hash[DIGEST_LEN];
	uint8_t machine_id[ID_LEN];
	uint8_t pub[SIGN_PUB_LEN];	/* of who asked for it */
	uint32_t purpose;		/* PURPOSE_… (fmt_vault.h) */
	int64_t until;			/* seconds; 0: until it is revoked */
	int64_t given;			/* the vault's wall clock, nanoseconds */
};
extern const struct cat_table cat_tokens;

enum cat_credential_state { CREDENTIAL_ISSUED = 1, CREDENTIAL_USED = 2, CREDENTIAL_SUPERSEDED = 3 };
struct cat_credential {
	uint8_t id[ID_LEN];
	uint32_t purpose;
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t machine_id[ID_LEN];
	int64_t issued, use_by, arrive_by;	/* seconds */
	uint32_t state;
	uint8_t used_by[ID_LEN];
	int64_t used;			/* nanoseconds; 0: not */
	int64_t record;			/* that issued it: newer is higher */
};
extern const struct cat_table cat_credentials;

enum cat_image_state {
	IMAGE_RECEIVED = 1, IMAGE_INGESTING, IMAGE_WHOLE, IMAGE_PARTIAL, IMAGE_GAP, IMAGE_UNCLAIMED, IMAGE_CLAIMED,
	IMAGE_SHIPPED,			/* its parcel was announced, nothing of it has come */
	IMAGE_LOST, IMAGE_CANCELLED,
	IMAGE_EXPIRED,			/* its lease ran out before all of its disks had come */
	IMAGE_HANDED_OFF, IMAGE_RELEASED,
	IMAGE_SEALED			/* its pledge came over the line, nothing of it has come */
};
struct cat_image {
	uint8_t id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint32_t state;
	char why[TEXT_MAX_LEN + 1];	/* unclaimed: why */
	int64_t seen;			/* first, nanoseconds */
	uint32_t generation;		/* of the newest manifest; 0: none yet */
	uint8_t manifest[DIGEST_LEN];	/* statement digest of it */
	uint8_t root[DIGEST_LEN];
	uint32_t disks;			/* that the newest manifest names */
	int64_t pledge_until;		/* slow clock, nanoseconds; without a manifest: until when what came with it is kept; 0: nothing came */
	uint32_t custody;		/* records in the vault's custody log of it */
	uint8_t custody_head[DIGEST_LEN];
	uint32_t fate;			/* number of the newest fate statement by its machine; 0: none */
};
extern const struct cat_table cat_images;

enum cat_disk_state { DISK_EXPECTED = 1, DISK_RECEIVED = 2, DISK_INGESTED = 3, DISK_REPLACED = 4, DISK_WIPED = 5, DISK_RETURNED = 6 };
struct cat_disk {
	uint8_t image_id[ID_LEN];
	uint32_t number;
	uint32_t state;
	uint8_t statement[DIGEST_LEN];
	uint32_t complete;
	int64_t chunks_new, chunks_held, chunks_bad, bytes_stored;
	int64_t time;			/* of the newest change */
	uint32_t replaced;		/* number of the disk that takes its place; 0: none */
};
extern const struct cat_table cat_disks;

/* A disk that was not received, and why: the newest refusal. */
struct cat_refusal {
	uint8_t image_id[ID_LEN];
	uint32_t number;
	uint8_t machine_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint8_t label[DIGEST_LEN];
	char why[TEXT_MAX_LEN + 1];
	int64_t time;
};
extern const struct cat_table cat_refusals;

/* A parcel that was announced: by a machine, or by somebody who typed it in. */
struct cat_parcel {
	uint8_t image_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	char machine_name[NAME_MAX_LEN + 1];
	char carrier[TEXT_MAX_LEN + 1];
	char tracking[TEXT_MAX_LEN + 1];
	int64_t shipped, arrives;	/* seconds; 0: not known */
	uint32_t generation;		/* of the machine's announcement; 0: typed in */
	int64_t time;			/* when the vault was told, nanoseconds */
};
extern const struct cat_table cat_parcels;

enum cat_snapshot_state { SNAPSHOT_UNKNOWN = 1, SNAPSHOT_WHOLE, SNAPSHOT_PENDING, SNAPSHOT_GAP, SNAPSHOT_PARTIAL };
struct cat_snapshot {
	uint8_t machine_id[ID_LEN];
	int64_t seq;
	uint8_t id[ID_LEN];
	char set_name[SET_NAME_MAX + 1];
	uint32_t kind;
	int64_t begin_ns, end_ns;
	uint8_t image_id[ID_LEN];
	uint8_t digest[DIGEST_LEN];	/* of the envelope */
	uint8_t refs_digest[DIGEST_LEN];
	int64_t refs_count;
	int64_t received;		/* the vault's wall clock, nanoseconds */
	uint32_t state;
	int64_t missing, promised;	/* ids, when the state was computed */
	int64_t given_up;
	int64_t deleted;		/* soft: when, on the slow clock, 1 at least; 0: not */
	int64_t deleted_time;		/* the same by the vault's wall clock */
	uint32_t deleted_by;		/* enum deleted_by; 0: not */
	uint32_t is_protected;		/* no rule and no command deletes it until that is taken back */
	uint8_t pending_on[ID_LEN];	/* an image that promises some of them; zeros: none */
};
extern const struct cat_table cat_snapshots;

/* Who said that a snapshot is to go. */
enum deleted_by { DELETED_BY_HAND = 1, DELETED_BY_RULE = 2, DELETED_WITH_MACHINE = 3 };

/* A snapshot that was deleted for good: its number is never filed again. */
struct cat_gone {
	uint8_t machine_id[ID_LEN];
	int64_t seq;
	uint8_t id[ID_LEN];
	uint8_t digest[DIGEST_LEN];	/* of the envelope */
	uint8_t image_id[ID_LEN];
	int64_t time;			/* when, by the vault's wall clock, nanoseconds */
};
extern const struct cat_table cat_gone;

enum cat_pack_state { PACK_GOOD = 1, PACK_DAMAGED = 2 };
struct cat_pack {
	uint8_t id[DIGEST_LEN];
	uint32_t copy;
	int64_t n;			/* this catalog's own number for it (catalog_pack_number) */
	uint8_t domain_id[DIGEST_LEN];
	uint8_t maker[ID_LEN];
	uint32_t flags;
	int64_t len;
	uint32_t count;
	uint32_t state;
	uint8_t owner[ID_LEN];		/* machine whose room it takes: the writer of its first frame */
};
extern const struct cat_table cat_packs;

/* A pack whose rows are gone and whose bytes may still lie in the store; of this catalog alone. */
struct cat_removal {
	uint8_t id[DIGEST_LEN];
	uint32_t copy;
	uint32_t used;			/* 1: records speak of this copy, its number must not be used again */
	int64_t len;
};
extern const struct cat_table cat_removals;

/*
 * Who relies on chunks that no snapshot needs yet: a machine on the line, a run
 * that takes in a disk (epoch.h).  Of this catalog alone: a rebuilt one has none,
 * and machines open new ones.
 */
enum cat_session_kind { SESSION_BACKUP = 1, SESSION_PLEDGE, SESSION_REFILL, SESSION_INGEST };
struct cat_session {
	uint8_t id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	uint32_t kind;
	int64_t epoch;			/* in which it opened */
	int64_t base_seq;		/* snapshot that it builds on, and that stays while it is open; 0: none */
	char set_name[SET_NAME_MAX + 1];
	int64_t opened, touched;	/* slow clock, nanoseconds */
	int64_t packs, bytes;		/* acknowledged in it */
};
extern const struct cat_table cat_sessions;

/* A snapshot's number that a commit passed over: the envelope came, its list did not. */
struct cat_passed {
	uint8_t machine_id[ID_LEN];
	int64_t seq;
	uint8_t id[ID_LEN];
	uint8_t digest[DIGEST_LEN];	/* of the envelope */
	int64_t time;			/* when, nanoseconds */
};
extern const struct cat_table cat_passed;

/* An envelope that was refused: another has its number, or it follows another than the vault knows. */
struct cat_fork {
	uint8_t machine_id[ID_LEN];
	int64_t seq;
	uint8_t digest[DIGEST_LEN];	/* of the envelope */
	uint8_t id[ID_LEN];
	int64_t time;			/* when it was recorded last, nanoseconds */
};
extern const struct cat_table cat_forks;

/*
 * An id that an ingested disk of this image names and that could not be taken from it: its image does not promise
 * it any more, until another disk takes the place of that one.  Image zeros: of any image of the machine.
 */
struct cat_unstored {
	uint8_t machine_id[ID_LEN];
	uint8_t id[DIGEST_LEN];
	uint8_t image_id[ID_LEN];
	uint32_t disk;			/* that lost it last */
};
extern const struct cat_table cat_unstored;

/* An id that this machine said it cannot give any more. */
struct cat_given_up {
	uint8_t machine_id[ID_LEN];
	uint8_t id[DIGEST_LEN];
};
extern const struct cat_table cat_given_up;

/* How many files of a snapshot a machine lost with one list of what it gave up. */
struct cat_files_lost {
	uint8_t machine_id[ID_LEN];
	int64_t seq;
	int64_t number;			/* of the list */
	int64_t files;
};
extern const struct cat_table cat_files_lost;

/* A receipt that was given, and whether the machine answered it. */
struct cat_receipt {
	uint8_t image_id[ID_LEN];
	int64_t number;
	uint8_t digest[DIGEST_LEN];	/* statement digest of it */
	uint32_t whole;
	int64_t given_up;
	int64_t time;
	uint32_t answered;
	int64_t record;			/* that holds it */
};
extern const struct cat_table cat_receipts;

extern const struct cat_table *const cat_tables[];	/* all of them; NULL at the end */

#endif
