/* What workers may take on: bounded, whatever the tree is like. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/flow/build_engine.h"

#define BIG_FILES	3u

static struct engine g;
static struct unit unit[BIG_FILES];
static struct big_file big[BIG_FILES];

static int
setup(void **state)
{
	(void)state;
	memset(&g, 0, sizeof(g));
	memset(unit, 0, sizeof(unit));
	memset(big, 0, sizeof(big));
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.work, NULL);
	for (unsigned i = 0; i < BIG_FILES; i++) {
		unit[i].big = &big[i];
		unit[i].next = i + 1 < BIG_FILES ? &unit[i + 1] : NULL;
	}
	g.first = &unit[0];
	return 0;
}

/* Workers read on wherever they may, and nothing is taken: stretches of each file. */
static void
read_on(unsigned got[BIG_FILES])
{
	struct unit *u;

	memset(got, 0, BIG_FILES * sizeof(*got));
	for (unsigned k = 0; k < 100000 && (u = unit_take_locked(&g)) != NULL; k++) {
		got[u - unit]++;
		u->big->busy = false;
	}
}

static void
files_behind_the_first_are_read_so_far_and_no_further(void **state)
{
	unsigned got[BIG_FILES];

	(void)state;
	big[0].busy = true;		/* a worker is in it, and it takes its time */
	read_on(got);
	assert_int_equal(got[0], 0);
	assert_int_equal(got[1] + got[2], STRETCHES_MAX);
}

static void
the_first_goes_on_whatever_the_others_hold(void **state)
{
	unsigned got[BIG_FILES];

	(void)state;
	big[0].busy = true;
	read_on(got);
	big[0].busy = false;
	read_on(got);
	assert_int_equal(got[0], STRETCHES_MAX);
	assert_int_equal(got[1] + got[2], 0);
	/* One was taken: there is room for one. */
	stretch_taken(&g, &big[0]);
	read_on(got);
	assert_int_equal(got[0] + got[1] + got[2], 1);
}

static void
the_next_goes_on_when_it_becomes_the_first(void **state)
{
	unsigned got[BIG_FILES], before;

	(void)state;
	big[0].busy = true;
	read_on(got);
	before = got[1];
	g.first = &unit[1];
	read_on(got);
	assert_int_equal(before + got[1], STRETCHES_MAX);
	while (big[1].untaken > 0)
		stretch_taken(&g, &big[1]);
	read_on(got);
	assert_true(got[1] > 0);
}

static void
at_most_twice_as_many_wait_in_all(void **state)
{
	unsigned got[BIG_FILES];

	(void)state;
	read_on(got);
	assert_true(g.untaken <= 2 * STRETCHES_MAX);
	assert_int_equal(g.untaken, got[0] + got[1] + got[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(files_behind_the_first_are_read_so_far_and_no_further, setup),
		cmocka_unit_test_setup(the_first_goes_on_whatever_the_others_hold, setup),
		cmocka_unit_test_setup(the_next_goes_on_when_it_becomes_the_first, setup),
		cmocka_unit_test_setup(at_most_twice_as_many_wait_in_all, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
