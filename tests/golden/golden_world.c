#include <blake3.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "tests/golden/golden_text.h"
#include "tests/golden/golden_world.h"

static const uint8_t nothing[DIGEST_LEN];

struct world w;
FILE *vectors;

_Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

void
rising(uint8_t *p, size_t n, unsigned first)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(first + i);
}

void
digest(const void *in, size_t n, uint8_t out[DIGEST_LEN])
{
	blake3_hasher h;

	blake3_hasher_init(&h);
	blake3_hasher_update(&h, in, n);
	blake3_hasher_finalize(&h, out, DIGEST_LEN);
}

void
vector(const char *name, const void *p, size_t n)
{
	fprintf(vectors, "%s = ", name);
	text_bytes(vectors, p, n);
	fputc('\n', vectors);
}

void
subkey(uint8_t out[KEY_LEN], uint64_t number, const char context[8], const uint8_t parent[KEY_LEN])
{
	crypto_kdf_derive_from_key(out, KEY_LEN, number, context, parent);
}

/* A new file, never over another. */
void
save(const char *name, const void *p, size_t n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd == -1 || write(fd, p, n) != (ssize_t)n || close(fd) != 0)
		die(name);
}

void
directory(const char *name)
{
	if (mkdir(name, 0755) != 0 && errno != EEXIST)
		die(name);
}

/* Both copies of something on a disk. */
void
save_twice(const char *first, const char *second, const void *p, size_t n)
{
	save(first, p, n);
	save(second, p, n);
}

static void
sign(uint8_t sig[SIGN_LEN], const char *context, const uint8_t *in, size_t n, const uint8_t secret[64])
{
	uint8_t m[64] = { 0 };

	memcpy(m, context, strlen(context));
	digest(in, n, m + 32);
	crypto_sign_detached(sig, NULL, m, sizeof(m), secret);
}

/* BLAKE2b-256 keyed over the first ${n} bytes. */
void
mac(uint8_t out[DIGEST_LEN], const uint8_t key[KEY_LEN], const uint8_t *in, size_t n)
{
	crypto_generichash(out, DIGEST_LEN, in, n, key, KEY_LEN);
}

/* Memory until the program ends. */
static uint8_t *
keep(size_t n)
{
	static uint8_t all[65536];
	static size_t used;

	if (n > sizeof(all) - used)
		die("memory");
	used += n;
	return all + used - n;
}

struct fmt_view
statement(const struct fmt_schema *s, void *value, const uint8_t *secret)
{
	size_t cap = schema_size(s, value), n;
	uint8_t *b = keep(cap);

	if (cap == 0 || schema_encode(s, value, b, cap, &n) != FMT_OK) {
		fprintf(stderr, "%s: cannot be encoded\n", s->name);
		exit(1);
	}
	if (secret != NULL) {
		sign((uint8_t *)value + s->sig_off, s->context, b, n - SIGN_LEN, secret);
		memcpy(b + n - SIGN_LEN, (uint8_t *)value + s->sig_off, SIGN_LEN);
	}
	return view_of(b, n);
}

/* The same, into NAME.bin, with NAME.txt beside it. */
struct fmt_view
golden(const char *name, const struct fmt_schema *s, void *value, const uint8_t *secret)
{
	struct fmt_view v = statement(s, value, secret);
	char file[64], *text = statement_text(s, value);

	snprintf(file, sizeof(file), "%s.bin", name);
	save(file, v.p, v.len);
	snprintf(file, sizeof(file), "%s.txt", name);
	save(file, text, strlen(text));
	free(text);
	return v;
}

