#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <errno.h>

#include "common/base/io_crash.h"
#include "common/base/io_fault.h"
#include "common/base/secret.h"
#include "common/flow/image_cancel.h"
#include "common/flow/image_state.h"
#include "common/flow/journal.h"
#include "common/flow/state.h"
#include "flow/machine_maker.h"

static struct machine_maker m;
static struct state *s;
static struct err e;

static int
group_start(void **state)
{
	(void)state;
	err_clear(&e);
	machine_maker_start(&m);
	return machine_maker_register(&m, &e);
}

static int
group_end(void **state)
{
	(void)state;
	machine_maker_end(&m);
	return 0;
}

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	s = state_open(m.state, &e);
	return s != NULL ? 0 : -1;
}

/* What a test made in the state goes away with it. */
static int
end(void **state)
{
	static const char *const made[] = { "images", "snaps", "sets" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int fd = dir_open(s->fd, made[i], NULL);

		if (fd == -1)
			continue;
		assert_int_equal(crash_clear(fd, &e), 0);
		(void)close(fd);
	}
	state_free(s);
	return 0;
}

static void
image_id_of(const char *name, uint8_t id[ID_LEN])
{
	memset(id, 0, ID_LEN);
	memcpy(id, name, SHORT_LEN);
}

static void
record_put(struct journal *j, unsigned type, const struct fmt_schema *schema, void *value)
{
	struct buf out;

	buf_init(&out);
	if (schema != NULL)
		assert_int_equal(statement_make(schema, value, s->sign_secret, &out, &e), 0);
	assert_int_equal(journal_put(j, type, out.p, out.len, &e), 0);
	buf_release(&out);
}

/* Snapshot ${seq} of the set, in the image. */
static void
envelope_make(const char *name, const char *set, uint64_t seq, struct envelope *env)
{
	char file[64];
	struct buf out;

	*env = (struct envelope){ .seq = seq, .kind = SNAP_FILES, .refs_count = 1 };
	memcpy(env->machine_id, s->id.machine_id, ID_LEN);
	memcpy(env->domain_id, s->id.domain_id, DIGEST_LEN);
	image_id_of(name, env->image_id);
	(void)snprintf(env->set_name, sizeof(env->set_name), "%s", set);
	(void)snprintf(file, sizeof(file), "snaps/%08u.env", (unsigned)seq);
	buf_init(&out);
	assert_int_equal(statement_make(&envelope_schema, env, s->sign_secret, &out, &e), 0);
	assert_int_equal(dir_make(s->fd, "snaps", 0700, &e), 0);
	assert_int_equal(file_replace(s->fd, file, out.p, out.len, 0600, &e), 0);
	buf_release(&out);
}

static void
manifest_make(const char *name, const char *leans, struct manifest *mf, uint8_t disk[MANIFEST_DISK_LEN], uint8_t digest[DIGEST_LEN],
    uint8_t lean[ID_LEN])
{
	memset(disk, 0, MANIFEST_DISK_LEN);
	le32_put(disk, 1);
	memset(digest, 1, DIGEST_LEN);
	*mf = (struct manifest){ .generation = 1, .disks = { disk, MANIFEST_DISK_LEN }, .envelopes = { digest, DIGEST_LEN } };
	memcpy(mf->short_name, name, SHORT_LEN);
	image_id_of(name, mf->image_id);
	if (leans != NULL) {
		image_id_of(leans, lean);
		mf->leans_on = (struct fmt_view){ lean, ID_LEN };
	}
}

