#ifndef SAMARA_FLOW_SERVE_H
#define SAMARA_FLOW_SERVE_H

/* The vaults of one computer on one address, over HTTPS (docs/api.yaml). */

#include <stddef.h>

struct err;
struct serve;

#define SERVE_LISTEN	"0.0.0.0:8741"

struct serve_options {
	const char *const *vaults;	/* their directories */
	size_t nvaults;
	const char *listen;		/* "ADDRESS:PORT", port 0: any; NULL: SERVE_LISTEN */
	const char *const *metrics_from;	/* addresses that may read /metrics besides this computer's own */
	size_t nmetrics_from;
	unsigned connections, connections_per_client;	/* as net_server_options */
};

/**
 * serve_start(o, e):
 * Open the vaults, make the TLS key of one that has none, listen and answer.
 * NULL with ${e}: as vault_open and net_server_start; ERR_USAGE where two vaults
 * have one name.  End with serve_stop (NULL is allowed).
 */
struct serve *serve_start(const struct serve_options *o, struct err *e);
unsigned serve_port(const struct serve *s);

/* No new request; those under way may end within ${seconds}.  Then all is closed. */
void serve_stop(struct serve *s, unsigned seconds);

#endif