void
make_world(void)
{
	rising(w.master, KEY_LEN, 0x00);
	rising(w.machine_seed, KEY_LEN, 0x20);
	rising(w.vault_seed, KEY_LEN, 0x40);
	rising(w.vault_box_seed, KEY_LEN, 0x60);
	rising(w.credential_secret, KEY_LEN, 0x80);
	rising(w.vault_id, ID_LEN, 0xa0);
	rising(w.machine_id, ID_LEN, 0xb0);
	rising(w.image_id, ID_LEN, 0xc0);
	rising(w.snapshot_id, ID_LEN, 0xd0);
	rising(w.credential_id, ID_LEN, 0xe0);
	subkey(w.slots_key, 4, "samara01", w.master);
	subkey(w.trust_key, 5, "samara01", w.master);
	subkey(w.domain_seed, 6, "samara01", w.master);
	subkey(w.epoch_key, EPOCH_1, "samaraEp", w.master);
	subkey(w.seal_key, 1, "samara01", w.epoch_key);
	subkey(w.nonce_key, 2, "samara01", w.epoch_key);
	crypto_sign_seed_keypair(w.domain_pub, w.domain_secret, w.domain_seed);
	crypto_sign_seed_keypair(w.machine_pub, w.machine_secret, w.machine_seed);
	crypto_sign_seed_keypair(w.vault_pub, w.vault_secret, w.vault_seed);
	crypto_box_seed_keypair(w.vault_box_pub, w.vault_box_secret, w.vault_box_seed);
	digest(w.domain_pub, 32, w.domain_id);
}

void
world_vectors(void)
{
	uint8_t k[KEY_LEN];

	fprintf(vectors, "# master key and what follows from it (docs/formats/chunk.md)\n");
	vector("master", w.master, KEY_LEN);
	subkey(k, 3, "samara01", w.master);
	vector("cutting", k, KEY_LEN);
	vector("slots", w.slots_key, KEY_LEN);
	vector("trust", w.trust_key, KEY_LEN);
	vector("domain_seed", w.domain_seed, KEY_LEN);
	vector("domain_pub", w.domain_pub, 32);
	vector("domain_id", w.domain_id, DIGEST_LEN);
	vector("epoch", w.epoch_key, KEY_LEN);
	vector("sealing", w.seal_key, KEY_LEN);
	vector("nonce_key", w.nonce_key, KEY_LEN);
	for (unsigned kind = 1; kind <= KIND_MAX; kind++) {
		char name[16];

		snprintf(name, sizeof(name), "id_key_%u", kind);
		subkey(k, 256 + kind, "samara01", w.master);
		vector(name, k, KEY_LEN);
	}
}

void
seal(struct sealed *c, unsigned kind, unsigned codec, const uint8_t *plain, size_t len, unsigned number)
{
	uint8_t id_key[KEY_LEN], inner[2048] = { 0 }, random[32], inner_digest[DIGEST_LEN], nonce[NONCE_LEN];
	uint8_t head[FRAME_HEAD_LEN + DIGEST_LEN], *at = c->frame;
	crypto_generichash_state g;
	unsigned long long sealed_len;
	blake3_hasher h;
	size_t packed, n;

	subkey(id_key, 256 + kind, "samara01", w.master);
	blake3_hasher_init_keyed(&h, id_key);
	blake3_hasher_update(&h, plain, len);
	blake3_hasher_finalize(&h, c->row.id, DIGEST_LEN);

	packed = len;
	if (codec == 0)
		memcpy(inner + INNER_HEAD_LEN, plain, len);
	else
		packed = ZSTD_compress(inner + INNER_HEAD_LEN, sizeof(inner) - INNER_HEAD_LEN, plain, len, 1);
	if (ZSTD_isError(packed) || packed > sizeof(inner) - INNER_HEAD_LEN)
		die("zstd");
	le32_put(inner, (uint32_t)len);
	le32_put(inner + 4, (uint32_t)packed);
	inner[8] = (uint8_t)codec;
	n = (size_t)padme(INNER_HEAD_LEN + packed);

	frame_head_encode(head, (uint16_t)kind, EPOCH_1, w.domain_id, (uint32_t)(n + SEAL_TAG_LEN));
	memcpy(head + FRAME_HEAD_LEN, c->row.id, DIGEST_LEN);
	rising(random, sizeof(random), 16 * number);
	digest(inner, n, inner_digest);
	crypto_generichash_init(&g, w.nonce_key, KEY_LEN, NONCE_LEN);
	crypto_generichash_update(&g, random, sizeof(random));
	crypto_generichash_update(&g, head, sizeof(head));
	crypto_generichash_update(&g, inner_digest, sizeof(inner_digest));
	crypto_generichash_final(&g, nonce, NONCE_LEN);

	memcpy(at, head, sizeof(head));
	memcpy(at + sizeof(head), nonce, NONCE_LEN);
	at += sizeof(head) + NONCE_LEN;
	crypto_aead_xchacha20poly1305_ietf_encrypt(at, &sealed_len, inner, n, head, sizeof(head), NULL, nonce, w.seal_key);
	at += sealed_len;
	c->row.xxh = XXH3_64bits(c->frame, (size_t)(at - c->frame));
	le64_put(at, c->row.xxh);
	c->row.kind = (uint16_t)kind;
	c->row.len = (uint32_t)(at + 8 - c->frame);
	digest(c->frame, c->row.len, c->row.digest);

	fprintf(vectors, "# chunk %u\n", number);
	fprintf(vectors, "kind = %u\n", kind);
	vector("plain", plain, len);
	vector("id", c->row.id, DIGEST_LEN);
	vector("inner", inner, n);
	vector("random", random, sizeof(random));
	vector("nonce", nonce, NONCE_LEN);
	vector("frame", c->frame, c->row.len);
	vector("digest", c->row.digest, DIGEST_LEN);
	fprintf(vectors, "xxh = %016llx\n", (unsigned long long)c->row.xxh);
}

