#ifndef SAMARA_TESTS_GOLDEN_WORLD_H
#define SAMARA_TESTS_GOLDEN_WORLD_H

/* The machine, the vault and the image that golden files tell of, and how their bytes are made. */

#include <stdio.h>

#include "formats/fmt_disk.h"
#include "formats/fmt_journal.h"
#include "formats/fmt_listing.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_pack.h"
#include "formats/fmt_receipt.h"
#include "formats/fmt_snapshot.h"
#include "formats/fmt_vault.h"

#define CREATED		1700000000		/* seconds */
#define BEGIN		INT64_C(1700000000123456789)	/* nanoseconds */

/* The world that the files tell of. */
struct world {
	uint8_t master[KEY_LEN], machine_seed[KEY_LEN], vault_seed[KEY_LEN], vault_box_seed[KEY_LEN];
	uint8_t domain_seed[KEY_LEN], domain_pub[32], domain_secret[64], domain_id[DIGEST_LEN];
	uint8_t machine_pub[32], machine_secret[64], vault_pub[32], vault_secret[64], vault_box_pub[32];
	uint8_t vault_box_secret[32];
	uint8_t seal_key[KEY_LEN], nonce_key[KEY_LEN], slots_key[KEY_LEN], trust_key[KEY_LEN], epoch_key[KEY_LEN];
	uint8_t vault_id[ID_LEN], machine_id[ID_LEN], image_id[ID_LEN], snapshot_id[ID_LEN], credential_id[ID_LEN];
	uint8_t credential_secret[KEY_LEN];
};
extern struct world w;

extern FILE *vectors;	/* vectors.txt: each line of the definition of a chunk */

/* A sealed chunk. */
struct sealed {
	struct pack_row row;
	uint8_t frame[4096];
};

/* A finished pack. */
struct pack {
	uint8_t b[16384];
	size_t len, table_off, table_len;
	uint8_t id[DIGEST_LEN];
};

_Noreturn void die(const char *what);
void make_world(void);
void world_vectors(void);

/* ${first}, ${first} + 1, … */
void rising(uint8_t *p, size_t n, unsigned first);
void digest(const void *in, size_t n, uint8_t out[DIGEST_LEN]);
void subkey(uint8_t out[KEY_LEN], uint64_t number, const char context[8], const uint8_t parent[KEY_LEN]);
/* BLAKE2b-256 keyed over the first ${n} bytes. */
void mac(uint8_t out[DIGEST_LEN], const uint8_t key[KEY_LEN], const uint8_t *in, size_t n);
/* A line of vectors.txt. */
void vector(const char *name, const void *p, size_t n);

/* A new file, never over another; and both copies of something on a disk. */
void save(const char *name, const void *p, size_t n);
void save_twice(const char *first, const char *second, const void *p, size_t n);
void directory(const char *name);

/* Encode ${value}, sign it where there is a ${secret}, give back its bytes. */
struct fmt_view statement(const struct fmt_schema *s, void *value, const uint8_t *secret);
/* The same, into NAME.bin, with NAME.txt beside it. */
struct fmt_view golden(const char *name, const struct fmt_schema *s, void *value, const uint8_t *secret);

void seal(struct sealed *c, unsigned kind, unsigned codec, const uint8_t *plain, size_t len, unsigned number);
void make_pack(struct pack *p, uint16_t flags, const uint8_t maker[ID_LEN], const uint8_t secret[64],
    const struct sealed *c, uint32_t n);
int by_bytes(const void *a, const void *b);
/* The digest of a sorted list of ids, and its file. */
void refs_digest(const uint8_t *ids, size_t n, uint8_t out[DIGEST_LEN]);
struct fmt_view refs_file(struct refs_head *h, const uint8_t *ids);

/* golden_people.c: what machine and vault say of themselves. */
extern struct fmt_view domain_bytes, member_bytes, regist_bytes, keys_bytes;
struct fmt_view make_vault(void);
void make_machine(void);
void make_registration(void);
void make_kit(void);
void make_records(struct fmt_view desc);
struct fmt_view make_custody(void);

/* golden_end.c: receipt, answer, what is missing. */
void make_end(void);

/* golden_parcel.c: an image on its way. */
void make_parcel(void);

/* golden_line.c: a session over the line, about the image's snapshot, whose envelope.bin is there. */
void make_line(void);
/* golden_retain.c: what is kept and what is taken away. */
void make_retain(void);

/* golden_pledge.c: pledge, fate, lease and dispute. */
void make_pledge(void);

/* golden_token.c: tokens, and what a contact tells. */
void make_token(struct fmt_view desc);

/* golden_image.c: a whole image on one disk. */
void make_golden_image(void);

#endif
