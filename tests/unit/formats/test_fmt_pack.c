#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/fmt_pack.h"

#include "tests/unit/formats/bytes.h"

#define FRAME_LEN	(FRAME_OVERHEAD + 100)

/* A frame that a reader without key accepts. */
static void
make_frame(struct rng *r, uint8_t out[FRAME_LEN])
{
	uint8_t domain[DIGEST_LEN];

	rng_fill(r, out, FRAME_LEN);
	rng_fill(r, domain, sizeof(domain));
	frame_head_encode(out, (uint16_t)rng_from(r, 1, KIND_MAX), EPOCH_1, domain, 100);
}

/* Decode exactly ${len} bytes; what is accepted has one encoding. */
static enum fmt_status
frame_read(const uint8_t *b, size_t len)
{
	static const struct frame none;
	uint8_t *exact = bytes_copy(b, len), head[FRAME_HEAD_LEN];
	struct frame f;
	enum fmt_status st = frame_decode(&f, exact, len);

	if (st == FMT_OK) {
		frame_head_encode(head, f.kind, f.epoch, f.domain_id, f.sealed_len);
		assert_memory_equal(head, exact, sizeof(head));
		assert_int_equal(len, FRAME_OVERHEAD + f.sealed_len);
		assert_ptr_equal(f.id, exact + 48);
		assert_ptr_equal(f.nonce, exact + 80);
		assert_ptr_equal(f.sealed, exact + 104);
		assert_int_equal(f.xxh, le64_get(exact + len - 8));
	} else {
		assert_memory_equal(&f, &none, sizeof(f));
	}
	free(exact);
	return st;
}

static void
a_frame_comes_back_and_each_other_length_is_refused(void **state)
{
	struct rng r = { 1 };
	uint8_t b[FRAME_LEN + 1] = { 0 };

	(void)state;
	make_frame(&r, b);
	assert_int_equal(frame_read(b, FRAME_LEN), FMT_OK);
	assert_int_equal(frame_read(b, FRAME_LEN + 1), FMT_TRAILING);
	for (size_t n = 0; n < FRAME_LEN; n++)
		assert_int_equal(frame_read(b, n), FMT_SHORT);
}

static void
each_bad_field_of_a_frame_has_its_own_status(void **state)
{
	static const struct { size_t off, n; uint32_t v; enum fmt_status want; } t[] = {
		{  0, 1, 'X', FMT_MAGIC }, { 3, 1, 'k', FMT_MAGIC },
		{  4, 1, 2, FMT_VERSION }, { 4, 1, 0, FMT_VERSION },		/* format */
		{  5, 1, 2, FMT_VERSION }, { 5, 1, 0, FMT_VERSION },		/* suite */
		{  6, 2, 0, FMT_RANGE }, { 6, 2, KIND_MAX + 1, FMT_RANGE }, { 6, 2, 0x0101, FMT_RANGE },
		{  8, 4, 0, FMT_VERSION }, { 8, 4, 2, FMT_VERSION },		/* key epoch */
		{ 44, 4, 0, FMT_RANGE }, { 44, 4, FRAME_SEALED_MIN - 1, FMT_RANGE },
		{ 44, 4, FRAME_SEALED_MAX + 1, FMT_RANGE }, { 44, 4, 0x80000000, FMT_RANGE },
		{ 44, 4, 0xffffffff, FMT_RANGE }, { 44, 4, 99, FMT_TRAILING }, { 44, 4, 101, FMT_SHORT },
	};
	struct rng r = { 2 };
	uint8_t b[FRAME_LEN], v[4];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		make_frame(&r, b);
		le32_put(v, t[i].v);
		memcpy(b + t[i].off, v, t[i].n);
		assert_int_equal(frame_read(b, sizeof(b)), t[i].want);
	}
}

static void
a_damaged_frame_is_refused_or_reads_as_what_it_says(void **state)
{
	struct rng r = { 3 };
	uint8_t b[FRAME_LEN];

	(void)state;
	for (int k = 0; k < 20000; k++) {
		make_frame(&r, b);
		bytes_mutate(&r, b, k % 2 != 0 ? sizeof(b) : FRAME_HEAD_LEN);
		(void)frame_read(b, sizeof(b));
	}
}

