#ifndef SAMARA_TESTS_FLOW_SEED_MAKER_H
#define SAMARA_TESTS_FLOW_SEED_MAKER_H

/*
 * Machines and their images on disks, made by hand for tests of the vault's
 * side: chunks are told apart by numbers, so a test says which of them stand
 * on which disk and which a snapshot needs.  After cmocka.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scratch.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/chunk/codec.h"
#include "common/crypto/domain_keys.h"
#include "common/crypto/hash.h"
#include "common/crypto/letter.h"
#include "common/crypto/sign.h"
#include "common/crypto/slots.h"
#include "common/disk/image_dir.h"
#include "common/flow/parity_group.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_build.h"
#include "common/pack/refs.h"
#include "formats/fmt_disk.h"
#include "formats/fmt_machine.h"
#include "formats/fmt_receipt.h"
#include "formats/fmt_snapshot.h"
#include "formats/fmt_vault.h"

#define SEED_CHUNK_LEN	3000u		/* of the plain bytes */
#define SEED_PACK	8u		/* chunks in a pack */
#define SEED_DISKS	8u
#define SEED_SNAPS	8u

struct seed_machine {
	uint8_t id[ID_LEN], seed[KEY_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	char name[NAME_MAX_LEN + 1];
	struct domain_keys *k;
	struct buf domain, member, regist, slots;	/* slots: the disk_keys statement */
	uint8_t vault_id[ID_LEN];
	char vault_name[NAME_MAX_LEN + 1];
};

struct seed_image {
	struct seed_machine *m;
	uint8_t id[ID_LEN];
	char short_name[SHORT_LEN + 1];
	uint32_t disks[SEED_DISKS];
	uint32_t replaces[SEED_DISKS];		/* in the place of which one; 0: of none */
	uint8_t statements[SEED_DISKS][DIGEST_LEN];
	size_t ndisks;
	uint8_t envelopes[SEED_SNAPS][DIGEST_LEN];
	uint8_t carried[DIGEST_LEN];		/* of a top-up */
	size_t nsnaps;
	uint32_t first_pack;			/* of the numbers on the next disk */
	uint8_t parity;				/* percent, of the disks made from here on */
	uint32_t pack_chunks;			/* in a pack, at most 64; 0: SEED_PACK */
	uint8_t leans_on[SEED_SNAPS][ID_LEN];	/* images that its manifest says it leans on */
	size_t nleans;
};

/* The chunk with number ${n} of this machine's domain: its id, and its inner bytes in new memory. */
static inline void
seed_chunk(const struct seed_machine *m, uint32_t n, uint8_t id[DIGEST_LEN], uint8_t **inner, uint32_t *inner_len)
{
	uint8_t plain[SEED_CHUNK_LEN];
	uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15) + 1;
	struct codec *c = codec_new(1);

	for (size_t i = 0; i < sizeof(plain); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		plain[i] = (uint8_t)x;
	}
	chunk_id(m->k, KIND_DATA, plain, sizeof(plain), id);
	if (inner != NULL) {
		*inner = malloc(chunk_inner_bound(sizeof(plain)));
		assert_non_null(*inner);
		*inner_len = (uint32_t)chunk_inner(c, plain, sizeof(plain), *inner);
	}
	codec_free(c);
}

static inline struct fmt_view
seed_view(const struct buf *b)
{
	return (struct fmt_view){ b->p, (uint32_t)b->len };
}

static inline void
seed_sign(const struct fmt_schema *s, void *value, const uint8_t *secret, struct buf *out)
{
	struct err e;

	err_clear(&e);
	assert_int_equal(statement_make(s, value, secret, out, &e), 0);
}

/* Slots that one 256-bit key opens, in a letter to the vault. */
static inline void
seed_slots(struct seed_machine *m, const uint8_t box_pub[BOX_PUB_LEN], struct buf *letter)
{
	uint8_t key[KEY_LEN];
	struct slot s;
	struct buf text, header;
	struct err e;

	err_clear(&e);
	buf_init(&text);
	buf_init(&header);
	memset(key, 7, sizeof(key));
	slot_make_key(&s, SLOT_RECOVERY, m->k->master, key, "recovery key");
	assert_int_equal(slots_make(&s, 1, 1, m->k->domain_id, m->k->slots, &header, &e), 0);
	buf_add(&text, m->vault_id, ID_LEN);
	buf_add(&text, m->id, ID_LEN);
	buf_add(&text, m->k->domain_id, DIGEST_LEN);
	buf_add(&text, header.p, header.len);
	assert_int_equal(letter_seal(box_pub, text.p, text.len, letter, &e), 0);
	buf_release(&text);
	buf_release(&header);
}

