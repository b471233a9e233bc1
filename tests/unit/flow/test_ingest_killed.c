/*
 * The process dies in the middle of taking in a disk, at one call to the
 * system after the other; the next one finds out by itself and goes on.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "flow/vault_site.h"

#define CHUNKS	60

static struct io_ops mortal;
static atomic_uint calls;
static unsigned die_at;

/* Count a call that changes something; at the chosen one nothing happens any more. */
static void
count(void)
{
	if (atomic_fetch_add(&calls, 1) + 1 == die_at)
		(void)kill(getpid(), SIGKILL);
}

static ssize_t
m_write(int fd, const void *buf, size_t n)
{
	count();
	return io_real()->write(fd, buf, n);
}

static ssize_t
m_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	count();
	return io_real()->pwrite(fd, buf, n, at);
}

static int
m_fsync(int fd)
{
	count();
	return io_real()->fsync(fd);
}

static int
m_ftruncate(int fd, off_t len)
{
	count();
	return io_real()->ftruncate(fd, len);
}

static int
m_renameat2(int a, const char *old, int b, const char *new, unsigned flags)
{
	count();
	return io_real()->renameat2(a, old, b, new, flags);
}

static int
m_unlinkat(int d, const char *path, int flags)
{
	count();
	return io_real()->unlinkat(d, path, flags);
}

static int
m_mkdirat(int d, const char *path, mode_t mode)
{
	count();
	return io_real()->mkdirat(d, path, mode);
}

static void
become_mortal(unsigned at)
{
	mortal = *io_real();
	mortal.write = m_write;
	mortal.pwrite = m_pwrite;
	mortal.fsync = m_fsync;
	mortal.ftruncate = m_ftruncate;
	mortal.renameat2 = m_renameat2;
	mortal.unlinkat = m_unlinkat;
	mortal.mkdirat = m_mkdirat;
	atomic_store(&calls, 0);
	die_at = at;
	(void)io_use(&mortal);
}

/* A fresh vault with a machine's disk for it. */
static void
site_fresh(struct site *s)
{
	struct vault_create o = { .name = "demo", .redundancy = REDUNDANCY_LOCAL };
	struct seed_image im;
	char command[256];

	(void)snprintf(command, sizeof(command), "rm -rf %s %s", s->vault, s->disk[0]);
	assert_int_equal(system(command), 0);
	assert_int_equal(vault_create(s->vault, &o, &s->e), 0);
	site_credential(s, "laptop", &s->c);
	seed_machine_drop(&s->m);
	seed_machine_make(&s->m, "laptop", &s->c);
	seed_image_make(&im, &s->m, "RM4K");
	seed_disk(&im, s->disk[0], 1, 0, CHUNKS);
	seed_snapshot(&im, s->disk[0], 1, 0, CHUNKS);
	seed_manifest(&im, s->disk[0], 1);
}

/* Take the disk in by a process that dies at call ${at}; 1 if it lived to the end. */
static int
ingest_and_die(struct site *s, unsigned at)
{
	pid_t child = fork();
	int status;

	assert_true(child != -1);
	if (child == 0) {
		become_mortal(at);
		_exit(site_ingest(s, 0) == 0 ? 0 : 1);
	}
	assert_true(waitpid(child, &status, 0) == child);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return 0;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return 1;
}

static void
whole_after(struct site *s)
{
	assert_int_equal(site_ingest(s, 0), 0);
	assert_int_equal(s->r.chunks_bad, 0);
	assert_int_equal(s->r.unclaimed, 0);
	assert_int_equal(site_snapshot(s, 1, NULL), SNAPSHOT_WHOLE);
	site_rebuild_agrees(s);
}

static void
killed_at_any_call_it_goes_on(void **state)
{
	const unsigned step = SAMARA_SANITIZED ? 23 : 7;
	struct site *s = *state;
	unsigned at;

	for (at = 1; at < 100000; at += step) {
		site_fresh(s);
		if (ingest_and_die(s, at))
			break;
		whole_after(s);
	}
	assert_true(at > 100 && at < 100000);
}

static void
killed_again_and_again_it_ends_all_the_same(void **state)
{
	struct site *s = *state;
	unsigned deaths = 0;

	site_fresh(s);
	/* A little further each time: what was done by those before is not lost. */
	for (unsigned at = 60; !ingest_and_die(s, at); at += 20)
		assert_true(++deaths < 1000);
	assert_true(deaths > 1);
	whole_after(s);
	assert_int_equal(s->r.nothing_new, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(x) cmocka_unit_test_setup_teardown(x, site_setup, site_teardown)
		T(killed_at_any_call_it_goes_on),
		T(killed_again_and_again_it_ends_all_the_same),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
