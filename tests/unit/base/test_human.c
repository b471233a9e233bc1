#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/human.h"

static void
sizes_are_read_as_people_write_them(void **state)
{
	static const struct { const char *s; uint64_t want; } t[] = {
		{ "0", 0 }, { "500", 500 }, { "500 B", 500 }, { "500M", 500000000 },
		{ "18T", 18000000000000 }, { "1 MiB", 1 << 20 }, { "64Ki", 65536 },
		{ "64kib", 65536 }, { "1.5 TB", 1500000000000 }, { "1.5k", 1500 },
		{ "1,023 MB", 1023000000 }, { "0.5", 0 }, { "1.9", 1 },
		{ "1.25KiB", 1280 }, { "18446744073709551615", UINT64_MAX },
		{ "0.000000001G", 1 },
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(human_parse_size(t[i].s, &v, NULL), 0);
		assert_true(v == t[i].want);
	}
}

static void
what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = { "", " ", "M", "-1", "1X", "1 MM", "1.M", ".5", "1,23",
		"1,2345", "16 EiB", "18446744073709551616", "19E", "99999999999999999999E", "1e3",
		"0x10", "5%", "1MiBps", "1 2" };
	struct err e;
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&e);
		assert_int_equal(human_parse_size(bad[i], &v, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
	}
}

static void
rates_may_be_in_bits(void **state)
{
	static const struct { const char *s; uint64_t want; } t[] = {
		{ "100M", 100000000 }, { "50 MB/s", 50000000 }, { "1,023 MBps", 1023000000 },
		{ "512 Kbps", 64000 }, { "20 Mbit/s", 2500000 }, { "20Mbit", 2500000 },
		{ "20 Mbps", 2500000 },
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(human_parse_rate(t[i].s, &v, NULL), 0);
		assert_true(v == t[i].want);
	}
	assert_int_equal(human_parse_rate("20 Mbit/h", &v, NULL), -1);
	assert_int_equal(human_parse_rate("fast", &v, NULL), -1);
}

