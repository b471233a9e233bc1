#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/formats/statements.h"

static struct statement_room room;
static union statement_value again;
static uint8_t code[STATEMENT_ROOM], code2[STATEMENT_ROOM];

static size_t
encoded(const struct fmt_schema *s, struct rng *r)
{
	size_t len;

	statement_fill(s, r, &room);
	if (schema_encode(s, &room.value, code, sizeof(code), &len) != FMT_OK)
		fail_msg("a filled %s cannot be encoded", s->name);
	return len;
}

/* Decode exactly ${len} bytes from memory of their own. */
static enum fmt_status
decode(const struct fmt_schema *s, const uint8_t *b, size_t len)
{
	uint8_t *exact = bytes_copy(b, len);
	enum fmt_status st = schema_decode(s, &again, exact, len);
	size_t n = 0;

	if (st == FMT_OK && (schema_encode(s, &again, code2, sizeof(code2), &n) != FMT_OK || n != len ||
	    memcmp(code2, exact, n) != 0 || schema_size(s, &again) != n))
		fail_msg("%s: a second encoding of one value", s->name);
	for (size_t i = 0; st != FMT_OK && i < s->struct_size; i++)
		if (again.bytes[i] != 0)
			fail_msg("%s: refused, but the value is not all zero", s->name);
	free(exact);
	return st;
}

static void
expect(const struct fmt_schema *s, const uint8_t *b, size_t len, enum fmt_status want, const char *why)
{
	enum fmt_status st = decode(s, b, len);

	if (st != want)
		fail_msg("%s: %s: '%s', not '%s'", s->name, why, fmt_status_text(st), fmt_status_text(want));
}

static void
each_schema_is_well_made_and_like_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct fmt_schema *s = statements[i];

		assert_int_equal(strlen(s->magic), 8);
		assert_int_equal(s->magic[7], '\n');
		assert_int_equal(s->version, 1);
		assert_true(s->struct_size <= sizeof(union statement_value));
		assert_true(s->context == NULL || strlen(s->context) <= 32);
		assert_true(s->context == NULL || s->sig_off + SIGN_LEN <= s->struct_size);
		for (size_t k = 0; k < s->nfields; k++)
			assert_true(s->fields[k].off < s->struct_size && s->fields[k].size > 0);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(s->magic, statements[k]->magic);
			assert_string_not_equal(s->name, statements[k]->name);
			if (s->context != NULL && statements[k]->context != NULL)
				assert_string_not_equal(s->context, statements[k]->context);
		}
	}
	assert_int_equal(element_size(slot_fields, slot_nfields), SLOT_LEN);
	assert_int_equal(element_size(manifest_disk_fields, manifest_disk_nfields), MANIFEST_DISK_LEN);
}

static void
a_value_comes_back_as_it_was(void **state)
{
	struct rng r = { 1 };

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++)
		for (int k = 0; k < 200; k++) {
			const struct fmt_schema *s = statements[i];
			size_t len = encoded(s, &r);

			expect(s, code, len, FMT_OK, "round trip");
			for (size_t f = 0; f < s->nfields; f++) {
				size_t off = s->fields[f].off, n = s->fields[f].size;
				enum fmt_type t = s->fields[f].type;

				if (t != FT_BLOB && t != FT_LIST)
					assert_memory_equal(again.bytes + off, room.value.bytes + off, n);
			}
			if (s->context != NULL)
				assert_memory_equal(again.bytes + s->sig_off, room.value.bytes + s->sig_off, SIGN_LEN);
		}
}

static void
a_statement_cut_anywhere_is_short(void **state)
{
	struct rng r = { 2 };

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		size_t len = encoded(statements[i], &r);

		for (size_t n = 0; n < len; n++)
			expect(statements[i], code, n, FMT_SHORT, "cut");
	}
}

static void
a_byte_too_many_is_refused(void **state)
{
	struct rng r = { 3 };

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		size_t len = encoded(statements[i], &r);

		for (unsigned v = 0; v < 256; v += 85) {
			code[len] = (uint8_t)v;
			expect(statements[i], code, len + 1, FMT_TRAILING, "a byte too many");
		}
	}
}

