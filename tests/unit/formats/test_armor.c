#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "formats/armor.h"

#include "tests/unit/formats/bytes.h"

#define WHAT	"TEST"

static char sheet[400000];
static uint8_t back[100000];

static size_t
encoded(const uint8_t *in, size_t len)
{
	assert_int_equal(armor_encode(WHAT, in, len, sheet, sizeof(sheet)), FMT_OK);
	assert_int_equal(strlen(sheet), armor_size(WHAT, len));
	return strlen(sheet);
}

static enum fmt_status
decode(const char *text, size_t n, size_t *len, unsigned *line)
{
	uint8_t *exact = bytes_copy(text, n);
	enum fmt_status st = armor_decode(WHAT, (const char *)exact, n, back, sizeof(back), len, line);

	free(exact);
	return st;
}

static void
bytes_of_any_length_come_back(void **state)
{
	static uint8_t in[70000];
	struct rng r = { 1 };
	unsigned line;
	size_t len, n;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	for (n = 0; n < 300; n++) {
		assert_int_equal(decode(sheet, encoded(in, n), &len, &line), FMT_OK);
		assert_int_equal(len, n);
		assert_memory_equal(back, in, n);
	}
	for (n = 2474; n < 2530; n++)	/* line 99 to 101 */
		assert_int_equal(decode(sheet, encoded(in, n), &len, &line), FMT_OK);
	assert_int_equal(decode(sheet, encoded(in, sizeof(in)), &len, &line), FMT_OK);
	assert_int_equal(len, sizeof(in));
	assert_memory_equal(back, in, sizeof(in));
}

static void
the_text_is_as_specified(void **state)
{
	/* Made with another program: Python's zlib.crc32 and integers. */
	static const char want[] =
	    "-----BEGIN SAMARA TEST-----\n"
	    "01 000g4 0r40m 30e20 9185g r38e1 w8124 gk2ga hc5rr shm1\n"
	    "02 34 j35x\n"
	    "-----END SAMARA TEST bf078bb2-----\n";
	uint8_t in[26];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	(void)encoded(in, sizeof(in));
	assert_string_equal(sheet, want);
}

static void
every_single_slip_of_a_character_is_found_in_its_line(void **state)
{
	uint8_t in[60];
	struct rng r = { 2 };
	unsigned line;
	size_t len, n, body;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	n = encoded(in, sizeof(in));
	body = (size_t)(strchr(sheet, '\n') + 1 - sheet);
	for (size_t i = body, at = 1; sheet[i] != '-'; i++) {
		char kept = sheet[i];

		if (kept == '\n')
			at++;
		if (kept == '\n' || kept == ' ')
			continue;
		for (const char *c = "0123456789abcdefghjkmnpqrstvwxyz*"; *c != 0; c++) {
			if (*c == kept)
				continue;
			sheet[i] = *c;
			assert_int_equal(decode(sheet, n, &len, &line), FMT_CHECKSUM);
			assert_int_equal(line, at);
			assert_int_equal(len, 0);
		}
		sheet[i] = kept;
	}
	assert_int_equal(decode(sheet, n, &len, &line), FMT_OK);
}

static void
neighbours_that_changed_places_are_found(void **state)
{
	uint8_t in[60];
	struct rng r = { 3 };
	unsigned line;
	size_t len, n;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	n = encoded(in, sizeof(in));
	for (size_t i = (size_t)(strchr(sheet, '\n') + 1 - sheet); sheet[i + 1] != '-'; i++) {
		char a = sheet[i], b = sheet[i + 1];

		if (a == b || a == ' ' || b == ' ' || a == '\n' || b == '\n')
			continue;
		sheet[i] = b;
		sheet[i + 1] = a;
		assert_int_equal(decode(sheet, n, &len, &line), FMT_CHECKSUM);
		sheet[i] = a;
		sheet[i + 1] = b;
	}
}