/* What stands in keys/slots of a disk: the letter. */
static inline void
seed_disk_keys(struct seed_machine *m, const struct buf *letter)
{
	struct disk_keys keys = { .openable = 0 };

	memcpy(keys.vault_id, m->vault_id, ID_LEN);
	memcpy(keys.machine_id, m->id, ID_LEN);
	memcpy(keys.domain_id, m->k->domain_id, DIGEST_LEN);
	keys.blob = seed_view(letter);
	buf_reset(&m->slots);
	seed_sign(&disk_keys_schema, &keys, NULL, &m->slots);
}

/* The registration made with ${c}, with the machine's clock at ${made}. */
static inline void
seed_register(struct seed_machine *m, const struct credential *c, int64_t made)
{
	struct registration g = { .made = made };
	struct buf letter;

	buf_init(&letter);
	seed_slots(m, c->vault_box_pub, &letter);
	seed_disk_keys(m, &letter);
	memcpy(g.credential_id, c->credential_id, ID_LEN);
	memcpy(g.vault_id, c->vault_id, ID_LEN);
	memcpy(g.machine_id, m->id, ID_LEN);
	memcpy(g.machine_name, m->name, sizeof(g.machine_name));
	memcpy(g.machine_pub, m->pub, SIGN_PUB_LEN);
	g.domain_desc = seed_view(&m->domain);
	g.membership = seed_view(&m->member);
	g.sealed_slots = seed_view(&letter);
	buf_reset(&m->regist);
	seed_sign(&registration_schema, &g, m->secret, &m->regist);
	mac_once(c->secret, m->regist.p, m->regist.len - SIGN_LEN - DIGEST_LEN, g.mac);
	buf_reset(&m->regist);
	seed_sign(&registration_schema, &g, m->secret, &m->regist);
	buf_release(&letter);
}

/* A machine called ${name} with a key domain of its own, registered offline with ${c}. */
static inline void
seed_machine_make(struct seed_machine *m, const char *name, const struct credential *c)
{
	struct domain_desc d = { .suite = SUITE_1, .chunk_avg = CHUNK_AVG_DEFAULT, .created = 1000 };
	struct membership member = { .from_seq = 1, .made = 1000 };
	uint8_t master[KEY_LEN];

	memset(m, 0, sizeof(*m));
	io_random(m->id, ID_LEN);
	io_random(m->seed, KEY_LEN);
	io_random(master, KEY_LEN);
	sign_keys(m->seed, m->pub, m->secret);
	m->k = domain_keys_new(master);
	(void)snprintf(m->name, sizeof(m->name), "%s", name);
	memcpy(m->vault_id, c->vault_id, ID_LEN);
	memcpy(m->vault_name, c->vault_name, sizeof(m->vault_name));
	buf_init(&m->domain);
	buf_init(&m->member);
	buf_init(&m->regist);
	buf_init(&m->slots);
	memcpy(d.domain_pub, m->k->domain_pub, SIGN_PUB_LEN);
	seed_sign(&domain_desc_schema, &d, m->k->sign_secret, &m->domain);
	memcpy(member.domain_pub, m->k->domain_pub, SIGN_PUB_LEN);
	memcpy(member.machine_id, m->id, ID_LEN);
	memcpy(member.machine_name, m->name, sizeof(member.machine_name));
	memcpy(member.machine_pub, m->pub, SIGN_PUB_LEN);
	seed_sign(&membership_schema, &member, m->k->sign_secret, &m->member);
	seed_register(m, c, io_now());
}

static inline void
seed_machine_drop(struct seed_machine *m)
{
	domain_keys_free(m->k);
	buf_release(&m->domain);
	buf_release(&m->member);
	buf_release(&m->regist);
	buf_release(&m->slots);
}

static inline void
seed_image_make(struct seed_image *im, struct seed_machine *m, const char *short_name)
{
	memset(im, 0, sizeof(*im));
	im->m = m;
	io_random(im->id, ID_LEN);
	(void)snprintf(im->short_name, sizeof(im->short_name), "%s", short_name);
}

