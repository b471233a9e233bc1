#include "common/net/net_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/err.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/net/net_asking.h"

#define WAIT_MOST	30000u	/* milliseconds between two tries */
#define WAIT_SLICE	50u

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
library_start(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* "https://host[:port][/path]" in its parts; ${host} keeps the brackets of an IPv6 address. */
static int
url_split(const char *url, char *host, size_t cap, char *port, size_t pcap, const char **path)
{
	const char *p, *end;

	if (strncasecmp(url, "https://", 8) != 0)
		return -1;
	p = url + 8;
	end = *p == '[' ? strchr(p, ']') : p + strcspn(p, ":/?#@");
	if (end == NULL || end == p)
		return -1;
	if (*p == '[')
		end++;
	if (snprintf(host, cap, "%.*s", (int)(end - p), p) >= (int)cap)
		return -1;
	(void)snprintf(port, pcap, "443");
	if (*end == ':') {
		size_t n = strspn(++end, "0123456789");

		if (n == 0 || n > 5 || snprintf(port, pcap, "%.*s", (int)n, end) >= (int)pcap)
			return -1;
		end += n;
	}
	*path = end;
	return *end == '\0' || (*end == '/' && strpbrk(end, "?#") == NULL) ? 0 : -1;
}

static int
client_name(struct net_client *c, const struct net_client_options *o, struct err *e)
{
	char host[256], port[8], base[1024], to[300];
	const char *path;
	size_t len;

	if (url_split(o->url, host, sizeof(host), port, sizeof(port), &path) != 0)
		return err_set(e, ERR_USAGE, "\"%.100s\" is not an address: https://host:port", o->url);
	if (snprintf(base, sizeof(base), "https://%s:%s%s", o->server_name != NULL ? o->server_name : host, port, path) >=
	    (int)sizeof(base))
		return err_set(e, ERR_USAGE, "the address is too long");
	for (len = strlen(base); len > 0 && base[len - 1] == '/'; len--)
		base[len - 1] = '\0';
	(void)snprintf(to, sizeof(to), "::%s:%s", host, port);
	if ((c->base = strdup(base)) == NULL || (c->host = strdup(host)) == NULL ||
	    (o->server_name != NULL && (c->connect_to = strdup(to)) == NULL))
		return err_errno(e, "the line");
	return 0;
}

struct net_client *
net_client_new(const struct net_client_options *o, struct err *e)
{
	struct net_client *c = calloc(1, sizeof(*c));

	(void)pthread_once(&once, library_start);
	if (c == NULL || pthread_mutex_init(&c->lock, NULL) != 0) {
		(void)err_errno(e, "the line");
		free(c);
		return NULL;
	}
	c->throttle = o->throttle;
	c->connect_seconds = o->connect_seconds > 0 ? o->connect_seconds : 20;
	c->stall_seconds = o->stall_seconds > 0 ? o->stall_seconds : 60;
	c->first_wait = o->first_wait > 0 ? o->first_wait : 500;
	if (client_name(c, o, e) != 0 || proxy_choose(o->proxy, c->host, &c->proxy, e) != 0 ||
	    net_client_token(c, o->token, e) != 0 || net_client_pin(c, o->pin, e) != 0) {
		net_client_free(c);
		return NULL;
	}
	proxy_name(c->proxy, c->proxy_name, sizeof(c->proxy_name));
	return c;
}

void
net_client_free(struct net_client *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->nidle; i++)
		curl_easy_cleanup(c->idle[i]);
	secret_free(c->token);
	if (c->proxy != NULL)
		secret_wipe(c->proxy, strlen(c->proxy));
	free(c->proxy);
	free(c->connect_to);
	free(c->host);
	free(c->base);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

int
net_client_token(struct net_client *c, const char *token, struct err *e)
{
	char *mine = NULL, *was;

	if (token != NULL) {
		size_t len = strlen(token) + 1;

		if (strpbrk(token, "\r\n") != NULL)
			return err_set(e, ERR_TOKEN, "the token has a line break in it");
		mine = secret_new(len);
		memcpy(mine, token, len);
	}
	(void)pthread_mutex_lock(&c->lock);
	was = c->token;
	c->token = mine;
	(void)pthread_mutex_unlock(&c->lock);
	secret_free(was);
	return 0;
}

int
net_client_pin(struct net_client *c, const uint8_t *pin, struct err *e)
{
	CURL *drop[ASKING_IDLE];
	unsigned n;

	(void)e;
	(void)pthread_mutex_lock(&c->lock);
	c->pinned = pin != NULL;
	if (pin != NULL)
		memcpy(c->pin, pin, NET_PIN_LEN);
	c->generation++;
	n = c->nidle;
	memcpy(drop, c->idle, n * sizeof(drop[0]));
	c->nidle = 0;
	(void)pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < n; i++)
		curl_easy_cleanup(drop[i]);
	return 0;
}

