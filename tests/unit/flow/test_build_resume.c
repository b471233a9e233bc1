/* Builds that were stopped and go on: what they leave, what they read again, what they may lean on. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "flow/build_maker.h"
#include "common/flow/image_cancel.h"

#define HOUR	3600

/* An io table with a later clock (nothing is too fresh) that asks to stop while a file is read. */
static struct {
	const struct io_ops *real;
	const char *stop_at;		/* name of the file whose opening asks; NULL: nobody asks */
	_Atomic unsigned opened;	/* files of the source */
} med;

static int
med_open(int dirfd, const char *path, int flags, mode_t mode)
{
	if ((flags & O_NOATIME) != 0 && (flags & O_DIRECTORY) == 0) {	/* as only files of the source are opened */
		med.opened++;
		if (med.stop_at != NULL && strcmp(path, med.stop_at) == 0)
			stop_ask();
	}
	return med.real->open(dirfd, path, flags, mode);
}

static int
med_clock(clockid_t id, struct timespec *ts)
{
	int rc = med.real->clock_gettime(id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += HOUR;
	return rc;
}

static int
build_until(struct build_maker *b, const char *stop_at)
{
	struct io_ops ops = *io;
	int rc;

	ops.open = med_open;
	ops.clock_gettime = med_clock;
	med.stop_at = stop_at;
	med.opened = 0;
	med.real = io_use(&ops);
	rc = build_maker_run(b);
	(void)io_use(med.real);
	stop_reset();
	return rc;
}

static void
built(struct build_maker *b)
{
	if (build_until(b, NULL) != 0)
		fail_msg("%s", b->e.msg);
}

static void
disk_take(struct build_maker *b, char path[200], const char *name)
{
	snprintf(path, 200, "%s/%s", b->m.root, name);
	assert_int_equal(mkdir(path, 0755), 0);
	b->o.disk = path;
}

static void
image_give_up(struct build_maker *b, const char *name)
{
	struct state *s = state_open(b->m.state, &b->e);
	struct image_cancel c;

	assert_non_null(s);
	assert_int_equal(image_cancel(s, name, false, &c, &b->e), 0);
	image_cancel_release(&c);
	state_free(s);
}

/* All of the snapshot opens from these disks alone. */
static void
is_whole_from(struct build_maker *b, const char *disk)
{
	const char *disks[1] = { disk };
	struct image_text t;

	if (image_text_read(&t, b->m.state, b->r.short_name, disks, 1, &b->e) != 0)
		fail_msg("%s", b->e.msg);
	image_text_free(&t);
}

static void
a_few_files(struct build_maker *b)
{
	build_maker_file(b, "a-small", 3000, 1);
	build_maker_file(b, "b-big", 3000000, 2);
	build_maker_file(b, "c-long", 40u << 20, 3);	/* its extents stand in chunks of their own */
}

static void
a_stop_ends_the_reading_of_a_big_file(void **state)
{
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	build_maker_file(&b, "only", 200u << 20, 1);
	b.o.workers = 1;
	assert_int_equal(build_until(&b, "only"), -1);
	assert_int_equal(b.e.code, ERR_INTERRUPTED);
	assert_true(b.r.result.stored_bytes < 100u << 20);
	assert_int_equal(b.r.seq, 0);
	b.o.resume = true;
	b.o.npaths = 0;
	built(&b);
	is_whole_from(&b, b.disk);
	build_maker_end(&b);
}

static void
what_a_given_up_image_carried_is_read_again_by_a_build_that_had_begun(void **state)
{
	char second[200], first[SHORT_LEN + 1];
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	built(&b);
	memcpy(first, b.r.short_name, sizeof(first));
	build_maker_file(&b, "z-new", 3000000, 4);
	disk_take(&b, second, "disk2");
	assert_int_equal(build_until(&b, "z-new"), -1);
	assert_int_equal(b.e.code, ERR_INTERRUPTED);
	image_give_up(&b, first);
	b.o.resume = true;
	b.o.npaths = 0;
	built(&b);
	is_whole_from(&b, second);
	build_maker_end(&b);
}

static void
giving_up_one_image_does_not_make_others_read_everything(void **state)
{
	char second[200], third[200];
	struct build_maker b;

	(void)state;
	build_maker_start(&b);
	a_few_files(&b);
	built(&b);
	build_maker_file(&b, "z-new", 3000000, 4);
	disk_take(&b, second, "disk2");
	assert_int_equal(build_until(&b, "z-new"), -1);
	image_give_up(&b, b.r.short_name);
	disk_take(&b, third, "disk3");
	built(&b);
	assert_int_equal(med.opened, 1);
	assert_int_equal(b.r.result.unchanged, 3);
	build_maker_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_ends_the_reading_of_a_big_file),
		cmocka_unit_test(what_a_given_up_image_carried_is_read_again_by_a_build_that_had_begun),
		cmocka_unit_test(giving_up_one_image_does_not_make_others_read_everything),
	};

	secret_init();
	say_level_set(SAY_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
