#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/sign.h"
#include "common/flow/parcel.h"
#include "common/flow/state.h"

#define DAY	INT64_C(86400)

static struct err e;

static void
only_a_day_that_there_is_is_a_date(void **state)
{
	static const char *const no[] = { "", "2026", "16.11.2026", "2026-11-31", "2026-13-01", "2026-00-10", "2026-1-2",
		"2026-11-16x", "2027-02-29", "1969-12-30", "-026-11-16", "2026-11-00" };
	int64_t t;

	(void)state;
	assert_int_equal(parcel_date("2026-11-16", &t, &e), 0);
	assert_int_equal(t, 1794830400);	/* noon UTC, by date -u -d '2026-11-16 12:00' +%s */
	assert_int_equal(parcel_date("2028-02-29", &t, &e), 0);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		err_clear(&e);
		assert_int_equal(parcel_date(no[i], &t, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
	}
}

static void
it_is_late_from_the_day_after(void **state)
{
	const int64_t due = 1794830400;

	(void)state;
	assert_int_equal(parcel_days_late(0, due), 0);
	assert_int_equal(parcel_days_late(due, due - DAY), 0);
	assert_int_equal(parcel_days_late(due, due + DAY / 2 - 1), 0);
	assert_int_equal(parcel_days_late(due, due + DAY / 2), 1);
	assert_int_equal(parcel_days_late(due, due + DAY / 2 + DAY), 2);
}

static void
words_leave_out_what_nobody_knows_and_escape_what_a_terminal_obeys(void **state)
{
	char w[PARCEL_WORDS_MAX];

	(void)state;
	assert_string_equal(parcel_words(w, 0, 0, "", ""), "");
	assert_string_equal(parcel_words(w, 0, 0, "DHL", "123"), "DHL 123");
	assert_string_equal(parcel_words(w, 0, 0, "", "123"), "123");
	assert_non_null(strstr(parcel_words(w, 1794830400, 1794830400 + 4 * DAY, "DHL", "1"), "shipped 16 Nov, due 20 Nov, DHL 1"));
	assert_null(strchr(parcel_words(w, 0, 0, "\033[2J", "\n"), '\033'));
	assert_null(strchr(w, '\n'));
}

static void
parcel_fill(struct parcel *p, struct state *s)
{
	uint8_t seed[KEY_LEN] = { 7 };

	memset(p, 0, sizeof(*p));
	sign_keys(seed, p->machine_pub, s->sign_secret);
	(void)snprintf(p->machine_name, sizeof(p->machine_name), "db1");
	(void)snprintf(p->short_name, sizeof(p->short_name), "RM4K");
	(void)snprintf(p->carrier, sizeof(p->carrier), "DHL");
	(void)snprintf(p->tracking, sizeof(p->tracking), "00340434161094042557");
	(void)snprintf(p->address, sizeof(p->address), "Example Ltd\n1 Harbour Road");
	p->generation = 1;
	p->disks = 2;
}

static void
an_announcement_comes_through_mail_and_is_believed_only_as_it_was_signed(void **state)
{
	uint8_t secret[SIGN_SECRET_LEN], bytes[SMALL_STATEMENT_MAX];
	struct state s = { .sign_secret = secret };
	struct parcel p, got;
	struct buf b;
	size_t n, refused = 0;
	char *at;

	(void)state;
	parcel_fill(&p, &s);
	buf_init(&b);
	buf_str(&b, "> Hello,\n> here it is:\n\n");
	assert_int_equal(parcel_announce(&s, &p, &b, &e), 0);
	buf_str(&b, "\nBest regards\n");
	assert_int_equal(parcel_read((const char *)b.p, b.len, &got, bytes, &n, &e), 0);
	assert_string_equal(got.tracking, p.tracking);
	assert_string_equal(got.address, p.address);
	assert_int_equal(got.disks, 2);
	assert_non_null(at = memmem(b.p, b.len, "-----BEGIN", 10));
	for (char *c = at + 40; (uint8_t *)c < b.p + b.len - 60; c += 7) {
		char was = *c;

		*c = was == 'q' ? 'z' : 'q';
		err_clear(&e);
		if (was != '\n' && was != ' ' && was != '-' && parcel_read((const char *)b.p, b.len, &got, bytes, &n, &e) != 0)
			refused++;
		*c = was;
	}
	assert_true(refused > 50);
	err_clear(&e);
	assert_int_equal(parcel_read("no armour", 9, &got, bytes, &n, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	/* Signed by another key than the one in it. */
	secret[0] ^= 1;
	buf_reset(&b);
	err_clear(&e);
	assert_int_equal(parcel_announce(&s, &p, &b, &e), 0);
	assert_int_equal(parcel_read((const char *)b.p, b.len, &got, bytes, &n, &e), -1);
	assert_int_equal(e.code, ERR_SIGNATURE);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_day_that_there_is_is_a_date),
		cmocka_unit_test(it_is_late_from_the_day_after),
		cmocka_unit_test(words_leave_out_what_nobody_knows_and_escape_what_a_terminal_obeys),
		cmocka_unit_test(an_announcement_comes_through_mail_and_is_believed_only_as_it_was_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
