#include "common/flow/line_credential.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"
#include "common/flow/credential_file.h"
#include "common/flow/line.h"
#include "common/flow/new_file.h"

/* Signed with a key made for this; authenticated with the credential's secret. */
static int
request_make(const struct credential *c, const uint8_t pin[NET_PIN_LEN], struct buf *out, struct err *e)
{
	struct token_request q = { .purpose = c->purpose, .time = io_now() };
	uint8_t *seed = secret_new(KEY_LEN), *secret = secret_new(SIGN_SECRET_LEN);
	int rc;

	io_random(seed, KEY_LEN);
	sign_keys(seed, q.machine_pub, secret);
	memcpy(q.vault_id, c->vault_id, ID_LEN);
	memcpy(q.machine_id, c->machine_id, ID_LEN);
	memcpy(q.tls_pin, pin, NET_PIN_LEN);
	memcpy(q.credential_id, c->credential_id, ID_LEN);
	io_random(q.random, sizeof(q.random));
	if ((rc = statement_make(&token_request_schema, &q, secret, out, e)) == 0) {
		mac_once(c->secret, out->p, out->len - SIGN_LEN - DIGEST_LEN, q.mac);
		buf_reset(out);
		rc = statement_make(&token_request_schema, &q, secret, out, e);
	}
	secret_free(seed);
	secret_free(secret);
	return rc;
}

static int
grant_read(const struct credential *c, const struct net_answer *r, struct token_grant *g, struct err *e)
{
	if (r->status != 200)
		return line_problem(r, e);
	if (schema_decode(&token_grant_schema, g, r->body.p, r->body.len) != FMT_OK ||
	    memcmp(g->vault_id, c->vault_id, ID_LEN) != 0 || memcmp(g->machine_id, c->machine_id, ID_LEN) != 0 ||
	    g->purpose != c->purpose)
		return err_set(e, ERR_PROTOCOL, "its grant of a token cannot be right");
	g->descriptor = (struct fmt_view){ NULL, 0 };
	return 0;
}

int
line_credential_token(const struct credential *c, const char *proxy, struct token_grant *grant, struct err *e)
{
	/* The line checks a key that is newer than the credential by the vault's own description. */
	struct kit k = { .made = 0 };
	struct line_options o = { .kit = &k, .proxy = proxy };
	struct line_facts f;
	struct net_answer r;
	struct buf body;
	struct line *l;
	char path[96];
	int rc = -1;

	memset(grant, 0, sizeof(*grant));
	memcpy(k.vault_id, c->vault_id, ID_LEN);
	memcpy(k.vault_pub, c->vault_pub, SIGN_PUB_LEN);
	(void)snprintf(k.vault_name, sizeof(k.vault_name), "%s", c->vault_name);
	(void)snprintf(k.url, sizeof(k.url), "%s", c->url);
	if ((l = line_open(&o, e)) == NULL)
		return -1;
	buf_init(&body);
	if (line_repin(l, e) < 0)
		goto close;
	line_facts(l, &f);
	(void)snprintf(path, sizeof(path), "%smachines", line_path(l));
	if (request_make(c, f.pin, &body, e) == 0) {
		const struct net_ask a = { .method = "POST", .path = path, .body = body.p, .body_len = body.len };

		if ((rc = net_ask(line_client(l), &a, &r, e)) == 0) {
			rc = grant_read(c, &r, grant, e);
			net_answer_free(&r);
		}
	}
close:
	buf_release(&body);
	if (rc != 0)
		(void)err_during(e, "%s", line_name(l));
	line_close(l);
	return rc;
}

#define TOKEN_FILE	".token"

/* The token that was kept beside the credential: 0; 1 there is none. */
static int
kept_read(const char *path, uint8_t token[TOKEN_LEN])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *text;
	size_t len;
	int rc = 1;

	if (file_read(AT_FDCWD, path, 256, &text, &len, NULL) != 0)
		return 1;
	if (len >= 2 * TOKEN_LEN && strspn((const char *)text, digits) == 2 * TOKEN_LEN) {
		for (size_t i = 0; i < 2 * TOKEN_LEN; i++)
			token[i / 2] = (uint8_t)(token[i / 2] << 4 | (strchr(digits, text[i]) - digits));
		rc = 0;
	}
	secret_wipe(text, len);
	free(text);
	return rc;
}

/* Get it, and keep it: the credential is used up by this. */
static int
kept_get(const struct credential *c, const char *proxy, const char *path, uint8_t token[TOKEN_LEN], struct err *e)
{
	char text[2 * TOKEN_LEN + 2];
	struct token_grant g;
	int rc;

	if (new_file_check(path, e) != 0 || line_credential_token(c, proxy, &g, e) != 0)
		return -1;
	memcpy(token, g.token, TOKEN_LEN);
	(void)text_hex(text, g.token, TOKEN_LEN);
	text[2 * TOKEN_LEN] = '\n';
	rc = new_file_put(path, text, 2 * TOKEN_LEN + 1, e);
	secret_wipe(text, sizeof(text));
	secret_wipe(&g, sizeof(g));
	return rc;
}

static struct line *
reading_open(const struct credential *c, const char *file, const char *proxy, struct err *e)
{
	struct kit k = { .made = 0 };
	struct line_options o = { .kit = &k, .proxy = proxy };
	uint8_t token[TOKEN_LEN] = { 0 };
	char path[4200];
	struct line *l = NULL;

	if (c->purpose != PURPOSE_RESTORE_ONLY) {
		(void)err_set(e, ERR_RULE, "the credential %s is for registering, not for reading", file);
		(void)err_next(e, "Ask the operator of \"%s\" for one that was made with --restore-only.", c->vault_name);
		return NULL;
	}
	(void)snprintf(path, sizeof(path), "%s" TOKEN_FILE, file);
	if (kept_read(path, token) != 0 && kept_get(c, proxy, path, token, e) != 0)
		return NULL;
	memcpy(k.vault_id, c->vault_id, ID_LEN);
	memcpy(k.vault_pub, c->vault_pub, SIGN_PUB_LEN);
	(void)snprintf(k.vault_name, sizeof(k.vault_name), "%s", c->vault_name);
	(void)snprintf(k.url, sizeof(k.url), "%s", c->url);
	o.kit_token = token;
	l = line_open(&o, e);
	secret_wipe(token, sizeof(token));
	return l;
}

struct line *
line_open_reading(const char *file, const char *proxy, struct err *e)
{
	struct credential_file f;
	struct line *l;

	if (credential_file_read(file, &f, e) != 0)
		return NULL;
	l = reading_open(f.c, file, proxy, e);
	credential_file_release(&f);
	return l;
}