static void
make_head(struct rng *r, struct pack_head *h)
{
	memset(h, 0, sizeof(*h));
	h->flags = (uint16_t)(rng_next(r) % 2);
	rng_fill(r, h->domain_id, sizeof(h->domain_id));
	rng_fill(r, h->maker, sizeof(h->maker));
}

static enum fmt_status
head_read(const uint8_t *b, size_t len)
{
	uint8_t *exact = bytes_copy(b, len), again[PACK_HEAD_LEN];
	struct pack_head h;
	enum fmt_status st = pack_head_decode(&h, exact, len);

	if (st == FMT_OK) {
		pack_head_encode(&h, again);
		assert_memory_equal(again, exact, sizeof(again));
	}
	free(exact);
	return st;
}

static void
a_pack_header_holds_to_its_layout(void **state)
{
	static const struct { size_t off; uint8_t v; enum fmt_status want; } t[] = {
		{ 0, 'X', FMT_MAGIC }, { 7, 0, FMT_MAGIC }, { 8, 2, FMT_VERSION }, { 8, 0, FMT_VERSION },
		{ 9, 1, FMT_VERSION }, { 10, 2, FMT_RANGE }, { 11, 1, FMT_RANGE }, { 12, 1, FMT_RANGE },
		{ 15, 0x80, FMT_RANGE },
	};
	struct rng r = { 4 };
	struct pack_head h;
	uint8_t b[PACK_HEAD_LEN];

	(void)state;
	for (int k = 0; k < 100; k++) {
		make_head(&r, &h);
		pack_head_encode(&h, b);
		assert_int_equal(head_read(b, sizeof(b)), FMT_OK);
	}
	for (size_t n = 0; n < sizeof(b); n++)
		assert_int_equal(head_read(b, n), FMT_SHORT);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		pack_head_encode(&h, b);
		b[t[i].off] = t[i].v;
		assert_int_equal(head_read(b, sizeof(b)), t[i].want);
	}
}

/* A table of ${n} rows; its length. */
static size_t
make_table(struct rng *r, uint16_t flags, uint32_t n, uint8_t *out, size_t cap)
{
	struct wr w = { .p = out + PACK_HEAD_LEN, .left = cap - PACK_HEAD_LEN };
	struct pack_head h;

	make_head(r, &h);
	h.flags = flags;
	pack_head_encode(&h, out);
	for (uint32_t i = 0; i < n; i++) {
		struct pack_row row;

		rng_fill(r, &row, sizeof(row));
		row.kind = (uint16_t)rng_from(r, 1, KIND_MAX);
		row.len = (uint32_t)(FRAME_LEN_MIN + rng_next(r) % 1000);
		pack_row_put(&w, flags, &row);
	}
	assert_false(w.bad);
	return (size_t)(w.p - out);
}

static enum fmt_status
table_read(const uint8_t *b, size_t len)
{
	static const struct pack_table none;
	uint8_t *exact = bytes_copy(b, len), *again = bytes_copy(b, len);
	struct wr w = { .p = again, .left = len };
	struct pack_table t;
	struct pack_row row;
	uint64_t body = 0;
	enum fmt_status st = pack_table_decode(&t, exact, len);

	if (st == FMT_OK) {
		pack_head_encode(&t.head, wr_room(&w, PACK_HEAD_LEN));
		for (uint32_t i = 0; i < t.count; i++) {
			pack_table_row(&t, i, &row);
			pack_row_put(&w, t.head.flags, &row);
			body += row.len;
			if ((t.head.flags & PACK_REPACKED) == 0)
				assert_memory_equal(row.writer, t.head.maker, ID_LEN);
		}
		assert_false(w.bad);
		assert_int_equal(w.left, 0);
		assert_memory_equal(again, exact, len);
		assert_int_equal(body, t.body_len);
	} else {
		assert_memory_equal(&t, &none, sizeof(t));
	}
	free(exact);
	free(again);
	return st;
}

