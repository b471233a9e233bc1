#include "common/flow/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/catalog/catalog.h"
#include "common/flow/serve_frame.h"
#include "common/flow/vault_line.h"
#include "common/flow/vault_token.h"
#include "common/net/tls_key.h"

#define PREFIX	"/v1/vaults/"

static void
plain(struct net_reply *out, unsigned status, const char *text)
{
	out->status = status;
	out->type = "text/plain";
	buf_str(&out->body, text);
}

/* The client's own computer, or one that was named. */
static int
may_read_metrics(const struct serve *s, const char *client)
{
	if (strncmp(client, "127.", 4) == 0 || strcmp(client, "::1") == 0 || strncmp(client, "::ffff:127.", 11) == 0)
		return 1;
	for (size_t i = 0; i < s->nmetrics_from; i++)
		if (strcmp(s->metrics_from[i], client) == 0)
			return 1;
	return 0;
}

/* A path that concerns no vault: refused here, or 0 where handle() answers it. */
static int
head_other(const struct serve *s, const struct net_request *r, struct net_reply *out)
{
	struct err e;

	err_clear(&e);
	if (strcmp(r->path, "/healthz") == 0 || strcmp(r->path, "/metrics") == 0) {
		if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
			(void)err_set(&e, ERR_USAGE, "only GET is answered here");
		else if (r->path[1] == 'h' || may_read_metrics(s, r->client))
			return 0;
		else
			(void)err_set(&e, ERR_PERMISSION, "figures are for this computer, and for those that serve was told");
	} else {
		(void)err_set(&e, ERR_NOT_FOUND, "there is nothing of that name here");
	}
	serve_problem(out, &e, NULL);
	return 1;
}

static struct serve_vault *
vault_named(struct serve *s, const char *name)
{
	for (size_t i = 0; i < s->nvaults; i++)
		if (strcmp(s->vaults[i].first->desc.name, name) == 0)
			return &s->vaults[i];
	return NULL;
}

