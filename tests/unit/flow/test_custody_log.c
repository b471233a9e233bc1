#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/io_crash.h"
#include "common/check/finding.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/custody_log.h"
#include "formats/fmt_custody_log.h"

#define MACHINE	1
#define VAULT	2

struct party {
	uint8_t id[ID_LEN], pub[SIGN_PUB_LEN], secret[SIGN_SECRET_LEN];
	int by_vault;
	uint8_t head[DIGEST_LEN];
	uint32_t number;
};

struct record_bytes {
	uint8_t *p;
	size_t len;
};

static struct party machine, vault;
static struct custody_log *l;
static struct findings *found;
static enum err_code told[16];
static size_t ntold;
static struct err e;
static char dir[] = "/tmp/custody.XXXXXX";
static int dirfd_;

static void
keep(void *arg, const struct finding *f)
{
	(void)arg;
	assert_true(ntold < 16);
	told[ntold++] = f->code;
}

static void
party_make(struct party *p, uint8_t n)
{
	uint8_t seed[KEY_LEN];

	memset(seed, n, sizeof(seed));
	memset(p, 0, sizeof(*p));
	memset(p->id, n, ID_LEN);
	p->by_vault = n == VAULT;
	sign_keys(seed, p->pub, p->secret);
}

static int
start(void **state)
{
	(void)state;
	party_make(&machine, MACHINE);
	party_make(&vault, VAULT);
	l = custody_log_new();
	found = findings_new(keep, NULL);
	ntold = 0;
	err_clear(&e);
	(void)snprintf(dir, sizeof(dir), "/tmp/custody.XXXXXX");
	if (mkdtemp(dir) == NULL || (dirfd_ = dir_open(AT_FDCWD, dir, &e)) == -1)
		return -1;
	return l != NULL && found != NULL ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	custody_log_free(l);
	findings_free(found);
	assert_int_equal(crash_clear(dirfd_, &e), 0);
	(void)close(dirfd_);
	return rmdir(dir);
}

/* The next record of ${p}; it moves on. */
static struct record_bytes
record(struct party *p, unsigned event, int64_t time)
{
	struct custody c = { .by_vault = (uint8_t)p->by_vault, .event = (uint8_t)event, .disk = 1, .time = time,
	    .number = ++p->number, .note = "a note" };
	struct record_bytes r;
	struct buf b;

	memset(c.image_id, 9, ID_LEN);
	memcpy(c.signer_id, p->id, ID_LEN);
	memcpy(c.signer_pub, p->pub, SIGN_PUB_LEN);
	memcpy(c.previous, p->head, DIGEST_LEN);
	buf_init(&b);
	assert_int_equal(statement_make(&custody_schema, &c, p->secret, &b, &e), 0);
	hash_once(b.p, b.len, p->head);
	r.p = buf_take(&b, &r.len);
	return r;
}

static void
put(struct record_bytes r)
{
	assert_int_equal(custody_log_add(l, found, r.p, r.len, "here", &e), 0);
}

static void
put_once(struct record_bytes r)
{
	put(r);
	free(r.p);
}

/* The record's own file in custody/ of the test's directory. */
static void
put_file(struct record_bytes r, unsigned number)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "custody/%08u", number);
	assert_int_equal(dir_make(dirfd_, "custody", 0700, &e), 0);
	assert_int_equal(file_replace(dirfd_, name, r.p, r.len, 0600, &e), 0);
	free(r.p);
}

static void
a_whole_log_of_two_parties_is_told_by_time_and_nothing_is_wrong(void **state)
{
	(void)state;
	put_once(record(&machine, CUSTODY_CLOSED, 10));
	put_once(record(&vault, CUSTODY_RECEIVED, 30));
	put_once(record(&machine, CUSTODY_SHIPPED, 20));
	put_once(record(&vault, CUSTODY_INGESTED, 40));
	custody_log_check(l, found);
	assert_int_equal(ntold, 0);
	assert_int_equal(custody_log_at(l, 0)->event, CUSTODY_CLOSED);
	assert_int_equal(custody_log_at(l, 1)->event, CUSTODY_SHIPPED);
	assert_int_equal(custody_log_at(l, 2)->event, CUSTODY_RECEIVED);
	assert_int_equal(custody_log_at(l, 3)->event, CUSTODY_INGESTED);
	assert_null(custody_log_at(l, 4));
}

