#ifndef SAMARA_FORMATS_FMT_VAULT_H
#define SAMARA_FORMATS_FMT_VAULT_H

/* Statements by a vault.  Specification: docs/formats/vault.md. */

#include "formats/schema.h"

#define REDUNDANCY_LOCAL	1
#define REDUNDANCY_ZONE		2
#define REDUNDANCY_GEO		3

/* A generation of the vault's description; vault/N.json carries it. */
struct vault_desc {
	uint8_t vault_id[ID_LEN];
	uint32_t generation;
	char name[NAME_MAX_LEN + 1];
	uint8_t sign_pub[SIGN_PUB_LEN];
	uint8_t box_pub[BOX_PUB_LEN];
	uint8_t tls_pin[DIGEST_LEN];	/* zeros: no line yet */
	char url[URL_MAX_LEN + 1];
	char region[TEXT_MAX_LEN + 1];
	uint8_t redundancy;
	uint16_t suite;			/* accepted */
	uint32_t chunk_avg_min, chunk_avg_max;	/* accepted */
	int64_t created;
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema vault_desc_schema;

/* The vault's secret keys, in vault.key (0600), apart from everything replicated. */
struct vault_key {
	uint8_t vault_id[ID_LEN];
	uint8_t sign_seed[KEY_LEN];
	uint8_t box_seed[KEY_LEN];
};
extern const struct fmt_schema vault_key_schema;

/* The same, wrapped by an operator's passphrase (Argon2id, XChaCha20-Poly1305). */
struct vault_key_wrapped {
	uint8_t vault_id[ID_LEN];
	uint64_t kdf_ops, kdf_mem;
	uint8_t salt[16];
	uint8_t nonce[NONCE_LEN];
	uint8_t wrapped[2 * KEY_LEN + SEAL_TAG_LEN];
};
extern const struct fmt_schema vault_key_wrapped_schema;

#define PURPOSE_NEW		1
#define PURPOSE_REPLACE		2
#define PURPOSE_RESTORE_ONLY	3

/* Lets one machine register with one vault; the file holds it in armour. */
struct credential {
	uint8_t credential_id[ID_LEN];
	uint8_t purpose;
	char machine_name[NAME_MAX_LEN + 1];	/* empty: any name */
	uint8_t machine_id[ID_LEN];	/* of an existing machine, for replace and restore-only; else zeros */
	uint8_t vault_id[ID_LEN];
	char vault_name[NAME_MAX_LEN + 1];
	uint8_t vault_pub[SIGN_PUB_LEN];
	uint8_t vault_box_pub[BOX_PUB_LEN];
	uint8_t tls_pin[DIGEST_LEN];
	char url[URL_MAX_LEN + 1];
	uint16_t suite;
	uint32_t chunk_avg_min, chunk_avg_max;
	int64_t issued;			/* seconds since 1970 */
	int64_t use_by;
	int64_t arrive_by;		/* the registration it makes must have come by then */
	uint8_t secret[KEY_LEN];	/* BLAKE2b-256 keyed (subkey of the vault's key; credential id) */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema credential_schema;

/* One decision of a vault: records/N, chained and signed. */
enum record_type {
	REC_VAULT_CREATED = 1,		/* body: vault_desc, encoded */
	REC_CREDENTIAL_ISSUED = 2,	/* body: credential without its secret and signature (zeros) */
	REC_MACHINE_REGISTERED = 3,	/* body: registration, encoded */
	REC_UNCLAIMED = 4,		/* body: rec_image */
	REC_CLAIMED = 5,		/* body: rec_image */
	REC_IMAGE_RECEIVED = 6,		/* body: label, encoded */
	REC_DISK_INGESTED = 7,		/* body: rec_disk */
	REC_MANIFEST = 8,		/* body: manifest, encoded */
	REC_SNAPSHOT_RECEIVED = 9,	/* body: envelope, encoded */
	REC_DAMAGE_FOUND = 10,		/* body: rec_damage */
	REC_KEY_COPIED = 11,		/* body: rec_note */
	REC_KIT_READ = 12,		/* body: rec_note */
	REC_PACK_QUARANTINED = 13,	/* body: rec_damage */
	REC_CUSTODY = 14,		/* body: custody record, encoded */
	REC_CLOCK = 15,			/* body: rec_note */
	REC_PARCEL = 16,		/* body: rec_parcel (fmt_parcel.h) */
	REC_LOST = 17,			/* body: rec_image */
	REC_CANCELLED = 18,		/* body: rec_image */
	REC_REOPENED = 19,		/* body: rec_image */
	REC_RELEASED = 20,		/* body: rec_parcel: how the disks go back */
	REC_WIPED = 21,			/* body: rec_wiped */
	REC_DISK_RECEIVED = 22,		/* body: rec_received */
	REC_DISK_REFUSED = 23,		/* body: rec_refused */
	REC_RECEIPT = 24,		/* body: receipt, encoded */
	REC_HANDED_OFF = 25,		/* body: the answer to a receipt, encoded */
	REC_GIVEN_UP = 26,		/* body: one part of a list of what a machine gave up, encoded */
	REC_TOKEN = 27,			/* body: rec_token (fmt_line_machine.h) */
	REC_MACHINE_FATE = 28,		/* body: rec_machine_fate (fmt_line_machine.h) */
	REC_LEASE = 30,			/* body: rec_lease (fmt_pledge.h) */
	REC_DISPUTE = 31,		/* body: dispute by a machine, encoded */
	REC_DELETED = 32,		/* body: rec_snapshot (fmt_retain.h), as the four behind it */
	REC_UNDELETED = 33,
	REC_PROTECTED = 34,
	REC_UNPROTECTED = 35,
	REC_GONE = 36,
	REC_COLLECTED = 37,		/* body: rec_collected (fmt_retain.h) */
	REC_EXPORTED = 40,		/* body: rec_note */
	REC_PASSED_OVER = 42,		/* body: envelope, encoded: its number is taken, its list has not come */
	REC_FILES_LOST = 44,		/* body: how many files a machine lost with what it gave up (fmt_pledge.h), encoded */
	REC_LOSS = 45,			/* body: rec_loss */
	REC_FORK = 43,			/* body: envelope, encoded: another has its number, or it follows another */
	REC_TAKEOVER = 41,		/* body: rec_takeover (fmt_line_machine.h) */
	REC_TYPE_KNOWN = REC_LOSS,	/* no higher one is known to this reader */
	REC_TYPE_MAX = 63		/* a reader keeps types it does not know and says so */
};

struct record {
	uint8_t vault_id[ID_LEN];
	uint64_t number;		/* 1, 2, 3 … */
	uint8_t previous[DIGEST_LEN];	/* BLAKE3 of the whole record before; zeros for the first */
	uint16_t type;
	int64_t time;			/* the vault's wall clock, nanoseconds since 1970 */
	int64_t slow_clock;		/* LIFE: nanoseconds */
	char actor[TEXT_MAX_LEN + 1];	/* who: "root@host", "machine NAME" */
	struct fmt_view body;
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema record_schema;

struct rec_image {
	uint8_t image_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	char why[TEXT_MAX_LEN + 1];
	struct fmt_view registration;	/* as found on the disk; of a fate: the machine's statement; empty if there was none */
};
extern const struct fmt_schema rec_image_schema;

struct rec_disk {
	uint8_t image_id[ID_LEN];
	uint32_t disk;
	uint8_t statement[DIGEST_LEN];	/* digest of the disk statement */
	uint32_t packs_whole;		/* packs taken byte for byte */
	uint32_t packs_repacked;	/* packs written by the vault from parts of others */
	uint64_t chunks_new, chunks_held, chunks_bad;
	uint64_t bytes_stored;
	uint8_t complete;		/* 1: every chunk of the index is held now */
};
extern const struct fmt_schema rec_disk_schema;

struct rec_damage {
	uint8_t machine_id[ID_LEN];	/* copy 0: whose disk; else zeros */
	uint8_t pack_id[DIGEST_LEN];
	uint32_t copy;			/* the n of ID.n; 0: a pack on a disk (as rec_loss, which names it, took the place of) */
	char why[TEXT_MAX_LEN + 1];
	struct fmt_view chunk_ids;	/* DIGEST_LEN each: whose copy there is bad; empty: all of the pack */
};
extern const struct fmt_schema rec_damage_schema;

/* Chunks that could not be taken from a disk. */
struct rec_loss {
	uint8_t machine_id[ID_LEN];	/* whose disk */
	uint8_t image_id[ID_LEN];
	uint32_t disk;
	uint8_t pack_id[DIGEST_LEN];	/* on it */
	char why[TEXT_MAX_LEN + 1];
	struct fmt_view chunk_ids;	/* DIGEST_LEN each */
};
extern const struct fmt_schema rec_loss_schema;

struct rec_note {
	uint8_t machine_id[ID_LEN];	/* zeros: none */
	char text[TEXT_MAX_LEN + 1];
};
extern const struct fmt_schema rec_note_schema;

/* A disk was received: looked at, told whose it is, not read yet. */
struct rec_received {
	uint8_t statement[DIGEST_LEN];	/* digest of the disk statement */
	char tracking[TEXT_MAX_LEN + 1];	/* of the parcel that it came in; "" if nobody said */
	struct fmt_view label;		/* as on the disk */
};
extern const struct fmt_schema rec_received_schema;

/* A disk was not received: nothing of it enters the vault. */
struct rec_refused {
	uint8_t image_id[ID_LEN];	/* all of this is what its label claims */
	uint8_t machine_id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint32_t disk;
	uint8_t label[DIGEST_LEN];	/* digest of the label's file */
	char why[TEXT_MAX_LEN + 1];
};
extern const struct fmt_schema rec_refused_schema;

/* Custody: chained and signed by whoever did it. */
enum custody_event {
	CUSTODY_BUILT = 1, CUSTODY_CLOSED, CUSTODY_READ_BACK, CUSTODY_NOT_READ_BACK, CUSTODY_SEALED,
	CUSTODY_SEALED_UNTESTED, CUSTODY_SHIPPED, CUSTODY_RECEIVED, CUSTODY_INGESTED, CUSTODY_REPAIRED,
	CUSTODY_GAP, CUSTODY_RECEIPT, CUSTODY_HANDED_OFF, CUSTODY_WIPED, CUSTODY_RETURNED,
	CUSTODY_CANCELLED, CUSTODY_LOST, CUSTODY_REOPENED, CUSTODY_OVERRIDE,
	CUSTODY_EVENT_MAX
};

struct custody {
	uint8_t image_id[ID_LEN];
	uint8_t by_vault;		/* 1: the signer is a vault; 0: a machine */
	uint8_t signer_id[ID_LEN];
	uint8_t signer_pub[SIGN_PUB_LEN];
	uint32_t number;		/* 1, 2, 3 … in this signer's log of this image */
	uint8_t previous[DIGEST_LEN];	/* BLAKE3 of the whole record before; zeros for the first */
	uint8_t event;
	uint32_t disk;			/* 0: the image as a whole */
	int64_t time;			/* nanoseconds since 1970 */
	char note[TEXT_MAX_LEN + 1];
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema custody_schema;

/* The event in one word or two ("read back"); "?" if there is none such. */
const char *custody_event_text(unsigned event);

#endif
