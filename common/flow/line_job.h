#ifndef SAMARA_FLOW_LINE_JOB_H
#define SAMARA_FLOW_LINE_JOB_H

/* What the parts of the line share; private to line*.c. */

#include <pthread.h>

#include "common/flow/line.h"
#include "formats/fmt_line_machine.h"

#define LINE_TOKEN	"token"		/* in the state: hex, 0600 */
#define LINE_DESC	"vault.dsc"	/* the newest description that was believed, encoded */
#define LINE_PATH_MAX	(16 + NAME_MAX_LEN + 4)

struct line {
	struct state *state;		/* NULL: by kit */
	struct net_client *client;
	uint8_t vault_id[ID_LEN], vault_pub[SIGN_PUB_LEN];
	char vault_name[NAME_MAX_LEN + 1];
	char path[LINE_PATH_MAX];
	char name[URL_MAX_LEN + NAME_MAX_LEN + 16];
	struct line_options o;		/* its strings are the caller's: only what is copied is kept */
	char *proxy;
	pthread_mutex_t lock;		/* all below; taken around requests that change it */
	struct line_facts facts;
	unsigned turn;			/* rises with pin and token: who failed before need not fail again */
	char token[2 * TOKEN_LEN + 1];
};

/* A client for ${l}'s address; ${pin} NULL: any key. */
struct net_client *line_client_new(const struct line *l, const uint8_t *pin, struct err *e);

/* Read the token that the state keeps: 0; 1 there is none. */
int line_token_read(const struct line *l, char out[2 * TOKEN_LEN + 1]);

/* With l->lock held. */
int line_repin_locked(struct line *l, struct err *e);
int line_token_locked(struct line *l, struct err *e);

#endif
