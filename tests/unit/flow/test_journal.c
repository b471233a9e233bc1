/* Journals: what is whole stays, what is torn ends it, and writing goes on behind it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/io_fault.h"
#include "common/flow/journal.h"

#define RECORDS	9

static char root[64];
static int dir;

static int
set_up(void **state)
{
	(void)state;
	dir = scratch_make(root);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)close(dir);
	scratch_remove(root);
	return 0;
}

/* Record ${i}: its type, its length and every byte follow from i. */
static unsigned
record_type(unsigned i)
{
	return i == 0 ? JOURNAL_BEGIN : i % 3 == 0 ? JOURNAL_SPILL : JOURNAL_ITEMS;
}

static size_t
record_make(unsigned i, uint8_t *p)
{
	size_t n = i == 2 ? 0 : i == 5 ? 300 : 1 + i * 7;

	for (size_t k = 0; k < n; k++)
		p[k] = (uint8_t)(i * 31 + k);
	return n;
}

/* The journal ${name} with ${n} records; ends[i] is the file's length after i of them. */
static void
journal_make(const char *name, unsigned n, uint64_t *ends)
{
	uint8_t p[512];
	size_t len = record_make(0, p);
	struct journal *j;
	struct err e;

	err_clear(&e);
	ends[0] = JOURNAL_HEAD_LEN;
	j = journal_create(dir, name, record_type(0), p, len, &e);
	assert_non_null(j);
	ends[1] = ends[0] + len + JOURNAL_RECORD_OVERHEAD;
	for (unsigned i = 1; i < n; i++) {
		struct fmt_view parts[2];

		len = record_make(i, p);
		parts[0] = (struct fmt_view){ .p = p, .len = (uint32_t)(len / 2) };
		parts[1] = (struct fmt_view){ .p = p + len / 2, .len = (uint32_t)(len - len / 2) };
		assert_int_equal(journal_add(j, record_type(i), parts, 2, &e), 0);
		ends[i + 1] = ends[i] + len + JOURNAL_RECORD_OVERHEAD;
	}
	assert_int_equal(journal_sync(j, &e), 0);
	journal_close(j);
}

static bool
record_is(unsigned i, unsigned type, struct fmt_view v)
{
	uint8_t p[512];
	size_t len = record_make(i, p);

	return type == record_type(i) && v.len == len && (len == 0 || memcmp(v.p, p, len) == 0);
}

/* How many records ${name} holds, all of which must be the ones that were written; UINT_MAX: it cannot be opened. */
static unsigned
records_in(const char *name)
{
	struct journal_reader *r;
	struct fmt_view v;
	struct err e;
	unsigned type, n = 0;
	int got;

	err_clear(&e);
	if ((r = journal_reader_new(dir, name, &e)) == NULL) {
		assert_true(e.code == ERR_FORMAT || e.code == ERR_VERSION);
		return UINT_MAX;
	}
	while ((got = journal_next(r, &type, &v, &e)) == 1)
		assert_true(record_is(n++, type, v));
	assert_int_equal(got, 0);
	journal_reader_free(r);
	return n;
}

static void
file_put(const char *name, const void *bytes, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(close(fd), 0);
}

static uint8_t *
file_get(const char *name, size_t *len)
{
	uint8_t *p;
	struct err e;

	err_clear(&e);
	assert_int_equal(file_read(dir, name, 1u << 24, &p, len, &e), 0);
	return p;
}

static void
every_truncation_keeps_just_the_whole_records(void **state)
{
	uint64_t ends[RECORDS + 1];
	unsigned whole;
	uint8_t *p;
	size_t len;

	(void)state;
	journal_make("j", RECORDS, ends);
	p = file_get("j", &len);
	assert_int_equal(len, ends[RECORDS]);
	for (size_t n = 0; n <= len; n++) {
		file_put("cut", p, n);
		for (whole = 0; whole < RECORDS && ends[whole + 1] <= n; whole++)
			;
		assert_int_equal(records_in("cut"), n < JOURNAL_HEAD_LEN ? UINT_MAX : whole);
	}
	free(p);
}

static void
a_flipped_bit_ends_it_before_its_record(void **state)
{
	uint64_t ends[RECORDS + 1];
	unsigned before;
	uint8_t *p;
	size_t len;

	(void)state;
	journal_make("j", RECORDS, ends);
	p = file_get("j", &len);
	for (size_t at = 0; at < len; at++)
		for (unsigned bit = 0; bit < 8; bit += at % 2 == 0 ? 1 : 2) {
			p[at] ^= (uint8_t)(1u << bit);
			file_put("flip", p, len);
			for (before = 0; ends[before + 1] <= at; before++)
				;
			assert_int_equal(records_in("flip"), at < JOURNAL_HEAD_LEN ? UINT_MAX : before);
			p[at] ^= (uint8_t)(1u << bit);
		}
	free(p);
}

