#ifndef SAMARA_NET_NET_CLIENT_H
#define SAMARA_NET_NET_CLIENT_H

/*
 * An HTTPS client that trusts one key (RFC 7469's pin: the SHA-256 of the
 * SubjectPublicKeyInfo) and no certificate authority.  One client serves many
 * threads; connections are kept and used again.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct err;
struct net_client;
struct throttle;

#define NET_PIN_LEN	32

struct net_client_options {
	const char *url;		/* "https://vault.example:8741"; what is asked for is added to it */
	const uint8_t *pin;		/* NET_PIN_LEN bytes (copied); NULL: any key is taken, and net_answer says which */
	const char *server_name;	/* SNI and Host for a server of many keys; NULL: the URL's */
	const char *token;		/* copied, wiped; NULL: none */
	const char *proxy;		/* "http://user:password@host:port"; NULL: https_proxy and no_proxy; "": none */
	struct throttle *throttle;	/* NULL: none; borrowed; shared by all that use the line */
	unsigned connect_seconds;	/* 0: 20 */
	unsigned stall_seconds;		/* without a byte either way; 0: 60 */
	unsigned first_wait;		/* milliseconds before the first repetition, then twice that each time, at most 30 s; 0: 500 */
};

/* NULL with ${e}: ERR_USAGE for the URL ("https://host[:port][/path]") or the proxy.  Free with net_client_free (NULL is allowed). */
struct net_client *net_client_new(const struct net_client_options *o, struct err *e);
void net_client_free(struct net_client *c);

/* Another token, another pin (NULL: none, any) from now on.  Any thread. */
int net_client_pin(struct net_client *c, const uint8_t *pin, struct err *e);
int net_client_token(struct net_client *c, const char *token, struct err *e);

/* Bytes of a body to send: put at most ${cap} at ${out}; how many, 0 at the end, -1 gives up. */
typedef long (*net_send_fn)(void *arg, uint64_t off, void *out, size_t cap);
/* Takes ${len} bytes of an answer with status 2xx.  0, or -1 with ${e}, which ends the request with that error. */
typedef int (*net_take_fn)(void *arg, const void *bytes, size_t len, struct err *e);

struct net_ask {
	const char *method, *path;	/* "/v1/…?…" */
	const void *body;		/* or NULL, and: */
	uint64_t body_len;
	net_send_fn send;		/* gives ${body_len} bytes; from any offset, when the request is tried again */
	void *send_arg;
	const char *type;		/* of the body; NULL: application/octet-stream */
	uint64_t range_from, range_len;	/* of a GET: an answer that is not exactly that is ERR_PROTOCOL; range_len 0: all */
	net_take_fn take;		/* NULL: the answer goes into net_answer.body */
	void *take_arg;
	uint64_t answer_max;		/* a longer one is ERR_PROTOCOL; 0: 1 MiB */
	/*
	 * 0: 1.  Again after a break, 429, 502, 503, 504, with growing waits; only what may be
	 * repeated.  A GET of which ${take} has had a part goes on behind it.
	 */
	unsigned tries;
	unsigned patience_seconds;	/* for the answer to begin; 0: the client's stall_seconds */
};

struct net_answer {
	unsigned status;
	struct buf body;		/* of 2xx without take, and of everything else (at most 64 KiB) */
	char type[64];			/* media type, lower case, without parameters */
	int64_t date;			/* of the Date header, seconds; 0: none */
	uint8_t pin[NET_PIN_LEN];	/* of the server's key */
	uint64_t sent, received;	/* bytes of bodies, of all tries together */
	uint64_t retry_after;		/* seconds; 0: not said */
};

/**
 * net_ask(c, a, r, e):
 * One request and its answer, from any thread.  0 with ${r} whatever the status
 * is (release with net_answer_free); -1 with ${e}: ERR_LINE (who cannot be reached, and
 * why; also an answer that broke off), ERR_PROXY, ERR_PIN, ERR_PROTOCOL (an answer
 * that is no answer, or too long), ERR_INTERRUPTED (stop.h), or what ${take} says.
 * Nothing of a request is sent to a server whose key is not the pinned one.
 * Each try has a mark of its own (net_mark.h); an answer that comes back with another, as
 * when something in between answers twice, is taken for a break, and the connection is given up.
 */
int net_ask(struct net_client *c, const struct net_ask *a, struct net_answer *r, struct err *e);
void net_answer_free(struct net_answer *r);

/* Bytes sent and received so far: heads and bodies, of all tries. */
void net_client_bytes(struct net_client *c, uint64_t *sent, uint64_t *received);

#endif