static void
a_table_comes_back_and_a_cut_row_is_refused(void **state)
{
	static uint8_t b[PACK_HEAD_LEN + 20 * PACK_ROW_REPACKED_LEN];
	struct rng r = { 5 };

	(void)state;
	for (uint16_t flags = 0; flags <= PACK_REPACKED; flags++) {
		size_t row = flags != 0 ? PACK_ROW_REPACKED_LEN : PACK_ROW_LEN;
		size_t len = make_table(&r, flags, 20, b, sizeof(b));

		assert_int_equal(len, PACK_HEAD_LEN + 20 * row);
		assert_int_equal(table_read(b, PACK_HEAD_LEN), FMT_RANGE);	/* no pack is empty */
		for (size_t n = 0; n <= len; n++) {
			if (n > PACK_HEAD_LEN && (n - PACK_HEAD_LEN) % row == 0)
				assert_int_equal(table_read(b, n), FMT_OK);	/* the footer tells that rows are missing */
			else if (n != PACK_HEAD_LEN)
				assert_int_equal(table_read(b, n), FMT_SHORT);
		}
	}
}

static void
each_bad_field_of_a_row_is_refused(void **state)
{
	static const struct { size_t off, n; uint32_t v; } t[] = {
		{ 32, 2, 0 }, { 32, 2, KIND_MAX + 1 }, { 32, 2, 0xffff }, { 34, 2, 1 }, { 34, 2, 0x8000 },
		{ 36, 4, 0 }, { 36, 4, FRAME_LEN_MIN - 1 }, { 36, 4, FRAME_LEN_MAX + 1 },
		{ 36, 4, 0x80000000 }, { 36, 4, 0xffffffff },
	};
	static uint8_t b[PACK_HEAD_LEN + 3 * PACK_ROW_LEN];
	struct rng r = { 6 };
	uint8_t v[4];

	(void)state;
	for (uint32_t which = 0; which < 3; which++)
		for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			(void)make_table(&r, 0, 3, b, sizeof(b));
			le32_put(v, t[i].v);
			memcpy(b + PACK_HEAD_LEN + which * PACK_ROW_LEN + t[i].off, v, t[i].n);
			assert_int_equal(table_read(b, sizeof(b)), FMT_RANGE);
		}
}

static void
a_table_of_more_than_a_pack_holds_is_refused(void **state)
{
	static uint8_t b[PACK_HEAD_LEN + 3 * PACK_ROW_LEN];
	const uint32_t most = PACK_LEN_MAX - 2 * PACK_HEAD_LEN - 3 * PACK_ROW_LEN - PACK_FOOT_LEN;
	struct rng r = { 7 };

	(void)state;
	(void)make_table(&r, 0, 3, b, sizeof(b));
	le32_put(b + PACK_HEAD_LEN + 36, 5u << 20);
	le32_put(b + PACK_HEAD_LEN + PACK_ROW_LEN + 36, 5u << 20);
	le32_put(b + PACK_HEAD_LEN + 2 * PACK_ROW_LEN + 36, most - (10u << 20));
	assert_int_equal(table_read(b, sizeof(b)), FMT_OK);
	le32_put(b + PACK_HEAD_LEN + 2 * PACK_ROW_LEN + 36, most - (10u << 20) + 1);
	assert_int_equal(table_read(b, sizeof(b)), FMT_RANGE);
}

static void
a_table_of_more_rows_than_allowed_is_refused(void **state)
{
	size_t cap = PACK_HEAD_LEN + (PACK_FRAMES_MAX + 1) * (size_t)PACK_ROW_LEN;
	uint8_t *b = malloc(cap);
	struct rng r = { 8 };

	(void)state;
	assert_non_null(b);
	assert_int_equal(make_table(&r, 0, PACK_FRAMES_MAX + 1, b, cap), cap);
	for (size_t i = 0; i <= PACK_FRAMES_MAX; i++)	/* so that the frames themselves would fit */
		le32_put(b + PACK_HEAD_LEN + i * PACK_ROW_LEN + 36, FRAME_LEN_MIN);
	assert_int_equal(table_read(b, cap), FMT_RANGE);
	free(b);
}