static void
the_same_record_from_two_places_is_one(void **state)
{
	struct record_bytes r = record(&machine, CUSTODY_CLOSED, 10);

	(void)state;
	put(r);
	put_once(r);
	custody_log_check(l, found);
	assert_int_equal(ntold, 0);
	assert_null(custody_log_at(l, 1));
}

static void
a_missing_record_is_named_wherever_it_is_missing(void **state)
{
	(void)state;
	free(record(&machine, CUSTODY_BUILT, 10).p);
	put_once(record(&machine, CUSTODY_CLOSED, 20));
	free(record(&machine, CUSTODY_READ_BACK, 30).p);
	free(record(&machine, CUSTODY_SEALED, 40).p);
	put_once(record(&machine, CUSTODY_SHIPPED, 50));
	custody_log_check(l, found);
	assert_int_equal(ntold, 2);
	assert_int_equal(told[0], ERR_MISSING);
	assert_int_equal(told[1], ERR_MISSING);
}

static void
two_records_with_one_number_are_a_fork_and_told_once(void **state)
{
	struct party other;

	(void)state;
	put_once(record(&machine, CUSTODY_CLOSED, 10));
	other = machine;
	put_once(record(&machine, CUSTODY_SHIPPED, 20));
	put_once(record(&other, CUSTODY_LOST, 20));
	put_once(record(&machine, CUSTODY_RETURNED, 30));
	custody_log_check(l, found);
	assert_int_equal(ntold, 1);
	assert_int_equal(told[0], ERR_FORK);
}

static void
a_record_of_another_log_with_the_right_number_does_not_fit(void **state)
{
	struct party other = machine;

	(void)state;
	put_once(record(&machine, CUSTODY_CLOSED, 10));
	free(record(&other, CUSTODY_BUILT, 11).p);
	put_once(record(&other, CUSTODY_SHIPPED, 20));
	custody_log_check(l, found);
	assert_int_equal(ntold, 1);
	assert_int_equal(told[0], ERR_FORK);
}

static void
every_flipped_bit_of_a_record_is_found(void **state)
{
	struct record_bytes r = record(&machine, CUSTODY_CLOSED, 10);

	(void)state;
	for (size_t i = 0; i < r.len; i++) {
		ntold = 0;
		r.p[i] ^= 1;
		put(r);
		assert_int_equal(ntold, 1);
		r.p[i] ^= 1;
	}
	free(r.p);
	assert_null(custody_log_at(l, 0));
}

static void
a_key_that_changes_within_a_log_is_found(void **state)
{
	struct party other;

	(void)state;
	put_once(record(&machine, CUSTODY_CLOSED, 10));
	party_make(&other, 7);
	memcpy(other.id, machine.id, ID_LEN);
	memcpy(other.head, machine.head, DIGEST_LEN);
	other.number = machine.number;
	put_once(record(&other, CUSTODY_SHIPPED, 20));
	custody_log_check(l, found);
	assert_int_equal(ntold, 1);
	assert_int_equal(told[0], ERR_SIGNATURE);
}

static void
a_clock_set_back_is_a_note_and_the_order_stays(void **state)
{
	(void)state;
	put_once(record(&machine, CUSTODY_CLOSED, 100));
	put_once(record(&machine, CUSTODY_SHIPPED, 50));
	put_once(record(&vault, CUSTODY_RECEIVED, 60));
	custody_log_check(l, found);
	assert_int_equal(ntold, 1);
	assert_int_equal(told[0], ERR_NONE);
	assert_int_equal(findings_count(found, SEV_NOTE), 1);
	assert_int_equal(custody_log_at(l, 1)->event, CUSTODY_CLOSED);
	assert_int_equal(custody_log_at(l, 2)->event, CUSTODY_SHIPPED);
}

