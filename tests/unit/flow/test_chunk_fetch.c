/* Getting frames ahead of use: every frame is the right one, memory is bounded, nobody waits for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/queue.h"
#include "common/flow/chunk_fetch.h"

#define CHUNKS		2000u
#define PACKS		10u
#define FRAME		4000u		/* bytes */
#define MEMORY		(1u << 20)

/* A vault of made-up packs: chunk i lies in pack i mod PACKS, its bytes tell which it is. */
struct far {
	pthread_mutex_t lock;
	unsigned asks, reads;
	uint64_t asked, bytes;
	uint64_t most;			/* bytes of one request */
	int gone_once;			/* the first read of each pack finds it gone */
	int gone[PACKS];
	int fails;			/* reads fail */
	unsigned absent;		/* every so many-th chunk is not there */
};

static void
id_of(unsigned i, uint8_t id[DIGEST_LEN])
{
	memset(id, 0, DIGEST_LEN);
	id[0] = (uint8_t)(i * 37);
	id[1] = (uint8_t)(i >> 8);
	id[2] = (uint8_t)i;
	id[DIGEST_LEN - 1] = 1;
}

static unsigned
number_of(const uint8_t *id)
{
	return (unsigned)id[1] << 8 | id[2];
}

static int
far_places(void *arg, const uint8_t *ids, size_t n, struct line_place *out, struct err *e)
{
	struct far *f = arg;

	(void)e;
	pthread_mutex_lock(&f->lock);
	f->asks++;
	f->asked += n;
	pthread_mutex_unlock(&f->lock);
	memset(out, 0, n * sizeof(*out));
	for (size_t k = 0; k < n; k++) {
		unsigned i = number_of(ids + k * DIGEST_LEN);

		assert_true(k == 0 || memcmp(ids + (k - 1) * DIGEST_LEN, ids + k * DIGEST_LEN, DIGEST_LEN) < 0);
		if (f->absent != 0 && i % f->absent == 0)
			continue;
		out[k].pack_id[0] = (uint8_t)(i % PACKS + 1);
		out[k].copy = 1;
		out[k].off = PACK_HEAD_LEN + (uint64_t)(i / PACKS) * FRAME;
		out[k].len = FRAME;
	}
	return 0;
}

static int
far_read(void *arg, const uint8_t pack_id[DIGEST_LEN], uint32_t copy, uint64_t off, void *out, size_t len, struct err *e)
{
	struct far *f = arg;
	unsigned pack = pack_id[0] - 1u;
	int gone;

	assert_int_equal(copy, 1);
	pthread_mutex_lock(&f->lock);
	f->reads++;
	f->bytes += len;
	if (len > f->most)
		f->most = len;
	gone = f->gone_once && !f->gone[pack];
	f->gone[pack] = 1;
	pthread_mutex_unlock(&f->lock);
	if (f->fails)
		return err_set(e, ERR_LINE, "nobody answers");
	if (gone)
		return err_set(e, ERR_NOT_FOUND, "the pack is gone");
	for (size_t i = 0; i < len; i++) {
		uint64_t at = off + i - PACK_HEAD_LEN;
		unsigned chunk = (unsigned)(at / FRAME) * PACKS + pack;

		((uint8_t *)out)[i] = (uint8_t)(chunk * 7 + at % FRAME);
	}
	return 0;
}

static struct fetch *
begin(struct far *f, size_t memory)
{
	const struct fetch_ops ops = { far_places, far_read, f };
	struct fetch *g = fetch_new(&ops, memory, 4, NULL);

	pthread_mutex_init(&f->lock, NULL);
	assert_non_null(g);
	return g;
}

static void
get_right(struct fetch *g, unsigned i)
{
	uint8_t id[DIGEST_LEN], *out = malloc(FRAME_LEN_MAX);
	size_t len;

	assert_non_null(out);
	id_of(i, id);
	assert_int_equal(fetch_get(g, id, out, &len, NULL, NULL), 0);
	assert_int_equal(len, FRAME);
	for (size_t k = 0; k < len; k++)
		assert_int_equal(out[k], (uint8_t)(i * 7 + k));
	free(out);
}