/* Wait before try ${n} (from 1), or as long as the server said; -1 when somebody asks to stop. */
static int
wait_again(const struct net_client *c, unsigned n, uint64_t said, struct err *e)
{
	uint64_t ms = c->first_wait;

	for (unsigned i = 1; i < n && ms < WAIT_MOST; i++)
		ms *= 2;
	if (said > 0 && said * 1000 > ms)
		ms = said * 1000;
	if (ms > WAIT_MOST)
		ms = WAIT_MOST;
	for (; ms > 0; ms -= ms < WAIT_SLICE ? ms : WAIT_SLICE) {
		const struct timespec t = { .tv_nsec = (long)(ms < WAIT_SLICE ? ms : WAIT_SLICE) * 1000000 };

		if (stop_check(e) != 0)
			return -1;
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	}
	return stop_check(e);
}

static CURL *
curl_get(struct net_client *c, struct asking *t, unsigned *generation)
{
	CURL *curl = NULL;

	(void)pthread_mutex_lock(&c->lock);
	if (c->nidle > 0)
		curl = c->idle[--c->nidle];
	*generation = c->generation;
	t->pinned = c->pinned;
	memcpy(t->pin, c->pin, NET_PIN_LEN);
	(void)pthread_mutex_unlock(&c->lock);
	return curl != NULL ? curl : curl_easy_init();
}

static void
curl_put(struct net_client *c, CURL *curl, unsigned generation)
{
	curl_easy_reset(curl);
	(void)pthread_mutex_lock(&c->lock);
	if (generation == c->generation && c->nidle < ASKING_IDLE) {
		c->idle[c->nidle++] = curl;
		curl = NULL;
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (curl != NULL)
		curl_easy_cleanup(curl);
}

int
net_ask(struct net_client *c, const struct net_ask *a, struct net_answer *r, struct err *e)
{
	struct asking t = { .c = c, .a = a, .r = r, .e = e };
	unsigned tries = a->tries > 0 ? a->tries : 1, generation;
	int rc;

	memset(r, 0, sizeof(*r));
	buf_init(&r->body);
	for (unsigned n = 1;; n++) {
		if ((rc = stop_check(e)) != 0)
			break;
		if ((t.curl = curl_get(c, &t, &generation)) == NULL) {
			rc = err_set(e, ERR_MEMORY, "the line: no memory");
			break;
		}
		if (e != NULL)
			err_clear(e);
		rc = asking_try(&t);
		curl_put(c, t.curl, generation);
		if (rc <= 0 || n >= tries)
			break;
		if ((rc = wait_again(c, n, r->retry_after, e)) != 0)
			break;
	}
	/* An answer that says "later" is an answer, when there are no more tries. */
	if (rc == 1 && r->status != 0 && !t.failed)
		rc = 0;
	if (rc == 0)
		return 0;
	net_answer_free(r);
	return -1;
}

void
net_answer_free(struct net_answer *r)
{
	if (r->body.p != NULL)
		secret_wipe(r->body.p, r->body.len);
	buf_release(&r->body);
}

void
net_client_bytes(struct net_client *c, uint64_t *sent, uint64_t *received)
{
	*sent = atomic_load(&c->sent);
	*received = atomic_load(&c->received);
}