static void
a_record_that_was_taken_out_or_moved_ends_it(void **state)
{
	uint64_t ends[RECORDS + 1];
	uint8_t *p, *q;
	size_t len, gap;

	(void)state;
	journal_make("j", RECORDS, ends);
	p = file_get("j", &len);
	q = malloc(len * 2);
	for (unsigned i = 0; i + 1 < RECORDS; i++) {
		gap = (size_t)(ends[i + 1] - ends[i]);
		memcpy(q, p, ends[i]);
		memcpy(q + ends[i], p + ends[i + 1], len - ends[i + 1]);
		file_put("out", q, len - gap);
		assert_int_equal(records_in("out"), i);
		memcpy(q, p, ends[i + 1]);
		memcpy(q + ends[i + 1], p + ends[i], len - ends[i]);
		file_put("twice", q, len + gap);
		assert_int_equal(records_in("twice"), i + 1);
	}
	free(q);
	free(p);
}

static void
writing_goes_on_behind_what_is_whole(void **state)
{
	uint64_t ends[RECORDS + 1];
	uint8_t *p, rec[512];
	struct journal *j;
	struct err e;
	unsigned whole;
	size_t len;

	(void)state;
	err_clear(&e);
	journal_make("j", RECORDS, ends);
	p = file_get("j", &len);
	for (size_t n = JOURNAL_HEAD_LEN; n <= len; n += 3) {
		file_put("cut", p, n);
		for (whole = 0; whole < RECORDS && ends[whole + 1] <= n; whole++)
			;
		/* What is missing again, and the file is byte for byte what it was. */
		assert_non_null(j = journal_append(dir, "cut", &e));
		for (unsigned i = whole; i < RECORDS; i++)
			assert_int_equal(journal_put(j, record_type(i), rec, record_make(i, rec), &e), 0);
		assert_int_equal(journal_sync(j, &e), 0);
		journal_close(j);
		size_t again;
		uint8_t *q = file_get("cut", &again);

		assert_int_equal(again, len);
		assert_memory_equal(q, p, len);
		free(q);
	}
	free(p);
}

static void
a_torn_end_is_cut_off_durably(void **state)
{
	const struct fault_plan plan = { .kind = FAULT_FSYNC, .nth = 1, .sys = EIO };
	uint64_t ends[RECORDS + 1];
	struct journal *j;
	uint8_t *p;
	struct err e;
	size_t len;

	(void)state;
	err_clear(&e);
	journal_make("j", RECORDS, ends);
	p = file_get("j", &len);
	file_put("cut", p, len - 1);
	fault_start(&plan);
	j = journal_append(dir, "cut", &e);
	fault_stop();
	assert_null(j);
	assert_int_equal(fault_hits(), 1);
	free(p);
}

static void
a_reader_comes_back_to_a_mark(void **state)
{
	uint64_t ends[RECORDS + 1];
	struct journal_mark marks[RECORDS];
	struct journal_reader *r;
	struct fmt_view v;
	unsigned type;
	struct err e;

	(void)state;
	err_clear(&e);
	journal_make("j", RECORDS, ends);
	assert_non_null(r = journal_reader_new(dir, "j", &e));
	for (unsigned i = 0; i < RECORDS; i++) {
		marks[i] = journal_here(r);
		assert_int_equal(journal_next(r, &type, &v, &e), 1);
	}
	for (unsigned i = RECORDS; i-- > 0;) {
		journal_go(r, marks[i]);
		for (unsigned k = i; k < RECORDS; k++) {
			assert_int_equal(journal_next(r, &type, &v, &e), 1);
			assert_true(record_is(k, type, v));
		}
		assert_int_equal(journal_next(r, &type, &v, &e), 0);
	}
	journal_reader_free(r);
}

/* Larger than the reader's window, and one larger than several windows. */
static void
records_of_any_length_come_back(void **state)
{
	static const size_t lens[] = { 1, 1u << 20, 3u << 20, (1u << 20) - JOURNAL_RECORD_OVERHEAD, 0, 5u << 20, 77 };
	struct journal_mark third = { 0, 0 };
	struct journal_reader *r;
	struct fmt_view v;
	struct journal *j;
	unsigned type;
	struct err e;
	uint8_t *p = malloc(5u << 20);

	(void)state;
	err_clear(&e);
	assert_non_null(j = journal_create(dir, "long", 0, NULL, 0, &e));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(p, (int)i + 1, 5u << 20);
		assert_int_equal(journal_put(j, JOURNAL_ITEMS, p, lens[i], &e), 0);
	}
	assert_int_equal(journal_sync(j, &e), 0);
	journal_close(j);
	assert_non_null(r = journal_reader_new(dir, "long", &e));
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = round * 3; i < sizeof(lens) / sizeof(lens[0]); i++) {
			if (i == 3)
				third = journal_here(r);
			assert_int_equal(journal_next(r, &type, &v, &e), 1);
			assert_int_equal(v.len, lens[i]);
			for (size_t k = 0; k < v.len; k += 4099)
				assert_int_equal(v.p[k], i + 1);
			assert_true(v.len == 0 || v.p[v.len - 1] == i + 1);
		}
		assert_int_equal(journal_next(r, &type, &v, &e), 0);
		journal_go(r, third);
	}
	journal_reader_free(r);
	free(p);
}