static void
another_magic_and_another_version_have_their_own_status(void **state)
{
	struct rng r = { 4 };

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct fmt_schema *s = statements[i];
		size_t len = encoded(s, &r);

		for (size_t k = 0; k < 8; k++) {
			code[k] ^= 0x20;
			expect(s, code, len, FMT_MAGIC, "another magic");
			code[k] ^= 0x20;
		}
		for (size_t k = 0; k < STATEMENTS; k++)
			expect(statements[k], code, len, k == i ? FMT_OK : FMT_MAGIC, "each other schema");
		le16_put(code + 8, (uint16_t)(s->version + 1));
		expect(s, code, len, FMT_VERSION, "the next version");
		le16_put(code + 8, 0);
		expect(s, code, len, FMT_VERSION, "version 0");
	}
}

static void
put_number(const struct fmt_field *f, uint8_t *at, uint64_t v)
{
	uint8_t b[8];

	le64_put(b, v);
	memcpy(at, b, f->size);
}

/* Field ${f} with ${v} in code and value: both sides refuse it. */
static void
number_is_refused(const struct fmt_schema *s, size_t which, size_t len, uint64_t v)
{
	const struct fmt_field *f = &s->fields[which];
	size_t at = statement_offset(s, code, which), n;
	uint8_t kept[8], kept_value[8];

	memcpy(kept, code + at, f->size);
	put_number(f, code + at, v);
	expect(s, code, len, FMT_RANGE, f->name);
	memcpy(code + at, kept, f->size);

	memcpy(kept_value, room.value.bytes + f->off, f->size);
	memcpy(room.value.bytes + f->off, &v, f->size);	/* the tests run on little-endian machines */
	assert_int_equal(schema_encode(s, &room.value, code2, sizeof(code2), &n), FMT_RANGE);
	assert_int_equal(n, 0);
	assert_int_equal(schema_size(s, &room.value), 0);
	memcpy(room.value.bytes + f->off, kept_value, f->size);
}

static void
a_number_outside_its_limits_is_refused(void **state)
{
	struct rng r = { 5 };
	int refused = 0;

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct fmt_schema *s = statements[i];
		size_t len = encoded(s, &r);

		for (size_t k = 0; k < s->nfields; k++) {
			const struct fmt_field *f = &s->fields[k];
			uint64_t top = f->size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * (f->size & 7)) - 1;

			if (f->type > FT_U64)
				continue;
			if (f->min > 0) {
				number_is_refused(s, k, len, f->min - 1);
				refused++;
			}
			if (f->max < top) {
				number_is_refused(s, k, len, f->max + 1);
				number_is_refused(s, k, len, top);
				refused += 2;
			}
		}
	}
	assert_true(refused > 80);
}

static void
a_number_at_its_limits_is_taken(void **state)
{
	struct rng r = { 6 };

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct fmt_schema *s = statements[i];
		size_t len = encoded(s, &r);

		for (size_t k = 0; k < s->nfields; k++) {
			const struct fmt_field *f = &s->fields[k];
			size_t at = statement_offset(s, code, k);
			uint8_t kept[8];

			if (f->type > FT_U64 || s->check != NULL)
				continue;
			memcpy(kept, code + at, f->size);
			put_number(f, code + at, f->min);
			expect(s, code, len, FMT_OK, f->name);
			put_number(f, code + at, f->max);
			expect(s, code, len, FMT_OK, f->name);
			memcpy(code + at, kept, f->size);
		}
	}
}

/* Put text of ${n} bytes in place of string ${which}; the new length. */
static size_t
with_text(const struct fmt_schema *s, size_t which, size_t len, size_t n, uint8_t *out)
{
	size_t at = statement_offset(s, code, which), end = statement_offset(s, code, which + 1);

	memcpy(out, code, at);
	le16_put(out + at, (uint16_t)n);
	memset(out + at + 2, 'A', n);
	memcpy(out + at + 2 + n, code + end, len - end);
	return len - (end - at) + 2 + n;
}

static void
a_text_outside_its_length_or_with_a_zero_in_it_is_refused(void **state)
{
	static uint8_t b[STATEMENT_ROOM + 1024];
	struct rng r = { 7 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct fmt_schema *s = statements[i];
		size_t len = encoded(s, &r);

		for (size_t k = 0; k < s->nfields; k++) {
			const struct fmt_field *f = &s->fields[k];

			if (f->type != FT_STR)
				continue;
			expect(s, b, with_text(s, k, len, f->size, b), FMT_OK, f->name);
			n = with_text(s, k, len, f->size, b);
			b[statement_offset(s, b, k) + 2] = 0;
			expect(s, b, n, FMT_RANGE, "a zero in a text");
			expect(s, b, with_text(s, k, len, f->size + 1, b), FMT_RANGE, f->name);
			expect(s, b, with_text(s, k, len, 1000, b), FMT_RANGE, f->name);
			if (f->min > 0)
				expect(s, b, with_text(s, k, len, f->min - 1, b), FMT_RANGE, f->name);
		}
	}
}

