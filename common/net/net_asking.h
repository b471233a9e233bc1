#ifndef SAMARA_NET_NET_ASKING_H
#define SAMARA_NET_NET_ASKING_H

/* What the parts of the client share; private to net_client.c, net_ask.c and net_proxy.c. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/net/net_client.h"
#include "common/net/net_mark.h"

#define ASKING_IDLE	16	/* connections kept for the next request */

struct net_client {
	char *base;			/* what is asked: "https://NAME:PORT/path" */
	char *host;			/* for messages and no_proxy: as in the URL */
	char *connect_to;		/* "::host:port" where the name asked for is not the URL's; else NULL */
	char *proxy;			/* "" for none */
	char proxy_name[300];		/* without user and password */
	struct throttle *throttle;
	unsigned connect_seconds, stall_seconds, first_wait;
	pthread_mutex_t lock;		/* all below */
	char *token;			/* secret memory */
	uint8_t pin[NET_PIN_LEN];
	int pinned;
	unsigned generation;		/* of pin: connections made before are not used again */
	void *idle[ASKING_IDLE];	/* CURL */
	unsigned nidle;
	atomic_uint_fast64_t sent, received;
	atomic_bool narrow;		/* a window was made small for a rate: connections that are kept may have it still */
};

/* One try of a request. */
struct asking {
	struct net_client *c;
	const struct net_ask *a;
	struct net_answer *r;
	struct err *e;
	void *curl;			/* CURL */
	uint8_t pin[NET_PIN_LEN];
	int pinned;
	uint64_t off;			/* of the body, sent */
	uint64_t taken;			/* of the answer, given to a->take by all tries together */
	uint64_t skipped;		/* taken when this try began: it asks for what follows */
	uint64_t got;			/* of this answer's body */
	int failed;			/* e says why; the try is over */
	int wrong_pin;
	char mark[2 * NET_MARK_LEN + 1];	/* of this try; its answer has the same, where the server gives any back */
	int strange;			/* an answer with another came */
	int window;			/* the wide one that was set for this try; 0: none */
	uint64_t range_begin, range_end;	/* of Content-Range */
	int ranged;
};

/* One try: 0 with r filled; 1 it may be tried again (e says what happened); -1. */
int asking_try(struct asking *t);

/**
 * proxy_choose(o, host, out, e):
 * The proxy for ${host}: o->proxy, or the one that https_proxy, all_proxy and
 * no_proxy name; "" for none.  ${out} is new.  0 or -1 with ${e}.
 */
int proxy_choose(const char *given, const char *host, char **out, struct err *e);

/* The proxy without user and password, for messages. */
void proxy_name(const char *proxy, char *out, size_t cap);

#endif
