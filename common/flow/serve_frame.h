#ifndef SAMARA_FLOW_SERVE_FRAME_H
#define SAMARA_FLOW_SERVE_FRAME_H

/* The frame of the server; private to serve.c, serve_call.c, serve_pool.c, serve_metrics.c and serve_keep.c. */

#include <pthread.h>
#include <stdatomic.h>

#include "common/flow/serve.h"
#include "common/flow/serve_job.h"

#define POOL_HANDLES	24		/* of a vault at once; who comes later waits */
#define HANDLE_MEMORY	(UINT64_C(4) << 20)	/* of the catalog, each */

/* A vault with its pool of handles. */
struct serve_vault {
	struct vault *first;		/* the keys come from here; also the first handle of the pool */
	struct tls_key *tls;
	uint8_t pin[32];
	pthread_mutex_t lock;
	pthread_cond_t returned;
	struct vault *idle[POOL_HANDLES];
	unsigned nidle, nopen;
	atomic_uint_fast64_t status[6];	/* answers by the first digit of their status; 0: cut */
};

struct serve {
	struct serve_vault *vaults;
	size_t nvaults;
	struct net_server *net;
	const char *const *metrics_from;
	size_t nmetrics_from;
	atomic_uint_fast64_t other[6];	/* as status, of requests that concern no vault */
	atomic_uint_fast64_t hook_failures;
	pthread_mutex_t lock;		/* of the housekeeping threads */
	pthread_cond_t wake;
	struct serve_keeper {
		struct serve *s;
		unsigned number;
		pthread_t thread;
	} keeper[SERVE_KEEPERS];
	unsigned keeping;		/* of them run */
	int ending;
	int64_t began;			/* seconds */
};

/* What is known of a request from its head on. */
struct serve_plan {
	struct serve_vault *sv;		/* NULL: "/healthz", "/metrics" */
	const struct serve_route *route;
	uint64_t body_max;		/* of all routes that it may turn out to be, until the body says which */
	char path[NET_PATH_MAX + 1];	/* its parts, cut */
	const char *part[SERVE_PARTS];
	unsigned nparts;
	char who[64];			/* for the log: the machine's name, fit for a terminal */
};

/* A handle for this thread, or NULL with ${e}.  Given back with pool_give. */
struct vault *pool_take(struct serve_vault *sv, struct err *e);
void pool_give(struct serve_vault *sv, struct vault *v);

/* The problem document of ${e} (RFC 9457) into ${out}; ${c}: whose figures go in, or NULL. */
void serve_problem(struct net_reply *out, const struct err *e, const struct serve_call *c);

/**
 * serve_open(o, e), serve_ops(s, ops):
 * As serve_start, but nobody listens and nobody keeps house: the vaults are open, and ${ops} become what answers
 * requests to them, as a server would call it.  NULL with ${e}.  End with serve_stop.
 */
struct serve *serve_open(const struct serve_options *o, struct err *e);
void serve_ops(struct serve *s, struct net_server_ops *ops);

/*
 * Find the route of what is left of the path behind the vault's name, and how long its body may be.  Statements share
 * a path: the first of theirs, and the most that any takes.  0; -1 with ${status} 404 or 405.
 */
int route_find(struct serve_plan *p, const char *method, char *rest, unsigned *status);

/* The route of POST statements whose magic is ${magic}, or NULL. */
const struct serve_route *route_statement(const uint8_t *magic);

/* Prometheus' text into ${out}. */
void serve_metrics_print(struct serve *s, struct net_reply *out);

/* Start and end the housekeeping threads. */
int serve_keep_start(struct serve *s, struct err *e);
void serve_keep_stop(struct serve *s);

#endif