static void
a_damaged_table_is_refused_or_reads_as_what_it_says(void **state)
{
	static uint8_t b[PACK_HEAD_LEN + 6 * PACK_ROW_REPACKED_LEN];
	struct rng r = { 9 };
	int ok = 0;

	(void)state;
	for (int k = 0; k < 10000; k++) {
		size_t len = make_table(&r, (uint16_t)(k % 2), 6, b, sizeof(b));

		bytes_mutate(&r, b, len);
		ok += table_read(b, len) == FMT_OK;
	}
	assert_true(ok > 100);
}

static void
make_foot(struct rng *r, struct pack_foot *f)
{
	rng_fill(r, f, sizeof(*f));
	f->count = (uint32_t)rng_from(r, 1, 1000);
	f->table_len = PACK_HEAD_LEN + f->count * (rng_next(r) % 2 != 0 ? PACK_ROW_LEN : PACK_ROW_REPACKED_LEN);
	f->body_len = (uint32_t)rng_from(r, FRAME_LEN_MIN, 1u << 20);
}

static enum fmt_status
foot_read(const uint8_t *b, size_t len)
{
	static const struct pack_foot none;
	uint8_t *exact = bytes_copy(b, len), again[PACK_FOOT_LEN];
	struct pack_foot f;
	enum fmt_status st = pack_foot_decode(&f, exact, len);

	if (st == FMT_OK) {
		pack_foot_encode(&f, again);
		assert_int_equal(len, sizeof(again));
		assert_memory_equal(again, exact, sizeof(again));
	} else {
		assert_memory_equal(&f, &none, sizeof(f));
	}
	free(exact);
	return st;
}

static void
a_footer_holds_to_its_layout(void **state)
{
	static const struct { size_t off; uint8_t v; enum fmt_status want; } t[] = {
		{ 0, 'X', FMT_MAGIC }, { 8, 2, FMT_VERSION }, { 8, 0, FMT_VERSION }, { 10, 1, FMT_RANGE },
		{ 11, 1, FMT_RANGE },
	};
	struct rng r = { 10 };
	struct pack_foot f;
	uint8_t b[PACK_FOOT_LEN + 1] = { 0 };

	(void)state;
	for (int k = 0; k < 100; k++) {
		make_foot(&r, &f);
		pack_foot_encode(&f, b);
		assert_int_equal(foot_read(b, PACK_FOOT_LEN), FMT_OK);
	}
	assert_int_equal(foot_read(b, PACK_FOOT_LEN + 1), FMT_TRAILING);
	for (size_t n = 0; n < PACK_FOOT_LEN; n++)
		assert_int_equal(foot_read(b, n), FMT_SHORT);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		pack_foot_encode(&f, b);
		b[t[i].off] = t[i].v;
		assert_int_equal(foot_read(b, PACK_FOOT_LEN), t[i].want);
	}
}

