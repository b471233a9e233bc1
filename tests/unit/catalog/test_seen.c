#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/scratch.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/queue.h"
#include "common/catalog/seen.h"
#include "common/catalog/seen_run.h"
#include "common/catalog/seen_table.h"
#include "formats/bytes.h"

#define ID_LEN_	32u
#define MUCH	(UINT64_C(1) << 40)

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

/* The id of number ${n}: as good as random. */
static void
id_of(uint64_t n, uint8_t id[ID_LEN_])
{
	struct rng r = { .at = n * 77 };

	for (int i = 0; i < 4; i++) {
		uint64_t v = rng_next(&r);

		memcpy(id + 8 * i, &v, 8);
	}
}

static void
counts_are(struct seen *s, uint64_t held, uint64_t forgotten)
{
	uint64_t h, f;
	size_t memory;

	seen_counts(s, &h, &f, &memory);
	assert_int_equal(h, held);
	assert_int_equal(f, forgotten);
}

/* Random claims of numbers below ${range}, against a plain array of what was claimed. */
static void
claims_agree_with_a_plain_model(size_t memory, uint64_t range, unsigned rounds, size_t most)
{
	struct seen *s = seen_new(dirfd_, memory, MUCH, &e);
	uint8_t *model = calloc(1, range), *ids = malloc(most * ID_LEN_), *known = malloc(most);
	uint64_t *numbers = malloc(most * sizeof(*numbers)), held = 0;
	struct rng r = { .at = memory + range };

	assert_non_null(s);
	for (unsigned round = 0; round < rounds; round++) {
		size_t n = 1 + rng_next(&r) % most;

		for (size_t i = 0; i < n; i++) {
			numbers[i] = rng_next(&r) % range;
			id_of(numbers[i], ids + i * ID_LEN_);
		}
		assert_int_equal(seen_claim(s, ids, n, known, &e), 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(known[i], model[numbers[i]]);
			held += !model[numbers[i]];
			model[numbers[i]] = 1;
		}
	}
	counts_are(s, held, 0);
	seen_free(s);
	free(numbers);
	free(known);
	free(ids);
	free(model);
}

static void
in_memory_it_agrees_with_a_plain_model(void **state)
{
	(void)state;
	claims_agree_with_a_plain_model(64u << 20, 300000, 600, 1000);
}

static void
with_spilled_runs_it_agrees_with_a_plain_model(void **state)
{
	(void)state;
	claims_agree_with_a_plain_model(400000, 100000, 300, 1000);
	claims_agree_with_a_plain_model(0, 30000, 100, 700);
}

static void
what_spilled_leaves_no_names_behind(void **state)
{
	struct seen *s = seen_new(dirfd_, 0, MUCH, &e);
	uint8_t id[ID_LEN_], known;
	DIR *d;
	unsigned names = 0;

	(void)state;
	for (uint64_t n = 0; n < 20000; n++) {
		id_of(n, id);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
		assert_int_equal(known, 0);
	}
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d) != NULL)
		names++;
	closedir(d);
	assert_int_equal(names, 2);
	seen_free(s);
}

static void
a_chunk_takes_at_most_24_bytes_of_memory(void **state)
{
	struct seen *s = seen_new(dirfd_, (size_t)1 << 30, MUCH, &e);
	static uint8_t ids[1000 * ID_LEN_], known[1000];
	uint64_t held, forgotten;
	size_t memory;

	(void)state;
	for (uint64_t at = 0; at < 1000000; at += 1000) {
		for (uint64_t i = 0; i < 1000; i++)
			id_of(at + i, ids + i * ID_LEN_);
		assert_int_equal(seen_claim(s, ids, 1000, known, &e), 0);
		seen_counts(s, &held, &forgotten, &memory);
		assert_int_equal(held, at + 1000);
		if (held >= 50000)
			assert_true(memory <= 24 * held);
	}
	seen_free(s);
}

static void
past_its_share_memory_does_not_grow(void **state)
{
	struct seen *s = seen_new(dirfd_, 2u << 20, MUCH, &e);
	static uint8_t ids[1000 * ID_LEN_], known[1000];
	uint64_t held, forgotten;
	size_t memory;

	(void)state;
	for (uint64_t at = 0; at < 500000; at += 1000) {
		for (uint64_t i = 0; i < 1000; i++)
			id_of(at + i, ids + i * ID_LEN_);
		assert_int_equal(seen_claim(s, ids, 1000, known, &e), 0);
		seen_counts(s, &held, &forgotten, &memory);
		assert_true(memory <= (2u << 20) + (64u << 10));
	}
	counts_are(s, 500000, 0);
	seen_free(s);
}

