/* How the line comes to the key that it trusts and to its token (docs/formats/line.md). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/flow/line_job.h"

int
line_token_read(const struct line *l, char out[2 * TOKEN_LEN + 1])
{
	uint8_t *bytes;
	size_t len;
	int rc = 1;

	out[0] = '\0';
	if (l->state == NULL || file_read(l->state->fd, LINE_TOKEN, 256, &bytes, &len, NULL) != 0)
		return 1;
	if (len >= 2 * TOKEN_LEN && strspn((const char *)bytes, "0123456789abcdef") == 2 * TOKEN_LEN) {
		memcpy(out, bytes, 2 * TOKEN_LEN);
		out[2 * TOKEN_LEN] = '\0';
		rc = 0;
	}
	secret_wipe(bytes, len);
	free(bytes);
	return rc;
}

/* Believe ${d}: it goes into the state, and the client pins its key. */
static int
desc_believe(struct line *l, const struct vault_desc *d, const uint8_t *bytes, size_t len, struct err *e)
{
	if (l->state != NULL && file_replace(l->state->fd, LINE_DESC, bytes, len, 0600, e) != 0)
		return -1;
	if (net_client_pin(l->client, d->tls_pin, e) != 0)
		return -1;
	memcpy(l->facts.pin, d->tls_pin, NET_PIN_LEN);
	l->facts.generation = d->generation;
	if (d->url[0] != '\0')
		memcpy(l->facts.url, d->url, sizeof(l->facts.url));
	l->turn++;
	return 0;
}

/* Is it the vault's own word, newer than what is known, and about the very key that ${pin} is of? */
static int
desc_judge(const struct line *l, const struct vault_desc *d, const uint8_t pin[NET_PIN_LEN], struct err *e)
{
	if (memcmp(d->vault_id, l->vault_id, ID_LEN) != 0 || memcmp(d->sign_pub, l->vault_pub, SIGN_PUB_LEN) != 0)
		return err_set(e, ERR_PIN, "the server describes another vault than the one that is trusted");
	if (memcmp(d->tls_pin, pin, NET_PIN_LEN) != 0)
		return err_set(e, ERR_PIN, "the server shows a key that the vault's own description does not name");
	if (d->generation < l->facts.generation)
		return err_set(e, ERR_PIN, "the server shows description %u of the vault, and %u is known here", d->generation,
		    l->facts.generation);
	if (d->generation == l->facts.generation)
		return memcmp(d->tls_pin, l->facts.pin, NET_PIN_LEN) == 0 ? 1 :
		    err_set(e, ERR_PIN, "the server shows another description %u of the vault than is known here", d->generation);
	return 0;
}

