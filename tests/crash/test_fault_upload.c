/*
 * Every call to the operating system that is made while a machine brings packs, a
 * list and a commit fails once, and some fail from then on: it ends with an error
 * in words; what was acknowledged is there, and the same again ends well.
 *
 * SAMARA_FAULTS in the environment sets how many faults of each kind are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "base/scratch.h"
#include "tests/crash/faults.h"
#include "tests/crash/upload_world.h"
#include "tests/crash/vault_world.h"

static struct upload_world w;
static char vault[96];
static unsigned steps;

static void
as_before(void)
{
	if (access(vault, F_OK) == 0)
		scratch_remove(vault);
	world_copy(w.vault, vault);
}

static void
told(void *arg, unsigned step)
{
	(void)arg;
	steps = step + 1;
}

static int
brings(struct err *e)
{
	steps = 0;
	return upload_world_bring(vault, told, NULL, e);
}

static int
is_overcome(int rc, const struct err *why, struct err *e)
{
	if (rc != 0 && why->msg[0] == '\0')
		return err_set(e, ERR_DIFFERENT, "it failed without a word");
	if (upload_world_good(vault, steps, e) != 0)
		return err_during(e, "after the fault");
	if (upload_world_bring(vault, NULL, NULL, e) != 0 || upload_world_good(vault, UPLOAD_STEPS, e) != 0)
		return err_during(e, "again");
	return 0;
}

static const struct fault_deed deeds[] = {
	{ "packs, a list and a commit over the line", as_before, brings, is_overcome },
};

static int
setup(void **state)
{
	(void)state;
	world_no_fsync();
	upload_world_make(&w);
	(void)snprintf(vault, sizeof(vault), "%s/vault", w.root);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_fsync();
	upload_world_drop(&w);
	return 0;
}

int
main(void)
{
	say_level_set(SAY_QUIET);
	return faults_main("upload", deeds, sizeof(deeds) / sizeof(deeds[0]), SAMARA_SANITIZED ? 10 : 60, setup, teardown);
}