/* Write ${name} below samara/IMAGE/ on the disk in the directory ${disk}, in place of what is there. */
static inline void
seed_put(const struct seed_image *im, const char *disk, const char *name, const void *bytes, size_t len)
{
	char path[512], lower[SHORT_LEN + 1];
	struct err e;

	for (size_t i = 0; i <= SHORT_LEN; i++)
		lower[i] = (char)(im->short_name[i] >= 'A' && im->short_name[i] <= 'Z' ? im->short_name[i] + 32 :
		    im->short_name[i]);
	err_clear(&e);
	(void)snprintf(path, sizeof(path), "%s/samara/%s/%s", disk, lower, name);
	*strrchr(path, '/') = '\0';
	assert_int_equal(dir_make(AT_FDCWD, path, 0755, &e), 0);
	path[strlen(path)] = '/';
	assert_int_equal(file_replace(AT_FDCWD, path, bytes, len, 0644, &e), 0);
}

static inline void
seed_put_twice(const struct seed_image *im, const char *disk, void (*name)(char *out, int copy), const struct buf *b)
{
	for (int copy = 0; copy < 2; copy++) {
		char n[IMAGE_NAME_MAX];

		name(n, copy);
		seed_put(im, disk, n, b->p, b->len);
	}
}

static inline void
seed_put_keys(const struct seed_image *im, const char *disk)
{
	const struct { const char *what; const struct buf *b; } t[] = {
		{ "domain", &im->m->domain }, { "member", &im->m->member }, { "regist", &im->m->regist },
		{ "slots", &im->m->slots },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (int copy = 0; copy < 2; copy++) {
			char n[IMAGE_NAME_MAX];

			image_name_keys(n, copy, t[i].what);
			seed_put(im, disk, n, t[i].b->p, t[i].b->len);
		}
}

/* One pack of the chunks ${from} .. ${from} + ${n} - 1; its row goes into ${index}. */
static inline void
seed_pack(const struct seed_image *im, const char *disk, uint32_t number, uint32_t from, uint32_t n, struct buf *index,
    uint64_t *bytes)
{
	struct pack_part parts[64];
	uint8_t *inner[64], *out = malloc(PACK_LEN_MAX);
	char name[IMAGE_NAME_MAX];
	struct pack_info info;

	assert_non_null(out);
	for (uint32_t i = 0; i < n; i++) {
		parts[i].kind = KIND_DATA;
		seed_chunk(im->m, from + i, parts[i].id, &inner[i], &parts[i].inner_len);
		parts[i].inner = inner[i];
	}
	pack_build(im->m->k, im->m->id, im->m->secret, parts, n, out, &info);
	image_name_pack(name, number);
	seed_put(im, disk, name, out, info.len);
	buf_u32(index, number);
	buf_u32(index, info.len);
	buf_u32(index, info.table_len);
	buf_add(index, out + info.table_off, info.table_len + PACK_FOOT_LEN);
	*bytes += info.len;
	for (uint32_t i = 0; i < n; i++)
		free(inner[i]);
	free(out);
}

/* The index file, twice; the statement's fields about it. */
static inline void
seed_index(const struct seed_image *im, const char *disk, uint32_t number, const struct buf *rows,
    struct disk_statement *st)
{
	struct index_part h = { .part = 0, .disk = number, .payload_len = rows->len };
	uint8_t head[INDEX_PART_HEAD_LEN], digest[DIGEST_LEN];
	struct buf b;

	memcpy(h.image_id, im->id, ID_LEN);
	index_part_encode(&h, head);
	buf_init(&b);
	buf_add(&b, head, sizeof(head));
	buf_add(&b, rows->p, rows->len);
	for (int copy = 0; copy < 2; copy++) {
		char n[IMAGE_NAME_MAX];

		image_name_index(n, copy, 0);
		seed_put(im, disk, n, b.p, b.len);
	}
	hash_once(b.p, b.len, digest);
	hash_once(digest, sizeof(digest), st->index_digest);
	st->index_parts = 1;
	st->index_bytes = rows->len;
	buf_release(&b);
}

static inline void
seed_label(const struct seed_image *im, const char *disk, uint32_t number, uint8_t digest[DIGEST_LEN])
{
	struct label l = { .disk = number, .format = FORMAT_VERSION, .suite = SUITE_1, .fs_type = "ext4", .created = 1000 };
	struct buf b;

	memcpy(l.image_id, im->id, ID_LEN);
	memcpy(l.short_name, im->short_name, sizeof(l.short_name));
	memcpy(l.vault_id, im->m->vault_id, ID_LEN);
	memcpy(l.vault_name, im->m->vault_name, sizeof(l.vault_name));
	memcpy(l.machine_id, im->m->id, ID_LEN);
	memcpy(l.machine_name, im->m->name, sizeof(l.machine_name));
	memcpy(l.machine_pub, im->m->pub, SIGN_PUB_LEN);
	memcpy(l.domain_id, im->m->k->domain_id, DIGEST_LEN);
	buf_init(&b);
	seed_sign(&label_schema, &l, im->m->secret, &b);
	seed_put_twice(im, disk, image_name_label, &b);
	hash_once(b.p, b.len, digest);
	buf_release(&b);
}

/* Parity of the packs whose index rows are ${rows}. */
static inline void
seed_parity(const struct seed_image *im, const char *disk, const struct disk_statement *st, const struct buf *rows)
{
	struct parity_group *g = parity_group_new(parity_group_packs(st->packs, st->parity_groups, 0), st->parity_percent, NULL);
	struct parity_member all[512], own[PARITY_GROUP_MAX];
	uint8_t *bytes = malloc(PACK_LEN_MAX), *file;
	char path[512], name[IMAGE_NAME_MAX];
	const uint8_t *at = rows->p;
	struct err e;
	size_t len;
	int fd;

	assert_true(g != NULL && bytes != NULL && st->packs <= 512);
	err_clear(&e);
	for (uint32_t i = 0; i < st->packs; i++) {
		uint32_t table = le32_get(at + 8);

		all[i].number = le32_get(at);
		all[i].file_len = le32_get(at + 4);
		memcpy(all[i].id, at + INDEX_ROW_HEAD_LEN + table + 72, DIGEST_LEN);
		at += INDEX_ROW_HEAD_LEN + table + PACK_FOOT_LEN;
	}
	(void)snprintf(path, sizeof(path), "%s/samara/%c%c%c%c", disk, im->short_name[0] | 32, im->short_name[1] | 32,
	    im->short_name[2] | 32, im->short_name[3] | 32);
	assert_int_not_equal(fd = dir_open(AT_FDCWD, path, &e), -1);
	for (uint32_t group = 0; group < st->parity_groups; group++) {
		struct parity_table t = { .disk = st->disk, .group = group, .groups = st->parity_groups };
		uint32_t longest = 0;

		memcpy(t.image_id, im->id, ID_LEN);
		t.k = (uint16_t)parity_group_packs(st->packs, st->parity_groups, group);
		t.m = (uint16_t)parity_group_parity(t.k, st->parity_percent);
		for (uint32_t i = 0; i < t.k; i++) {
			own[i] = all[group + i * t.groups];
			longest = own[i].file_len > longest ? own[i].file_len : longest;
		}
		t.rows = (longest + PARITY_SHARD_LEN - 1) / PARITY_SHARD_LEN;
		assert_int_equal(parity_group_begin(g, &t, own, &e), 0);
		for (uint32_t i = 0; i < t.k; i++) {
			image_name_pack(name, own[i].number);
			assert_int_equal(file_read(fd, name, PACK_LEN_MAX, &file, &len, &e), 0);
			memcpy(bytes, file, len);
			parity_group_add(g, i, bytes, len);
			free(file);
		}
		assert_int_equal(parity_group_write(g, fd, parity_number(st->packs, t.groups, st->parity_percent, group), &e), 0);
	}
	(void)io->close(fd);
	free(bytes);
	parity_group_free(g);
}

/* A closed disk ${number} in the directory ${disk}: the chunks ${from} .. ${from} + ${n} - 1 in packs of SEED_PACK. */
static inline void
seed_disk(struct seed_image *im, const char *disk, uint32_t number, uint32_t from, uint32_t n)
{
	struct disk_statement st = { .disk = number, .chunks = n, .closed = 2000 };
	uint32_t pack = im->pack_chunks > 0 ? im->pack_chunks : SEED_PACK;
	struct buf rows, b;

	buf_init(&rows);
	buf_init(&b);
	seed_label(im, disk, number, st.label_digest);
	seed_put_keys(im, disk);
	for (uint32_t at = 0; at < n; at += pack, st.packs++)
		seed_pack(im, disk, im->first_pack + st.packs, from + at, n - at < pack ? n - at : pack, &rows, &st.pack_bytes);
	im->first_pack += st.packs;
	seed_index(im, disk, number, &rows, &st);
	st.parity_percent = im->parity;
	st.parity_groups = parity_groups(st.packs, im->parity);
	if (st.parity_groups > 0)
		seed_parity(im, disk, &st, &rows);
	memcpy(st.vault_id, im->m->vault_id, ID_LEN);
	memcpy(st.machine_id, im->m->id, ID_LEN);
	memcpy(st.domain_id, im->m->k->domain_id, DIGEST_LEN);
	memcpy(st.image_id, im->id, ID_LEN);
	seed_sign(&disk_statement_schema, &st, im->m->secret, &b);
	seed_put_twice(im, disk, image_name_statement, &b);
	im->disks[im->ndisks] = number;
	statement_digest(&disk_statement_schema, b.p, b.len, im->statements[im->ndisks++]);
	buf_release(&rows);
	buf_release(&b);
}

static inline int
seed_id_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* Snapshot ${seq}, on the disk in ${disk}, that needs the chunks ${from} .. ${from} + ${n} - 1, its root among them. */
static inline void
seed_snapshot(struct seed_image *im, const char *disk, uint64_t seq, uint32_t from, uint32_t n)
{
	struct envelope env = { .seq = seq, .set_name = "files", .kind = SNAP_FILES, .begin_ns = 5000, .end_ns = 6000 };
	struct refs_head h = { .kind = REFS_WHOLE, .parts = 1 };
	struct refs_digest *d = refs_digest_new(im->m->k->domain_id);
	uint8_t *ids = malloc((size_t)n * DIGEST_LEN), head[REFS_HEAD_LEN];
	struct buf b;

	assert_non_null(ids);
	for (uint32_t i = 0; i < n; i++)
		seed_chunk(im->m, from + i, ids + (size_t)i * DIGEST_LEN, NULL, NULL);
	memcpy(env.root_id, ids, DIGEST_LEN);
	qsort(ids, n, DIGEST_LEN, seed_id_order);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(refs_digest_add(d, ids + (size_t)i * DIGEST_LEN), 0);
	refs_digest_final(d, env.refs_digest, &env.refs_count);
	refs_digest_free(d);
	io_random(env.snapshot_id, ID_LEN);
	memcpy(env.machine_id, im->m->id, ID_LEN);
	memcpy(env.domain_id, im->m->k->domain_id, DIGEST_LEN);
	memcpy(env.image_id, im->id, ID_LEN);
	memcpy(h.domain_id, env.domain_id, DIGEST_LEN);
	memcpy(h.digest, env.refs_digest, DIGEST_LEN);
	h.count = h.added = n;
	refs_head_encode(&h, head);
	for (int copy = 0; copy < 2; copy++) {
		char name[IMAGE_NAME_MAX];

		buf_init(&b);
		buf_add(&b, head, sizeof(head));
		buf_add(&b, ids, (size_t)n * DIGEST_LEN);
		image_name_refs(name, copy, (uint32_t)im->nsnaps, 0);
		seed_put(im, disk, name, b.p, b.len);
		buf_reset(&b);
		seed_sign(&envelope_schema, &env, im->m->secret, &b);
		image_name_envelope(name, copy, (uint32_t)im->nsnaps);
		seed_put(im, disk, name, b.p, b.len);
		statement_digest(&envelope_schema, b.p, b.len, im->envelopes[im->nsnaps]);
		buf_release(&b);
	}
	im->nsnaps++;
	free(ids);
}

/* What a top-up carries, on its last disk: chunks ${from} to ${from} + ${n} - 1. */
static inline void
seed_carried(struct seed_image *im, const char *disk, uint32_t from, uint32_t n)
{
	struct id_list l = { .count = n, .parts = 1 };
	struct refs_digest *d = refs_digest_new(im->m->k->domain_id);
	uint8_t *ids = malloc((size_t)n * DIGEST_LEN);
	struct buf b, file;
	uint64_t count;

	assert_non_null(ids);
	for (uint32_t i = 0; i < n; i++)
		seed_chunk(im->m, from + i, ids + (size_t)i * DIGEST_LEN, NULL, NULL);
	qsort(ids, n, DIGEST_LEN, seed_id_order);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(refs_digest_add(d, ids + (size_t)i * DIGEST_LEN), 0);
	refs_digest_final(d, im->carried, &count);
	refs_digest_free(d);
	memcpy(l.vault_id, im->m->vault_id, ID_LEN);
	memcpy(l.machine_id, im->m->id, ID_LEN);
	memcpy(l.domain_id, im->m->k->domain_id, DIGEST_LEN);
	memcpy(l.image_id, im->id, ID_LEN);
	io_random(l.list_id, ID_LEN);
	memcpy(l.digest, im->carried, DIGEST_LEN);
	l.ids = (struct fmt_view){ ids, n * DIGEST_LEN };
	buf_init(&b);
	seed_sign(&carried_schema, &l, im->m->secret, &b);
	buf_init(&file);
	buf_u32(&file, (uint32_t)b.len);
	buf_add(&file, b.p, b.len);
	seed_put(im, disk, "snap/carried", file.p, file.len);
	seed_put(im, disk, "snap2/carried", file.p, file.len);
	buf_release(&file);
	buf_release(&b);
	free(ids);
}

static inline void
seed_leans(struct seed_image *im, const struct seed_image *on)
{
	memcpy(im->leans_on[im->nleans++], on->id, ID_LEN);
}

/* The manifest, generation ${generation}, onto the disk in ${disk}. */
static inline void
seed_manifest(struct seed_image *im, const char *disk, uint32_t generation)
{
	struct manifest m = { .generation = generation, .key_tested = 1, .sealed = 3000 };
	uint8_t list[SEED_DISKS * MANIFEST_DISK_LEN], sorted[SEED_SNAPS][DIGEST_LEN], n[4];
	struct wr w = { .p = list, .left = sizeof(list) };
	static const char magic[32] = "samara root v1";
	char name[IMAGE_NAME_MAX];
	struct hash h;
	struct buf b;

	for (size_t i = 0; i < im->ndisks; i++) {
		struct manifest_disk d = { .disk = im->disks[i], .replaces = im->replaces[i] };
		int gone = 0;

		for (size_t k = 0; k < im->ndisks; k++)
			gone |= im->replaces[k] == im->disks[i];
		if (gone)
			continue;
		memcpy(d.statement, im->statements[i], DIGEST_LEN);
		element_put(manifest_disk_fields, manifest_disk_nfields, &w, &d);
	}
	memcpy(sorted, im->envelopes, sizeof(sorted));
	qsort(sorted, im->nsnaps, DIGEST_LEN, seed_id_order);
	memcpy(m.vault_id, im->m->vault_id, ID_LEN);
	memcpy(m.machine_id, im->m->id, ID_LEN);
	memcpy(m.domain_id, im->m->k->domain_id, DIGEST_LEN);
	memcpy(m.image_id, im->id, ID_LEN);
	memcpy(m.short_name, im->short_name, sizeof(m.short_name));
	memcpy(m.carried, im->carried, DIGEST_LEN);
	m.disks = (struct fmt_view){ list, (uint32_t)(w.p - list) };
	m.envelopes = (struct fmt_view){ sorted[0], (uint32_t)(im->nsnaps * DIGEST_LEN) };
	m.leans_on = (struct fmt_view){ im->leans_on[0], (uint32_t)(im->nleans * ID_LEN) };
	le32_put(n, (uint32_t)im->nsnaps);
	hash_init(&h);
	hash_update(&h, magic, sizeof(magic));
	hash_update(&h, m.vault_id, ID_LEN);
	hash_update(&h, m.image_id, ID_LEN);
	hash_update(&h, n, sizeof(n));
	hash_update(&h, sorted, im->nsnaps * DIGEST_LEN);
	hash_update(&h, m.carried, DIGEST_LEN);
	hash_final(&h, m.root);
	buf_init(&b);
	seed_sign(&manifest_schema, &m, im->m->secret, &b);
	for (int copy = 0; copy < 2; copy++) {
		image_name_manifest(name, copy, generation);
		seed_put(im, disk, name, b.p, b.len);
	}
	buf_release(&b);
}

#endif