static void
lines_left_out_doubled_or_exchanged_are_found(void **state)
{
	static char text[2000];
	static const struct { const char *order; unsigned line; enum fmt_status want; } t[] = {
		{ "B123E", 0, FMT_OK }, { "B13E", 2, FMT_CHECKSUM }, { "B213E", 1, FMT_CHECKSUM },
		{ "B1123E", 2, FMT_CHECKSUM }, { "B12E", 0, FMT_CHECKSUM }, { "BE", 0, FMT_CHECKSUM },
		{ "B123", 4, FMT_SHORT }, { "B", 1, FMT_SHORT }, { "123E", 0, FMT_MAGIC }, { "", 0, FMT_MAGIC },
		{ "B1233E", 4, FMT_CHECKSUM }, { "B1BE", 0, FMT_CHECKSUM }, { "EB123E", 0, FMT_OK },
	};
	const char *lines[5];
	uint8_t in[60];
	struct rng r = { 4 };
	unsigned line;
	size_t len;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	(void)encoded(in, sizeof(in));
	for (size_t i = 0; i < 5; i++)
		lines[i] = i == 0 ? sheet : strchr(lines[i - 1], '\n') + 1;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t n = 0;

		for (const char *c = t[i].order; *c != 0; c++) {
			const char *l = lines[*c == 'B' ? 0 : *c == 'E' ? 4 : *c - '0'];
			size_t k = (size_t)(strchr(l, '\n') + 1 - l);

			memcpy(text + n, l, k);
			n += k;
		}
		assert_int_equal(decode(text, n, &len, &line), t[i].want);
		assert_int_equal(line, t[i].line);
	}
}

static void
what_a_person_makes_of_it_is_still_read(void **state)
{
	static char text[4000];
	uint8_t in[60];
	struct rng r = { 5 };
	unsigned line;
	size_t len, n = 0;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	(void)encoded(in, sizeof(in));
	n += (size_t)snprintf(text, sizeof(text), "Dear colleague,\r\nkeep this:\r\n\r\n");
	for (const char *c = sheet; *c != 0; c++) {
		int in_body = strchr(sheet, '\n') < c && *sheet == '-';

		if (c == sheet || c[-1] == '\n')
			n += (size_t)snprintf(text + n, sizeof(text) - n, "> > \t");
		if (*c == '\n')
			n += (size_t)snprintf(text + n, sizeof(text) - n, "  \r\n\r\n");
		else if (in_body && *c == '0')
			text[n++] = 'O';
		else if (in_body && *c == '1')
			text[n++] = rng_next(&r) % 2 != 0 ? 'l' : 'I';
		else if (in_body && *c == 'v')
			text[n++] = 'u';
		else if (in_body && *c >= 'a' && *c <= 'z' && rng_next(&r) % 2 != 0)
			text[n++] = (char)(*c - 'a' + 'A');
		else
			text[n++] = *c;
	}
	n += (size_t)snprintf(text + n, sizeof(text) - n, "yours\r\n");
	assert_int_equal(decode(text, n, &len, &line), FMT_OK);
	assert_int_equal(len, sizeof(in));
	assert_memory_equal(back, in, sizeof(in));
}

static void
groups_may_be_run_together_or_apart(void **state)
{
	static char text[2000];
	uint8_t in[60];
	struct rng r = { 6 };
	unsigned line;
	size_t len, n = 0;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	(void)encoded(in, sizeof(in));
	for (const char *c = sheet; *c != 0; c++) {
		int body = *sheet == '-' && c > strchr(sheet, '\n') && c < strstr(sheet, "-----END");

		if (body && *c == ' ' && c > sheet + 2 && c[-3] != '\n')
			continue;	/* all blanks but the one after the line's number */
		text[n++] = *c;
	}
	assert_int_equal(decode(text, n, &len, &line), FMT_OK);
	assert_memory_equal(back, in, sizeof(in));
}

