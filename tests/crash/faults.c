#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io_fault.h"
#include "tests/crash/faults.h"

#define PATIENCE	120u	/* seconds for one try: then it hangs */

/* What may fail, and how. */
struct fault_case {
	const char *sentence;
	const char *call;
	enum fault_kind kind;
	int sys;
};

static struct fault_case cases[] = {
	{ "any_open_may_fail", "open", FAULT_OPEN, EIO },
	{ "descriptors_may_run_out", "open", FAULT_OPEN, EMFILE },
	{ "any_open_may_find_it_read_only", "open", FAULT_OPEN, EROFS },
	{ "any_read_may_fail", "read", FAULT_READ, EIO },
	{ "any_read_may_be_short", "read", FAULT_READ, 0 },
	{ "any_write_may_fail", "write", FAULT_WRITE, EIO },
	{ "it_may_be_full_at_any_write", "write", FAULT_WRITE, ENOSPC },
	{ "it_may_be_read_only_at_any_write", "write", FAULT_WRITE, EROFS },
	{ "any_write_may_be_short", "write", FAULT_WRITE, 0 },
	{ "any_sync_may_fail", "fsync", FAULT_FSYNC, EIO },
	{ "any_truncation_may_fail", "truncate", FAULT_TRUNCATE, EIO },
	{ "it_may_be_full_at_any_reservation", "fallocate", FAULT_FALLOCATE, ENOSPC },
	{ "any_close_may_fail", "close", FAULT_CLOSE, EIO },
	{ "any_stat_may_fail", "stat", FAULT_STAT, EIO },
	{ "any_lock_may_fail", "lock", FAULT_LOCK, EIO },
	{ "any_rename_may_fail", "rename", FAULT_RENAME, EIO },
	{ "any_rename_may_find_it_read_only", "rename", FAULT_RENAME, EROFS },
	{ "any_link_may_fail", "link", FAULT_LINK, EIO },
	{ "any_removal_may_fail", "unlink", FAULT_UNLINK, EIO },
	{ "it_may_be_full_at_any_new_directory", "mkdir", FAULT_MKDIR, ENOSPC },
	{ "any_listing_of_a_directory_may_fail", "list", FAULT_LIST, EIO },
	{ "any_change_of_mode_or_owner_may_fail", "meta", FAULT_META, EIO },
};
#define CASES	(sizeof(cases) / sizeof(cases[0]))

static const struct fault_deed *deeds;
static size_t ndeeds;
static uint64_t wanted, tried_in_all;
static int all_calls;		/* asked for by the environment */

static unsigned
descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

/* One fault: 0 if the deed makes no such call. */
static int
fault_try(const struct fault_deed *d, const struct fault_case *c, const struct fault_plan *plan)
{
	struct err why, e;
	unsigned before;
	char what[160];
	int rc;

	d->before();
	err_clear(&why);
	err_clear(&e);
	(void)snprintf(what, sizeof(what), "%s: %s %llu%s fails with %s", d->name, c->call, (unsigned long long)plan->nth,
	    plan->every ? " and all after it" : "", plan->sys != 0 ? strerror(plan->sys) : "half of it");
	before = descriptors();
	(void)alarm(PATIENCE);
	fault_start(plan);
	rc = d->run(&why);
	fault_stop();
	if (descriptors() != before)
		fail_msg("%s: %u descriptors instead of %u (%s)", what, descriptors(), before, why.msg);
	if (rc == -1 && (why.code == ERR_NONE || why.code == ERR_INTERNAL || why.msg[0] == '\0'))
		fail_msg("%s: error %d \"%s\"", what, (int)why.code, why.msg);
	if (fault_hits() == 0 && rc != 0)
		fail_msg("%s, which never happened: %s", what, why.msg);
	if (fault_hits() > 0 && d->after(rc, &why, &e) != 0)
		fail_msg("%s: it said %d \"%s\", and then: %s", what, rc, why.msg, e.msg);
	(void)alarm(0);
	return fault_hits() > 0;
}

/* So many of the calls of a kind that a deed makes, spread over all. */
static void
deed_try(const struct fault_deed *d, const struct fault_case *c)
{
	struct fault_plan plan = { .kind = c->kind, .sys = c->sys };
	uint64_t calls, step, tried = 0;
	struct err e;

	err_clear(&e);
	d->before();
	fault_start(&plan);
	if (d->run(&e) != 0)
		fail_msg("%s without a fault: %s", d->name, e.msg);
	fault_stop();
	calls = fault_count();
	step = calls / wanted + 1;
	for (plan.nth = 1 + step / 2; plan.nth <= calls; plan.nth += step) {
		plan.every = tried % 5 == 4;
		if (all_calls && step == 1) {
			plan.every = 1;
			(void)fault_try(d, c, &plan);
			plan.every = 0;
		}
		if (!fault_try(d, c, &plan))
			break;
		tried++;
	}
	tried_in_all += tried;
	print_message("%s, %s: %llu of %llu calls\n", d->name, c->call, (unsigned long long)tried, (unsigned long long)calls);
}

static void
case_try(void **state)
{
	for (size_t i = 0; i < ndeeds; i++)
		deed_try(&deeds[i], *state);
}

int
faults_main(const char *name, const struct fault_deed *d, size_t n, uint64_t most, int (*setup)(void **),
    int (*teardown)(void **))
{
	const char *s = getenv("SAMARA_FAULTS");
	struct CMUnitTest tests[CASES];
	int rc;

	deeds = d;
	ndeeds = n;
	wanted = s != NULL ? strtoull(s, NULL, 10) : most;
	wanted = wanted > 0 ? wanted : 1;
	all_calls = s != NULL;
	for (size_t i = 0; i < CASES; i++)
		tests[i] = (struct CMUnitTest){ .name = cases[i].sentence, .test_func = case_try, .initial_state = &cases[i] };
	rc = _cmocka_run_group_tests(name, tests, CASES, setup, teardown);
	print_message("%llu calls failed in all\n", (unsigned long long)tried_in_all);
	return rc;
}
