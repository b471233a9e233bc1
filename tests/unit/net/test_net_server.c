#include "net/net_world.h"

#include <strings.h>

#include "common/net/throttle.h"

static struct world w;
static struct net_server_options so;

static int
start(void **state)
{
	(void)state;
	secret_init();
	memset(&so, 0, sizeof(so));
	world_start(&w, &so);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	world_end(&w, so.tmpfd);
	return 0;
}

/* One request; the status, 0 where none came, with ${e} and ${r}. */
static unsigned
ask(struct net_ask *a, struct net_answer *r, struct err *e)
{
	struct net_client *c = world_client(&w);
	int rc;

	err_clear(e);
	rc = net_ask(c, a, r, e);
	net_client_free(c);
	return rc == 0 ? r->status : 0;
}

static void
a_body_comes_back_as_it_was_in_memory_and_in_a_file(void **state)
{
	static const size_t lens[] = { 0, 1, 1000, 256u << 10, (256u << 10) + 1, WORLD_BODY_MAX };
	uint8_t *body = malloc(WORLD_BODY_MAX);
	struct net_answer r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < WORLD_BODY_MAX; i++)
		body[i] = world_byte(i);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct net_ask a = { .method = i % 2 ? "POST" : "PUT", .path = "/echo", .body = body,
		    .body_len = lens[i], .answer_max = WORLD_BODY_MAX };

		assert_int_equal(ask(&a, &r, &e), 200);
		assert_int_equal(r.body.len, lens[i]);
		assert_true(lens[i] == 0 || memcmp(r.body.p, body, lens[i]) == 0);
		assert_int_equal(w.body_in_file, lens[i] > 256u << 10);
		net_answer_free(&r);
	}
	free(body);
}

static void
a_body_above_the_limit_is_refused_and_not_read(void **state)
{
	static uint8_t body[WORLD_BODY_MAX + 1];
	struct net_ask a = { .method = "PUT", .path = "/echo", .body = body, .body_len = sizeof(body) };
	struct net_server_numbers n;
	struct net_answer r;
	struct err e;

	(void)state;
	assert_int_equal(ask(&a, &r, &e), 413);
	assert_string_equal(r.type, "application/problem+json");
	net_answer_free(&r);
	net_server_numbers(w.server, &n);
	assert_int_equal(n.refused, 1);
	assert_int_equal(n.bytes_in, 0);
}

static void
a_refusal_arrives_although_the_body_is_on_its_way(void **state)
{
	static uint8_t body[200000];
	struct net_ask a = { .method = "POST", .path = "/refused", .body = body, .body_len = sizeof(body) };
	struct net_answer r;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(ask(&a, &r, &e), 403);
		assert_memory_equal(r.body.p, "no", 2);
		net_answer_free(&r);
	}
}

static void
ranges_are_cut_out_of_the_whole(void **state)
{
	static const struct { uint64_t from, len; } t[] = { { 0, 1 }, { 0, 1000000 }, { 999999, 1 }, { 123456, 400000 } };
	struct net_answer r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct net_ask a = { .method = "GET", .path = "/pattern", .range_from = t[i].from, .range_len = t[i].len };

		assert_int_equal(ask(&a, &r, &e), 206);
		assert_int_equal(r.body.len, t[i].len);
		for (uint64_t k = 0; k < t[i].len; k += 997)
			assert_int_equal(r.body.p[k], world_byte(t[i].from + k));
		net_answer_free(&r);
	}
	struct net_ask behind = { .method = "GET", .path = "/pattern", .range_from = 1000000, .range_len = 1 };
	assert_int_equal(ask(&behind, &r, &e), 416);
	net_answer_free(&r);
	/* A range that reaches beyond the end is another part than was asked for: the client says so. */
	struct net_ask over = { .method = "GET", .path = "/pattern", .range_from = 999990, .range_len = 20 };
	assert_int_equal(ask(&over, &r, &e), 0);
	assert_int_equal(e.code, ERR_PROTOCOL);
}

static void
paths_that_are_not_plain_are_refused(void **state)
{
	static const struct { const char *path; unsigned want; } t[] = {
		{ "/a/../b", 400 }, { "/a//b", 400 }, { "/%2e%2e/b", 400 }, { "/a%00b", 400 }, { "/a%0ab", 400 },
		{ "/a%zz", 400 }, { "/a%", 400 }, { "/.", 400 }, { "/a/", 200 }, { "/%61%2Fb", 200 }, { "/?x=../", 200 },
	};
	char longer[NET_PATH_MAX + 20];
	struct net_answer r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct net_ask a = { .method = "GET", .path = t[i].path };

		assert_int_equal(ask(&a, &r, &e), t[i].want);
		net_answer_free(&r);
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	struct net_ask a = { .method = "GET", .path = longer };
	assert_int_equal(ask(&a, &r, &e), 414);
	net_answer_free(&r);
}

