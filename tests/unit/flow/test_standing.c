#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/standing.h"
#include "formats/fmt_line_machine.h"

#define DAY	INT64_C(86400)

static void
every_row_and_column_of_the_table_holds(void **state)
{
	/* 1 allowed, 0 stopped; columns as enum standing_deed. */
	static const struct {
		enum connectivity connectivity;
		unsigned subscription;
		int allowed[4];
		const char *rule;	/* that is named where something is stopped */
	} t[] = {
		{ CONNECTED, SUBSCRIPTION_ACTIVE, { 1, 1, 1, 1 }, "" },
		{ CONNECTED, SUBSCRIPTION_EXPIRED, { 0, 0, 1, 1 }, "has expired" },
		{ CONNECTED, SUBSCRIPTION_DEPROVISIONED, { 0, 0, 0, 0 }, "was ended" },
		{ CONNECTED_LOST, SUBSCRIPTION_ACTIVE, { 0, 0, 1, 1 }, "beyond 15 days" },
		{ CONNECTED_LOST, SUBSCRIPTION_EXPIRED, { 0, 0, 1, 1 }, "has expired" },
		{ CONNECTED_LOST, SUBSCRIPTION_DEPROVISIONED, { 0, 0, 0, 0 }, "was ended" },
		{ CONNECTED_NOT_YET, SUBSCRIPTION_ACTIVE, { 1, 1, 1, 1 }, "" },
		{ CONNECTED_NOT_YET, SUBSCRIPTION_EXPIRED, { 1, 1, 1, 1 }, "" },
		{ CONNECTED_NOT_YET, SUBSCRIPTION_DEPROVISIONED, { 1, 1, 1, 1 }, "" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (int deed = DEED_BACKUP_VAULT; deed <= DEED_RESTORE_DISK; deed++) {
			const struct standing st = { t[i].connectivity, t[i].subscription, 1700000000, 17 };
			int rc;

			err_clear(&e);
			rc = standing_allows(&st, (enum standing_deed)deed, &e);
			assert_int_equal(rc, t[i].allowed[deed] ? 0 : -1);
			assert_int_equal(e.code, t[i].allowed[deed] ? ERR_NONE : ERR_RULE);
			if (rc != 0)
				assert_non_null(strstr(e.msg, t[i].rule));
			if (rc != 0)
				assert_int_equal(err_exit(e.code), 16);
		}
}

static void
a_connection_is_lost_after_fifteen_days_and_not_before_the_first_contact(void **state)
{
	static const struct { int64_t first, last, now; enum connectivity want; } t[] = {
		{ 0, 0, 100 * DAY, CONNECTED_NOT_YET },
		{ DAY, DAY, DAY, CONNECTED },
		{ DAY, DAY, 16 * DAY, CONNECTED },
		{ DAY, DAY, 16 * DAY + 1, CONNECTED_LOST },
		{ DAY, 10 * DAY, 20 * DAY, CONNECTED },
		{ DAY, 100 * DAY, 2 * DAY, CONNECTED },		/* the clock went back */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(standing_connectivity(t[i].first, t[i].last, t[i].now), t[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_and_column_of_the_table_holds),
		cmocka_unit_test(a_connection_is_lost_after_fifteen_days_and_not_before_the_first_contact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