static void
records_of_another_machine_and_of_another_image_are_told(void **state)
{
	static const uint8_t image[ID_LEN] = { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 }, elsewhere[ID_LEN];

	(void)state;
	put_once(record(&machine, CUSTODY_CLOSED, 10));
	put_once(record(&vault, CUSTODY_RECEIVED, 20));
	custody_log_check(l, found);
	custody_log_signer(l, found, image, machine.id, machine.pub);
	assert_int_equal(ntold, 0);
	custody_log_signer(l, found, image, machine.id, vault.pub);
	assert_int_equal(ntold, 1);
	custody_log_signer(l, found, elsewhere, machine.id, machine.pub);
	assert_int_equal(ntold, 3);
}

static void
a_log_file_and_a_directory_give_the_same_events(void **state)
{
	uint8_t head[CUSTODY_LOG_HEAD_LEN], row[4];
	char path[64];
	struct buf b;

	(void)state;
	buf_init(&b);
	custody_log_head_encode(head);
	buf_add(&b, head, sizeof(head));
	for (unsigned i = 1; i <= 3; i++) {
		struct record_bytes r = record(&machine, CUSTODY_CLOSED, i);

		le32_put(row, (uint32_t)r.len);
		buf_add(&b, row, sizeof(row));
		buf_add(&b, r.p, r.len);
		put_file(r, i);
	}
	assert_int_equal(file_replace(dirfd_, "log", b.p, b.len, 0600, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(custody_log_read(l, found, path, &e), 0);
	assert_int_equal(custody_log_read(l, found, dir, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/custody", dir);
	assert_int_equal(custody_log_read(l, found, path, &e), 0);
	custody_log_check(l, found);
	assert_int_equal(ntold, 0);
	assert_non_null(custody_log_at(l, 2));
	assert_null(custody_log_at(l, 3));
	/* Cut anywhere, a log is refused or holds fewer records; it is never taken for whole. */
	for (size_t n = 0; n < b.len; n++) {
		struct custody_log *cut = custody_log_new();

		err_clear(&e);
		(void)snprintf(path, sizeof(path), "%s/log", dir);
		assert_int_equal(file_replace(dirfd_, "log", b.p, n, 0600, &e), 0);
		if (custody_log_read(cut, found, path, &e) == 0)
			assert_null(custody_log_at(cut, 2));
		custody_log_free(cut);
	}
	buf_release(&b);
}

static void
a_place_without_a_log_is_an_error(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(custody_log_read(l, found, dir, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	err_clear(&e);
	(void)snprintf(path, sizeof(path), "%s/none", dir);
	assert_int_equal(custody_log_read(l, found, path, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	err_clear(&e);
	assert_int_equal(file_replace(dirfd_, "text", "some text, no log", 17, 0600, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/text", dir);
	assert_int_equal(custody_log_read(l, found, path, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_whole_log_of_two_parties_is_told_by_time_and_nothing_is_wrong),
		TEST(the_same_record_from_two_places_is_one),
		TEST(a_missing_record_is_named_wherever_it_is_missing),
		TEST(two_records_with_one_number_are_a_fork_and_told_once),
		TEST(a_record_of_another_log_with_the_right_number_does_not_fit),
		TEST(every_flipped_bit_of_a_record_is_found),
		TEST(a_key_that_changes_within_a_log_is_found),
		TEST(a_clock_set_back_is_a_note_and_the_order_stays),
		TEST(records_of_another_machine_and_of_another_image_are_told),
		TEST(a_log_file_and_a_directory_give_the_same_events),
		TEST(a_place_without_a_log_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
