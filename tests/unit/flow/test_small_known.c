#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/crypto/hash.h"
#include "common/flow/small_known.h"

#define FILES	20000u
#define ROW	64

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

static void
key_of(uint32_t i, uint8_t key[SMALL_KEY_LEN])
{
	uint8_t digest[DIGEST_LEN];

	hash_once(&i, sizeof(i), digest);
	memcpy(key, digest, SMALL_KEY_LEN);
}

/* File ${i} stands in bundle ${i} / 50. */
static void
place_of(uint32_t i, unsigned version, struct extent *x)
{
	memset(x, 0, sizeof(*x));
	memset(x->id, (int)(i / 50 % 251), DIGEST_LEN);
	x->id[0] = (uint8_t)version;
	x->offset = i;
	x->len = 1 + i % 1000;
}

static void
add(struct small_known *k, uint32_t from, uint32_t to, unsigned version)
{
	uint8_t key[SMALL_KEY_LEN];
	struct extent x;

	for (uint32_t i = from; i < to; i++) {
		key_of(i, key);
		place_of(i, version, &x);
		assert_int_equal(small_known_add(k, key, &x, &e), 0);
	}
}

static void
expect(const struct small_known *k, uint32_t i, bool there, unsigned version)
{
	uint8_t key[SMALL_KEY_LEN];
	struct extent x, want;

	key_of(i, key);
	assert_int_equal(small_known_find(k, key, &x), there);
	if (there) {
		place_of(i, version, &want);
		assert_memory_equal(x.id, want.id, DIGEST_LEN);
		assert_int_equal(x.offset, want.offset);
		assert_int_equal(x.len, want.len);
	}
}

/* Bundles of version 2 and of even files of version 1. */
static bool
keep_some(void *arg, const uint8_t id[DIGEST_LEN])
{
	(void)arg;
	return id[0] == 2 || id[1] % 2 == 0;
}

/* In ${memory}: a table, and a second one on top of it. */
static void
fill_and_look(size_t memory)
{
	struct small_known *k = small_known_new(dirfd_, memory), *base;

	assert_non_null(k);
	add(k, 0, FILES, 1);
	add(k, 0, FILES / 2, 1);		/* content that is there twice */
	assert_int_equal(small_known_save(k, NULL, keep_some, NULL, dirfd_, "1.sml", &e), 0);
	small_known_free(k);
	assert_non_null(base = small_known_load(dirfd_, "1.sml"));
	for (uint32_t i = 0; i < FILES; i++)
		expect(base, i, true, 1);
	for (uint32_t i = FILES; i < FILES + 500; i++)
		expect(base, i, false, 0);
	assert_non_null(k = small_known_new(dirfd_, memory));
	add(k, FILES - 1000, FILES + 1000, 2);
	assert_int_equal(small_known_save(k, base, keep_some, NULL, dirfd_, "2.sml", &e), 0);
	small_known_free(k);
	small_known_free(base);
	assert_non_null(base = small_known_load(dirfd_, "2.sml"));
	for (uint32_t i = 0; i < FILES + 1500; i++) {
		bool is_new = i >= FILES - 1000 && i < FILES + 1000;

		expect(base, i, is_new || (i < FILES && i / 50 % 251 % 2 == 0), is_new ? 2 : 1);
	}
	small_known_free(base);
}

static void
what_was_noted_is_found_and_nothing_else(void **state)
{
	(void)state;
	fill_and_look((size_t)8 << 20);
}

static void
in_little_memory_it_is_the_same(void **state)
{
	(void)state;
	fill_and_look(1000 * ROW);
}

/* Keys that are all alike up to their last bytes: the search still ends. */
static void
keys_that_are_not_spread_are_found_too(void **state)
{
	struct small_known *k = small_known_new(dirfd_, 100 * ROW);
	uint8_t key[SMALL_KEY_LEN];
	struct extent x;

	(void)state;
	memset(key, 0xfe, sizeof(key));
	for (uint32_t i = 0; i < 3000; i++) {
		key[14] = (uint8_t)(i >> 8);
		key[15] = (uint8_t)i;
		place_of(i, 1, &x);
		assert_int_equal(small_known_add(k, key, &x, &e), 0);
	}
	assert_int_equal(small_known_save(k, NULL, NULL, NULL, dirfd_, "1.sml", &e), 0);
	small_known_free(k);
	assert_non_null(k = small_known_load(dirfd_, "1.sml"));
	for (uint32_t i = 0; i < 3100; i++) {
		key[14] = (uint8_t)(i >> 8);
		key[15] = (uint8_t)i;
		assert_int_equal(small_known_find(k, key, &x), i < 3000);
		if (i < 3000)
			assert_int_equal(x.offset, i);
	}
	small_known_free(k);
}

static void
a_row_that_is_not_whole_is_not_there(void **state)
{
	struct small_known *k = small_known_new(dirfd_, 1u << 20);
	unsigned gone = 0;
	uint8_t b;
	int fd;

	(void)state;
	add(k, 0, 100, 1);
	assert_int_equal(small_known_save(k, NULL, NULL, NULL, dirfd_, "1.sml", &e), 0);
	small_known_free(k);
	/* One byte in each row, each time another, from behind the key on. */
	fd = openat(dirfd_, "1.sml", O_RDWR);
	assert_true(fd != -1);
	for (unsigned i = 0; i < 100; i += 2) {
		off_t at = 16 + (off_t)i * ROW + 16 + i % 48;

		assert_int_equal(pread(fd, &b, 1, at), 1);
		b ^= 1;
		assert_int_equal(pwrite(fd, &b, 1, at), 1);
	}
	close(fd);
	assert_non_null(k = small_known_load(dirfd_, "1.sml"));
	for (uint32_t i = 0; i < 100; i++) {
		uint8_t key[SMALL_KEY_LEN];
		struct extent x;

		key_of(i, key);
		if (small_known_find(k, key, &x))
			expect(k, i, true, 1);
		else
			gone++;
	}
	assert_int_equal(gone, 50);
	small_known_free(k);
}

static void
a_file_that_is_no_table_is_an_empty_one(void **state)
{
	static const char *const bad[] = { "", "SAMSMAL\n", "SAMSMAL\n\2\0\0\0\0\0\0\0", "something else" };
	struct small_known *k;
	int fd;

	(void)state;
	assert_non_null(k = small_known_load(dirfd_, "1.sml"));
	expect(k, 1, false, 0);
	small_known_free(k);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = openat(dirfd_, "1.sml", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(fd != -1);
		assert_int_equal(write(fd, bad[i], strlen(bad[i])), strlen(bad[i]));
		close(fd);
		assert_non_null(k = small_known_load(dirfd_, "1.sml"));
		expect(k, 1, false, 0);
		small_known_free(k);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_noted_is_found_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(in_little_memory_it_is_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_that_are_not_spread_are_found_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_row_that_is_not_whole_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_no_table_is_an_empty_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
