#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>

#include "common/base/queue.h"

#define ITEMS	20000

struct work {
	struct queue *q;
	atomic_uint next;
	atomic_uint seen[ITEMS];
};

static void
produce(void *arg)
{
	struct work *w = arg;
	unsigned i;

	while ((i = atomic_fetch_add(&w->next, 1)) < ITEMS)
		assert_int_equal(queue_put(w->q, &w->seen[i]), 0);
}

static void
consume(void *arg)
{
	struct work *w = arg;
	atomic_uint *item;

	while ((item = queue_get(w->q)) != NULL)
		atomic_fetch_add(item, 1);
}

static void
each_item_reaches_exactly_one_of_many_consumers(void **state)
{
	static struct work w;
	struct pool *consumers;

	(void)state;
	w.q = queue_new(7, NULL);
	assert_non_null(w.q);
	consumers = pool_start(3, consume, &w, NULL);
	assert_non_null(consumers);
	assert_int_equal(pool_run(3, produce, &w, NULL), 0);
	queue_close(w.q);
	pool_wait(consumers);
	for (unsigned i = 0; i < ITEMS; i++)
		assert_int_equal(atomic_load(&w.seen[i]), 1);
	queue_free(w.q);
}

static void
a_closed_queue_gives_what_is_in_it_and_takes_nothing(void **state)
{
	struct queue *q = queue_new(2, NULL);
	int a, b;

	(void)state;
	assert_null(queue_try(q));
	assert_int_equal(queue_put(q, &a), 0);
	assert_int_equal(queue_put(q, &b), 0);
	queue_close(q);
	queue_close(q);
	assert_int_equal(queue_put(q, &a), -1);
	assert_ptr_equal(queue_get(q), &a);
	assert_ptr_equal(queue_try(q), &b);
	assert_null(queue_get(q));
	queue_free(q);
	queue_free(NULL);
}

static void
put_until_closed(void *arg)
{
	struct work *w = arg;

	while (queue_put(w->q, w) == 0)
		atomic_fetch_add(&w->next, 1);
}

static void
close_wakes_those_who_wait_for_room(void **state)
{
	static struct work w;
	struct pool *p;

	(void)state;
	w.q = queue_new(1, NULL);
	p = pool_start(2, put_until_closed, &w, NULL);
	assert_non_null(queue_get(w.q));	/* they run */
	queue_close(w.q);
	pool_wait(p);				/* ends at all */
	assert_true(atomic_load(&w.next) >= 1);
	queue_free(w.q);
}

static void
there_is_a_processor(void **state)
{
	(void)state;
	assert_true(pool_processors() >= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_item_reaches_exactly_one_of_many_consumers),
		cmocka_unit_test(a_closed_queue_gives_what_is_in_it_and_takes_nothing),
		cmocka_unit_test(close_wakes_those_who_wait_for_room),
		cmocka_unit_test(there_is_a_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
