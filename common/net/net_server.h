#ifndef SAMARA_NET_NET_SERVER_H
#define SAMARA_NET_NET_SERVER_H

/*
 * An HTTPS server (RFC 9110, 9112; TLS 1.2 and later) that knows nothing of
 * vaults.  A thread for each connection, so a handler may block on a disk; how
 * many there are, how long each may idle and how large a request may be is
 * bounded, so that who sends slowly holds up nobody.  A body must say its length
 * (411), a path may not be longer than NET_PATH_MAX (414).  What a request is
 * refused for by the server itself is answered as a problem document (RFC 9457)
 * without members of its own.  Every answer has the X-Request-ID of its request, where
 * that is at most 64 letters, digits and '-'.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct err;
struct net_server;
struct tls_key;

#define NET_PATH_MAX	512	/* bytes of a request's path, and of its query */

/* What is known of a request when its head has come. */
struct net_request {
	const char *method;		/* "GET", "HEAD", "POST", "PUT", "DELETE" */
	const char *path;		/* decoded, begins with '/'; no "//", no "." or ".." as a part */
	const char *query;		/* raw, without '?'; "" for none */
	const char *client;		/* address of the peer, as text */
	const char *token;		/* of "Authorization: Bearer …"; NULL: none */
	const char *server_name;	/* TLS SNI; NULL: none */
	uint64_t length;		/* Content-Length; UINT64_MAX where it is not said */
	/* Of "Range: bytes=a-b", to included ("a-": UINT64_MAX); from > to: no range.  The server cuts replies itself. */
	uint64_t range_from, range_to;
	/* The body, when it has come: in memory, or in a file without a name where it is long. */
	const uint8_t *body;
	uint64_t body_len;
	int body_fd;			/* -1: in memory.  Read with io->pread; the server closes it */
	void *plan;			/* what net_server_ops.head left for net_server_ops.handle */
};

/* Gives bytes ${off} … of a reply's body: how many were put at ${out} (at most ${cap}), 0 never, -1 cuts the connection. */
typedef int (*net_body_fn)(void *arg, uint64_t off, void *out, size_t cap);

/*
 * An answer.  Say all of what was asked for, with status 200: a GET with a range
 * gets its part of it with 206 and Content-Range, or 416.
 */
struct net_reply {
	unsigned status;		/* 200, …; set to 500 before the handler is called */
	const char *type;		/* static string: Content-Type; NULL: application/octet-stream */
	struct buf body;		/* the whole body, or empty and: */
	net_body_fn read;		/* where the body comes from, ${length} bytes of it */
	void (*read_free)(void *arg);	/* called once, when the connection is through with it; may be NULL */
	void *read_arg;
	uint64_t length;
	char headers[512];		/* more header lines, each "Name: value\n"; no CR */
};

struct net_server_ops {
	/*
	 * The head has come; from the connection's thread.  Say how long a body may be (0: none is taken), and do whatever
	 * can be refused now.  Return 0 to take it, or fill ${out} and return 1: refused, the body
	 * is not read.
	 */
	int (*head)(void *arg, struct net_request *r, uint64_t *body_max, struct net_reply *out);
	/* All of the request has come: fill ${out}.  From the connection's thread. */
	void (*handle)(void *arg, struct net_request *r, struct net_reply *out);
	/* The request is over, however it ended; ${r}->plan is to be released.  ${status} 0: the client went away. */
	void (*done)(void *arg, struct net_request *r, unsigned status, uint64_t in, uint64_t out, int64_t nanoseconds);
	void *arg;
};

struct net_server_options {
	const char *address;		/* "0.0.0.0:8741", "[::1]:0", "host:8741"; port 0: any */
	const struct net_server_ops *ops;
	unsigned connections;		/* at most at once; 0: 256 */
	unsigned connections_per_client;	/* from one address; 0: 32 */
	unsigned idle_seconds;		/* without a byte; 0: 60 */
	unsigned request_seconds;	/* for a body to come, or a reply to go, besides 1 s for each 8 KiB of it; 0: 120 */
	int tmpfd;			/* directory where bodies above body_memory go, borrowed */
	size_t body_memory;		/* 0: 256 KiB */
};

/**
 * net_server_start(o, keys, nkeys, e):
 * Listen and serve.  ${keys} are the TLS keys with their certificates
 * (borrowed until stop); which one a client sees is chosen by SNI = the key's name,
 * else the first.  NULL with ${e}: ERR_USAGE for the address, ERR_BUSY where
 * somebody listens there, ERR_LINE.
 */
struct net_server *net_server_start(const struct net_server_options *o, const struct tls_key *const *keys, size_t nkeys,
    struct err *e);

/* The port that it listens on. */
unsigned net_server_port(const struct net_server *s);

/**
 * net_server_stop(s, seconds):
 * No new connection and no new request; requests under way may end within
 * ${seconds}, then they are cut.  Ends ${s}.  NULL is allowed.
 */
void net_server_stop(struct net_server *s, unsigned seconds);

struct net_server_numbers {
	uint64_t connections, requests, refused, bytes_in, bytes_out;
	unsigned open;
};
/* What it has done since it was started, and the connections open now. */
void net_server_numbers(struct net_server *s, struct net_server_numbers *n);

#endif
