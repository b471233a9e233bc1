#include "common/flow/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/line_job.h"
#include "common/flow/policy.h"
#include "formats/schema.h"

#define MESSAGE_MAX	1024	/* bytes of a vault's words that are shown */

static int
is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return 0;
	return 1;
}

struct net_client *
line_client_new(const struct line *l, const uint8_t *pin, struct err *e)
{
	struct net_client_options o = { .url = l->facts.url, .pin = pin, .server_name = l->vault_name, .proxy = l->proxy,
	    .throttle = l->o.throttle, .first_wait = l->o.first_wait, .connect_seconds = l->o.seconds,
	    .stall_seconds = l->o.seconds };

	return net_client_new(&o, e);
}

/* The newest description that was believed; nothing where there is none that the vault's key has signed. */
static void
desc_load(struct line *l)
{
	struct vault_desc d;
	uint8_t *bytes;
	size_t len;

	if (l->state == NULL || file_read(l->state->fd, LINE_DESC, SMALL_STATEMENT_MAX, &bytes, &len, NULL) != 0)
		return;
	if (statement_open(&vault_desc_schema, &d, bytes, len, l->vault_pub, NULL) == 0 &&
	    memcmp(d.vault_id, l->vault_id, ID_LEN) == 0) {
		memcpy(l->facts.pin, d.tls_pin, NET_PIN_LEN);
		l->facts.generation = d.generation;
		if (d.url[0] != '\0')
			memcpy(l->facts.url, d.url, sizeof(l->facts.url));
	}
	free(bytes);
}

/* The proxy that the machine's policy names; where it names none the environment decides. */
static int
proxy_by_policy(struct line *l, struct err *e)
{
	struct policy p;
	int rc = policy_read(l->state->fd, &p, e);

	if (rc == 0 && p.proxy[0] != '\0' && (l->proxy = strdup(strcmp(p.proxy, "none") == 0 ? "" : p.proxy)) == NULL)
		rc = err_errno(e, "the line");
	secret_wipe(&p, sizeof(p));
	return rc;
}

/* Whom to trust, and where it is. */
static int
line_fill(struct line *l, const struct line_options *o, struct err *e)
{
	const struct trust *t = o->state != NULL ? &o->state->trust : NULL;
	const char *name = t != NULL ? t->vault_name : o->kit->vault_name;

	l->state = o->state;
	memcpy(l->vault_id, t != NULL ? t->vault_id : o->kit->vault_id, ID_LEN);
	memcpy(l->vault_pub, t != NULL ? t->vault_pub : o->kit->vault_pub, SIGN_PUB_LEN);
	(void)snprintf(l->vault_name, sizeof(l->vault_name), "%s", name);
	(void)snprintf(l->facts.url, sizeof(l->facts.url), "%s", t != NULL ? t->url : o->kit->url);
	if (t != NULL)
		memcpy(l->facts.pin, t->tls_pin, NET_PIN_LEN);
	desc_load(l);
	if (t != NULL && l->proxy == NULL && proxy_by_policy(l, e) != 0)
		return -1;
	if (l->facts.url[0] == '\0') {
		(void)err_set(e, ERR_LINE, "the vault \"%s\" has no address on the line", name);
		return err_next(e, "Its operator gives it one: samara-import url VAULT URL; then a new credential, or the next disk, carries it.");
	}
	(void)snprintf(l->path, sizeof(l->path), "/v1/vaults/%s/", name);
	(void)snprintf(l->name, sizeof(l->name), "vault %s at %s", name, l->facts.url);
	if (o->kit_token != NULL)
		(void)text_hex(l->token, o->kit_token, TOKEN_LEN);
	else
		(void)line_token_read(l, l->token);
	l->facts.token = l->token[0] != '\0';
	l->client = line_client_new(l, l->facts.pin, e);
	if (l->client == NULL || (l->facts.token && net_client_token(l->client, l->token, e) != 0))
		return -1;
	return 0;
}