/* With room for two runs on the disk, what was claimed first is claimed anew, the rest is known. */
static void
past_its_share_of_the_disk_it_forgets_the_oldest_and_says_so(void **state)
{
	struct seen *s = seen_new(dirfd_, 1u << 20, 3u << 20, &e);
	uint8_t id[ID_LEN_], known;
	uint64_t held, forgotten;
	size_t memory;

	(void)state;
	for (uint64_t n = 0; n < 400000; n++) {
		id_of(n, id);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
		assert_int_equal(known, 0);
	}
	seen_counts(s, &held, &forgotten, &memory);
	assert_int_equal(held + forgotten, 400000);
	assert_true(held * 16 <= (3u << 20) + (1u << 20));
	assert_true(forgotten > 100000);
	/* The latest are known, whether in memory or in the last runs. */
	for (uint64_t n = 400000 - held; n < 400000; n++) {
		id_of(n, id);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
		assert_int_equal(known, 1);
	}
	id_of(0, id);
	assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
	assert_int_equal(known, 0);
	seen_free(s);
}

static void
without_any_disk_it_forgets_and_goes_on(void **state)
{
	struct seen *s = seen_new(dirfd_, 0, 0, &e);
	uint8_t id[ID_LEN_], known;
	uint64_t held, forgotten;
	size_t memory;

	(void)state;
	for (uint64_t n = 0; n < 50000; n++) {
		id_of(n, id);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
	}
	seen_counts(s, &held, &forgotten, &memory);
	assert_true(forgotten > 10000);
	assert_true(memory < 1u << 20);
	seen_free(s);
}

static int no_space_after, broken_disk;

static ssize_t
pwrite_limited(int fd, const void *buf, size_t n, off_t at)
{
	if (broken_disk) {
		errno = EIO;
		return -1;
	}
	if (no_space_after-- <= 0) {
		errno = ENOSPC;
		return -1;
	}
	return io_real()->pwrite(fd, buf, n, at);
}

static void
a_full_disk_costs_the_oldest_and_never_a_wrong_answer(void **state)
{
	static struct io_ops limited;
	const struct io_ops *before;
	struct seen *s = seen_new(dirfd_, 0, MUCH, &e);
	uint8_t id[ID_LEN_], known;
	uint64_t held, forgotten;
	size_t memory;

	(void)state;
	limited = *io_real();
	limited.pwrite = pwrite_limited;
	before = io_use(&limited);
	for (uint64_t n = 0; n < 30000; n++) {
		no_space_after = n % 4000 < 2000 ? 1000000 : 0;
		id_of(n, id);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
		assert_int_equal(known, 0);
	}
	no_space_after = 1000000;
	seen_counts(s, &held, &forgotten, &memory);
	assert_int_equal(held + forgotten, 30000);
	assert_true(forgotten > 0);
	(void)io_use(before);
	seen_free(s);
}

static void
a_disk_that_fails_otherwise_is_an_error_and_stays_one(void **state)
{
	static struct io_ops limited;
	const struct io_ops *before;
	struct seen *s = seen_new(dirfd_, 0, MUCH, &e);
	uint8_t id[ID_LEN_], known;
	uint64_t n;

	(void)state;
	limited = *io_real();
	limited.pwrite = pwrite_limited;
	before = io_use(&limited);
	broken_disk = 1;
	err_clear(&e);
	for (n = 0; n < 30000; n++) {
		id_of(n, id);
		if (seen_claim(s, id, 1, &known, &e) != 0)
			break;
	}
	assert_true(n < 30000);
	assert_int_equal(e.code, ERR_IO);
	broken_disk = 0;
	(void)io_use(before);
	assert_int_equal(seen_claim(s, id, 1, &known, &e), -1);
	seen_free(s);
}

static void
an_id_twice_in_one_claim_is_new_once(void **state)
{
	struct seen *s = seen_new(dirfd_, 1u << 20, MUCH, &e);
	uint8_t ids[3 * ID_LEN_], known[3];

	(void)state;
	id_of(1, ids);
	id_of(2, ids + ID_LEN_);
	id_of(1, ids + 2 * ID_LEN_);
	assert_int_equal(seen_claim(s, ids, 3, known, &e), 0);
	assert_int_equal(known[0], 0);
	assert_int_equal(known[1], 0);
	assert_int_equal(known[2], 1);
	counts_are(s, 2, 0);
	seen_free(s);
}