static void
a_method_that_nobody_needs_is_refused(void **state)
{
	struct net_ask a = { .method = "PATCH", .path = "/echo" };
	struct net_answer r;
	struct err e;

	(void)state;
	assert_int_equal(ask(&a, &r, &e), 501);
	net_answer_free(&r);
}

static void
each_name_shows_its_own_key(void **state)
{
	static const struct { const char *name; unsigned key; } t[] = {
		{ "first", 0 }, { "second", 1 }, { "SECOND", 1 }, { "third", 0 }, { NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct net_client_options o = { .url = w.url, .proxy = "", .server_name = t[i].name, .pin = w.pin[t[i].key] };
		struct net_ask a = { .method = "GET", .path = "/echo" };
		struct net_client *c;
		struct net_answer r;
		struct err e;

		err_clear(&e);
		c = net_client_new(&o, &e);
		assert_non_null(c);
		if (net_ask(c, &a, &r, &e) != 0)
			fail_msg("%s: %s", t[i].name, e.msg);
		assert_memory_equal(r.pin, w.pin[t[i].key], NET_PIN_LEN);
		if (t[i].name != NULL)
			assert_true(strcasecmp(w.server_name, t[i].name) == 0);
		net_answer_free(&r);
		net_client_free(c);
	}
}

static int
start_hasty(void **state)
{
	(void)state;
	secret_init();
	memset(&so, 0, sizeof(so));
	so.idle_seconds = so.request_seconds = 2;
	world_start(&w, &so);
	return 0;
}

static void
who_says_nothing_is_sent_away(void **state)
{
	int fd = world_connect(&w, "127.0.0.1");
	char c;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_true(read(fd, &c, 1) <= 0);	/* ends by itself, or this test never does */
	(void)close(fd);
}

/* Sends a byte, then waits until the server has lost its patience. */
static long
one_byte(void *arg, uint64_t off, void *out, size_t cap)
{
	(void)arg;
	(void)cap;
	if (off > 0) {
		(void)pthread_mutex_lock(&w.lock);
		while (w.cut == 0)
			(void)pthread_cond_wait(&w.changed, &w.lock);
		(void)pthread_mutex_unlock(&w.lock);
	}
	*(char *)out = 'x';
	return 1;
}

static void
a_body_that_stops_coming_is_cut(void **state)
{
	struct net_ask a = { .method = "PUT", .path = "/echo", .send = one_byte, .body_len = 100000 };
	struct net_answer r;
	struct err e;

	(void)state;
	assert_int_equal(ask(&a, &r, &e), 0);
	assert_int_equal(e.code, ERR_LINE);
	assert_int_equal(w.cut, 1);
}

static long
ten_bytes(void *arg, uint64_t off, void *out, size_t cap)
{
	struct world *world = arg;
	int cut;

	/* Never silent for as long as a second: only the whole of it is too slow. */
	(void)off;
	(void)pthread_mutex_lock(&world->lock);
	cut = world->cut > 0;
	(void)pthread_mutex_unlock(&world->lock);
	if (cap > 10)
		cap = 10;
	memset(out, 'x', cap);
	return cut ? -1 : (long)cap;
}

static uint64_t
thousand(void *arg, int64_t *holds)
{
	(void)arg;
	*holds = INT64_MAX / 2;
	return 1000;
}

static void
a_body_that_trickles_in_is_cut(void **state)
{
	struct throttle *slow = throttle_new(thousand, NULL);
	struct net_client_options o = { .url = w.url, .pin = w.pin[0], .proxy = "", .throttle = slow };
	struct net_ask a = { .method = "PUT", .path = "/echo", .send = ten_bytes, .send_arg = &w, .body_len = 100000 };
	struct net_client *c;
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	c = net_client_new(&o, &e);
	assert_non_null(c);
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	(void)pthread_mutex_lock(&w.lock);
	while (w.done == 0)
		(void)pthread_cond_wait(&w.changed, &w.lock);
	(void)pthread_mutex_unlock(&w.lock);
	assert_int_equal(w.cut, 1);
	net_client_free(c);
	throttle_free(slow);
}

static void *
ask_hold(void *arg)
{
	struct net_ask a = { .method = "GET", .path = "/hold" };
	struct net_answer r;
	struct err e;

	*(unsigned *)arg = ask(&a, &r, &e);
	if (*(unsigned *)arg != 0)
		net_answer_free(&r);
	else
		print_message("%s\n", e.msg);
	return NULL;
}

static void
a_handler_may_take_longer_than_a_client(void **state)
{
	unsigned status = 0;
	pthread_t t;
	int fd;
	char c;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, ask_hold, &status), 0);
	(void)pthread_mutex_lock(&w.lock);
	while (!w.held)
		(void)pthread_cond_wait(&w.changed, &w.lock);
	(void)pthread_mutex_unlock(&w.lock);
	/* As long as it takes to lose patience with somebody else. */
	fd = world_connect(&w, "127.0.0.1");
	assert_true(read(fd, &c, 1) <= 0);
	(void)close(fd);
	(void)pthread_mutex_lock(&w.lock);
	w.let_go = 1;
	(void)pthread_cond_broadcast(&w.changed);
	(void)pthread_mutex_unlock(&w.lock);
	(void)pthread_join(t, NULL);
	assert_int_equal(status, 200);
}