struct line *
line_open(const struct line_options *o, struct err *e)
{
	struct line *l = secret_new(sizeof(*l));

	(void)pthread_mutex_init(&l->lock, NULL);
	l->o = *o;
	l->o.proxy = NULL;
	l->o.kit = NULL;
	l->o.kit_token = NULL;
	if ((o->proxy == NULL || (l->proxy = strdup(o->proxy)) != NULL) && line_fill(l, o, e) == 0)
		return l;
	line_close(l);
	return NULL;
}

void
line_close(struct line *l)
{
	if (l == NULL)
		return;
	net_client_free(l->client);
	(void)pthread_mutex_destroy(&l->lock);
	if (l->proxy != NULL)
		secret_wipe(l->proxy, strlen(l->proxy));
	free(l->proxy);
	secret_free(l);
}

struct net_client *
line_client(struct line *l)
{
	return l->client;
}

const char *
line_path(const struct line *l)
{
	return l->path;
}

const char *
line_name(const struct line *l)
{
	return l->name;
}

void
line_facts(struct line *l, struct line_facts *f)
{
	(void)pthread_mutex_lock(&l->lock);
	*f = l->facts;
	(void)pthread_mutex_unlock(&l->lock);
}

int
line_repin(struct line *l, struct err *e)
{
	int rc;

	(void)pthread_mutex_lock(&l->lock);
	rc = line_repin_locked(l, e);
	(void)pthread_mutex_unlock(&l->lock);
	return rc;
}

int
line_token(struct line *l, struct err *e)
{
	int rc;

	(void)pthread_mutex_lock(&l->lock);
	rc = line_token_locked(l, e);
	(void)pthread_mutex_unlock(&l->lock);
	return rc;
}

/* "S-1706" as a code that samara knows, or ERR_NONE. */
static enum err_code
code_read(const char *text)
{
	unsigned n = 0;

	if (text == NULL || strlen(text) != 6 || strncmp(text, "S-", 2) != 0)
		return ERR_NONE;
	for (text += 2; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return ERR_NONE;
		n = n * 10 + (unsigned)(*text - '0');
	}
	return err_cause((enum err_code)n)[0] != '\0' ? (enum err_code)n : ERR_NONE;
}

int
line_problem(const struct net_answer *r, struct err *e)
{
	struct doc *d = strcmp(r->type, "application/problem+json") == 0 ?
	    doc_read(r->body.p, r->body.len, "the vault's answer", NULL) : NULL;
	const char *detail = d == NULL ? NULL : doc_get_str(d, "detail"), *next = d == NULL ? NULL : doc_get_str(d, "next");
	enum err_code code = d == NULL ? ERR_NONE : code_read(doc_get_str(d, "code"));
	char safe[MESSAGE_MAX];

	/* What the vault has no room for now is no lack of memory here. */
	if (code == ERR_MEMORY)
		code = ERR_BUSY;
	/* That somebody here asked to stop is nothing that a vault can know. */
	if (code != ERR_NONE && code != ERR_INTERRUPTED) {
		(void)err_set(e, code, "%s", text_safe(safe, sizeof(safe), detail == NULL ? "" : detail,
		    detail == NULL ? 0 : strlen(detail)));
		if (next != NULL)
			(void)err_next(e, "the vault says: %s", text_safe(safe, 400, next, strlen(next)));
	} else if (r->status >= 500 || r->status == 429) {
		(void)err_set(e, ERR_LINE, "the server answers %u", r->status);
	} else {
		(void)err_set(e, ERR_PROTOCOL, "the server answers %u, and not as a vault does", r->status);
	}
	doc_free(d);
	return -1;
}

/* What a request needs before it goes: a key to trust, a token.  ${turn} as it was then. */
static int
ready(struct line *l, unsigned *turn, struct err *e)
{
	int rc = 0;

	(void)pthread_mutex_lock(&l->lock);
	if (is_zero(l->facts.pin, NET_PIN_LEN) && (rc = line_repin_locked(l, e)) == 1)
		rc = err_set(e, ERR_PIN, "the vault shows no key for its line");
	if (rc == 0 && !l->facts.token)
		rc = line_token_locked(l, e);
	*turn = l->turn;
	(void)pthread_mutex_unlock(&l->lock);
	return rc;
}

