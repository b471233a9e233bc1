#ifndef SAMARA_FLOW_SERVE_JOB_H
#define SAMARA_FLOW_SERVE_JOB_H

/*
 * What the parts of the server share; private to serve*.c.  A request to
 * /v1/vaults/NAME/… finds its route in a table, the vault by its name (a handle
 * of its own from a pool, since a catalog belongs to one thread), the machine by
 * its token, and one function that answers it.  docs/api.yaml describes all of it.
 */

#include "common/catalog/catalog_rows.h"
#include "common/flow/vault.h"
#include "common/net/net_server.h"

/* What a token allows.  A route names the least it needs. */
enum serve_right {
	SERVE_ANYBODY,			/* no token is looked at */
	SERVE_READ,			/* restore-only tokens too */
	SERVE_WRITE			/* a machine's own */
};

#define SERVE_PARTS	6
#define SERVE_FIGURES	8

struct store;

/* One request while it is answered. */
struct serve_call {
	const struct net_request *in;
	struct net_reply *out;
	struct vault *v;		/* this thread's for now; not in a transaction */
	struct store *store;		/* of the vault; lives as long as the server, for replies that are read bit by bit */
	const uint8_t *pin;		/* of the vault's TLS key, DIGEST_LEN bytes */
	struct cat_machine machine;	/* whose token it is; zeros for SERVE_ANYBODY */
	struct cat_token token;		/* and itself: token.pub is the key of who asked for it */
	const char *part[SERVE_PARTS];	/* what stands for each "*" of the route's path */
	unsigned nparts;
	int64_t retry_after;		/* seconds, put into the answer where it is not 0 */
	struct {
		const char *name;
		uint64_t value;
	} figure[SERVE_FIGURES];	/* more members of a problem document (serve_figure) */
	unsigned nfigures;
};

struct serve_route {
	const char *method, *path;	/* below /v1/vaults/NAME/, each "*" one part: "sessions/ * /ask" without blanks */
	enum serve_right right;
	uint64_t body_max;
	/* 0 with ${c}->out filled; -1 with ${e}: answered as a problem document with the error's code. */
	int (*answer)(struct serve_call *c, struct err *e);
	const char *magic;		/* POST statements only: the statement's magic that this one takes; else NULL */
};

/* The tables of routes, one for each file that has some; NULL methods end them. */
extern const struct serve_route serve_routes_machine[];	/* identity, tokens, contact: serve_machine.c */
extern const struct serve_route serve_routes_session[];	/* sessions: serve_session.c */
extern const struct serve_route serve_routes_pledge[];	/* pledges, parcels, receipts, gaps, disputes: serve_pledge.c */
extern const struct serve_route serve_routes_read[];	/* snapshots, chunks, packs: serve_read.c */

/* The body in memory (${len} bytes at ${*bytes}, mapped or read; ended by serve_body_free), at most ${max}. */
int serve_body(struct serve_call *c, uint64_t max, const uint8_t **bytes, size_t *len, struct err *e);
void serve_body_free(struct serve_call *c, const uint8_t *bytes);

/* Reply with status 200 and the statement ${value} of ${s}, or with bytes that are there. */
struct fmt_schema;
int serve_reply(struct serve_call *c, const struct fmt_schema *s, const void *value, struct err *e);
int serve_reply_bytes(struct serve_call *c, const void *bytes, size_t len, struct err *e);

/* A number that belongs to the error which is about to be returned: a member ${name} (a static string) of the problem document. */
void serve_figure(struct serve_call *c, const char *name, uint64_t value);

/* The HTTP status that belongs to an error (docs/api.yaml). */
unsigned serve_status(const struct err *e);

/* "name=VALUE" of the query as text (at most ${cap} - 1 bytes), or as a number: 0; 1 it is not there; -1 it is another thing. */
int serve_query(const struct serve_call *c, const char *name, char *out, size_t cap);
int serve_query_u64(const struct serve_call *c, const char *name, uint64_t *v);

/* Hex of exactly ${len} bytes in part ${i} of the path; -1 with ERR_USAGE. */
int serve_part_hex(const struct serve_call *c, unsigned i, uint8_t *out, size_t len, struct err *e);

/*
 * What is to be done now and then in each vault, by the server's housekeeping
 * threads; serve_keep.c has the table.  What it returns -1 for is told and counted.
 */
struct serve_hook {
	const char *name;
	unsigned seconds;		/* between the end of one run and the next; the first is at the start */
	int (*run)(struct vault *v, struct err *e);
	unsigned thread;		/* SERVE_KEEP_…: which of them does it */
};
/* What is soon done, and what may read for hours and must hold up nothing of that. */
enum { SERVE_KEEP_SOON, SERVE_KEEP_LONG, SERVE_KEEPERS };
extern const struct serve_hook serve_hooks[];	/* a NULL name ends it */

/* More lines for /metrics of one vault ("samara_x{vault=\"hq\"} 1\n"); serve_metrics.c has the table, NULL ends it. */
typedef int (*serve_metric_fn)(struct vault *v, struct buf *out, struct err *e);
extern const serve_metric_fn serve_metrics[];

#endif
