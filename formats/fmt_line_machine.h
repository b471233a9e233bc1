#ifndef SAMARA_FORMATS_FMT_LINE_MACHINE_H
#define SAMARA_FORMATS_FMT_LINE_MACHINE_H

/* How a machine comes to its token, what a contact tells it, and what the vault records of both.  Specification: docs/formats/line.md. */

#include "formats/fmt_machine.h"
#include "formats/fmt_vault.h"

#define TOKEN_LEN		32
#define REGISTRATION_MAX	(SMALL_STATEMENT_MAX * 4)
#define NOTICES_MAX		16384u

/* "It is me; give me a token."  Signed by the machine's key, so that a registration found on a disk is worth nothing to its finder. */
struct token_request {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];	/* by a credential: whose snapshots are to be read */
	uint8_t machine_pub[SIGN_PUB_LEN];	/* by a credential: a key made for this */
	uint8_t tls_pin[DIGEST_LEN];	/* of the server that the machine talks to: nobody can stand in between */
	uint8_t random[32];
	int64_t time;			/* by the machine's clock, seconds */
	/*
	 * PURPOSE_NEW: its own, by its registration.  PURPOSE_RESTORE_ONLY, PURPOSE_REPLACE: by a
	 * credential, to read; the latter is not used up by it and lets the new machine see
	 * where the old one ended, before it registers.
	 */
	uint8_t purpose;
	uint8_t credential_id[ID_LEN];	/* by a credential; else zeros */
	struct fmt_view registration;	/* encoded; empty: by a credential */
	uint8_t mac[DIGEST_LEN];	/* by a credential: BLAKE2b-256 keyed (its secret; everything before); else zeros */
	uint8_t sig[SIGN_LEN];
};
extern const struct fmt_schema token_request_schema;

/* The answer; it stands nowhere but with the machine. */
struct token_grant {
	uint8_t vault_id[ID_LEN];
	uint8_t machine_id[ID_LEN];
	char machine_name[NAME_MAX_LEN + 1];
	uint8_t token[TOKEN_LEN];
	uint8_t purpose;		/* PURPOSE_…: what it allows */
	int64_t until;			/* seconds by the vault's clock; 0: until it is revoked */
	struct fmt_view descriptor;	/* the vault's newest description, encoded and signed */
};
extern const struct fmt_schema token_grant_schema;

/* What the vault has to say when nothing else is asked. */
struct contact {
	uint8_t vault_id[ID_LEN];
	int64_t time;			/* the vault's wall clock, nanoseconds */
	uint32_t generation;		/* of its newest description */
	char machine_name[NAME_MAX_LEN + 1];	/* as the vault calls it now */
	uint8_t purpose;		/* of the token */
	int64_t until;			/* of the token, seconds; 0: until it is revoked */
	uint64_t head_seq;		/* highest snapshot number of this machine; 0: none */
	uint8_t head_id[ID_LEN];
	uint8_t head[DIGEST_LEN];	/* statement digest of its envelope */
	uint64_t receipt;		/* number of the newest receipt; 0: none */
	uint8_t receipt_image[ID_LEN];
	uint64_t missing;		/* ids that snapshots of this machine lack and nobody promises */
	uint64_t whole, pending;	/* snapshots of it in these states */
	int64_t newest_whole;		/* end of the newest whole one, nanoseconds; 0: none */
	uint32_t sets_waiting;		/* sets of which no snapshot is whole */
	uint64_t quota, used;		/* bytes; quota 0: none */
	uint8_t subscription;		/* SUBSCRIPTION_… */
	struct fmt_view notices;	/* rows: length u16, as many bytes of UTF-8 */
};
extern const struct fmt_schema contact_schema;

/* The next row of notices at ${r}: FMT_OK; FMT_SHORT at the end (r->left == 0) or where it is cut; FMT_RANGE where it is empty or too long. */
#define NOTICE_LEN_MAX	512u
enum fmt_status notice_next(struct rd *r, struct fmt_view *text);
/* Append a row; one that has no room, is empty or too long is left out. */
void notice_put(struct wr *w, const char *text, size_t len);

/* A token was given: its hash alone is kept. */
struct rec_token {
	uint8_t machine_id[ID_LEN];
	uint8_t machine_pub[SIGN_PUB_LEN];	/* who asked */
	uint8_t hash[DIGEST_LEN];	/* BLAKE3 of the token */
	uint8_t purpose;
	int64_t until;			/* seconds, on the late clock; 0: until it is revoked */
	uint8_t credential_id[ID_LEN];	/* used up by this (restore-only); else zeros */
};
extern const struct fmt_schema rec_token_schema;

#define SUBSCRIPTION_ACTIVE		1
#define SUBSCRIPTION_EXPIRED		2
#define SUBSCRIPTION_DEPROVISIONED	3

enum machine_fate {
	MFATE_REVOKED = 1,		/* its tokens end; what it has stored stays */
	MFATE_RETIRED,			/* the same, and it is not missed: its snapshots are kept */
	MFATE_DELETED,			/* retired, and its snapshots go the way of deleted ones */
	MFATE_RENAMED,
	MFATE_QUOTA,
	MFATE_SUBSCRIPTION,
	MFATE_MAX
};
struct rec_machine_fate {
	uint8_t machine_id[ID_LEN];
	uint8_t fate;			/* MFATE_… */
	char name[NAME_MAX_LEN + 1];	/* renamed: the new one */
	uint64_t value;			/* quota in bytes (0: none), or SUBSCRIPTION_… */
	char why[TEXT_MAX_LEN + 1];
};
extern const struct fmt_schema rec_machine_fate_schema;

/* The first backup of a machine that took the place of another: the other one's tokens end. */
struct rec_takeover {
	uint8_t machine_id[ID_LEN];
	uint8_t machine_pub[SIGN_PUB_LEN];	/* whose tokens stay */
	uint64_t seq;			/* of that backup */
};
extern const struct fmt_schema rec_takeover_schema;

#endif
