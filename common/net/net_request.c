#include <errno.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/net/net_serving.h"

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode %XX in place.  0, or -1: not well formed, or a byte that belongs in no name. */
static int
path_decode(char *path)
{
	char *out = path;

	for (const char *in = path; *in != '\0'; in++) {
		int c = (unsigned char)*in;

		if (c == '%') {
			int hi = hex_digit(in[1]), lo = hi < 0 ? -1 : hex_digit(in[2]);

			if (lo < 0)
				return -1;
			c = hi * 16 + lo;
			in += 2;
		}
		if (c < 0x21 || c > 0x7e)
			return -1;
		*out++ = (char)c;
	}
	*out = '\0';
	return 0;
}

/* "/a/b": no empty part (but a last one), no "." and "..". */
static int
path_is_plain(const char *path)
{
	const char *part = path;

	if (*path != '/')
		return 0;
	while (part != NULL && part[1] != '\0') {
		const char *end = strchr(++part, '/');
		size_t len = end == NULL ? strlen(part) : (size_t)(end - part);

		if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
			return 0;
		part = end;
	}
	return 1;
}

static int
number(const char *s, const char **end, uint64_t *v)
{
	const char *p = s;

	for (*v = 0; *p >= '0' && *p <= '9'; p++) {
		if (*v > (UINT64_MAX - 9) / 10)
			return -1;
		*v = *v * 10 + (uint64_t)(*p - '0');
	}
	*end = p;
	return p == s ? -1 : 0;
}

/* "bytes=a-b" or "bytes=a-"; any other range is as none (RFC 9110, 14.2). */
static void
range_read(struct net_request *r, const char *text)
{
	const char *p;
	uint64_t a, b = UINT64_MAX;

	r->range_from = 1;
	r->range_to = 0;
	if (text == NULL || strncasecmp(text, "bytes=", 6) != 0 || number(text + 6, &p, &a) != 0 || *p++ != '-')
		return;
	if (*p != '\0' && (number(p, &p, &b) != 0 || *p != '\0'))
		return;
	if (a > b)
		return;
	r->range_from = a;
	r->range_to = b;
}

static void
token_read(struct serving_request *q, const char *text)
{
	if (text == NULL || strncasecmp(text, "Bearer ", 7) != 0)
		return;
	text += 7;
	while (*text == ' ')
		text++;
	if (snprintf(q->token, sizeof(q->token), "%s", text) < (int)sizeof(q->token))
		q->r.token = q->token;
}

/* Letters, digits and '-' alone go back. */
static void
mark_read(struct serving_request *q, const char *text)
{
	static const char good[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	if (text != NULL && strlen(text) < sizeof(q->mark) && strspn(text, good) == strlen(text))
		(void)snprintf(q->mark, sizeof(q->mark), "%s", text);
}

static void
server_name_read(struct serving_request *q, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	size_t len = sizeof(q->server_name) - 1;
	unsigned type;

	if (info == NULL || info->tls_session == NULL ||
	    gnutls_server_name_get((gnutls_session_t)info->tls_session, q->server_name, &len, &type, 0) != 0 ||
	    type != GNUTLS_NAME_DNS)
		return;
	q->r.server_name = q->server_name;
}

/* Where the body's length is not said, or said in two ways, nothing of it is taken. */
static int
length_read(struct serving_request *q, struct MHD_Connection *c, struct net_reply *out)
{
	const char *text = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH), *end;
	int none = strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0 || strcmp(q->method, "DELETE") == 0;

	q->r.length = none ? 0 : UINT64_MAX;
	if (text != NULL && (number(text, &end, &q->r.length) != 0 || *end != '\0')) {
		reply_problem(out, 400, "The length of the body is no number");
		return 1;
	}
	if (MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
	    q->r.length == UINT64_MAX) {
		reply_problem(out, 411, "The length of the body must be said");
		return 1;
	}
	return 0;
}

static int
path_read(struct serving_request *q, struct net_reply *out)
{
	char *query;

	if (q->too_long) {
		reply_problem(out, 414, "The path is too long");
		return 1;
	}
	query = strchr(q->uri, '?');
	if (query != NULL)
		*query++ = '\0';
	q->r.path = q->uri;
	q->r.query = query == NULL ? "" : query;
	if (path_decode(q->uri) != 0 || !path_is_plain(q->uri) ||
	    !text_is_printable(q->r.query, strlen(q->r.query))) {
		reply_problem(out, 400, "The path is not well formed");
		return 1;
	}
	return 0;
}

int
request_begin(struct serving_request *q, struct MHD_Connection *connection, const char *method, struct net_reply *out)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE" };
	size_t i;

	q->begun = 1;
	q->r.body_fd = -1;
	q->r.method = q->method;
	q->r.client = q->conn->client;
	q->r.path = q->r.query = "";
	buf_init(&q->memory);
	(void)snprintf(q->method, sizeof(q->method), "%s", method);
	mark_read(q, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, NET_MARK));
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]) && strcmp(methods[i], method) != 0; i++)
		;
	if (i == sizeof(methods) / sizeof(methods[0])) {
		reply_problem(out, 501, "There is no such method here");
		return 1;
	}
	if (path_read(q, out) != 0 || length_read(q, connection, out) != 0)
		return 1;
	range_read(&q->r, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_RANGE));
	token_read(q, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION));
	server_name_read(q, connection);
	if (q->conn->s->ops.head(q->conn->s->ops.arg, &q->r, &q->body_max, out) != 0)
		return 1;
	if (q->r.length <= q->body_max)
		return 0;
	reply_problem(out, 413, "The body is longer than is taken here");
	return 1;
}

/* A file without a name in the directory for such. */
static int
spill_open(int dirfd)
{
	static atomic_uint running;
	char name[48];
	int fd = io->open(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
		return fd;
	(void)snprintf(name, sizeof(name), ".body-%ld-%u", (long)getpid(), atomic_fetch_add(&running, 1));
	fd = io->open(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd != -1)
		(void)io->unlinkat(dirfd, name, 0);
	return fd;
}

int
request_body(struct serving_request *q, const void *bytes, size_t len)
{
	struct net_server *s = q->conn->s;

	q->got += len;
	serving_moved(q->conn, q->got);
	if (q->refused)
		return q->got > SERVING_DRAIN ? -1 : 0;
	if (q->got > q->r.length)
		return -1;
	if (q->r.length > s->body_memory && q->r.body_fd == -1 && (q->r.body_fd = spill_open(s->tmpfd)) == -1)
		q->memory.failed = 1;
	if (q->memory.failed)
		return 0;	/* the answer says so when all has come */
	if (q->r.body_fd == -1)
		buf_add(&q->memory, bytes, len);
	else if (io_write_full(q->r.body_fd, bytes, len, -1) != 0)
		q->memory.failed = 1;
	return 0;
}

int
request_whole(struct serving_request *q, struct net_reply *out)
{
	if (q->memory.failed || q->got != q->r.length) {
		reply_problem(out, q->memory.failed ? 503 : 400, q->memory.failed ?
		    "There is no room for the request just now" : "The body is shorter than its length");
		return 1;
	}
	q->r.body = q->memory.p;
	q->r.body_len = q->got;
	return 0;
}

void
request_free(struct serving_request *q)
{
	if (q == NULL)
		return;
	if (q->begun && q->r.body_fd != -1)
		(void)io->close(q->r.body_fd);
	if (q->memory.p != NULL)
		secret_wipe(q->memory.p, q->memory.len);
	buf_release(&q->memory);
	reply_drop(&q->refusal);
	secret_wipe(q->token, sizeof(q->token));
	free(q->uri);
	free(q);
}