/* Another key, or another token, unless somebody else saw to it since ${turn}. */
static int
renew(struct line *l, unsigned turn, int (*how)(struct line *l, struct err *e), struct err *e)
{
	int rc = 0;

	(void)pthread_mutex_lock(&l->lock);
	if (l->turn == turn)
		rc = how(l, e);
	(void)pthread_mutex_unlock(&l->lock);
	return rc;
}

/* Does it fail in a way that another key or token heals?  1 try again, 0 no. */
static int
heals(struct line *l, unsigned turn, int rc, struct net_answer *r, int *repinned, int *renewed, struct err *e)
{
	struct err mine;

	err_clear(&mine);
	if (rc != 0 && e->code == ERR_PIN && !*repinned) {
		*repinned = 1;
		rc = renew(l, turn, line_repin_locked, &mine);
		if (rc < 0)
			*e = mine;
		return rc == 0;
	}
	if (rc != 0 || r->status != 401 || *renewed || l->state == NULL)
		return 0;
	*renewed = 1;
	if (renew(l, turn, line_token_locked, &mine) == 0) {
		net_answer_free(r);
		return 1;
	}
	*e = mine;
	return -1;
}

int
line_ask(struct line *l, const struct net_ask *a, struct net_answer *r, struct err *e)
{
	struct net_ask mine = *a;
	int repinned = 0, renewed = 0, again, rc;
	char path[1024];
	struct err none;
	unsigned turn;

	if (e == NULL) {
		err_clear(&none);
		e = &none;
	}
	memset(r, 0, sizeof(*r));
	if (snprintf(path, sizeof(path), "%s%s", l->path, a->path) >= (int)sizeof(path))
		return err_set(e, ERR_INTERNAL, "a path is too long");
	mine.path = path;
	do {
		if (ready(l, &turn, e) != 0)
			return err_during(e, "%s", l->name);
		rc = net_ask(l->client, &mine, r, e);
		again = heals(l, turn, rc, r, &repinned, &renewed, e);
	} while (again > 0);
	if (rc == 0 && again == 0 && r->status / 100 == 2)
		return 0;
	if (rc == 0 && again == 0)
		(void)line_problem(r, e);
	if (rc == 0)
		net_answer_free(r);
	return err_during(e, "%s", l->name);
}

int
line_call(struct line *l, const char *method, const char *path, unsigned tries, const struct fmt_schema *in_schema,
    const void *in, const struct fmt_schema *out_schema, void *out, uint8_t **bytes, struct err *e)
{
	struct net_ask a = { .method = method, .path = path, .tries = tries, .answer_max = STATEMENT_MAX };
	struct net_answer r;
	enum fmt_status st;
	uint8_t *body = NULL;
	size_t len = 0, n;
	int rc;

	*bytes = NULL;
	if (in_schema != NULL) {
		len = schema_size(in_schema, in);
		if (len == 0 || (body = malloc(len)) == NULL ||
		    (st = schema_encode(in_schema, in, body, len, &len)) != FMT_OK) {
			free(body);
			return err_set(e, ERR_INTERNAL, "a %s cannot be written", in_schema->name);
		}
	}
	a.body = body;
	a.body_len = len;
	rc = line_ask(l, &a, &r, e);
	free(body);
	if (rc != 0)
		return -1;
	if (out_schema != NULL) {
		*bytes = buf_take(&r.body, &n);
		st = *bytes == NULL ? FMT_SHORT : schema_decode(out_schema, out, *bytes, n);
		if (st != FMT_OK) {
			free(*bytes);
			*bytes = NULL;
			rc = err_set(e, ERR_PROTOCOL, "%s: its %s: %s", l->name, out_schema->name, fmt_status_text(st));
		}
	}
	net_answer_free(&r);
	return rc;
}
