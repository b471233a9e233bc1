#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/err.h"
#include "common/crypto/hash.h"
#include "common/pack/chunk_open.h"
#include "common/pack/pack_view.h"
#include "pack/packed.h"

static struct err e;

/* docs/formats/vectors.md: a pack of one chunk; made by another implementation. */
static void
a_pack_of_one_chunk_is_the_one_written_down(void **state)
{
	static const char plain[] = "samara carries seeds on the wind";
	struct domain_keys *k = keys_make();
	uint8_t maker[ID_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN], inner[64], digest[DIGEST_LEN];
	uint8_t *out = malloc(PACK_LEN_MAX);
	struct codec *c = codec_new(1);
	struct pack_part part = { .kind = KIND_DATA, .inner = inner };
	const struct io_ops *before = random_fix();
	struct pack_info info;

	(void)state;
	maker_make(maker, pub, secret);
	chunk_id(k, KIND_DATA, plain, sizeof(plain) - 1, part.id);
	part.inner_len = (uint32_t)chunk_inner(c, (const uint8_t *)plain, sizeof(plain) - 1, inner);
	pack_build(k, maker, secret, &part, 1, out, &info);
	(void)io_use(before);
	assert_int_equal(info.len, 556);
	assert_hex(info.id, DIGEST_LEN, "eb228a9180231200af6c996907f93337a9fdd47f2287d72502454eff700ec008");
	hash_once(out, info.len, digest);
	assert_hex(digest, DIGEST_LEN, "395b5e2c7b57b94977b58e51896ecc243072050cfecabfc3bcdcbc9726040366");
	codec_free(c);
	free(out);
	domain_keys_free(k);
}

static void
a_pack_has_the_length_that_was_foretold_and_its_parts_where_it_says(void **state)
{
	struct packed p;
	struct pack_view v;
	struct pack_row row;
	uint64_t frames = 0;

	(void)state;
	packed_make(&p, 50, 300);
	err_clear(&e);
	assert_int_equal(pack_view_open(&v, p.bytes + p.info.table_off, p.info.table_len,
	    p.bytes + p.info.table_off + p.info.table_len, p.maker, p.pub, &e), 0);
	for (uint32_t i = 0; i < 50; i++) {
		pack_table_row(&v.table, i, &row);
		frames += row.len;
	}
	assert_int_equal(p.info.count, 50);
	assert_int_equal(p.info.len, pack_len(50, frames));
	assert_int_equal(p.info.table_off, PACK_HEAD_LEN + frames);
	assert_int_equal(v.file_len, p.info.len);
	assert_memory_equal(v.foot.pack_id, p.info.id, DIGEST_LEN);
	packed_drop(&p);
}

static void
every_chunk_comes_out_of_its_pack_again(void **state)
{
	struct packed p;
	struct pack_view v;
	struct pack_row row;
	struct opener *o;
	uint8_t out[300], seen[50] = { 0 };
	size_t n;

	(void)state;
	packed_make(&p, 50, 300);
	o = opener_new(p.keys);
	err_clear(&e);
	assert_int_equal(pack_view_bytes(&v, p.bytes, p.info.len, p.maker, p.pub, &e), 0);
	for (uint32_t i = 0; i < 50; i++) {
		const uint8_t *frame = packed_frame(&p, &v.table, i);

		pack_table_row(&v.table, i, &row);
		assert_null(pack_frame_check(&row, frame, p.keys->domain_id, PACK_FULL));
		assert_int_equal(chunk_open(o, frame, row.len, row.id, row.kind, out, sizeof(out), &n, &e), 0);
		assert_int_equal(n, 300);
		assert_true(le32_get(out) < 50);
		assert_int_equal(row.kind, 1 + le32_get(out) % KIND_MAX);
		seen[le32_get(out)]++;
	}
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(seen[i], 1);
	opener_free(o);
	packed_drop(&p);
}