static void
want(struct fetch *g, unsigned i, int back)
{
	uint8_t id[DIGEST_LEN];

	id_of(i, id);
	if (back)
		fetch_unwant(g, id);
	else
		fetch_want(g, id);
}

static void
a_frame_that_nobody_wanted_ahead_comes_all_the_same(void **state)
{
	struct far f = { 0 };
	struct fetch *g = begin(&f, MEMORY);

	(void)state;
	get_right(g, 17);
	get_right(g, 1999);
	fetch_free(g);
}

static void
what_is_wanted_ahead_comes_in_few_requests_and_each_frame_is_its_own(void **state)
{
	struct far f = { 0 };
	struct fetch *g = begin(&f, 16 * MEMORY);

	(void)state;
	for (unsigned i = 0; i < CHUNKS; i++)
		want(g, i, 0);
	for (unsigned i = 0; i < CHUNKS; i++) {
		get_right(g, i);
		want(g, i, 1);
	}
	assert_true(f.asks < CHUNKS / 4);
	assert_true(f.reads < CHUNKS / 4);
	assert_true(f.bytes <= (uint64_t)CHUNKS * FRAME * 11 / 10);
	fetch_free(g);
}

static void
what_is_read_ahead_stays_within_its_memory(void **state)
{
	struct far f = { 0 };
	struct fetch *g = begin(&f, MEMORY);

	(void)state;
	for (unsigned i = 0; i < CHUNKS; i++)
		want(g, i, 0);
	get_right(g, CHUNKS - 1);	/* the last: behind everything that fills the memory */
	assert_true(f.bytes <= MEMORY + 8u * FRAME);
	for (unsigned i = 0; i < CHUNKS; i++) {
		get_right(g, i);
		want(g, i, 1);
	}
	assert_true(f.most <= MEMORY);
	fetch_free(g);
}

static void
a_pack_that_is_gone_is_asked_for_once_more(void **state)
{
	struct far f = { .gone_once = 1 };
	struct fetch *g = begin(&f, MEMORY);

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		get_right(g, i);
	fetch_free(g);
}

static void
what_cannot_be_read_is_an_error_and_not_a_wait(void **state)
{
	struct far f = { .fails = 1 };
	struct fetch *g = begin(&f, MEMORY);
	uint8_t id[DIGEST_LEN], *out = malloc(FRAME_LEN_MAX);
	struct err e;
	size_t len;

	(void)state;
	err_clear(&e);
	id_of(5, id);
	assert_int_equal(fetch_get(g, id, out, &len, NULL, &e), -1);
	assert_int_equal(e.code, ERR_LINE);
	f.fails = 0;
	get_right(g, 5);	/* nothing is remembered of it */
	free(out);
	fetch_free(g);
}

static void
a_chunk_without_a_good_copy_is_missing(void **state)
{
	struct far f = { .absent = 3 };
	struct fetch *g = begin(&f, MEMORY);
	uint8_t id[DIGEST_LEN], *out = malloc(FRAME_LEN_MAX);
	struct err e;
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		want(g, i, 0);
		id_of(i, id);
		err_clear(&e);
		assert_int_equal(fetch_get(g, id, out, &len, NULL, &e), i % 3 == 0 ? -1 : 0);
		assert_int_equal(e.code, i % 3 == 0 ? ERR_MISSING : ERR_NONE);
		want(g, i, 1);
	}
	free(out);
	fetch_free(g);
}

static void
what_was_of_no_use_is_asked_for_and_read_anew(void **state)
{
	struct far f = { .absent = 0 };
	struct fetch *g = begin(&f, MEMORY);
	uint8_t id[DIGEST_LEN], *out = malloc(FRAME_LEN_MAX);
	struct line_place at;
	struct err e;
	size_t len;

	(void)state;
	assert_non_null(out);
	id_of(3, id);
	fetch_want(g, id);
	assert_int_equal(fetch_get(g, id, out, &len, &at, NULL), 0);
	assert_int_equal(at.pack_id[0], 3 % PACKS + 1);
	assert_int_equal(at.copy, 1);
	fetch_again(g, id);
	assert_int_equal(fetch_get(g, id, out, &len, &at, NULL), 0);
	assert_int_equal(f.reads, 2);
	f.absent = 3;		/* the next time there is none */
	fetch_again(g, id);
	err_clear(&e);
	assert_int_equal(fetch_get(g, id, out, &len, &at, &e), -1);
	assert_int_equal(e.code, ERR_MISSING);
	f.absent = 0;
	fetch_again(g, id);	/* what was not there may be now */
	assert_int_equal(fetch_get(g, id, out, &len, &at, NULL), 0);
	fetch_unwant(g, id);
	fetch_again(g, id);	/* spare, and what nobody knows */
	id_of(4, id);
	fetch_again(g, id);
	get_right(g, 4);
	free(out);
	fetch_free(g);
}

