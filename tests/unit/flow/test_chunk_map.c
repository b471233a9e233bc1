#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/err.h"
#include "common/flow/chunk_map.h"
#include "common/flow/pack_cache.h"
#include "common/base/queue.h"

static void
id_make(uint64_t n, uint8_t id[DIGEST_LEN])
{
	uint64_t x = (n + 1) * 0x9e3779b97f4a7c15u;

	for (unsigned i = 0; i < DIGEST_LEN; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		id[i] = (uint8_t)(x >> 24);
	}
}

static void
fill(struct chunk_map *m, uint64_t n)
{
	uint8_t id[DIGEST_LEN];
	struct err e;

	err_clear(&e);
	for (uint64_t i = 0; i < n; i++) {
		id_make(i, id);
		assert_int_equal(chunk_map_add(m, id, (uint32_t)i, (uint32_t)(i * 7), 100, 1, &e), 0);
		if (i % 3 == 0)
			assert_int_equal(chunk_map_add(m, id, (uint32_t)(n + i), 0, 100, 1, &e), 0);
	}
	chunk_map_sort(m);
}

static void
check(struct chunk_map *m, uint64_t n)
{
	const struct chunk_at *at;
	uint8_t id[DIGEST_LEN];
	size_t copies;

	for (uint64_t i = 0; i < n; i++) {
		id_make(i, id);
		at = chunk_map_find(m, id, &copies);
		assert_non_null(at);
		assert_int_equal(copies, i % 3 == 0 ? 2 : 1);
		assert_int_equal(at[0].pack, i);	/* lower packs first */
		assert_int_equal(at[0].off, (uint32_t)(i * 7));
		id[15] ^= 1;
		assert_null(chunk_map_find(m, id, &copies));
		assert_int_equal(copies, 0);
	}
}

static void
every_copy_is_found_and_nothing_else(void **state)
{
	static const uint64_t n[] = { 0, 1, 2, 1000, 200000 };

	(void)state;
	for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		struct chunk_map *m = chunk_map_new(1u << 30);

		fill(m, n[i]);
		check(m, n[i]);
		chunk_map_free(m);
	}
}

static void
past_its_share_of_memory_it_is_the_same(void **state)
{
	struct chunk_map *m = chunk_map_new(1u << 20);

	(void)state;
	fill(m, 200000);
	check(m, 200000);
	chunk_map_free(m);
}

static void
all_copies_are_in_order(void **state)
{
	struct chunk_map *m = chunk_map_new(1u << 30);
	const struct chunk_at *at;
	size_t n;

	(void)state;
	fill(m, 50000);
	at = chunk_map_all(m, &n);
	assert_int_equal(n, 50000 + 16667);
	for (size_t i = 1; i < n; i++)
		assert_true(memcmp(at[i - 1].prefix, at[i].prefix, CHUNK_PREFIX_LEN) <= 0);
	chunk_map_free(m);
}

/* Packs whose every byte is their number. */
struct packs {
	unsigned loads;		/* atomic */
	struct pack_cache *c;
	unsigned wrong;		/* atomic */
	unsigned next;		/* atomic */
};

static int
load(void *arg, uint32_t pack, uint8_t *out, uint32_t len, struct err *e)
{
	struct packs *p = arg;

	__atomic_add_fetch(&p->loads, 1, __ATOMIC_RELAXED);
	if (pack == 99)
		return err_set(e, ERR_IO, "no such pack");
	memset(out, (int)pack, len);
	return 0;
}

static void
the_pack_used_longest_ago_gives_way(void **state)
{
	struct packs p = { 0 };
	const uint8_t *bytes;
	struct err e;
	unsigned slot;

	(void)state;
	err_clear(&e);
	p.c = pack_cache_new(2, load, &p);
	for (uint32_t i = 0; i < 3; i++) {	/* 0, 1, then 2 in the place of 0 */
		assert_int_equal(pack_cache_hold(p.c, i, 10, &bytes, &slot, &e), 0);
		assert_int_equal(bytes[9], i);
		pack_cache_release(p.c, slot);
	}
	assert_int_equal(p.loads, 3);
	assert_int_equal(pack_cache_hold(p.c, 1, 10, &bytes, &slot, &e), 0);
	pack_cache_release(p.c, slot);
	assert_int_equal(p.loads, 3);
	assert_false(pack_cache_has(p.c, 0));
	pack_cache_free(p.c);
}

static void
with_every_slot_held_there_is_no_room_and_what_cannot_be_read_takes_none(void **state)
{
	struct packs p = { 0 };
	const uint8_t *bytes;
	struct err e;
	unsigned a, b, slot;

	(void)state;
	err_clear(&e);
	p.c = pack_cache_new(2, load, &p);
	assert_int_equal(pack_cache_hold(p.c, 99, 10, &bytes, &slot, &e), -1);
	assert_int_equal(pack_cache_hold(p.c, 99, 10, &bytes, &slot, &e), -1);
	assert_int_equal(pack_cache_hold(p.c, 1, 10, &bytes, &a, &e), 0);
	assert_int_equal(pack_cache_hold(p.c, 2, 10, &bytes, &b, &e), 0);
	assert_int_equal(pack_cache_hold(p.c, 3, 10, &bytes, &slot, &e), 1);
	pack_cache_release(p.c, a);
	assert_int_equal(pack_cache_hold(p.c, 3, 10, &bytes, &slot, &e), 0);
	pack_cache_release(p.c, slot);
	pack_cache_release(p.c, b);
	pack_cache_free(p.c);
}

static void
hold_many(void *arg)
{
	struct packs *p = arg;
	const uint8_t *bytes;
	struct err e;
	unsigned i, slot;

	err_clear(&e);
	while ((i = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED)) < 3000) {
		uint32_t pack = (i / 16) % 40;
		int rc = pack_cache_hold(p->c, pack, 4096, &bytes, &slot, &e);

		if (rc == 1)
			continue;
		if (rc != 0 || bytes[0] != pack || bytes[4095] != pack)
			__atomic_add_fetch(&p->wrong, 1, __ATOMIC_RELAXED);
		if (rc == 0)
			pack_cache_release(p->c, slot);
	}
}

static void
many_threads_see_the_packs_they_asked_for(void **state)
{
	struct packs p = { 0 };
	struct err e;

	(void)state;
	err_clear(&e);
	p.c = pack_cache_new(3, load, &p);
	assert_int_equal(pool_run(4, hold_many, &p, &e), 0);
	assert_int_equal(p.wrong, 0);
	assert_true(p.loads < 3000);
	pack_cache_free(p.c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_copy_is_found_and_nothing_else),
		cmocka_unit_test(past_its_share_of_memory_it_is_the_same),
		cmocka_unit_test(all_copies_are_in_order),
		cmocka_unit_test(the_pack_used_longest_ago_gives_way),
		cmocka_unit_test(with_every_slot_held_there_is_no_room_and_what_cannot_be_read_takes_none),
		cmocka_unit_test(many_threads_see_the_packs_they_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