/* "/v1/vaults/NAME/…": the vault and the route. */
static int
plan_find(struct serve *s, const struct net_request *r, struct serve_plan *p, struct err *e)
{
	unsigned status;
	char *rest;

	(void)snprintf(p->path, sizeof(p->path), "%s", r->path + strlen(PREFIX));
	if ((rest = strchr(p->path, '/')) == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is nothing of that name here");
	*rest++ = '\0';
	if ((p->sv = vault_named(s, p->path)) == NULL)
		return err_set(e, ERR_NO_VAULT, "this server has no vault of that name");
	if (route_find(p, r->method, rest, &status) == 0)
		return 0;
	return status == 405 ? err_set(e, ERR_USAGE, "that method is not answered here") :
	    err_set(e, ERR_NOT_FOUND, "there is nothing of that name here");
}

/* What the subscription allows. */
static int
subscription_allows(const struct cat_machine *m, const struct serve_route *r, struct err *e)
{
	if (strcmp(r->path, "contact") == 0)
		return 0;
	if (m->subscription == SUBSCRIPTION_DEPROVISIONED)
		return err_set(e, ERR_RULE, "the subscription of this machine was ended; nothing is taken and nothing is given");
	if (m->subscription == SUBSCRIPTION_EXPIRED && r->right == SERVE_WRITE && r->magic == NULL &&
	    strcmp(r->method, "DELETE") != 0)
		return err_set(e, ERR_RULE, "the subscription of this machine has expired: backups are stopped, restores are not");
	return 0;
}

/* Whose token it is, and whether it allows this. */
static int
authorize(struct vault *v, const struct serve_route *r, const char *token, struct cat_token *t, struct cat_machine *m,
    struct err *e)
{
	if (r->right == SERVE_ANYBODY)
		return 0;
	if (vault_token_find(v, token, t, m, e) != 0)
		return -1;
	if (r->right == SERVE_WRITE && t->purpose != PURPOSE_NEW)
		return err_set(e, ERR_PERMISSION, "this token reads and changes nothing");
	return subscription_allows(m, r, e);
}

static int
head_vault(struct serve *s, struct net_request *r, struct serve_plan *p, uint64_t *body_max, struct err *e)
{
	struct cat_machine m;
	struct cat_token t;
	struct vault *v;
	int rc;

	memset(&m, 0, sizeof(m));
	if (plan_find(s, r, p, e) != 0)
		return -1;
	*body_max = p->body_max;
	if (p->route->right == SERVE_ANYBODY)
		return 0;
	if ((v = pool_take(p->sv, e)) == NULL)
		return -1;
	rc = authorize(v, p->route, r->token, &t, &m, e);
	pool_give(p->sv, v);
	(void)text_safe(p->who, sizeof(p->who), m.name, strlen(m.name));
	return rc;
}

static void
problem_said(const struct serve_plan *p, const struct err *e)
{
	if (serve_status(e) == 500)
		say_warn("vault %s: %s (S-%04d)", p != NULL && p->sv != NULL ? p->sv->first->desc.name : "-", e->msg, (int)e->code);
}

static int
on_head(void *arg, struct net_request *r, uint64_t *body_max, struct net_reply *out)
{
	struct serve *s = arg;
	struct serve_plan *p = calloc(1, sizeof(*p));
	struct err e;

	*body_max = 0;
	err_clear(&e);
	if ((r->plan = p) == NULL)
		(void)err_set(&e, ERR_MEMORY, "there is no memory for the request");
	else if (strncmp(r->path, PREFIX, strlen(PREFIX)) != 0)
		return head_other(s, r, out);
	else if (head_vault(s, r, p, body_max, &e) == 0)
		return 0;
	problem_said(p, &e);
	serve_problem(out, &e, NULL);
	return 1;
}

/* A statement is told by its first bytes. */
static int
route_settle(struct serve_call *c, struct serve_plan *p, struct err *e)
{
	uint8_t magic[8] = { 0 };

	if (p->route->magic == NULL)
		return 0;
	if (c->in->body_fd != -1)
		(void)io_read_full(c->in->body_fd, magic, sizeof(magic), 0);
	else if (c->in->body_len >= sizeof(magic))
		memcpy(magic, c->in->body, sizeof(magic));
	if ((p->route = route_statement(magic)) != NULL)
		return c->in->body_len <= p->route->body_max ? 0 : err_set(e, ERR_USAGE, "the statement is too long");
	return err_set(e, ERR_FORMAT, "the vault knows no such statement");
}

static int
answer(struct serve_call *c, struct serve_plan *p, struct err *e)
{
	if (route_settle(c, p, e) != 0 || (c->v = pool_take(p->sv, e)) == NULL)
		return -1;
	c->store = p->sv->first->store;
	c->pin = p->sv->pin;
	memcpy(c->part, p->part, sizeof(c->part));
	c->nparts = p->nparts;
	/* Once more: a token may have ended while the body came. */
	if (authorize(c->v, p->route, c->in->token, &c->token, &c->machine, e) != 0)
		return -1;
	return p->route->answer(c, e);
}

static void
on_handle(void *arg, struct net_request *r, struct net_reply *out)
{
	struct serve *s = arg;
	struct serve_plan *p = r->plan;
	struct serve_call c;
	struct err e;
	size_t len;

	if (p->sv == NULL) {
		if (strcmp(r->path, "/metrics") == 0)
			serve_metrics_print(s, out);
		else
			plain(out, 200, "ok\n");
		return;
	}
	memset(&c, 0, sizeof(c));
	c.in = r;
	c.out = out;
	err_clear(&e);
	if (answer(&c, p, &e) != 0) {
		problem_said(p, &e);
		serve_problem(out, &e, &c);
	}
	if (c.retry_after > 0) {
		len = strlen(out->headers);
		(void)snprintf(out->headers + len, sizeof(out->headers) - len, "Retry-After: %lld\n", (long long)c.retry_after);
	}
	pool_give(p->sv, c.v);
}

/* One line a request; neither query nor token nor body stand in it. */
static void
on_done(void *arg, struct net_request *r, unsigned status, uint64_t in, uint64_t out, int64_t nanoseconds)
{
	struct serve *s = arg;
	struct serve_plan *p = r->plan;
	atomic_uint_fast64_t *count = p != NULL && p->sv != NULL ? p->sv->status : s->other;
	char answered[16];

	atomic_fetch_add(&count[status / 100 < 6 ? status / 100 : 0], 1);
	(void)snprintf(answered, sizeof(answered), "%u", status);
	if (strcmp(r->path, "/healthz") != 0 || status != 200)
		say_info("%s %s %.300s %s %s in %llu out %llu %lld ms", r->client, r->method, r->path,
		    status == 0 ? "cut" : answered, p == NULL || p->who[0] == '\0' ? "-" : p->who, (unsigned long long)in,
		    (unsigned long long)out, (long long)(nanoseconds / 1000000));
	free(p);
	r->plan = NULL;
}

static int
vault_add(struct serve *s, const char *path, struct err *e)
{
	struct serve_vault *sv = &s->vaults[s->nvaults];
	struct vault *v = vault_open(path, 0, e);

	if (v == NULL)
		return -1;
	if (vault_named(s, v->desc.name) != NULL) {
		vault_close(v);
		return err_set(e, ERR_USAGE, "two of the vaults are called %s", v->desc.name);
	}
	sv->first = v;
	(void)pthread_mutex_init(&sv->lock, NULL);
	(void)pthread_cond_init(&sv->returned, NULL);
	sv->nopen = 1;
	s->nvaults++;
	if ((sv->tls = vault_line_key(v, e)) == NULL)
		return -1;
	tls_key_pin(sv->tls, sv->pin);
	catalog_memory(v->catalog, HANDLE_MEMORY);
	sv->idle[sv->nidle++] = v;
	return 0;
}

static void
vaults_close(struct serve *s)
{
	for (size_t i = 0; i < s->nvaults; i++) {
		struct serve_vault *sv = &s->vaults[i];

		for (unsigned k = 0; k < sv->nidle; k++)
			if (sv->idle[k] != sv->first)
				vault_close(sv->idle[k]);
		vault_close(sv->first);
		tls_key_free(sv->tls);
		(void)pthread_cond_destroy(&sv->returned);
		(void)pthread_mutex_destroy(&sv->lock);
	}
	free(s->vaults);
}

static int
listen_start(struct serve *s, const struct serve_options *o, struct err *e)
{
	struct net_server_ops ops;
	struct net_server_options n = { .address = o->listen != NULL ? o->listen : SERVE_LISTEN, .ops = &ops,
	    .connections = o->connections, .connections_per_client = o->connections_per_client,
	    .tmpfd = s->vaults[0].first->local };
	const struct tls_key **keys = calloc(s->nvaults, sizeof(*keys));

	if (keys == NULL)
		return err_errno(e, "start the server");
	serve_ops(s, &ops);
	for (size_t i = 0; i < s->nvaults; i++)
		keys[i] = s->vaults[i].tls;
	s->net = net_server_start(&n, keys, s->nvaults, e);
	free(keys);
	return s->net == NULL ? -1 : 0;
}

void
serve_ops(struct serve *s, struct net_server_ops *ops)
{
	*ops = (struct net_server_ops){ .head = on_head, .handle = on_handle, .done = on_done, .arg = s };
}

struct serve *
serve_open(const struct serve_options *o, struct err *e)
{
	struct serve *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->vaults = calloc(o->nvaults + 1, sizeof(*s->vaults))) == NULL) {
		free(s);
		(void)err_errno(e, "start the server");
		return NULL;
	}
	s->metrics_from = o->metrics_from;
	s->nmetrics_from = o->nmetrics_from;
	s->began = io_now();
	for (size_t i = 0; i < o->nvaults; i++)
		if (vault_add(s, o->vaults[i], e) != 0)
			goto stop;
	if (o->nvaults > 0)
		return s;
	(void)err_set(e, ERR_NO_VAULT, "there is no vault to serve");
stop:
	serve_stop(s, 0);
	return NULL;
}

struct serve *
serve_start(const struct serve_options *o, struct err *e)
{
	struct serve *s = serve_open(o, e);

	if (s == NULL || (serve_keep_start(s, e) == 0 && listen_start(s, o, e) == 0))
		return s;
	serve_stop(s, 0);
	return NULL;
}

unsigned
serve_port(const struct serve *s)
{
	return net_server_port(s->net);
}

void
serve_stop(struct serve *s, unsigned seconds)
{
	if (s == NULL)
		return;
	net_server_stop(s->net, seconds);
	serve_keep_stop(s);
	vaults_close(s);
	free(s);
}