/* Four chunks stand in 24 orders; in 1200 packs each is expected 50 times, and never seen only by a chance of 1e-21. */
static void
chunks_stand_in_every_order(void **state)
{
	static const uint8_t maker[ID_LEN] = { 1 };
	struct domain_keys *k = keys_make();
	uint8_t secret[SIGN_SECRET_LEN], pub[SIGN_PUB_LEN], id[ID_LEN], inner[10] = { 1 }, *out = malloc(PACK_LEN_MAX);
	unsigned orders[256] = { 0 }, different = 0;
	struct pack_part parts[4];
	struct pack_info info;

	(void)state;
	maker_make(id, pub, secret);
	for (int round = 0; round < 1200; round++) {
		unsigned order = 0;

		for (uint8_t i = 0; i < 4; i++) {
			memset(parts[i].id, i, DIGEST_LEN);
			parts[i].kind = KIND_DATA;
			parts[i].inner = inner;
			parts[i].inner_len = sizeof(inner);
		}
		pack_build(k, maker, secret, parts, 4, out, &info);
		for (unsigned i = 0; i < 4; i++)
			order = order << 2 | out[PACK_HEAD_LEN + i * chunk_frame_len(sizeof(inner)) + FRAME_HEAD_LEN];
		different += orders[order]++ == 0;
	}
	assert_int_equal(different, 24);
	free(out);
	domain_keys_free(k);
}

/* What the vault re-packs: some frames of two packs, byte for byte, each with where it comes from. */
static void
a_vaults_pack_keeps_frames_writers_and_origins(void **state)
{
	uint8_t vault[ID_LEN] = { 9 }, seed[KEY_LEN] = { 8 }, pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	uint8_t *out = malloc(PACK_LEN_MAX);
	struct packed p;
	struct pack_view v, again;
	struct pack_frame frames[3];
	struct pack_info info;
	struct pack_row row;
	uint64_t len = 0;

	(void)state;
	packed_make(&p, 10, 100);
	sign_keys(seed, pub, secret);
	err_clear(&e);
	assert_int_equal(pack_view_bytes(&v, p.bytes, p.info.len, p.maker, p.pub, &e), 0);
	for (uint32_t i = 0; i < 3; i++) {
		frames[i].bytes = packed_frame(&p, &v.table, 3 * i);
		pack_table_row(&v.table, 3 * i, &frames[i].row);
		memcpy(frames[i].row.origin, v.foot.pack_id, DIGEST_LEN);
		len += frames[i].row.len;
	}
	pack_rebuild(v.table.head.domain_id, vault, secret, frames, 3, out, &info);
	assert_int_equal(info.len, pack_rebuild_len(3, len));
	assert_int_equal(pack_view_bytes(&again, out, info.len, vault, pub, &e), 0);
	assert_int_equal(again.table.head.flags, PACK_REPACKED);
	for (uint32_t i = 0, at = PACK_HEAD_LEN; i < 3; at += row.len, i++) {
		pack_table_row(&again.table, i, &row);
		assert_memory_equal(row.writer, p.maker, ID_LEN);
		assert_memory_equal(row.origin, p.info.id, DIGEST_LEN);
		assert_memory_equal(row.digest, frames[i].row.digest, DIGEST_LEN);
		assert_memory_equal(out + at, frames[i].bytes, row.len);
		assert_null(pack_frame_check(&row, out + at, p.keys->domain_id, PACK_FULL));
	}
	/* The machine's signature does not stand for the vault's pack. */
	assert_int_equal(pack_view_bytes(&again, out, info.len, vault, p.pub, &e), -1);
	assert_int_equal(e.code, ERR_SIGNATURE);
	free(out);
	packed_drop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pack_of_one_chunk_is_the_one_written_down),
		cmocka_unit_test(a_pack_has_the_length_that_was_foretold_and_its_parts_where_it_says),
		cmocka_unit_test(every_chunk_comes_out_of_its_pack_again),
		cmocka_unit_test(chunks_stand_in_every_order),
		cmocka_unit_test(a_vaults_pack_keeps_frames_writers_and_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