static void
a_dropped_claim_is_new_again_and_its_neighbours_stay(void **state)
{
	struct seen *s = seen_new(dirfd_, 16u << 20, MUCH, &e);
	uint8_t id[ID_LEN_], known;

	(void)state;
	for (uint64_t n = 0; n < 20000; n++) {
		id_of(n, id);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
	}
	for (uint64_t n = 0; n < 20000; n += 3) {
		id_of(n, id);
		seen_drop(s, id);
	}
	for (uint64_t n = 0; n < 20000; n++) {
		id_of(n, id);
		assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
		assert_int_equal(known, n % 3 != 0);
	}
	counts_are(s, 20000, 0);
	id_of(99999, id);
	seen_drop(s, id);
	counts_are(s, 20000, 0);
	seen_free(s);
	seen_free(NULL);
}

/* Also where most stand in runs on the disk. */
static void
a_question_finds_what_was_claimed_and_adds_nothing(void **state)
{
	static const size_t memory[] = { 16u << 20, 300000 };
	uint8_t id[ID_LEN_], known;

	(void)state;
	for (size_t m = 0; m < 2; m++) {
		struct seen *s = seen_new(dirfd_, memory[m], MUCH, &e);

		for (uint64_t n = 0; n < 60000; n += 2) {
			id_of(n, id);
			assert_int_equal(seen_claim(s, id, 1, &known, &e), 0);
		}
		for (uint64_t n = 0; n < 60000; n++) {
			id_of(n, id);
			assert_int_equal(seen_has(s, id, &e), n % 2 == 0);
		}
		counts_are(s, 30000, 0);
		seen_free(s);
	}
}

/* Every thread claims every id, in an order of its own. */
#define THREADS	8
#define EACH	30000u

struct race {
	struct seen *s;
	atomic_uint next;
	atomic_uint wins[EACH];
	atomic_uint errors;
};

static void
race_claim(void *arg)
{
	struct race *race = arg;
	unsigned me = atomic_fetch_add(&race->next, 1);
	uint8_t ids[50 * ID_LEN_], known[50];
	/* 7919 and 30000 have no common divisor: every number comes once. */
	uint64_t at = me * 3571;

	for (unsigned done = 0; done < EACH; done += 50) {
		uint64_t numbers[50];

		for (unsigned i = 0; i < 50; i++, at += 7919) {
			numbers[i] = at % EACH;
			id_of(numbers[i], ids + i * ID_LEN_);
		}
		if (seen_claim(race->s, ids, 50, known, NULL) != 0)
			atomic_fetch_add(&race->errors, 1);
		for (unsigned i = 0; i < 50; i++)
			if (!known[i])
				atomic_fetch_add(&race->wins[numbers[i]], 1);
	}
}

static void
race_run(size_t memory)
{
	static struct race race;

	memset(&race, 0, sizeof(race));
	race.s = seen_new(dirfd_, memory, MUCH, &e);
	assert_non_null(race.s);
	assert_int_equal(pool_run(THREADS, race_claim, &race, &e), 0);
	assert_int_equal(atomic_load(&race.errors), 0);
	for (unsigned i = 0; i < EACH; i++)
		assert_int_equal(atomic_load(&race.wins[i]), 1);
	counts_are(race.s, EACH, 0);
	seen_free(race.s);
}

static void
of_eight_threads_that_claim_the_same_ids_one_gets_each(void **state)
{
	(void)state;
	race_run(64u << 20);
}

static void
of_eight_threads_one_gets_each_while_runs_are_spilled(void **state)
{
	(void)state;
	race_run(200000);
}