static void
durations_add_up(void **state)
{
	static const struct { const char *s; uint64_t want; } t[] = {
		{ "48h", 172800 }, { "90d", 7776000 }, { "30 min", 1800 }, { "30m", 1800 },
		{ "1d12h", 129600 }, { "2w", 1209600 }, { "1.5h", 5400 }, { "10 s", 10 },
		{ "1d 1s", 86401 },
	};
	static const char *const bad[] = { "", "48", "h", "1y", "1h1", "99999999999999999999d",
		"18446744073709551615w", "18446744073709551615s 1s" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(human_parse_duration(t[i].s, &v, NULL), 0);
		assert_true(v == t[i].want);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(human_parse_duration(bad[i], &v, NULL), -1);
}

static void
percentages_and_numbers_have_their_limits(void **state)
{
	uint32_t m;
	uint64_t v;

	(void)state;
	assert_int_equal(human_parse_percent("5%", &m, NULL), 0);
	assert_int_equal(m, 50000);
	assert_int_equal(human_parse_percent("0.5 %", &m, NULL), 0);
	assert_int_equal(m, 5000);
	assert_int_equal(human_parse_percent("100", &m, NULL), 0);
	assert_int_equal(m, 1000000);
	assert_int_equal(human_parse_percent("100.1%", &m, NULL), -1);
	assert_int_equal(human_parse_percent("%", &m, NULL), -1);
	assert_int_equal(human_parse_number("19", 19, &v, NULL), 0);
	assert_int_equal(v, 19);
	assert_int_equal(human_parse_number("20", 19, &v, NULL), -1);
	assert_int_equal(human_parse_number("2.0", 19, &v, NULL), -1);
	assert_int_equal(human_parse_number("2 ", 19, &v, NULL), -1);
	assert_int_equal(human_parse_number("", 19, &v, NULL), -1);
}

static void
sizes_are_written_with_three_digits(void **state)
{
	static const struct { uint64_t v; const char *want; } t[] = {
		{ 0, "0 B" }, { 999, "999 B" }, { 1000, "1.0 kB" }, { 1049, "1.0 kB" },
		{ 1050, "1.1 kB" }, { 99949, "99.9 kB" }, { 99950, "100 kB" }, { 999499, "999 kB" },
		{ 999500, "1.0 MB" }, { 17400000000000, "17.4 TB" }, { 118000000000, "118 GB" },
		{ UINT64_MAX, "18.4 EB" },
	};
	char buf[HUMAN_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(human_size(buf, t[i].v), t[i].want);
}

static void
a_size_that_was_written_is_read_back_within_its_digits(void **state)
{
	char buf[HUMAN_MAX];
	uint64_t v, near;

	(void)state;
	for (uint64_t bit = 0; bit < 64; bit++) {
		for (uint64_t add = 0; add < 64; add++) {
			v = (UINT64_C(1) << bit) + add * (UINT64_C(1) << bit) / 64;
			assert_int_equal(human_parse_size(human_size(buf, v), &near, NULL), 0);
			assert_true((near > v ? near - v : v - near) <= v / 19);
		}
	}
}

static void
counts_rates_times_and_parts_are_written(void **state)
{
	static const struct { int64_t ns; const char *want; } t[] = {
		{ -1, "0.0 s" }, { 0, "0.0 s" }, { 449000000, "0.4 s" }, { 9940000000, "9.9 s" },
		{ 9960000000, "10 s" }, { 12000000000, "12 s" }, { 119000000000, "119 s" },
		{ 360000000000, "6 min" }, { 36000000000000, "10 h" },
		{ 267840000000000, "3.1 days" }, { 12441600000000000, "144 days" },
		{ 859679000000000, "9.9 days" }, { 859681000000000, "10 days" },
	};
	char buf[HUMAN_MAX];

	(void)state;
	assert_string_equal(human_count(buf, 11204118), "11,204,118");
	assert_string_equal(human_count(buf, 0), "0");
	assert_string_equal(human_count(buf, 999), "999");
	assert_string_equal(human_count(buf, 1000), "1,000");
	assert_string_equal(human_count(buf, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(human_rate(buf, 1110000000, 2000000000), "555 MB/s");
	assert_string_equal(human_rate(buf, 5, 0), "-");
	assert_string_equal(human_rate(buf, UINT64_MAX, 1), "18.4 EB/s");
	assert_string_equal(human_percent(buf, 42, 1000), "4.2 %");
	assert_string_equal(human_percent(buf, 0, 0), "0.0 %");
	assert_string_equal(human_percent(buf, UINT64_MAX, UINT64_MAX), "100.0 %");
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(human_duration(buf, t[i].ns), t[i].want);
}

static void
dates_are_in_local_time_and_survive_any_number(void **state)
{
	char buf[HUMAN_MAX];

	(void)state;
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	assert_string_equal(human_date(buf, 1794492180), "12 Nov 2026 14:03");
	assert_string_equal(human_day(buf, 1794492180), "12 Nov 2026");
	assert_string_equal(human_date(buf, -86400), "31 Dec 1969 00:00");
	(void)human_date(buf, INT64_MAX);
	(void)human_date(buf, INT64_MIN);
}

static void
ids_and_digests_have_short_forms(void **state)
{
	static const uint8_t d[8] = { 0x7f, 0x3a, 0x91, 0xcc, 0xd0, 0x2e, 0x5b, 0x18 };
	char buf[HUMAN_MAX];

	(void)state;
	assert_string_equal(human_id(buf, d), "7f3a91cc");
	assert_string_equal(human_digest(buf, d), "7F3A-91CC-D02E-5B18");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_as_people_write_them),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(rates_may_be_in_bits),
		cmocka_unit_test(durations_add_up),
		cmocka_unit_test(percentages_and_numbers_have_their_limits),
		cmocka_unit_test(sizes_are_written_with_three_digits),
		cmocka_unit_test(a_size_that_was_written_is_read_back_within_its_digits),
		cmocka_unit_test(counts_rates_times_and_parts_are_written),
		cmocka_unit_test(dates_are_in_local_time_and_survive_any_number),
		cmocka_unit_test(ids_and_digests_have_short_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
