/*
 * Every call to the operating system that an ingest makes fails once, and some
 * fail from then on: it ends with an error in words, or says what it could not
 * take; the vault stays good, and the same ingest again ends in one that is
 * whole.  The same for an ingest that repairs a damaged disk, for the desk that
 * receives a disk, for making a vault and for making its catalog anew.
 *
 * SAMARA_FAULTS in the environment sets how many faults of each kind are tried.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/flow/desk.h"
#include "common/flow/vault.h"
#include "common/flow/vault_rebuild.h"
#include "base/scratch.h"
#include "tests/crash/faults.h"
#include "tests/crash/vault_world.h"

#define NO_VAULT	(WORLD_IMAGES + 1)

static struct vault_world w;
static struct vault_world hurt;		/* the same, but the first disk has a damaged pack */
static char vault[96];

static void
vault_is(unsigned start)
{
	if (access(vault, F_OK) == 0)
		scratch_remove(vault);
	if (start <= WORLD_IMAGES)
		world_copy(w.vault[start], vault);
}

static void
no_vault(void)
{
	vault_is(NO_VAULT);
}

static void
no_image(void)
{
	vault_is(0);
}

static void
one_image(void)
{
	vault_is(1);
}

static void
two_images(void)
{
	vault_is(2);
}

/* What is in stays in; what came half is counted; then again, and all is whole. */
static int
then_whole(unsigned start, unsigned images, int rc, const struct err *why, int (*again)(struct err *e), struct err *e)
{
	int gaps = rc != 0 && why->code == ERR_DIFFERENT;	/* something could not be taken, and was counted */

	if (world_good(&w, vault, start, gaps, e) != 0)
		return err_during(e, "the vault");
	if (again(e) != 0)
		return err_during(e, "again");
	return world_whole(&w, vault, images, e) != 0 ? err_during(e, "again, and the vault") : 0;
}

/* ---- taking in a full image, an increment, and a damaged disk ---- */

static int
run_first(struct err *e)
{
	struct ingest_result r;

	return world_ingest(&w, vault, 0, &r, e);
}

static int
after_first(int rc, const struct err *why, struct err *e)
{
	return then_whole(0, 1, rc, why, run_first, e);
}

static int
run_increment(struct err *e)
{
	struct ingest_result r;

	return world_ingest(&w, vault, 1, &r, e);
}

static int
after_increment(int rc, const struct err *why, struct err *e)
{
	return then_whole(1, 2, rc, why, run_increment, e);
}

static int
run_damaged(struct err *e)
{
	struct ingest_result r;

	if (world_ingest(&hurt, vault, 0, &r, e) != 0)
		return -1;
	/* Its parity could not be read: said, and counted as bad above.  Else it was repaired. */
	return r.packs_repaired > 0 || r.nothing_new ? 0 : err_set(e, ERR_DIFFERENT, "nothing was repaired");
}

/* Once more; where all was in already there is nothing to repair. */
static int
again_damaged(struct err *e)
{
	struct ingest_result r;

	return world_ingest(&hurt, vault, 0, &r, e);
}

static int
after_damaged(int rc, const struct err *why, struct err *e)
{
	return then_whole(0, 1, rc, why, again_damaged, e);
}

/* ---- the desk ---- */

static void
received(void *arg, const struct receive_result *r)
{
	*(struct receive_result *)arg = *r;
}

static int
run_receive(struct err *e)
{
	const struct receive_options o = { .tracking = "4711" };
	struct receive_result r = { .disk = 0 };
	struct vault *v = vault_open(vault, 0, e);
	int rc = v == NULL ? -1 : receive_disk(v, w.disk[0], &o, received, &r, e);

	vault_close(v);
	if (rc == 0 && r.refused)
		return err_set(e, ERR_DIFFERENT, "refused: %s", r.why);
	return rc == 0 && r.disk != 1 ? err_set(e, ERR_DIFFERENT, "nothing was told") : rc;
}

