#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/err.h"
#include "common/crypto/hash.h"
#include "common/pack/pack_view.h"
#include "formats/bytes.h"
#include "pack/packed.h"

static struct err e;

/* NULL if the whole pack is in order, else why not. */
static const char *
check_all(const uint8_t *in, size_t len, const uint8_t *maker, const uint8_t *pub, const uint8_t *domain_id,
    enum pack_depth depth)
{
	struct pack_view v;
	struct pack_row row;
	const uint8_t *at = in + PACK_HEAD_LEN;
	const char *why;

	err_clear(&e);
	if (pack_view_bytes(&v, in, len, maker, pub, &e) != 0)
		return e.msg;
	for (uint32_t i = 0; i < v.table.count; i++) {
		pack_table_row(&v.table, i, &row);
		if ((why = pack_frame_check(&row, at, domain_id, depth)) != NULL)
			return why;
		at += row.len;
	}
	return NULL;
}

static void
every_flipped_bit_of_a_pack_is_found(void **state)
{
	struct packed p;

	(void)state;
	packed_make(&p, 4, 60);
	assert_null(check_all(p.bytes, p.info.len, p.maker, p.pub, p.keys->domain_id, PACK_FULL));
	for (size_t i = 0; i < (size_t)p.info.len * 8; i += 1 + i % 3) {
		p.bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_non_null(check_all(p.bytes, p.info.len, p.maker, p.pub, p.keys->domain_id, PACK_FULL));
		assert_non_null(check_all(p.bytes, p.info.len, p.maker, NULL, p.keys->domain_id, PACK_QUICK));
		p.bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	packed_drop(&p);
}

static void
a_pack_cut_short_or_with_more_behind_it_is_refused(void **state)
{
	struct packed p;
	struct pack_view v;
	uint8_t *own;

	(void)state;
	packed_make(&p, 2, 60);
	for (size_t len = 0; len < p.info.len; len++) {
		own = bytes_copy(p.bytes, len);
		assert_int_equal(pack_view_bytes(&v, own, len, NULL, NULL, &e), -1);
		assert_int_equal(v.table.count, 0);
		free(own);
	}
	own = calloc(1, (size_t)p.info.len + 1);
	memcpy(own + 1, p.bytes, p.info.len);
	assert_int_equal(pack_view_bytes(&v, own, (size_t)p.info.len + 1, NULL, NULL, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	free(own);
	packed_drop(&p);
}

static void
a_pack_by_another_maker_or_under_another_key_is_refused(void **state)
{
	struct packed p;
	struct pack_view v;
	uint8_t seed[KEY_LEN] = { 1 }, pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN], maker[ID_LEN] = { 1 };

	(void)state;
	packed_make(&p, 2, 60);
	sign_keys(seed, pub, secret);
	err_clear(&e);
	assert_int_equal(pack_view_bytes(&v, p.bytes, p.info.len, p.maker, pub, &e), -1);
	assert_int_equal(e.code, ERR_SIGNATURE);
	assert_int_equal(pack_view_bytes(&v, p.bytes, p.info.len, maker, p.pub, &e), -1);
	assert_int_equal(e.code, ERR_SIGNATURE);
	assert_int_equal(pack_view_bytes(&v, p.bytes, p.info.len, NULL, p.pub, &e), 0);
	assert_int_equal(pack_view_bytes(&v, p.bytes, p.info.len, p.maker, NULL, &e), 0);
	packed_drop(&p);
}

/* Without a key the digest still binds table to footer; an adversary who makes both anew lacks the signature. */
static void
a_table_made_anew_by_a_stranger_lacks_the_signature(void **state)
{
	struct packed p;
	struct pack_view v;
	uint8_t *foot, *table;

	(void)state;
	packed_make(&p, 2, 60);
	table = p.bytes + p.info.table_off;
	foot = table + p.info.table_len;
	table[PACK_HEAD_LEN + 40] ^= 1;		/* a digest of a frame */
	hash_once(table, p.info.table_len, foot + 72);
	le64_put(foot + PACK_FOOT_SUMMED, checksum(foot, PACK_FOOT_SUMMED));
	err_clear(&e);
	assert_int_equal(pack_view_open(&v, table, p.info.table_len, foot, p.maker, NULL, &e), 0);
	assert_int_equal(pack_view_open(&v, table, p.info.table_len, foot, p.maker, p.pub, &e), -1);
	assert_int_equal(e.code, ERR_SIGNATURE);
	packed_drop(&p);
}

static void
a_footer_of_another_pack_does_not_fit(void **state)
{
	struct packed a, b;
	struct pack_view v;

	(void)state;
	packed_make(&a, 2, 60);
	packed_make(&b, 2, 60);
	err_clear(&e);
	assert_int_equal(pack_view_open(&v, a.bytes + a.info.table_off, a.info.table_len,
	    b.bytes + b.info.table_off + b.info.table_len, a.maker, a.pub, &e), -1);
	assert_int_equal(e.code, ERR_DAMAGE);
	packed_drop(&a);
	packed_drop(&b);
}

static void
two_frames_that_changed_places_are_found(void **state)
{
	struct packed p;
	struct pack_view v;
	struct pack_row row;
	uint8_t held[4096], *one, *two;

	(void)state;
	packed_make(&p, 4, 60);
	assert_int_equal(pack_view_bytes(&v, p.bytes, p.info.len, p.maker, p.pub, &e), 0);
	pack_table_row(&v.table, 0, &row);
	one = packed_frame(&p, &v.table, 0);
	two = packed_frame(&p, &v.table, 1);
	assert_int_equal(two - one, row.len);
	memcpy(held, one, row.len);
	memcpy(one, two, row.len);
	memcpy(two, held, row.len);
	assert_string_equal(check_all(p.bytes, p.info.len, p.maker, p.pub, p.keys->domain_id, PACK_QUICK),
	    "it is not the chunk that the table names");
	packed_drop(&p);
}

/* The same chunk sealed once more has the same id, and is another frame. */
static void
another_frame_of_the_same_chunk_is_found(void **state)
{
	struct domain_keys *k = keys_make();
	struct pack_row row, other;
	uint8_t *frame = frame_of(k, KIND_DATA, "wind", 4, &row), *twin = frame_of(k, KIND_DATA, "wind", 4, &other);

	(void)state;
	assert_null(pack_frame_check(&row, frame, k->domain_id, PACK_FULL));
	assert_non_null(pack_frame_check(&row, twin, k->domain_id, PACK_QUICK));
	/* Were the checksum the same by design, the digest would tell. */
	row.xxh = other.xxh;
	assert_null(pack_frame_check(&row, twin, k->domain_id, PACK_QUICK));
	assert_string_equal(pack_frame_check(&row, twin, k->domain_id, PACK_FULL),
	    "its digest is not the one in the signed table");
	free(frame);
	free(twin);
	domain_keys_free(k);
}

static void
a_frame_of_another_domain_or_kind_is_found(void **state)
{
	struct domain_keys *k = keys_make();
	struct pack_row row;
	uint8_t *frame = frame_of(k, KIND_DATA, "wind", 4, &row), domain[DIGEST_LEN] = { 1 };

	(void)state;
	assert_string_equal(pack_frame_check(&row, frame, domain, PACK_QUICK), "it belongs to another key domain");
	row.kind = KIND_ROOT;
	assert_non_null(pack_frame_check(&row, frame, k->domain_id, PACK_QUICK));
	row.kind = KIND_DATA;
	row.id[5] ^= 1;
	assert_non_null(pack_frame_check(&row, frame, k->domain_id, PACK_QUICK));
	free(frame);
	domain_keys_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flipped_bit_of_a_pack_is_found),
		cmocka_unit_test(a_pack_cut_short_or_with_more_behind_it_is_refused),
		cmocka_unit_test(a_pack_by_another_maker_or_under_another_key_is_refused),
		cmocka_unit_test(a_table_made_anew_by_a_stranger_lacks_the_signature),
		cmocka_unit_test(a_footer_of_another_pack_does_not_fit),
		cmocka_unit_test(two_frames_that_changed_places_are_found),
		cmocka_unit_test(another_frame_of_the_same_chunk_is_found),
		cmocka_unit_test(a_frame_of_another_domain_or_kind_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
