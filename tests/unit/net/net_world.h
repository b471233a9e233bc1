#ifndef SAMARA_TESTS_NET_WORLD_H
#define SAMARA_TESTS_NET_WORLD_H

/* A server with a handful of answers, and what it saw; for the tests of common/net. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/net/net_client.h"
#include "common/net/net_mark.h"
#include "common/net/net_server.h"
#include "common/net/tls_key.h"

#define WORLD_BODY_MAX	(1u << 20)

struct world {
	struct net_server *server;
	struct tls_key *keys[2];
	uint8_t pin[2][NET_PIN_LEN];
	char url[64];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned done, cut;	/* requests that ended; those whose client went away, or was sent away */
	unsigned last_status;
	unsigned later;		/* how often "/later" still says 503 */
	unsigned strange;	/* how often "/strange" still gives the answer to another request */
	unsigned torn;		/* how often "/torn" still breaks off */
	int held, let_go;	/* "/hold" waits in between */
	char token[128], server_name[128], client[64], path[600], query[600];
	int body_in_file;
};

static inline int
world_head(void *arg, struct net_request *r, uint64_t *body_max, struct net_reply *out)
{
	struct world *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	(void)snprintf(w->token, sizeof(w->token), "%s", r->token == NULL ? "" : r->token);
	(void)snprintf(w->server_name, sizeof(w->server_name), "%s", r->server_name == NULL ? "" : r->server_name);
	(void)snprintf(w->client, sizeof(w->client), "%s", r->client);
	(void)snprintf(w->path, sizeof(w->path), "%s", r->path);
	(void)snprintf(w->query, sizeof(w->query), "%s", r->query);
	(void)pthread_mutex_unlock(&w->lock);
	r->plan = w;
	*body_max = WORLD_BODY_MAX;
	if (strcmp(r->path, "/refused") != 0)
		return 0;
	out->status = 403;
	out->type = "text/plain";
	buf_str(&out->body, "no");
	return 1;
}

/* Byte ${off} of "/pattern" and "/torn". */
static inline uint8_t
world_byte(uint64_t off)
{
	return (uint8_t)(off * 31 + (off >> 8));
}

static inline int
world_pattern(void *arg, uint64_t off, void *out, size_t cap)
{
	(void)arg;
	for (size_t i = 0; i < cap; i++)
		((uint8_t *)out)[i] = world_byte(off + i);
	return (int)cap;
}

/* Breaks off behind the first 300,000 bytes, as long as it is to. */
static inline int
world_torn(void *arg, uint64_t off, void *out, size_t cap)
{
	struct world *w = arg;
	int torn;

	(void)pthread_mutex_lock(&w->lock);
	torn = off > 300000 && w->torn > 0;
	w->torn -= (unsigned)torn;
	(void)pthread_mutex_unlock(&w->lock);
	return torn ? -1 : world_pattern(NULL, off, out, cap);
}

static inline void
world_echo(const struct net_request *r, struct net_reply *out)
{
	uint8_t *at = buf_room(&out->body, (size_t)r->body_len + 1);

	assert_non_null(at);
	if (r->body_fd == -1 && r->body_len > 0)
		memcpy(at, r->body, (size_t)r->body_len);
	else if (r->body_fd != -1)
		assert_int_equal(io_read_full(r->body_fd, at, (size_t)r->body_len, 0), r->body_len);
	buf_grew(&out->body, (size_t)r->body_len);
}

static inline void
world_handle(void *arg, struct net_request *r, struct net_reply *out)
{
	struct world *w = arg;

	assert_ptr_equal(r->plan, w);
	out->status = 200;
	(void)pthread_mutex_lock(&w->lock);
	w->body_in_file = r->body_fd != -1;
	if (strcmp(r->path, "/later") == 0 && w->later > 0) {
		w->later--;
		out->status = 503;
	} else if (strcmp(r->path, "/strange") == 0 && w->strange > 0) {
		w->strange--;
		(void)snprintf(out->headers, sizeof(out->headers), NET_MARK ": 0123456789abcdef\n");
	} else if (strcmp(r->path, "/hold") == 0) {
		w->held = 1;
		(void)pthread_cond_broadcast(&w->changed);
		while (!w->let_go)
			(void)pthread_cond_wait(&w->changed, &w->lock);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (strcmp(r->path, "/echo") == 0)
		world_echo(r, out);
	if (strcmp(r->path, "/pattern") == 0 || strcmp(r->path, "/torn") == 0) {
		out->read = strcmp(r->path, "/torn") == 0 ? world_torn : world_pattern;
		out->read_arg = w;
		out->length = 1000000;
		(void)snprintf(out->headers, sizeof(out->headers), "X-One: 1\nX-Two: 2\n");
	}
}

static inline void
world_done(void *arg, struct net_request *r, unsigned status, uint64_t in, uint64_t out, int64_t ns)
{
	struct world *w = arg;

	(void)r;
	(void)in;
	(void)out;
	assert_true(ns >= 0);
	(void)pthread_mutex_lock(&w->lock);
	w->done++;
	w->cut += status == 0;
	w->last_status = status;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

static inline struct tls_key *
world_key(const char *name)
{
	struct tls_key *k;
	struct err e;
	struct buf pem;

	err_clear(&e);
	buf_init(&pem);
	assert_int_equal(tls_key_make(&pem, &e), 0);
	k = tls_key_open(pem.p, pem.len, name, &e);
	assert_non_null(k);
	buf_release(&pem);
	return k;
}

/* Start it as ${o} says; the rest of ${o} is filled in. */
static inline void
world_start(struct world *w, struct net_server_options *o)
{
	struct net_server_ops ops = { .head = world_head, .handle = world_handle, .done = world_done, .arg = w };
	struct err e;

	err_clear(&e);
	memset(w, 0, sizeof(*w));
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	w->keys[0] = world_key("first");
	w->keys[1] = world_key("second");
	for (unsigned i = 0; i < 2; i++)
		tls_key_pin(w->keys[i], w->pin[i]);
	if (o->address == NULL)
		o->address = "127.0.0.1:0";
	o->ops = &ops;
	o->tmpfd = open("/tmp", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	w->server = net_server_start(o, (const struct tls_key *const *)w->keys, 2, &e);
	if (w->server == NULL)
		fail_msg("%s", e.msg);
	(void)snprintf(w->url, sizeof(w->url), "https://127.0.0.1:%u", net_server_port(w->server));
}

static inline void
world_end(struct world *w, int tmpfd)
{
	net_server_stop(w->server, 0);
	tls_key_free(w->keys[0]);
	tls_key_free(w->keys[1]);
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->changed);
	(void)close(tmpfd);
}

static inline struct net_client *
world_client(const struct world *w)
{
	struct net_client_options o = { .url = w->url, .pin = w->pin[0], .proxy = "", .first_wait = 1 };
	struct net_client *c;
	struct err e;

	err_clear(&e);
	c = net_client_new(&o, &e);
	if (c == NULL)
		fail_msg("%s", e.msg);
	return c;
}

/* A plain connection from the address ${from}; -1 where it is refused. */
static inline int
world_connect(const struct world *w, const char *from)
{
	struct sockaddr_in me = { .sin_family = AF_INET }, it = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(inet_pton(AF_INET, from, &me.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &it.sin_addr), 1);
	it.sin_port = htons((uint16_t)net_server_port(w->server));
	assert_int_equal(bind(fd, (struct sockaddr *)&me, sizeof(me)), 0);
	if (connect(fd, (struct sockaddr *)&it, sizeof(it)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

#endif