static void
it_is_never_made_over_another(void **state)
{
	uint64_t ends[RECORDS + 1];
	struct err e;

	(void)state;
	err_clear(&e);
	journal_make("j", RECORDS, ends);
	assert_null(journal_create(dir, "j", 0, NULL, 0, &e));
	assert_int_equal(records_in("j"), RECORDS);
	err_clear(&e);
	assert_null(journal_append(dir, "none", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	err_clear(&e);
	file_put("newer", "SAMJRNL\n\x02\0\0\0\0\0\0\0", JOURNAL_HEAD_LEN);
	assert_null(journal_reader_new(dir, "newer", &e));
	assert_int_equal(e.code, ERR_VERSION);
}

/* After a failed write or sync nothing more is promised, whoever asks. */
static void
failed(enum fault_kind kind, enum err_code want)
{
	const struct fault_plan plan = { .kind = kind, .nth = 1, .sys = EIO };
	uint64_t ends[RECORDS + 1];
	struct journal *j;
	struct err e;

	err_clear(&e);
	journal_make(kind == FAULT_FSYNC ? "f" : "w", 3, ends);
	assert_non_null(j = journal_append(dir, kind == FAULT_FSYNC ? "f" : "w", &e));
	assert_int_equal(journal_put(j, JOURNAL_ITEMS, "x", 1, &e), 0);
	fault_start(&plan);
	assert_int_equal(journal_sync(j, &e), -1);
	fault_stop();
	assert_int_equal(e.code, want);
	err_clear(&e);
	(void)journal_put(j, JOURNAL_ITEMS, "y", 1, &e);
	assert_int_equal(journal_sync(j, &e), -1);
	journal_close(j);
}

static void
a_sync_that_failed_is_final(void **state)
{
	(void)state;
	failed(FAULT_FSYNC, ERR_FSYNC);
}

static void
a_write_that_failed_is_final(void **state)
{
	(void)state;
	failed(FAULT_WRITE, ERR_IO);
}

struct adding {
	struct journal *j;
	uint8_t who;
};

static void *
add_many(void *arg)
{
	struct adding *a = arg;
	uint8_t p[40];
	struct err e;

	err_clear(&e);
	for (unsigned i = 0; i < 500; i++) {
		memset(p, a->who, sizeof(p));
		le32_put(p, i);
		if (journal_put(a->j, JOURNAL_ITEMS, p, 4 + i % 37, &e) != 0 || (i % 50 == 0 && journal_sync(a->j, &e) != 0))
			return a;
	}
	return NULL;
}

static void
many_threads_add_whole_records(void **state)
{
	struct adding a[4];
	pthread_t t[4];
	void *failed_one;
	unsigned type, n = 0;
	struct journal_reader *r;
	struct fmt_view v;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_non_null(a[0].j = journal_create(dir, "many", 0, NULL, 0, &e));
	for (unsigned i = 0; i < 4; i++) {
		a[i] = (struct adding){ .j = a[0].j, .who = (uint8_t)(i + 1) };
		assert_int_equal(pthread_create(&t[i], NULL, add_many, &a[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(t[i], &failed_one);
		assert_null(failed_one);
	}
	assert_int_equal(journal_sync(a[0].j, &e), 0);
	journal_close(a[0].j);
	assert_non_null(r = journal_reader_new(dir, "many", &e));
	while (journal_next(r, &type, &v, &e) == 1) {
		assert_true(v.len >= 4 && v.len == 4 + le32_get(v.p) % 37);
		for (size_t k = 5; k < v.len; k++)
			assert_int_equal(v.p[k], v.p[4]);
		n++;
	}
	assert_int_equal(n, 4 * 500);
	journal_reader_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_truncation_keeps_just_the_whole_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_flipped_bit_ends_it_before_its_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_that_was_taken_out_or_moved_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(writing_goes_on_behind_what_is_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_torn_end_is_cut_off_durably, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_comes_back_to_a_mark, set_up, tear_down),
		cmocka_unit_test_setup_teardown(records_of_any_length_come_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_never_made_over_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_sync_that_failed_is_final, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_write_that_failed_is_final, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_threads_add_whole_records, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