/* Received, whatever was said the first time; then it is taken in. */
static int
after_receive(int rc, const struct err *why, struct err *e)
{
	struct receive_result r = { .disk = 0 };
	const struct receive_options o = { .tracking = "4711" };
	struct vault *v;
	int again;

	(void)why;
	if ((v = vault_open(vault, 0, e)) == NULL)
		return -1;
	again = receive_disk(v, w.disk[0], &o, received, &r, e);
	vault_close(v);
	if (again != 0 || r.refused)
		return again != 0 ? err_during(e, "again") : err_set(e, ERR_DIFFERENT, "again: refused: %s", r.why);
	if (rc == 0 && !r.again)
		return err_set(e, ERR_DIFFERENT, "it was said to be received and is not");
	return run_first(e) != 0 ? err_during(e, "ingest") : world_whole(&w, vault, 1, e);
}

/* ---- the vault itself ---- */

static int
run_rebuild(struct err *e)
{
	struct rebuild_result r;

	if (vault_rebuild(vault, &r, e) != 0)
		return -1;
	return r.packs_bad > 0 ? err_set(e, ERR_DIFFERENT, "packs were left out") : 0;
}

/* A catalog that was said to be without packs that cannot be read is not asked. */
static int
after_rebuild(int rc, const struct err *why, struct err *e)
{
	return then_whole(rc != 0 && why->code == ERR_DIFFERENT ? 0 : 2, 2, rc, why, run_rebuild, e);
}

static int
run_create(struct err *e)
{
	return world_create(vault, e);
}

/* It was made, whatever a close said; or it is made now. */
static int
after_create(int rc, const struct err *why, struct err *e)
{
	(void)why;
	if (world_create(vault, e) == 0) {
		if (rc == 0)
			return err_set(e, ERR_DIFFERENT, "it was said to be made and was not");
	} else if (e->code != ERR_VAULT_EXISTS) {
		return err_during(e, "again");
	}
	err_clear(e);
	return world_whole(&w, vault, 0, e);
}

static const struct fault_deed deeds[] = {
	{ "first ingest", no_image, run_first, after_first },
	{ "increment", one_image, run_increment, after_increment },
	{ "ingest of a damaged disk", no_image, run_damaged, after_damaged },
	{ "receive", no_image, run_receive, after_receive },
	{ "rebuild", two_images, run_rebuild, after_rebuild },
	{ "create", no_vault, run_create, after_create },
};

/* Bytes in the middle of the first pack are others. */
static void
hurt_make(void)
{
	char path[256], name[SHORT_LEN + 1];
	uint8_t b[64];
	int fd;

	hurt = w;
	(void)snprintf(hurt.disk[0], sizeof(hurt.disk[0]), "%.64s/hurt", w.root);
	world_copy(w.disk[0], hurt.disk[0]);
	for (unsigned i = 0; i <= SHORT_LEN; i++)
		name[i] = (char)(w.image[0][i] >= 'A' && w.image[0][i] <= 'Z' ? w.image[0][i] + 32 : w.image[0][i]);
	(void)snprintf(path, sizeof(path), "%s/samara/%s/packs/0000/00000000.pk", hurt.disk[0], name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(pread(fd, b, sizeof(b), 9000), sizeof(b));
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] ^= 0x5a;
	assert_int_equal(pwrite(fd, b, sizeof(b), 9000), sizeof(b));
	(void)close(fd);
}

static int
setup(void **state)
{
	(void)state;
	world_no_fsync();
	world_make(&w);
	hurt_make();
	/* With no other vault beside it: their names are the same. */
	(void)snprintf(vault, sizeof(vault), "%s/try", w.root);
	assert_int_equal(mkdir(vault, 0755), 0);
	(void)snprintf(vault, sizeof(vault), "%s/try/vault", w.root);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_drop(&w);
	world_fsync();
	return 0;
}

int
main(void)
{
	secret_init();
	say_level_set(SAY_QUIET);
	return faults_main("ingest", deeds, sizeof(deeds) / sizeof(deeds[0]), SAMARA_SANITIZED ? 1 : 5, setup, teardown);
}
