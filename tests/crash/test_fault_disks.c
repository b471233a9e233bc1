/*
 * Every call to the operating system fails once, and some fail from then on,
 * while an image is built over several disks, a top-up is made and a lost disk
 * is replaced: it ends with an error in words, and going on ends in an image
 * that is whole.
 *
 * SAMARA_FAULTS in the environment sets how many faults of each kind are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/secret.h"
#include "tests/crash/disks_world.h"
#include "tests/crash/faults.h"

static struct disks_world w;
static char at[96];

/* Something could not be read and was named: what is there is checked, and a build that nothing disturbs has all. */
static int
go_on(enum disks_deed deed, int rc, const struct err *why, struct err *e)
{
	(void)why;
	if (rc == 3)
		return 0;
	if (rc == 0)
		return disks_good(&w, deed, at, e);
	if (!disks_done(&w, deed, at) && (rc = disks_go_on(&w, deed, at, e)) == -1)
		return err_during(e, "go on");
	return rc == 3 ? 0 : disks_good(&w, deed, at, e);
}

#define DEED(name, deed)						\
	static void							\
	name##_before(void)						\
	{								\
		disks_start(&w, deed, at);				\
	}								\
	static int							\
	name##_run(struct err *e)					\
	{								\
		return disks_run(&w, deed, at, e);			\
	}								\
	static int							\
	name##_after(int rc, const struct err *why, struct err *e)	\
	{								\
		return go_on(deed, rc, why, e);				\
	}

DEED(both, DISKS_BOTH)
DEED(bay, DISKS_ONE_BAY)
DEED(spread, DISKS_SPREAD)
DEED(topup, DISKS_TOPUP)
DEED(topup_two, DISKS_TOPUP_TWO)
DEED(replace, DISKS_REPLACE)

static const struct fault_deed deeds[] = {
	{ "two disks", both_before, both_run, both_after },
	{ "one bay", bay_before, bay_run, bay_after },
	{ "spread", spread_before, spread_run, spread_after },
	{ "top-up", topup_before, topup_run, topup_after },
	{ "top-up over two disks", topup_two_before, topup_two_run, topup_two_after },
	{ "replacement", replace_before, replace_run, replace_after },
};

static int
setup(void **state)
{
	(void)state;
	disks_world_make(&w);
	(void)snprintf(at, sizeof(at), "%s/try", w.m.root);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	disks_world_drop(&w);
	return 0;
}

int
main(void)
{
	secret_init();
	say_level_set(SAY_QUIET);
	return faults_main("disks", deeds, sizeof(deeds) / sizeof(deeds[0]), SAMARA_SANITIZED ? 1 : 5, setup, teardown);
}
