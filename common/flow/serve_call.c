/* What a route's function uses: bodies, replies, queries, and problem documents (RFC 9457). */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/buf.h"
#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/crypto/sign.h"
#include "common/flow/serve_frame.h"
#include "formats/schema.h"

int
serve_body(struct serve_call *c, uint64_t max, const uint8_t **bytes, size_t *len, struct err *e)
{
	const struct net_request *r = c->in;
	uint8_t *mine;

	if (r->body_len > max)
		return err_set(e, ERR_USAGE, "the request is longer than %llu bytes", (unsigned long long)max);
	*len = (size_t)r->body_len;
	*bytes = r->body;
	if (r->body_fd == -1)
		return 0;
	if ((mine = malloc(*len + 1)) == NULL || io_read_full(r->body_fd, mine, *len, 0) != (ssize_t)*len) {
		(void)err_errno(e, "read the request");
		free(mine);
		return -1;
	}
	*bytes = mine;
	return 0;
}

void
serve_body_free(struct serve_call *c, const uint8_t *bytes)
{
	if (bytes != NULL && bytes != c->in->body)
		free((void *)(uintptr_t)bytes);
}

int
serve_reply(struct serve_call *c, const struct fmt_schema *s, const void *value, struct err *e)
{
	size_t need = schema_size(s, value), len;
	uint8_t *at;
	enum fmt_status st;

	if (need == 0 || (at = buf_room(&c->out->body, need)) == NULL)
		return need == 0 ? err_set(e, ERR_INTERNAL, "the answer cannot be written: %s", s->name) :
		    buf_check(&c->out->body, e);
	if ((st = schema_encode(s, value, at, need, &len)) != FMT_OK)
		return err_set(e, ERR_INTERNAL, "the answer cannot be written: %s: %s", s->name, fmt_status_text(st));
	buf_grew(&c->out->body, len);
	c->out->status = 200;
	return 0;
}

int
serve_reply_bytes(struct serve_call *c, const void *bytes, size_t len, struct err *e)
{
	buf_add(&c->out->body, bytes, len);
	c->out->status = 200;
	return buf_check(&c->out->body, e);
}

void
serve_figure(struct serve_call *c, const char *name, uint64_t value)
{
	if (c->nfigures == SERVE_FIGURES)
		return;
	c->figure[c->nfigures].name = name;
	c->figure[c->nfigures++].value = value;
}

unsigned
serve_status(const struct err *e)
{
	switch (e->code) {
	case ERR_USAGE: case ERR_FORMAT: case ERR_VERSION: case ERR_VAULT_NAME:
		return 400;
	case ERR_TOKEN:
		return 401;
	case ERR_SIGNATURE: case ERR_PIN: case ERR_CRED_EXPIRED: case ERR_CRED_INVALID: case ERR_CRED_UNREADABLE:
	case ERR_PERMISSION: case ERR_WRONG_VAULT:
		return 403;
	case ERR_NOT_FOUND: case ERR_NO_IMAGE: case ERR_NO_SNAPSHOT: case ERR_NO_MACHINE: case ERR_NO_VAULT:
		return 404;
	case ERR_RULE: case ERR_FORK: case ERR_HEAD: case ERR_EXISTS: case ERR_MISSING: case ERR_RECEIPT: case ERR_UNCLAIMED:
	case ERR_PLEDGED: case ERR_CHUNK_SIZE: case ERR_ROLLBACK: case ERR_WRONG_DISK:
		return 409;
	case ERR_SESSION:
		return 410;
	case ERR_DAMAGE: case ERR_DIFFERENT:
		return 422;
	case ERR_QUOTA: case ERR_NO_SPACE:
		return 507;
	case ERR_BUSY: case ERR_MEMORY: case ERR_INTERRUPTED:
		return 503;
	default:
		return 500;
	}
}

void
serve_problem(struct net_reply *out, const struct err *e, const struct serve_call *c)
{
	unsigned status = serve_status(e);
	struct doc *d = doc_object();
	char code[16], type[64], *text = NULL;
	size_t len;

	(void)snprintf(code, sizeof(code), "S-%04d", (int)e->code);
	(void)snprintf(type, sizeof(type), "urn:samara:error:%s", code);
	doc_put_str(d, "type", type);
	doc_put_str(d, "title", err_cause(e->code));
	doc_put_u64(d, "status", status);
	doc_put_str(d, "code", code);
	doc_put_u64(d, "exit", (uint64_t)err_exit(e->code));
	/* What went wrong inside concerns the operator alone, who has it in the log. */
	doc_put_str(d, "detail", status == 500 ? "the vault could not do it; its log says why" : e->msg);
	if (e->next[0] != '\0' && status != 500)
		doc_put_str(d, "next", e->next);
	for (unsigned i = 0; c != NULL && i < c->nfigures; i++)
		doc_put_u64(d, c->figure[i].name, c->figure[i].value);
	buf_release(&out->body);
	if (out->read_free != NULL)
		out->read_free(out->read_arg);
	memset(out, 0, sizeof(*out));
	out->status = status;
	out->type = "application/problem+json";
	if (doc_write(d, &text, &len, NULL) == 0)
		buf_add(&out->body, text, len);
	if (status == 401)
		(void)snprintf(out->headers, sizeof(out->headers), "WWW-Authenticate: Bearer\n");
	if (status == 503)
		(void)snprintf(out->headers, sizeof(out->headers), "Retry-After: 1\n");
	free(text);
	doc_free(d);
}

/* The text behind "name=" in the query, and its length; NULL where it is not there. */
static const char *
query_find(const char *query, const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *at = query; *at != '\0'; at += strcspn(at, "&"), at += *at == '&')
		if (strncmp(at, name, n) == 0 && at[n] == '=') {
			*len = strcspn(at + n + 1, "&");
			return at + n + 1;
		}
	return NULL;
}

int
serve_query(const struct serve_call *c, const char *name, char *out, size_t cap)
{
	size_t len;
	const char *at = query_find(c->in->query, name, &len);

	out[0] = '\0';
	if (at == NULL || len >= cap)
		return at == NULL ? 1 : -1;
	memcpy(out, at, len);
	out[len] = '\0';
	return 0;
}

int
serve_query_u64(const struct serve_call *c, const char *name, uint64_t *v)
{
	char text[24];
	int rc;

	*v = 0;
	if ((rc = serve_query(c, name, text, sizeof(text))) != 0)
		return rc;
	if (text[0] == '\0')
		return -1;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || *v > (UINT64_MAX - 9) / 10)
			return -1;
		*v = *v * 10 + (uint64_t)(*p - '0');
	}
	return 0;
}

int
serve_part_hex(const struct serve_call *c, unsigned i, uint8_t *out, size_t len, struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	const char *text = i < c->nparts ? c->part[i] : "";

	if (strlen(text) != 2 * len)
		return err_set(e, ERR_USAGE, "the path must have an id of %zu bytes in hex", len);
	for (size_t k = 0; k < 2 * len; k++) {
		const char *d = strchr(digits, text[k]);

		if (d == NULL)
			return err_set(e, ERR_USAGE, "the path must have an id in lower-case hex");
		out[k / 2] = (uint8_t)(out[k / 2] << 4 | (d - digits));
	}
	return 0;
}
