/*
 * Every call to the operating system that a collection makes fails once, and some fail
 * from then on: it ends with an error in words, what is needed is there, and the same
 * command again ends well.
 *
 * SAMARA_FAULTS in the environment sets how many faults of each kind are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "common/base/log.h"
#include "tests/crash/collect_world.h"
#include "tests/crash/faults.h"
#include "tests/crash/vault_world.h"

static struct site *site;
static char filled[96];		/* the vault as it is before */

static void
as_before(void)
{
	if (access(site->vault, F_OK) == 0)
		scratch_remove(site->vault);
	world_copy(filled, site->vault);
}

static int
run(struct err *e)
{
	int rc = collect_twice(site);

	if (rc != 0 && e != NULL)
		*e = site->e;
	return rc;
}

static int
after(int rc, const struct err *why, struct err *e)
{
	(void)rc, (void)why;
	return state_check(site, e);
}

static const struct fault_deed deeds[] = {
	{ "a collection", as_before, run, after },
};

static int
setup(void **state)
{
	void *s;

	(void)state;
	world_no_fsync();
	if (site_setup(&s) != 0)
		return -1;
	site = s;
	vault_fill(site);
	/* Not beside the vault: names of vaults are unique in a directory. */
	(void)snprintf(filled, sizeof(filled), "%s/filled", site->root);
	assert_int_equal(mkdir(filled, 0755), 0);
	(void)snprintf(filled, sizeof(filled), "%s/filled/vault", site->root);
	world_copy(site->vault, filled);
	return 0;
}

static int
teardown(void **state)
{
	void *s = site;

	(void)state;
	(void)site_teardown(&s);
	world_fsync();
	return 0;
}

int
main(void)
{
	secret_init();
	say_level_set(SAY_QUIET);
	return faults_main("collect", deeds, sizeof(deeds) / sizeof(deeds[0]), SAMARA_SANITIZED ? 2 : 10, setup, teardown);
}