void
make_pack(struct pack *p, uint16_t flags, const uint8_t maker[ID_LEN], const uint8_t secret[64],
    const struct sealed *c, uint32_t n)
{
	struct pack_head h = { .flags = flags };
	struct pack_foot f = { .count = n };
	struct wr out = { .p = p->b, .left = sizeof(p->b) };
	uint8_t *foot;

	memcpy(h.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(h.maker, maker, ID_LEN);
	pack_head_encode(&h, wr_room(&out, PACK_HEAD_LEN));
	for (uint32_t i = 0; i < n; i++) {
		wr_bytes(&out, c[i].frame, c[i].row.len);
		f.body_len += c[i].row.len;
	}
	p->table_off = (size_t)(out.p - p->b);
	wr_bytes(&out, p->b, PACK_HEAD_LEN);
	for (uint32_t i = 0; i < n; i++)
		pack_row_put(&out, flags, &c[i].row);
	p->table_len = (size_t)(out.p - p->b) - p->table_off;
	digest(p->b + p->table_off, p->table_len, p->id);
	f.table_len = (uint32_t)p->table_len;
	memcpy(f.domain_id, w.domain_id, DIGEST_LEN);
	memcpy(f.maker, maker, ID_LEN);
	memcpy(f.pack_id, p->id, DIGEST_LEN);
	foot = wr_room(&out, PACK_FOOT_LEN);
	if (foot == NULL)
		die("pack");
	pack_foot_encode(&f, foot);
	sign(f.sig, PACK_CONTEXT, foot, PACK_FOOT_SIGNED, secret);
	pack_foot_encode(&f, foot);
	f.xxh = XXH3_64bits(foot, PACK_FOOT_SUMMED);
	pack_foot_encode(&f, foot);
	p->len = (size_t)(out.p - p->b);
}

/* The digest of a sorted list of ids. */
void
refs_digest(const uint8_t *ids, size_t n, uint8_t out[DIGEST_LEN])
{
	uint8_t head[32 + DIGEST_LEN + 8] = "samara refs v1", leaf[DIGEST_LEN];
	blake3_hasher h;
	size_t i = 0, from;

	memcpy(head + 32, w.domain_id, DIGEST_LEN);
	le64_put(head + 32 + DIGEST_LEN, n);
	blake3_hasher_init(&h);
	blake3_hasher_update(&h, head, sizeof(head));
	for (unsigned prefix = 0; prefix < 65536; prefix++) {
		for (from = i; i < n && (unsigned)(ids[i * 32] << 8 | ids[i * 32 + 1]) == prefix; i++)
			;
		if (i > from)
			digest(ids + from * 32, (i - from) * 32, leaf);
		blake3_hasher_update(&h, i > from ? leaf : nothing, DIGEST_LEN);
	}
	blake3_hasher_finalize(&h, out, DIGEST_LEN);
}

int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

struct fmt_view
refs_file(struct refs_head *h, const uint8_t *ids)
{
	size_t n = (size_t)(h->added + h->removed) * DIGEST_LEN;
	uint8_t *b = keep(REFS_HEAD_LEN + n);

	memcpy(h->domain_id, w.domain_id, DIGEST_LEN);
	h->parts = 1;
	refs_head_encode(h, b);
	memcpy(b + REFS_HEAD_LEN, ids, n);
	return view_of(b, REFS_HEAD_LEN + n);
}