static void
a_stop_lets_what_is_under_way_end(void **state)
{
	unsigned status = 0;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, ask_hold, &status), 0);
	(void)pthread_mutex_lock(&w.lock);
	while (!w.held)
		(void)pthread_cond_wait(&w.changed, &w.lock);
	w.let_go = 1;
	(void)pthread_cond_broadcast(&w.changed);
	(void)pthread_mutex_unlock(&w.lock);
	net_server_stop(w.server, 60);
	w.server = NULL;
	(void)pthread_join(t, NULL);
	assert_int_equal(status, 200);
}

static int
start_narrow(void **state)
{
	(void)state;
	secret_init();
	memset(&so, 0, sizeof(so));
	so.connections = 64;
	so.connections_per_client = 8;
	world_start(&w, &so);
	return 0;
}

static void
idle_connections_of_one_address_do_not_keep_out_another(void **state)
{
	struct net_ask a = { .method = "GET", .path = "/echo" };
	struct net_server_numbers n;
	struct net_answer r;
	struct err e;
	int fd[300];

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		fd[i] = world_connect(&w, "127.0.0.9");
	assert_int_equal(ask(&a, &r, &e), 200);
	net_answer_free(&r);
	net_server_numbers(w.server, &n);
	assert_true(n.open <= 9);
	assert_string_equal(w.client, "127.0.0.1");
	for (unsigned i = 0; i < 300; i++)
		if (fd[i] != -1)
			(void)close(fd[i]);
}

static void
many_clients_are_answered_at_once(void **state)
{
	unsigned status[8] = { 0 };
	pthread_t t[8];
	struct net_ask a = { .method = "GET", .path = "/echo" };
	struct net_answer r;
	struct err e;

	(void)state;
	so.connections_per_client = 0;
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_hold, &status[i]), 0);
	assert_int_equal(ask(&a, &r, &e), 200);	/* while the others wait */
	net_answer_free(&r);
	(void)pthread_mutex_lock(&w.lock);
	w.let_go = 1;
	(void)pthread_cond_broadcast(&w.changed);
	(void)pthread_mutex_unlock(&w.lock);
	for (unsigned i = 0; i < 7; i++) {
		(void)pthread_join(t[i], NULL);
		assert_int_equal(status[i], 200);
	}
}

static void
an_address_that_is_taken_or_none_is_said(void **state)
{
	static const char *const bad[] = { "", "8741", ":8741", "localhost", "localhost:", "localhost:x", "::1:80",
	    "[::1:80", "localhost:70000" };
	struct net_server_options o = so;
	struct net_server_ops ops = { 0 };
	char taken[64];
	struct err e;

	(void)state;
	o.ops = &ops;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o.address = bad[i];
		err_clear(&e);
		assert_null(net_server_start(&o, (const struct tls_key *const *)w.keys, 2, &e));
		assert_int_equal(e.code, ERR_USAGE);
	}
	(void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", net_server_port(w.server));
	o.address = taken;
	err_clear(&e);
	assert_null(net_server_start(&o, (const struct tls_key *const *)w.keys, 2, &e));
	assert_int_equal(e.code, ERR_BUSY);
}

int
main(void)
{
#define T(name)		cmocka_unit_test_setup_teardown(name, start, end)
#define HASTY(name)	cmocka_unit_test_setup_teardown(name, start_hasty, end)
#define NARROW(name)	cmocka_unit_test_setup_teardown(name, start_narrow, end)
	const struct CMUnitTest tests[] = {
		T(a_body_comes_back_as_it_was_in_memory_and_in_a_file),
		T(a_body_above_the_limit_is_refused_and_not_read),
		T(a_refusal_arrives_although_the_body_is_on_its_way),
		T(ranges_are_cut_out_of_the_whole),
		T(paths_that_are_not_plain_are_refused),
		T(a_method_that_nobody_needs_is_refused),
		T(each_name_shows_its_own_key),
		HASTY(who_says_nothing_is_sent_away),
		HASTY(a_body_that_stops_coming_is_cut),
		HASTY(a_body_that_trickles_in_is_cut),
		HASTY(a_handler_may_take_longer_than_a_client),
		T(a_stop_lets_what_is_under_way_end),
		NARROW(idle_connections_of_one_address_do_not_keep_out_another),
		NARROW(many_clients_are_answered_at_once),
		T(an_address_that_is_taken_or_none_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