static void
what_was_just_used_is_not_read_again(void **state)
{
	struct far f = { 0 };
	struct fetch *g = begin(&f, MEMORY);
	uint64_t bytes;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		get_right(g, i);
	bytes = f.bytes;
	for (unsigned i = 0; i < 20; i++)
		get_right(g, i);
	assert_true(bytes == f.bytes);
	fetch_free(g);
}

static void
what_is_known_already_is_asked_for_only_when_it_is_gone(void **state)
{
	struct far f = { 0 };
	struct fetch *g = begin(&f, MEMORY);
	uint8_t ids[20 * DIGEST_LEN];
	struct line_place places[20];

	(void)state;
	/* By their first byte these ids rise; the one that is not there is asked for as ever. */
	for (unsigned i = 0, n = 0; n < 20; i++) {
		id_of(i, ids + n * DIGEST_LEN);
		n += n == 0 || memcmp(ids + (n - 1) * DIGEST_LEN, ids + n * DIGEST_LEN, DIGEST_LEN) < 0;
	}
	assert_int_equal(far_places(&f, ids, 20, places, NULL), 0);
	memset(&places[3], 0, sizeof(places[3]));
	f.asks = 0;
	fetch_know(g, ids, 20, places);
	for (unsigned n = 0; n < 20; n++)
		if (n != 3)
			get_right(g, number_of(ids + n * DIGEST_LEN));
	assert_int_equal(f.asks, 0);
	get_right(g, number_of(ids + 3 * DIGEST_LEN));
	assert_int_equal(f.asks, 1);
	fetch_free(g);
	f = (struct far){ .gone_once = 1 };
	g = begin(&f, MEMORY);
	fetch_know(g, ids, 1, places);
	get_right(g, number_of(ids));
	assert_int_equal(f.asks, 1);
	fetch_free(g);
}

struct crowd {
	struct fetch *g;
	unsigned next;
};

static void
crowd_run(void *arg)
{
	struct crowd *c = arg;
	unsigned i;

	while ((i = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED)) < CHUNKS) {
		want(c->g, (i + 40) % CHUNKS, 0);
		get_right(c->g, i);
		get_right(c->g, (i * 31) % CHUNKS);
		want(c->g, (i + 40) % CHUNKS, 1);
	}
}

static void
many_threads_get_what_they_ask_for_with_little_memory(void **state)
{
	struct far f = { 0 };
	struct crowd c = { .g = begin(&f, 8 * FRAME) };

	(void)state;
	assert_int_equal(pool_run(8, crowd_run, &c, NULL), 0);
	fetch_free(c.g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_that_nobody_wanted_ahead_comes_all_the_same),
		cmocka_unit_test(what_is_wanted_ahead_comes_in_few_requests_and_each_frame_is_its_own),
		cmocka_unit_test(what_is_read_ahead_stays_within_its_memory),
		cmocka_unit_test(a_pack_that_is_gone_is_asked_for_once_more),
		cmocka_unit_test(what_cannot_be_read_is_an_error_and_not_a_wait),
		cmocka_unit_test(a_chunk_without_a_good_copy_is_missing),
		cmocka_unit_test(what_was_of_no_use_is_asked_for_and_read_anew),
		cmocka_unit_test(what_was_just_used_is_not_read_again),
		cmocka_unit_test(what_is_known_already_is_asked_for_only_when_it_is_gone),
		cmocka_unit_test(many_threads_get_what_they_ask_for_with_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
