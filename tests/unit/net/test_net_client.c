#include "net/net_world.h"

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
	stop_reset();
	world_end(&w, so.tmpfd);
	return 0;
}

static void
a_server_with_another_key_is_told_nothing(void **state)
{
	struct net_client_options o = { .url = w.url, .pin = w.pin[1], .proxy = "", .token = "secret" };
	struct net_ask a = { .method = "GET", .path = "/echo", .tries = 3 };
	struct net_server_numbers n;
	struct net_client *c;
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	c = net_client_new(&o, &e);
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_PIN);
	net_server_numbers(w.server, &n);
	assert_int_equal(n.requests, 0);
	/* Trusted from now on, the same client goes on. */
	assert_int_equal(net_client_pin(c, w.pin[0], &e), 0);
	assert_int_equal(net_ask(c, &a, &r, &e), 0);
	assert_string_equal(w.token, "secret");
	net_answer_free(&r);
	/* And what was trusted is not, even over the connection that stands. */
	assert_int_equal(net_client_pin(c, w.pin[1], &e), 0);
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_PIN);
	net_client_free(c);
}

static void
without_a_pin_the_key_is_told(void **state)
{
	struct net_client_options o = { .url = w.url, .proxy = "" };
	struct net_ask a = { .method = "GET", .path = "/echo" };
	struct net_client *c;
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	c = net_client_new(&o, &e);
	for (unsigned i = 0; i < 2; i++) {	/* also over a connection that stood already */
		assert_int_equal(net_ask(c, &a, &r, &e), 0);
		assert_memory_equal(r.pin, w.pin[0], NET_PIN_LEN);
		assert_true(r.date > 0);
		assert_string_equal(w.token, "");
		net_answer_free(&r);
	}
	net_client_free(c);
}

static void
the_token_can_change(void **state)
{
	struct net_ask a = { .method = "GET", .path = "/echo" };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(net_client_token(c, "two\r\nHost: x", &e), -1);
	assert_int_equal(net_client_token(c, "abc", &e), 0);
	assert_int_equal(net_ask(c, &a, &r, &e), 0);
	net_answer_free(&r);
	assert_string_equal(w.token, "abc");
	assert_int_equal(net_client_token(c, NULL, &e), 0);
	assert_int_equal(net_ask(c, &a, &r, &e), 0);
	net_answer_free(&r);
	assert_string_equal(w.token, "");
	net_client_free(c);
}

static void
it_is_tried_again_while_the_server_says_later(void **state)
{
	struct net_ask a = { .method = "GET", .path = "/later", .tries = 4 };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	w.later = 3;
	assert_int_equal(net_ask(c, &a, &r, &e), 0);
	assert_int_equal(r.status, 200);
	net_answer_free(&r);
	w.later = 4;
	assert_int_equal(net_ask(c, &a, &r, &e), 0);
	assert_int_equal(r.status, 503);
	net_answer_free(&r);
	assert_int_equal(w.later, 0);
	net_client_free(c);
}

struct taken {
	uint64_t n, limit;
};

static int
take(void *arg, const void *bytes, size_t len, struct err *e)
{
	struct taken *t = arg;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(((const uint8_t *)bytes)[i], world_byte(t->n + i));
	t->n += len;
	return t->n > t->limit ? err_set(e, ERR_NO_SPACE, "enough") : 0;
}

static void
an_answer_to_another_request_is_a_break(void **state)
{
	struct net_ask a = { .method = "GET", .path = "/strange" };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	w.strange = 1;
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_LINE);
	assert_non_null(strstr(e.msg, "another request"));
	/* Tried again it is another request, over another connection, and has its own answer. */
	w.strange = 2;
	a.tries = 3;
	assert_int_equal(net_ask(c, &a, &r, &e), 0);
	assert_int_equal(r.status, 200);
	assert_int_equal(w.strange, 0);
	net_answer_free(&r);
	net_client_free(c);
}

static void
a_stream_that_breaks_goes_on_where_it_broke(void **state)
{
	struct taken got = { 0, UINT64_MAX };
	struct net_ask a = { .method = "GET", .path = "/torn", .tries = 6, .take = take, .take_arg = &got };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	w.torn = 3;
	if (net_ask(c, &a, &r, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(got.n, 1000000);
	assert_int_equal(w.torn, 0);
	net_answer_free(&r);
	/* With no more tries it is a line that broke, not an answer. */
	w.torn = 1;
	got.n = 0;
	a.tries = 1;
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_LINE);
	net_client_free(c);
}

static void
who_takes_the_answer_can_end_it(void **state)
{
	struct taken got = { 0, 1000 };
	struct net_ask a = { .method = "GET", .path = "/pattern", .tries = 3, .take = take, .take_arg = &got };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	net_client_free(c);
}

static void
an_answer_longer_than_it_can_be_is_none(void **state)
{
	struct net_ask a = { .method = "GET", .path = "/pattern", .answer_max = 999999 };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
	a.answer_max = 1000000;
	assert_int_equal(net_ask(c, &a, &r, &e), 0);
	assert_int_equal(r.body.len, 1000000);
	net_answer_free(&r);
	net_client_free(c);
}

static void
somebody_asks_to_stop(void **state)
{
	struct net_ask a = { .method = "GET", .path = "/echo", .tries = 3 };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	stop_ask();
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_INTERRUPTED);
	net_client_free(c);
}

static void
nobody_there_is_told_as_such(void **state)
{
	struct net_ask a = { .method = "GET", .path = "/echo" };
	struct net_client *c = world_client(&w);
	struct net_answer r;
	struct err e;

	(void)state;
	err_clear(&e);
	net_server_stop(w.server, 0);
	w.server = NULL;
	assert_int_equal(net_ask(c, &a, &r, &e), -1);
	assert_int_equal(e.code, ERR_LINE);
	assert_non_null(strstr(e.msg, "127.0.0.1"));
	net_client_free(c);
}

static void
addresses_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", "http://x", "https://", "https:///x", "https://x:", "https://x:y",
	    "https://u:p@x", "https://x/?a", "https://[::1", "x:1" };
	struct net_client_options o = { .proxy = "" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o.url = bad[i];
		err_clear(&e);
		assert_null(net_client_new(&o, &e));
		assert_int_equal(e.code, ERR_USAGE);
	}
	o.url = "https://x";
	o.proxy = "socks5://y";
	assert_null(net_client_new(&o, &e));
	assert_int_equal(e.code, ERR_USAGE);
}

int
main(void)
{
#define T(name)	cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		T(a_server_with_another_key_is_told_nothing),
		T(without_a_pin_the_key_is_told),
		T(the_token_can_change),
		T(it_is_tried_again_while_the_server_says_later),
		T(an_answer_to_another_request_is_a_break),
		T(a_stream_that_breaks_goes_on_where_it_broke),
		T(who_takes_the_answer_can_end_it),
		T(an_answer_longer_than_it_can_be_is_none),
		T(somebody_asks_to_stop),
		T(nobody_there_is_told_as_such),
		T(addresses_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