static void
the_counts_of_a_footer_must_agree(void **state)
{
	static const struct { uint32_t count, table, body; enum fmt_status want; } t[] = {
		{ 1, PACK_HEAD_LEN + PACK_ROW_LEN, FRAME_LEN_MIN, FMT_OK },
		{ 1, PACK_HEAD_LEN + PACK_ROW_REPACKED_LEN, FRAME_LEN_MIN, FMT_OK },
		{ 0, PACK_HEAD_LEN, 0, FMT_RANGE },
		{ PACK_FRAMES_MAX + 1, PACK_HEAD_LEN + (PACK_FRAMES_MAX + 1) * PACK_ROW_LEN, FRAME_LEN_MIN, FMT_RANGE },
		{ 0xffffffff, PACK_HEAD_LEN + PACK_ROW_LEN, FRAME_LEN_MIN, FMT_RANGE },
		{ 0x80000000, PACK_HEAD_LEN, FRAME_LEN_MIN, FMT_RANGE },
		{ 1, 0, FRAME_LEN_MIN, FMT_CONTRADICTION },
		{ 1, PACK_HEAD_LEN - 1, FRAME_LEN_MIN, FMT_CONTRADICTION },
		{ 2, PACK_HEAD_LEN + PACK_ROW_LEN, FRAME_LEN_MIN, FMT_CONTRADICTION },
		{ 1, PACK_HEAD_LEN + PACK_ROW_LEN + 1, FRAME_LEN_MIN, FMT_CONTRADICTION },
		{ 1, 0xffffffff, FRAME_LEN_MIN, FMT_RANGE },
		{ 1, PACK_HEAD_LEN + PACK_ROW_LEN, 0xffffffff, FMT_RANGE },
		{ 1, PACK_HEAD_LEN + PACK_ROW_LEN, PACK_LEN_MAX, FMT_RANGE },
	};
	struct rng r = { 11 };
	struct pack_foot f;
	uint8_t b[PACK_FOOT_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		make_foot(&r, &f);
		f.count = t[i].count;
		f.table_len = t[i].table;
		f.body_len = t[i].body;
		pack_foot_encode(&f, b);
		assert_int_equal(foot_read(b, sizeof(b)), t[i].want);
	}
	for (int k = 0; k < 20000; k++) {
		make_foot(&r, &f);
		pack_foot_encode(&f, b);
		bytes_mutate(&r, b, k % 2 != 0 ? sizeof(b) : 24);
		(void)foot_read(b, sizeof(b));
	}
}

static unsigned
log2_floor(uint64_t v)
{
	unsigned n = 0;

	while ((v >>= 1) != 0)
		n++;
	return n;
}

/* The definition word for word: up to a multiple of 2^(E - S), by division. */
static uint64_t
padme_defined(uint64_t len)
{
	unsigned e = log2_floor(len), s = log2_floor(e) + 1;
	uint64_t step = UINT64_C(1) << (e - s);

	return (len + step - 1) / step * step;
}

static void
padme_is_a_few_bits_of_the_length(uint64_t len)
{
	uint64_t p = padme(len);

	assert_int_equal(p, padme_defined(len));
	assert_true(p >= len);
	assert_true((p - len) * 8 <= len);	/* at most 12 %; the paper's figure */
	assert_int_equal(padme(p), p);
}

static void
padding_is_as_the_paper_defines_it(void **state)
{
	(void)state;
	assert_int_equal(padme(0), 0);
	assert_int_equal(padme(1), 1);
	for (uint64_t len = 2; len <= 100000; len++)
		padme_is_a_few_bits_of_the_length(len);
	for (unsigned bit = 17; bit < 48; bit++)
		for (uint64_t d = 0; d < 5; d++)
			padme_is_a_few_bits_of_the_length((UINT64_C(1) << bit) + d - 2);
	assert_int_equal(padme(9), 10);
	assert_int_equal(padme(65545), 67584);
	assert_true(padme(INNER_HEAD_LEN + CHUNK_PLAIN_MAX) + SEAL_TAG_LEN <= FRAME_SEALED_MAX);
}

static void
padding_grows_with_the_length(void **state)
{
	(void)state;
	for (uint64_t len = 0; len < 100000; len++)
		assert_true(padme(len) <= padme(len + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_comes_back_and_each_other_length_is_refused),
		cmocka_unit_test(each_bad_field_of_a_frame_has_its_own_status),
		cmocka_unit_test(a_damaged_frame_is_refused_or_reads_as_what_it_says),
		cmocka_unit_test(a_pack_header_holds_to_its_layout),
		cmocka_unit_test(a_table_comes_back_and_a_cut_row_is_refused),
		cmocka_unit_test(each_bad_field_of_a_row_is_refused),
		cmocka_unit_test(a_table_of_more_than_a_pack_holds_is_refused),
		cmocka_unit_test(a_table_of_more_rows_than_allowed_is_refused),
		cmocka_unit_test(a_damaged_table_is_refused_or_reads_as_what_it_says),
		cmocka_unit_test(a_footer_holds_to_its_layout),
		cmocka_unit_test(the_counts_of_a_footer_must_agree),
		cmocka_unit_test(padding_is_as_the_paper_defines_it),
		cmocka_unit_test(padding_grows_with_the_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