static void
another_kind_is_passed_over(void **state)
{
	static char two[4000];
	uint8_t in[10] = { 1, 2, 3 };
	unsigned line;
	size_t len, n;

	(void)state;
	assert_int_equal(armor_encode("OTHER", in, sizeof(in), two, sizeof(two)), FMT_OK);
	n = strlen(two);
	assert_int_equal(decode(two, n, &len, &line), FMT_MAGIC);
	in[0] = 9;
	(void)encoded(in, sizeof(in));
	strcpy(two + n, sheet);
	assert_int_equal(decode(two, strlen(two), &len, &line), FMT_OK);
	assert_memory_equal(back, in, sizeof(in));
}

static void
room_is_kept_to(void **state)
{
	uint8_t in[60], small[60];
	struct rng r = { 7 };
	unsigned line;
	size_t len, n;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	n = encoded(in, sizeof(in));
	for (size_t cap = 0; cap <= sizeof(in); cap++) {
		uint8_t *out = bytes_copy(in, cap);

		assert_int_equal(armor_decode(WHAT, sheet, n, out, cap, &len, &line), cap == sizeof(in) ? FMT_OK : FMT_SHORT);
		free(out);
	}
	for (size_t cap = 0; cap <= n; cap++) {
		char *out = (char *)bytes_copy(sheet, cap);

		assert_int_equal(armor_encode(WHAT, in, sizeof(in), out, cap), FMT_SHORT);
		assert_true(cap == 0 || out[0] == 0);
		free(out);
	}
	memset(small, 0xff, sizeof(small));
	sheet[40] ^= 1;
	assert_int_equal(armor_decode(WHAT, sheet, n, small, sizeof(small), &len, &line), FMT_CHECKSUM);
	for (size_t i = 0; i < sizeof(small); i++)	/* nothing half read stays behind */
		assert_int_equal(small[i], 0);
}

static void
a_text_beyond_the_limit_is_refused(void **state)
{
	size_t n = ARMOR_TEXT_MAX + 1, len;
	char *text = malloc(n);
	unsigned line;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', n);
	assert_int_equal(armor_decode(WHAT, text, n, back, sizeof(back), &len, &line), FMT_RANGE);
	assert_int_equal(armor_decode(WHAT, text, n - 1, back, sizeof(back), &len, &line), FMT_MAGIC);
	assert_int_equal(armor_encode(WHAT, (const uint8_t *)text, n - 1, sheet, sizeof(sheet)), FMT_RANGE);
	assert_int_equal(armor_encode(WHAT, (const uint8_t *)text, SIZE_MAX, sheet, sizeof(sheet)), FMT_RANGE);
	free(text);
}

static void
mangled_text_is_refused_or_gives_the_same_bytes(void **state)
{
	uint8_t in[60];
	struct rng r = { 8 };
	unsigned line;
	size_t len, n;

	(void)state;
	rng_fill(&r, in, sizeof(in));
	for (int k = 0; k < 20000; k++) {
		n = encoded(in, sizeof(in));
		bytes_mutate(&r, (uint8_t *)sheet, n);
		if (decode(sheet, n, &len, &line) == FMT_OK) {
			assert_int_equal(len, sizeof(in));
			assert_memory_equal(back, in, sizeof(in));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_any_length_come_back),
		cmocka_unit_test(the_text_is_as_specified),
		cmocka_unit_test(every_single_slip_of_a_character_is_found_in_its_line),
		cmocka_unit_test(neighbours_that_changed_places_are_found),
		cmocka_unit_test(lines_left_out_doubled_or_exchanged_are_found),
		cmocka_unit_test(what_a_person_makes_of_it_is_still_read),
		cmocka_unit_test(groups_may_be_run_together_or_apart),
		cmocka_unit_test(another_kind_is_passed_over),
		cmocka_unit_test(room_is_kept_to),
		cmocka_unit_test(a_text_beyond_the_limit_is_refused),
		cmocka_unit_test(mangled_text_is_refused_or_gives_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