static void
a_table_keeps_its_keys_through_growth_drops_and_sorting(void **state)
{
	struct seen_table t;
	uint8_t id[ID_LEN_];
	struct seen_key k;

	(void)state;
	assert_int_equal(seen_table_init(&t, SEEN_TABLE_MIN), 0);
	for (uint64_t n = 0; n < 5000; n++) {
		id_of(n, id);
		if (seen_table_is_full(&t))
			assert_int_equal(seen_table_grow(&t, seen_table_next_cap(&t)), 0);
		assert_int_equal(seen_table_add(&t, seen_key_of(id)), 0);
		assert_int_equal(seen_table_add(&t, seen_key_of(id)), 1);
	}
	assert_true((uint64_t)t.cap * 16 <= 24 * 5000u);
	for (uint64_t n = 1; n < 5000; n += 2) {
		id_of(n, id);
		assert_int_equal(seen_table_drop(&t, seen_key_of(id)), 1);
		assert_int_equal(seen_table_drop(&t, seen_key_of(id)), 0);
	}
	assert_int_equal(t.used, 2500);
	seen_table_sort(&t);
	for (uint32_t i = 1; i < t.used; i++) {
		k = t.keys[i - 1];
		assert_true(seen_key_compare(k, t.keys[i]) < 0);
	}
	seen_table_release(&t);
}

/* An id of zeros is an id. */
static void
the_lowest_and_the_highest_id_are_claimed_like_others(void **state)
{
	uint8_t ids[2 * ID_LEN_], known[2];

	(void)state;
	memset(ids, 0, ID_LEN_);
	memset(ids + ID_LEN_, 0xff, ID_LEN_);
	for (size_t memory = 0; memory <= 1u << 20; memory += 1u << 20) {
		struct seen *s = seen_new(dirfd_, memory, MUCH, &e);

		assert_int_equal(seen_claim(s, ids, 2, known, &e), 0);
		assert_int_equal(known[0] + known[1], 0);
		for (uint64_t n = 0; n < 10000; n++) {
			uint8_t id[ID_LEN_], one;

			id_of(n, id);
			assert_int_equal(seen_claim(s, id, 1, &one, &e), 0);
		}
		assert_int_equal(seen_claim(s, ids, 2, known, &e), 0);
		assert_int_equal(known[0] + known[1], 2);
		seen_free(s);
	}
}

/* Many keys with the same first 8 bytes stretch over several blocks of a run. */
static void
a_run_finds_keys_that_begin_alike(void **state)
{
	static struct seen_key keys[3000];
	struct seen_run *r = seen_run_new(dirfd_, 3000, &e);
	struct seen_block b;

	(void)state;
	for (size_t i = 0; i < 3000; i++)
		keys[i] = (struct seen_key){ .high = i < 100 ? i : i < 2500 ? 1000 : 2000 + i, .low = 2 * i };
	assert_int_equal(seen_run_add(r, keys, 100, &e), 0);
	assert_int_equal(seen_run_add(r, keys + 100, 1, &e), 0);
	assert_int_equal(seen_run_add(r, keys + 101, 0, &e), 0);
	assert_int_equal(seen_run_add(r, keys + 101, 2899, &e), 0);
	assert_int_equal(seen_run_count(r), 3000);
	b.run = NULL;
	for (size_t i = 0; i < 3000; i++) {
		struct seen_key not = keys[i];

		assert_int_equal(seen_run_has(r, keys[i], &b, &e), 1);
		not.low++;
		assert_int_equal(seen_run_has(r, not, &b, &e), 0);
	}
	seen_run_free(r);
	seen_run_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_memory_it_agrees_with_a_plain_model),
		cmocka_unit_test(with_spilled_runs_it_agrees_with_a_plain_model),
		cmocka_unit_test(what_spilled_leaves_no_names_behind),
		cmocka_unit_test(a_chunk_takes_at_most_24_bytes_of_memory),
		cmocka_unit_test(past_its_share_memory_does_not_grow),
		cmocka_unit_test(past_its_share_of_the_disk_it_forgets_the_oldest_and_says_so),
		cmocka_unit_test(without_any_disk_it_forgets_and_goes_on),
		cmocka_unit_test(a_full_disk_costs_the_oldest_and_never_a_wrong_answer),
		cmocka_unit_test(a_disk_that_fails_otherwise_is_an_error_and_stays_one),
		cmocka_unit_test(an_id_twice_in_one_claim_is_new_once),
		cmocka_unit_test(a_dropped_claim_is_new_again_and_its_neighbours_stay),
		cmocka_unit_test(a_question_finds_what_was_claimed_and_adds_nothing),
		cmocka_unit_test(of_eight_threads_that_claim_the_same_ids_one_gets_each),
		cmocka_unit_test(of_eight_threads_one_gets_each_while_runs_are_spilled),
		cmocka_unit_test(a_table_keeps_its_keys_through_growth_drops_and_sorting),
		cmocka_unit_test(the_lowest_and_the_highest_id_are_claimed_like_others),
		cmocka_unit_test(a_run_finds_keys_that_begin_alike),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
