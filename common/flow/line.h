#ifndef SAMARA_FLOW_LINE_H
#define SAMARA_FLOW_LINE_H

/*
 * The line to a machine's vault, as the machine has it: its address, pinned
 * key, token, throttle; and one function for each thing that can be asked
 * (line_*.h).  Nothing that comes back is believed before it was decoded and
 * checked against the trust state.
 */

#include <stdint.h>

#include "common/flow/state.h"
#include "common/net/net_client.h"

struct err;
struct fmt_schema;
struct line;
struct throttle;
struct kit;

struct line_options {
	struct state *state;		/* borrowed; NULL: by kit, and then: */
	const struct kit *kit;
	const uint8_t *kit_token;	/* secret of a restore-only credential's token, KEY_LEN */
	const char *proxy;		/* NULL: as the policy or the environment says */
	struct throttle *throttle;	/* borrowed; NULL: as fast as it goes */
	unsigned first_wait;		/* as net_client_options; 0: its default */
	unsigned seconds;		/* for a connection, and without a byte either way, and then no token is asked for twice; 0: net_client's defaults */
};

/**
 * line_open(o, e):
 * The line to the vault that the machine trusts.  No byte is sent yet; a machine
 * without a token gets one with the first request.  NULL with ${e}: ERR_LINE
 * where the vault has no address.  Any thread may use it.  Free with line_close
 * (NULL is allowed).
 */
struct line *line_open(const struct line_options *o, struct err *e);
void line_close(struct line *l);

/* The client below, for requests with streams; paths begin with line_path(l). */
struct net_client *line_client(struct line *l);
/* "/v1/vaults/NAME/" */
const char *line_path(const struct line *l);
/* "vault hq at https://…", for messages. */
const char *line_name(const struct line *l);

/**
 * line_ask(l, a, r, e):
 * As net_ask, ${a}->path being relative to line_path; a status other than 2xx becomes
 * ${e}: the problem document's code, words and figures, made fit for a
 * terminal; one that is no known code is ERR_PROTOCOL.  On ERR_PIN the vault's newest
 * description is fetched without a token, checked against the trust state and the
 * key of that very connection, pinned, and the request goes on (LIFE: 1).  On 401 a new
 * token is got once with the machine's signature.
 */
int line_ask(struct line *l, const struct net_ask *a, struct net_answer *r, struct err *e);

/**
 * line_problem(r, e):
 * What an answer that is not 2xx says, as an error: for requests made with
 * line_client itself.  Always -1.
 */
int line_problem(const struct net_answer *r, struct err *e);

/**
 * line_token(l, e):
 * Get the machine a new token with its signature, and keep it in the state: what
 * line_ask does by itself where there is none, or it is no longer accepted; a registration
 * that the vault has not seen is admitted by it.  0 or -1 with ${e}:
 * ERR_TOKEN, ERR_CRED_EXPIRED, ERR_CRED_INVALID, …
 */
int line_token(struct line *l, struct err *e);

/**
 * line_repin(l, e):
 * Fetch the vault's newest description without a token, check it against what is
 * trusted and the key of that very connection, and believe it where its
 * generation rose.  0 it is another one, 1 it is the one that is known, -1 with
 * ${e}: ERR_PIN, ERR_LINE.
 */
int line_repin(struct line *l, struct err *e);

/* What is trusted now: pin, address, generation of the description. */
struct line_facts {
	uint8_t pin[NET_PIN_LEN];
	uint32_t generation;		/* 0: none was seen yet */
	char url[URL_MAX_LEN + 1];
	int token;			/* there is one */
};
void line_facts(struct line *l, struct line_facts *f);

/**
 * line_call(l, method, path, in_schema, in, out_schema, out, bytes, e):
 * Send the statement ${in} (NULL: no body) and decode the answer into ${out} (NULL:
 * none is expected), whose views point into the new buffer ${bytes} (freed by the
 * caller, also where the answer is a secret: wiped then).  ${tries}: as net_ask.tries.  0 or -1 with ${e}.
 */
int line_call(struct line *l, const char *method, const char *path, unsigned tries, const struct fmt_schema *in_schema,
    const void *in, const struct fmt_schema *out_schema, void *out, uint8_t **bytes, struct err *e);

#endif