static int
identity_fetch(struct line *l, struct net_answer *r, struct err *e)
{
	struct net_client *c = line_client_new(l, NULL, e);
	struct net_ask a = { .method = "GET", .tries = l->o.seconds > 0 ? 1 : 3, .answer_max = SMALL_STATEMENT_MAX };
	char path[LINE_PATH_MAX + 16];
	int rc;

	if (c == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%sidentity", l->path);
	a.path = path;
	if ((rc = net_ask(c, &a, r, e)) == 0 && r->status != 200) {
		rc = line_problem(r, e);
		net_answer_free(r);
	}
	net_client_free(c);
	return rc;
}

int
line_repin_locked(struct line *l, struct err *e)
{
	struct net_answer r;
	struct vault_desc d;
	int rc;

	if (identity_fetch(l, &r, e) != 0)
		return -1;
	if (statement_open(&vault_desc_schema, &d, r.body.p, r.body.len, l->vault_pub, NULL) != 0)
		rc = err_set(e, ERR_PIN, "what the server shows is not signed with the key of the vault that is trusted");
	else if ((rc = desc_judge(l, &d, r.pin, e)) == 0)
		rc = desc_believe(l, &d, r.body.p, r.body.len, e);
	net_answer_free(&r);
	return rc;
}

static int
request_make(struct line *l, struct buf *out, struct err *e)
{
	struct token_request q = { .purpose = PURPOSE_NEW, .time = io_now() };
	struct state *s = l->state;

	memcpy(q.vault_id, l->vault_id, ID_LEN);
	memcpy(q.machine_id, s->id.machine_id, ID_LEN);
	memcpy(q.machine_pub, s->machine_pub, SIGN_PUB_LEN);
	memcpy(q.tls_pin, l->facts.pin, NET_PIN_LEN);
	io_random(q.random, sizeof(q.random));
	q.registration.p = s->regist_bytes;
	q.registration.len = (uint32_t)s->regist_len;
	return statement_make(&token_request_schema, &q, s->sign_secret, out, e);
}

/* Keep the token and use it. */
static int
grant_keep(struct line *l, const struct token_grant *g, struct err *e)
{
	char text[2 * TOKEN_LEN + 2];
	int rc = 0;

	(void)text_hex(text, g->token, TOKEN_LEN);
	if (l->state != NULL) {
		text[2 * TOKEN_LEN] = '\n';
		rc = file_replace(l->state->fd, LINE_TOKEN, text, 2 * TOKEN_LEN + 1, 0600, e);
		text[2 * TOKEN_LEN] = '\0';
	}
	if (rc == 0 && (rc = net_client_token(l->client, text, e)) == 0) {
		memcpy(l->token, text, sizeof(l->token));
		l->facts.token = 1;
		l->turn++;
	}
	secret_wipe(text, sizeof(text));
	return rc;
}

static int
grant_read(struct line *l, const struct net_answer *r, struct err *e)
{
	struct token_grant g;
	int rc;

	if (schema_decode(&token_grant_schema, &g, r->body.p, r->body.len) != FMT_OK)
		return err_set(e, ERR_PROTOCOL, "its grant of a token cannot be read");
	if (memcmp(g.vault_id, l->vault_id, ID_LEN) != 0 || g.purpose != PURPOSE_NEW ||
	    memcmp(g.machine_id, l->state->id.machine_id, ID_LEN) != 0)
		rc = err_set(e, ERR_PROTOCOL, "its grant of a token is for somebody else");
	else
		rc = grant_keep(l, &g, e);
	secret_wipe(&g, sizeof(g));
	return rc;
}

/* Ask over a connection to the pinned key; where that key changed meanwhile, once more with the new one. */
static int
token_ask(struct line *l, struct net_answer *r, struct err *e)
{
	char path[LINE_PATH_MAX + 16];
	struct net_ask a = { .method = "POST", .path = path, .tries = l->o.seconds > 0 ? 1 : 3 };
	struct buf body;
	struct err mine;
	int rc = -1;

	(void)snprintf(path, sizeof(path), "%smachines", l->path);
	buf_init(&body);
	for (unsigned n = 0; n < 2; n++) {
		err_clear(&mine);
		buf_reset(&body);
		if (request_make(l, &body, &mine) != 0)
			break;
		a.body = body.p;
		a.body_len = body.len;
		if ((rc = net_ask(l->client, &a, r, &mine)) == 0 || mine.code != ERR_PIN ||
		    (rc = line_repin_locked(l, &mine)) != 0)
			break;
		rc = -1;
	}
	buf_release(&body);
	if (rc == 0)
		return 0;
	if (rc == 1)
		(void)err_set(&mine, ERR_PIN, "the server has another key than the one that is trusted");
	if (e != NULL)
		*e = mine;
	return -1;
}

int
line_token_locked(struct line *l, struct err *e)
{
	char kept[2 * TOKEN_LEN + 1];
	struct net_answer r;
	int rc;

	if (l->state == NULL)
		return err_set(e, ERR_TOKEN, "there is no token that the vault accepts");
	/* Another process may have got one meanwhile. */
	if (line_token_read(l, kept) == 0 && strcmp(kept, l->token) != 0) {
		memcpy(l->token, kept, sizeof(kept));
		l->facts.token = 1;
		l->turn++;
		rc = net_client_token(l->client, kept, e);
		secret_wipe(kept, sizeof(kept));
		return rc;
	}
	secret_wipe(kept, sizeof(kept));
	(void)net_client_token(l->client, NULL, NULL);
	if (token_ask(l, &r, e) != 0)
		return -1;
	rc = r.status == 200 ? grant_read(l, &r, e) : line_problem(&r, e);
	net_answer_free(&r);
	return rc;
}