/* An image of the set: unfinished where ${seq} is 0, else sealed with that snapshot, the set's latest. */
static void
image_put(const char *name, const char *set, uint64_t seq, const char *leans)
{
	struct journal_begin g = { .begin_ns = 1 };
	uint8_t disk[MANIFEST_DISK_LEN], digest[DIGEST_LEN], lean[ID_LEN];
	char path[64] = "images/", lower[SHORT_LEN + 1] = "";
	struct envelope env;
	struct manifest mf;
	struct journal *j;
	struct buf out;
	int fd;

	for (size_t i = 0; i < SHORT_LEN; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	strcat(path, lower);
	memcpy(g.short_name, name, SHORT_LEN);
	image_id_of(name, g.image_id);
	(void)snprintf(g.set_name, sizeof(g.set_name), "%s", set);
	buf_init(&out);
	assert_int_equal(statement_make(&journal_begin_schema, &g, NULL, &out, &e), 0);
	assert_int_equal(dir_make(s->fd, path, 0700, &e), 0);
	assert_true((fd = dir_open(s->fd, path, &e)) != -1);
	assert_non_null(j = journal_create(fd, "journal", JOURNAL_BEGIN, out.p, out.len, &e));
	if (seq != 0) {
		envelope_make(name, set, seq, &env);
		manifest_make(name, leans, &mf, disk, digest, lean);
		record_put(j, JOURNAL_ENVELOPE, &envelope_schema, &env);
		record_put(j, JOURNAL_MANIFEST, &manifest_schema, &mf);
		record_put(j, JOURNAL_SEALED, NULL, NULL);
		assert_int_equal(set_latest_save(s, set, seq, &e), 0);
	}
	assert_int_equal(journal_sync(j, &e), 0);
	journal_close(j);
	(void)close(fd);
	buf_release(&out);
}

static bool
is_cancelled(const char *name)
{
	struct image_state *im = image_state_load(s, name, NULL, NULL, &e);
	bool yes;

	assert_non_null(im);
	yes = im->cancelled;
	image_state_free(im);
	return yes;
}

static uint64_t
latest_of(const char *set)
{
	uint64_t seq;

	assert_int_equal(set_latest(s, set, &seq, &e), 0);
	return seq;
}

static void
cancel(const char *name)
{
	struct image_cancel c;

	if (image_cancel(s, name, false, &c, &e) != 0)
		fail_msg("%s", e.msg);
	image_cancel_release(&c);
}

static void
the_set_goes_back_to_its_newest_snapshot_in_an_image_that_counts(void **state)
{
	(void)state;
	image_put("AAAA", "files", 1, NULL);
	image_put("BBBB", "files", 2, NULL);
	image_put("MMMM", "mail", 3, NULL);
	image_put("CCCC", "files", 4, NULL);
	cancel("BBBB");
	assert_int_equal(latest_of("files"), 4);
	cancel("cccc");
	assert_int_equal(latest_of("files"), 1);
	assert_int_equal(latest_of("mail"), 3);
	cancel("AAAA");
	assert_int_equal(latest_of("files"), 0);
	assert_true(is_cancelled("AAAA") && is_cancelled("BBBB") && is_cancelled("CCCC"));
	assert_false(is_cancelled("MMMM"));
}

static void
an_unfinished_image_is_given_up_and_the_set_stays_where_it_is(void **state)
{
	struct image_state *im;

	(void)state;
	image_put("AAAA", "files", 1, NULL);
	image_put("BBBB", "files", 0, NULL);
	assert_int_equal(image_state_find(s, "files", &im, &e), 0);
	image_state_free(im);
	cancel("BBBB");
	assert_int_equal(latest_of("files"), 1);
	assert_int_equal(image_state_find(s, "files", &im, &e), 1);
}

static void
who_leans_on_it_is_named(void **state)
{
	struct image_cancel c;

	(void)state;
	image_put("AAAA", "files", 1, NULL);
	image_put("BBBB", "files", 2, "AAAA");
	image_put("CCCC", "files", 3, "BBBB");
	assert_int_equal(image_cancel(s, "AAAA", true, &c, &e), 0);
	assert_int_equal(c.nleaning, 1);
	assert_string_equal(c.leaning[0], "BBBB");
	assert_int_equal(c.latest, 3);
	image_cancel_release(&c);
	assert_false(is_cancelled("AAAA"));	/* that was a dry run */
	assert_int_equal(image_cancel(s, "CCCC", true, &c, &e), 0);
	assert_int_equal(c.nleaning, 0);
	assert_int_equal(c.latest, 2);
	assert_int_equal(latest_of("files"), 3);
	image_cancel_release(&c);
}

static void
a_second_time_says_so_and_changes_nothing(void **state)
{
	struct image_cancel c;

	(void)state;
	image_put("AAAA", "files", 1, NULL);
	cancel("AAAA");
	assert_int_equal(image_cancel(s, "AAAA", false, &c, &e), 0);
	assert_true(c.before);
	assert_int_equal(c.latest, 0);
	image_cancel_release(&c);
	assert_int_equal(image_cancel(s, "ZZZZ", false, &c, &e), -1);
	assert_int_equal(e.code, ERR_NO_IMAGE);
	assert_int_equal(image_cancel(s, "../..", false, &c, &e), -1);
}

static void
while_the_set_is_being_built_nothing_is_cancelled(void **state)
{
	struct image_cancel c;
	int lock;

	(void)state;
	image_put("AAAA", "files", 1, NULL);
	assert_true((lock = set_lock(s, "files", &e)) != -1);
	assert_int_equal(image_cancel(s, "AAAA", false, &c, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	(void)close(lock);
	assert_false(is_cancelled("AAAA"));
}

static void
after_any_call_that_fails_the_same_command_cancels(void **state)
{
	struct fault_plan plan = { .kind = FAULT_ANY, .sys = EIO, .every = 1 };
	struct image_cancel c;
	unsigned failed = 0;
	int fd, rc = -1;

	(void)state;
	image_put("AAAA", "files", 1, NULL);
	for (plan.nth = 1; rc != 0; plan.nth++) {
		image_put("BBBB", "files", 2, NULL);
		fault_start(&plan);
		err_clear(&e);
		rc = image_cancel(s, "BBBB", false, &c, &e);
		fault_stop();
		failed += rc != 0;
		if (rc == 0)
			image_cancel_release(&c);
		err_clear(&e);
		/* What it is called is what the next build takes it for. */
		assert_true(!is_cancelled("BBBB") || latest_of("files") == 1);
		cancel("BBBB");
		assert_true(is_cancelled("BBBB"));
		assert_int_equal(latest_of("files"), 1);
		assert_true((fd = dir_open(s->fd, "images/bbbb", &e)) != -1);
		assert_int_equal(crash_clear(fd, &e), 0);
		(void)close(fd);
	}
	assert_true(failed > 20);
}

static void
a_lost_image_counts_no_more_and_one_that_turns_up_counts_again(void **state)
{
	struct image_cancel c;
	struct image_state *im;

	(void)state;
	image_put("AAAA", "files", 1, NULL);
	image_put("BBBB", "files", 2, "AAAA");
	assert_int_equal(image_lost(s, "BBBB", false, &c, &e), 0);
	assert_false(c.before);
	image_cancel_release(&c);
	assert_int_equal(latest_of("files"), 1);
	assert_non_null(im = image_state_load(s, "BBBB", NULL, NULL, &e));
	assert_true(im->lost && !im->cancelled && !image_counts(im));
	image_state_free(im);
	assert_int_equal(image_lost(s, "BBBB", false, &c, &e), 0);
	assert_true(c.before);
	image_cancel_release(&c);
	assert_int_equal(image_found(s, "bbbb", true, &c, &e), 0);
	assert_int_equal(c.latest, 2);
	image_cancel_release(&c);
	assert_int_equal(latest_of("files"), 1);	/* that was a dry run */
	assert_int_equal(image_found(s, "bbbb", false, &c, &e), 0);
	image_cancel_release(&c);
	assert_int_equal(latest_of("files"), 2);
	assert_non_null(im = image_state_load(s, "BBBB", NULL, NULL, &e));
	assert_true(image_counts(im));
	image_state_free(im);
}

static void
what_was_never_on_its_way_is_not_lost(void **state)
{
	struct image_cancel c;

	(void)state;
	image_put("AAAA", "files", 0, NULL);
	image_put("BBBB", "files", 1, NULL);
	assert_int_equal(image_lost(s, "AAAA", false, &c, &e), -1);
	assert_int_equal(e.code, ERR_RULE);
	err_clear(&e);
	cancel("BBBB");
	assert_int_equal(image_lost(s, "BBBB", false, &c, &e), -1);
	assert_int_equal(e.code, ERR_RULE);
	err_clear(&e);
	assert_int_equal(image_found(s, "BBBB", false, &c, &e), -1);
	assert_int_equal(e.code, ERR_RULE);
}

static void
after_any_call_that_fails_the_same_command_finds_it_again(void **state)
{
	struct fault_plan plan = { .kind = FAULT_ANY, .sys = EIO, .every = 1 };
	struct image_cancel c;
	struct image_state *im;
	unsigned failed = 0;
	int fd, rc = -1;

	(void)state;
	for (plan.nth = 1; rc != 0; plan.nth++) {
		image_put("AAAA", "files", 1, NULL);
		assert_int_equal(image_lost(s, "AAAA", false, &c, &e), 0);
		image_cancel_release(&c);
		fault_start(&plan);
		err_clear(&e);
		rc = image_found(s, "AAAA", false, &c, &e);
		fault_stop();
		failed += rc != 0;
		if (rc == 0)
			image_cancel_release(&c);
		err_clear(&e);
		/* The set never stands on an image that does not count. */
		assert_non_null(im = image_state_load(s, "AAAA", NULL, NULL, &e));
		assert_true(image_counts(im) || latest_of("files") == 0);
		image_state_free(im);
		assert_int_equal(image_found(s, "AAAA", false, &c, &e), 0);
		image_cancel_release(&c);
		assert_int_equal(latest_of("files"), 1);
		assert_true((fd = dir_open(s->fd, "images/aaaa", &e)) != -1);
		assert_int_equal(crash_clear(fd, &e), 0);
		(void)close(fd);
	}
	assert_true(failed > 20);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		T(the_set_goes_back_to_its_newest_snapshot_in_an_image_that_counts),
		T(an_unfinished_image_is_given_up_and_the_set_stays_where_it_is),
		T(who_leans_on_it_is_named),
		T(a_second_time_says_so_and_changes_nothing),
		T(while_the_set_is_being_built_nothing_is_cancelled),
		T(after_any_call_that_fails_the_same_command_cancels),
		T(a_lost_image_counts_no_more_and_one_that_turns_up_counts_again),
		T(what_was_never_on_its_way_is_not_lost),
		T(after_any_call_that_fails_the_same_command_finds_it_again),
	};

	secret_init();
	return cmocka_run_group_tests(tests, group_start, group_end);
}
