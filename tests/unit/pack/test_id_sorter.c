#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/pack/id_sort.h"
#include "common/pack/id_sorter.h"
#include "formats/bytes.h"

static char path[64];
static int dirfd_ = -1;
static struct err e;

static int
setup(void **state)
{
	(void)state;
	dirfd_ = scratch_make(path);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(dirfd_);
	scratch_remove(path);
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* Ids as they come (${bits} of difference), some of them again and again. */
static void
ids_fill(uint8_t (*ids)[DIGEST_LEN], size_t n, unsigned modulus)
{
	struct rng r = { .at = n };

	for (size_t i = 0; i < n; i++) {
		struct rng of = { .at = modulus != 0 ? rng_next(&r) % modulus : rng_next(&r) };

		rng_fill(&of, ids[i], DIGEST_LEN);
	}
}

static void
sorting_in_place_is_what_qsort_does(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 31, 32, 33, 1000, 20000 };
	static uint8_t a[20000][DIGEST_LEN], b[20000][DIGEST_LEN];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (unsigned modulus = 0; modulus < 200; modulus += 99) {
			ids_fill(a, sizes[s], modulus);
			for (size_t i = 0; i < sizes[s]; i += 3)
				memset(a[i], 0x11, 20 + i % 12);	/* long common beginnings */
			memcpy(b, a, sizes[s] * DIGEST_LEN);
			id_sort(a, sizes[s]);
			qsort(b, sizes[s], DIGEST_LEN, compare);
			assert_memory_equal(a, b, sizes[s] * DIGEST_LEN);
		}
}

/* All ids of ${s} are those of the sorted ${want}, each once. */
static void
reads(struct id_sorter *s, uint8_t (*want)[DIGEST_LEN], size_t n)
{
	uint8_t id[DIGEST_LEN];

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && memcmp(want[i], want[i - 1], DIGEST_LEN) == 0)
			continue;
		assert_int_equal(id_sorter_next(s, id, &e), 1);
		assert_memory_equal(id, want[i], DIGEST_LEN);
	}
	assert_int_equal(id_sorter_next(s, id, &e), 0);
	assert_int_equal(id_sorter_next(s, id, &e), 0);
}

static unsigned
names_in_directory(void)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void
a_stream_comes_back_sorted_and_each_id_once_in_any_memory(void **state)
{
	static const size_t memories[] = { 0, 8192, 40000, 100000, 1u << 20 };
	static const size_t sizes[] = { 0, 1, 255, 256, 257, 5000, 12000 };
	static uint8_t ids[12000][DIGEST_LEN];

	(void)state;
	err_clear(&e);
	for (size_t m = 0; m < sizeof(memories) / sizeof(memories[0]); m++)
		for (size_t c = 0; c < sizeof(sizes) / sizeof(sizes[0]); c++)
			for (unsigned modulus = 0; modulus < 2000; modulus += 999) {
				struct id_sorter *s = id_sorter_new(dirfd_, memories[m], &e);

				assert_non_null(s);
				ids_fill(ids, sizes[c], modulus);
				for (size_t i = 0; i < sizes[c]; i++)
					assert_int_equal(id_sorter_add(s, ids[i], &e), 0);
				qsort(ids, sizes[c], DIGEST_LEN, compare);
				for (int again = 0; again < 2; again++) {
					assert_int_equal(id_sorter_rewind(s, &e), 0);
					reads(s, ids, sizes[c]);
				}
				assert_int_equal(names_in_directory(), 0);
				id_sorter_free(s);
			}
}

static void
reading_may_begin_anew_in_the_middle(void **state)
{
	static uint8_t ids[3000][DIGEST_LEN];
	struct id_sorter *s = id_sorter_new(dirfd_, 8192, &e);
	uint8_t id[DIGEST_LEN];

	(void)state;
	ids_fill(ids, 3000, 0);
	for (size_t i = 0; i < 3000; i++)
		assert_int_equal(id_sorter_add(s, ids[i], &e), 0);
	qsort(ids, 3000, DIGEST_LEN, compare);
	assert_int_equal(id_sorter_rewind(s, &e), 0);
	for (size_t i = 0; i < 1234; i++)
		assert_int_equal(id_sorter_next(s, id, &e), 1);
	assert_int_equal(id_sorter_rewind(s, &e), 0);
	reads(s, ids, 3000);
	id_sorter_free(s);
	id_sorter_free(NULL);
}

static void
adding_after_the_last_and_reading_before_it_are_refused(void **state)
{
	struct id_sorter *s = id_sorter_new(dirfd_, 8192, &e);
	uint8_t id[DIGEST_LEN] = { 1 };

	(void)state;
	assert_int_equal(id_sorter_add(s, id, &e), 0);
	err_clear(&e);
	assert_int_equal(id_sorter_next(s, id, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	assert_int_equal(id_sorter_rewind(s, &e), 0);
	err_clear(&e);
	assert_int_equal(id_sorter_add(s, id, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	id_sorter_free(s);
}

static int failing_write;

static ssize_t
pwrite_full_disk(int fd, const void *buf, size_t n, off_t at)
{
	if (failing_write) {
		errno = ENOSPC;
		return -1;
	}
	return io_real()->pwrite(fd, buf, n, at);
}

static void
a_full_disk_is_said_and_leaves_nothing_behind(void **state)
{
	static struct io_ops full;
	static uint8_t ids[1000][DIGEST_LEN];
	const struct io_ops *before;
	struct id_sorter *s = id_sorter_new(dirfd_, 8192, &e);
	size_t i;

	(void)state;
	ids_fill(ids, 1000, 0);
	full = *io_real();
	full.pwrite = pwrite_full_disk;
	before = io_use(&full);
	failing_write = 1;
	err_clear(&e);
	for (i = 0; i < 1000 && id_sorter_add(s, ids[i], &e) == 0; i++)
		;
	assert_true(i < 1000);
	assert_int_equal(e.code, ERR_NO_SPACE);
	(void)io_use(before);
	id_sorter_free(s);
	assert_int_equal(names_in_directory(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorting_in_place_is_what_qsort_does),
		cmocka_unit_test(a_stream_comes_back_sorted_and_each_id_once_in_any_memory),
		cmocka_unit_test(reading_may_begin_anew_in_the_middle),
		cmocka_unit_test(adding_after_the_last_and_reading_before_it_are_refused),
		cmocka_unit_test(a_full_disk_is_said_and_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