static void
a_count_that_is_not_there_is_refused(void **state)
{
	static const uint32_t counts[] = { 0x7fffffff, 0x80000000, 0xffffffff, 0x08000000, 0x10000000 };
	struct rng r = { 8 };

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct fmt_schema *s = statements[i];
		size_t len = encoded(s, &r);

		for (size_t k = 0; k < s->nfields; k++) {
			const struct fmt_field *f = &s->fields[k];
			size_t at = statement_offset(s, code, k);
			uint32_t kept;

			if (f->type != FT_BLOB && f->type != FT_LIST)
				continue;
			kept = le32_get(code + at);
			for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
				le32_put(code + at, counts[c]);
				expect(s, code, len, FMT_RANGE, f->name);
			}
			le32_put(code + at, (uint32_t)f->max + 1);
			expect(s, code, len, FMT_RANGE, f->name);
			le32_put(code + at, (uint32_t)f->max);
			expect(s, code, len, FMT_SHORT, f->name);
			le32_put(code + at, 0);
			if (f->min > 0)
				expect(s, code, len, FMT_RANGE, f->name);
			else if (kept > 0)
				assert_int_not_equal(decode(s, code, len), FMT_OK);
			le32_put(code + at, kept);
		}
	}
}

static void
a_flipped_bit_is_refused_or_is_another_value(void **state)
{
	struct rng r = { 9 };

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		size_t len = encoded(statements[i], &r);

		for (size_t k = 0; k < len * 8; k++) {
			code[k / 8] = (uint8_t)(code[k / 8] ^ 1u << k % 8);
			(void)decode(statements[i], code, len);	/* decode fails the test where two encodings give one value */
			code[k / 8] = (uint8_t)(code[k / 8] ^ 1u << k % 8);
		}
	}
}

static void
whatever_is_accepted_encodes_to_the_same_bytes(void **state)
{
	struct rng r = { 10 };
	size_t accepted = 0;

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++)
		for (int k = 0; k < 1500; k++) {
			size_t len = encoded(statements[i], &r);

			bytes_mutate(&r, code, len);
			if (rng_next(&r) % 4 == 0)
				len = rng_next(&r) % len;
			accepted += decode(statements[i], code, len) == FMT_OK;
		}
	assert_true(accepted > 1000);
}

static void
no_room_is_said_and_nothing_is_written_beyond(void **state)
{
	struct rng r = { 11 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		size_t len = encoded(statements[i], &r), step = len / 40 + 1;

		for (size_t cap = 0; cap < len; cap += step) {
			uint8_t *out = bytes_copy(code, cap);

			assert_int_equal(schema_encode(statements[i], &room.value, out, cap, &n), FMT_SHORT);
			assert_int_equal(n, 0);
			free(out);
		}
	}
}

static void
each_status_has_words_of_its_own(void **state)
{
	(void)state;
	for (int a = FMT_OK; a <= FMT_CONTRADICTION; a++)
		for (int b = FMT_OK; b < a; b++)
			assert_string_not_equal(fmt_status_text((enum fmt_status)a), fmt_status_text((enum fmt_status)b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_schema_is_well_made_and_like_no_other),
		cmocka_unit_test(a_value_comes_back_as_it_was),
		cmocka_unit_test(a_statement_cut_anywhere_is_short),
		cmocka_unit_test(a_byte_too_many_is_refused),
		cmocka_unit_test(another_magic_and_another_version_have_their_own_status),
		cmocka_unit_test(a_number_outside_its_limits_is_refused),
		cmocka_unit_test(a_number_at_its_limits_is_taken),
		cmocka_unit_test(a_text_outside_its_length_or_with_a_zero_in_it_is_refused),
		cmocka_unit_test(a_count_that_is_not_there_is_refused),
		cmocka_unit_test(a_flipped_bit_is_refused_or_is_another_value),
		cmocka_unit_test(whatever_is_accepted_encodes_to_the_same_bytes),
		cmocka_unit_test(no_room_is_said_and_nothing_is_written_beyond),
		cmocka_unit_test(each_status_has_words_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
