#ifndef SAMARA_FORMATS_FMT_MACHINE_H
#define SAMARA_FORMATS_FMT_MACHINE_H

/* Statements about a machine and its key domain.  Specification: docs/formats/machine.md. */

#include "formats/schema.h"

/* The key domain's descriptor, signed by the domain key.  domain id = BLAKE3(domain_pub). */
struct domain_desc {
	uint8_t domain_pub[SIGN_PUB_LEN];
	uint16_t suite;
	uint32_t chunk_avg;		/* bytes, a power of two; minimum a quarter, maximum four times */
	int64_t created;		/* seconds since 1970 */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema domain_desc_schema;

/* "This machine is one of the domain", signed by the domain key. */
struct membership {
	uint8_t domain_pub[SIGN_PUB_LEN];
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t machine_pub[SIGN_PUB_LEN];
	uint64_t from_seq;		/* first snapshot number that this key may sign */
	int64_t made;
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema membership_schema;

/* What a machine is, secret, at rest in its state directory (0600). */
struct identity {
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t seed[KEY_LEN];		/* of the machine's Ed25519 key */
	uint8_t domain_id[DIGEST_LEN];
};
extern const struct fmt_schema identity_schema;

/* Key slots. */
#define SLOT_PASSPHRASE	1
#define SLOT_RECOVERY	2	/* a 256-bit key written down */
#define SLOT_RECIPIENT	3	/* sealed to an X25519 key */
#define SLOT_LOCAL	4	/* a random key in a file of its own on the machine */
#define WRAPPED_LEN	(KEY_LEN + SEAL_TAG_LEN)

struct slot {
	uint8_t type;
	uint8_t slot_id[8];
	uint64_t kdf_ops;		/* Argon2id; 0 where no passphrase is stretched */
	uint64_t kdf_mem;		/* bytes */
	uint8_t salt[16];
	uint8_t public_key[BOX_PUB_LEN];	/* ephemeral key of a recipient slot, else zeros */
	uint8_t nonce[NONCE_LEN];
	uint8_t wrapped[WRAPPED_LEN];	/* XChaCha20-Poly1305 of the master key */
	uint8_t commitment[DIGEST_LEN];	/* BLAKE3 keyed (key-encryption key; "samara slot v1", slot id) */
	int64_t created;
	uint8_t label[32];		/* text, zero-filled */
};
extern const struct fmt_field slot_fields[];
extern const size_t slot_nfields;
#define SLOT_LEN	(1 + 8 + 8 + 8 + 16 + BOX_PUB_LEN + NONCE_LEN + WRAPPED_LEN + DIGEST_LEN + 8 + 32)

struct slot_header {
	uint8_t domain_id[DIGEST_LEN];
	uint32_t generation;
	struct fmt_view slots;		/* SLOT_LEN each */
	uint8_t mac[DIGEST_LEN];	/* BLAKE2b-256 keyed (subkey 4 of the master key; everything before) */
};
extern const struct fmt_schema slot_header_schema;

/* A machine asks a vault for admission, on a disk or by line. */
struct registration {
	uint8_t credential_id[ID_LEN];
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t machine_pub[SIGN_PUB_LEN];
	struct fmt_view domain_desc;	/* encoded */
	struct fmt_view membership;	/* encoded */
	struct fmt_view sealed_slots;	/* crypto_box_seal to the vault of: vault id, machine id, domain id, slot header */
	int64_t made;
	uint8_t mac[DIGEST_LEN];	/* BLAKE2b-256 keyed (credential secret; everything before) */
	uint8_t sig[SIGN_LEN];		/* by the machine */
};
extern const struct fmt_schema registration_schema;

/* The recovery kit's content; on paper and in files it stands in armour (armor.h). */
struct kit {
	char vault_name[NAME_MAX_LEN + 1];
	uint8_t vault_id[ID_LEN];
	uint8_t vault_pub[SIGN_PUB_LEN];
	char url[URL_MAX_LEN + 1];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t machine_id[ID_LEN];
	uint8_t machine_pub[SIGN_PUB_LEN];
	struct fmt_view domain_desc;
	struct fmt_view membership;
	struct fmt_view slots;		/* slot_header, encoded */
	int64_t made;
};
extern const struct fmt_schema kit_schema;

/* What a machine believes, authenticated under subkey 5 of its master key. */
struct trust {
	uint8_t vault_id[ID_LEN];
	char vault_name[NAME_MAX_LEN + 1];
	uint8_t vault_pub[SIGN_PUB_LEN];
	uint8_t vault_box_pub[BOX_PUB_LEN];
	uint8_t tls_pin[DIGEST_LEN];
	char url[URL_MAX_LEN + 1];
	uint64_t last_seq;		/* number of the newest snapshot closed here; 0: none */
	uint8_t head[ID_LEN];		/* that snapshot */
	uint8_t head_digest[DIGEST_LEN];	/* of its envelope */
	uint64_t receipt_number;	/* highest accepted */
	uint32_t slots_generation;
	uint8_t mac[DIGEST_LEN];	/* BLAKE2b-256 keyed (subkey 5; everything before) */
};
extern const struct fmt_schema trust_schema;

#endif
