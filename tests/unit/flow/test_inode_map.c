#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/flow/inode_map.h"

#define INODES	60000u
#define LITTLE	((size_t)64 << 10)

static char path[64];
static int dirfd_ = -1;
static struct err e;

static int
setup(void **state)
{
	(void)state;
	err_clear(&e);
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

/* What is noted of inode ${i}: its length is always the same for the same one. */
static size_t
note(uint32_t i, unsigned version, uint8_t out[64])
{
	size_t len = 1 + i % 60;

	memset(out, (int)(i * 7 + version), len);
	out[0] = (uint8_t)(i >> 8);
	return len;
}

static void
expect(struct inode_map *m, uint32_t i, int there, unsigned version)
{
	uint8_t want[64], got[64];
	size_t n = note(i, version, want), len = 0;

	assert_int_equal(inode_map_get(m, i % 3, i / 3, got, sizeof(got), &len, &e), there);
	if (there == 1) {
		assert_int_equal(len, n);
		assert_memory_equal(got, want, n);
	}
}

static void
put(struct inode_map *m, uint32_t i, unsigned version)
{
	uint8_t bytes[64];
	size_t n = note(i, version, bytes);

	assert_int_equal(inode_map_put(m, i % 3, i / 3, bytes, n, &e), 0);
}

static unsigned
files_here(void)
{
	unsigned n = 0;
	DIR *d = opendir(path);

	assert_non_null(d);
	for (struct dirent *at; (at = readdir(d)) != NULL;)
		n += at->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Every third is dropped, every fifth noted anew. */
static void
fill_and_look(size_t memory)
{
	struct inode_map *m = inode_map_new(dirfd_, memory);

	assert_non_null(m);
	for (uint32_t i = 0; i < INODES; i++) {
		expect(m, i, 0, 0);
		put(m, i, 1);
		assert_true(inode_map_memory(m) <= memory);
	}
	for (uint32_t i = 0; i < INODES; i += 5)
		put(m, i, 2);
	for (uint32_t i = 0; i < INODES; i += 3)
		assert_int_equal(inode_map_drop(m, i % 3, i / 3, &e), 0);
	for (uint32_t i = 0; i < INODES; i++)
		expect(m, i, i % 3 != 0, i % 5 == 0 ? 2 : 1);
	expect(m, INODES, 0, 0);
	assert_int_equal(inode_map_spilled(m) > 0, memory == LITTLE);
	assert_int_equal(files_here(), 0);
	inode_map_free(m);
}

static void
what_fits_stays_in_memory(void **state)
{
	(void)state;
	fill_and_look((size_t)64 << 20);
}

static void
what_does_not_fit_is_found_all_the_same(void **state)
{
	(void)state;
	fill_and_look(LITTLE);
}

/* As in a tree whose names of a file are close together: the map never fills. */
static void
what_comes_and_goes_takes_no_more_room(void **state)
{
	struct inode_map *m = inode_map_new(dirfd_, LITTLE);

	(void)state;
	assert_non_null(m);
	for (uint32_t i = 0; i < INODES; i++) {
		put(m, i, 1);
		expect(m, i, 1, 1);
		if (i >= 200)
			assert_int_equal(inode_map_drop(m, (i - 200) % 3, (i - 200) / 3, &e), 0);
	}
	assert_int_equal(inode_map_spilled(m), 0);
	expect(m, INODES - 1, 1, 1);
	expect(m, INODES - 201, 0, 1);
	inode_map_free(m);
}

/* Also where nothing but the table in the files is used. */
static void
room_of_the_dropped_is_used_again(void **state)
{
	struct inode_map *m = inode_map_new(dirfd_, 0);

	(void)state;
	assert_non_null(m);
	for (uint32_t i = 0; i < INODES; i++) {
		put(m, i, 1);
		if (i >= 100)
			assert_int_equal(inode_map_drop(m, (i - 100) % 3, (i - 100) / 3, &e), 0);
	}
	assert_int_equal(inode_map_memory(m), 0);
	assert_int_equal(inode_map_spilled(m), 100);
	for (uint32_t i = INODES - 300; i < INODES; i++)
		expect(m, i, i >= INODES - 100, 1);
	inode_map_free(m);
}

static void
a_note_of_another_length_is_refused(void **state)
{
	struct inode_map *m = inode_map_new(dirfd_, LITTLE);
	uint8_t small[2];
	size_t len;

	(void)state;
	assert_non_null(m);
	put(m, 10, 1);
	assert_int_equal(inode_map_put(m, 10 % 3, 10 / 3, "abc", 3, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	err_clear(&e);
	assert_int_equal(inode_map_get(m, 10 % 3, 10 / 3, small, sizeof(small), &len, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	inode_map_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_fits_stays_in_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_found_all_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_and_goes_takes_no_more_room, setup, teardown),
		cmocka_unit_test_setup_teardown(room_of_the_dropped_is_used_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_note_of_another_length_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
