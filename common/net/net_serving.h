#ifndef SAMARA_NET_NET_SERVING_H
#define SAMARA_NET_NET_SERVING_H

/* What the parts of the server share; private to net_server.c, net_request.c and net_reply.c. */

#include <pthread.h>
#include <stdatomic.h>

#include "common/net/net_mark.h"
#include "common/net/net_server.h"

#define SERVING_BLOCK	(256u << 10)	/* of a reply that is read bit by bit */
#define SERVING_DRAIN	(1u << 20)	/* of a refused body is still read, so that the answer arrives */

struct MHD_Connection;
struct MHD_Daemon;
struct serving_key;	/* net_server.c */

/* One connection: who it is, and by when it must have got on. */
struct serving_conn {
	struct net_server *s;
	struct serving_conn *next, **back;
	int fd;
	char client[64];
	_Atomic int64_t deadline;	/* monotonic; INT64_MAX: none, a handler works */
	int64_t began;			/* what is waited for now; of the connection's thread alone */
};

/* One request. */
struct serving_request {
	struct net_request r;
	struct net_reply refusal;	/* where it was refused with a body still to come */
	struct serving_conn *conn;
	char *uri;			/* as it came; path and query point into it */
	int too_long, begun, refused, handled;
	char mark[NET_MARK_MAX + 1];			/* what the client knows its request by; "": nothing */
	char token[512], server_name[256], method[16];
	uint64_t body_max;
	struct buf memory;
	uint64_t got, sent;
	unsigned status;
	int64_t began;
};

struct net_server {
	struct net_server_ops ops;
	struct MHD_Daemon *daemon;
	int tmpfd, listener;
	size_t body_memory;
	unsigned idle_seconds, request_seconds, port;
	struct serving_key *keys;
	size_t nkeys;
	pthread_mutex_t lock;		/* conns, busy */
	pthread_cond_t changed;
	struct serving_conn *conns;
	unsigned busy;			/* requests under way */
	pthread_t watch;
	int watching, ending;
	atomic_int stopping;
	atomic_uint_fast64_t connections, requests, refused, in, out;
	atomic_uint open;
};

/* The connection waits from now on: for a head (${seconds} for all of it), a body, or for its reply to go. */
void serving_wait(struct serving_conn *c, unsigned seconds);

/* ${bytes} of the body or the reply have come or gone. */
void serving_moved(struct serving_conn *c, uint64_t bytes);

/* It waits for nobody: a handler works. */
void serving_work(struct serving_conn *c);

/**
 * request_begin(q, connection, method, out):
 * Read the head.  0, or 1 with ${out} filled: refused.
 */
int request_begin(struct serving_request *q, struct MHD_Connection *connection, const char *method, struct net_reply *out);

/* Takes bytes of the body.  0, or -1: the connection is to be cut. */
int request_body(struct serving_request *q, const void *bytes, size_t len);

/* The body is all there: q->r.body and so on are filled.  0, or 1 with ${out} filled. */
int request_whole(struct serving_request *q, struct net_reply *out);

/* Drop a request and its body.  NULL is allowed. */
void request_free(struct serving_request *q);

/* An answer that the server makes itself. */
void reply_problem(struct net_reply *out, unsigned status, const char *title);

/* Send ${out}, which is taken over.  As MHD_queue_response: MHD_YES or MHD_NO. */
int reply_send(struct serving_request *q, struct MHD_Connection *connection, struct net_reply *out);

/* Give up an answer that was not sent, and what it holds. */
void reply_drop(struct net_reply *out);

#endif
