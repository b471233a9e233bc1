#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/net_serving.h"

/* Where a reply's bytes come from while it goes. */
struct source {
	struct serving_request *q;	/* lives until the reply went */
	net_body_fn read;
	void (*read_free)(void *arg);
	void *arg;
	uint64_t from;			/* of a range */
	uint8_t *bytes;			/* or all of it, in memory */
	uint64_t length;
};

void
reply_drop(struct net_reply *out)
{
	if (out->read_free != NULL)
		out->read_free(out->read_arg);
	buf_release(&out->body);
	memset(out, 0, sizeof(*out));
}

void
reply_problem(struct net_reply *out, unsigned status, const char *title)
{
	reply_drop(out);
	out->status = status;
	out->type = "application/problem+json";
	buf_print(&out->body, "{\"status\":%u,\"title\":\"%s\",\"type\":\"about:blank\"}\n", status, title);
}

static ssize_t
source_read(void *arg, uint64_t pos, char *out, size_t cap)
{
	struct source *src = arg;
	int n;

	if (cap > SERVING_BLOCK)
		cap = SERVING_BLOCK;
	if (cap > src->length - pos)
		cap = (size_t)(src->length - pos);
	serving_moved(src->q->conn, pos);
	if (src->bytes != NULL) {
		memcpy(out, src->bytes + src->from + pos, cap);
		n = (int)cap;
	} else {
		n = src->read(src->arg, src->from + pos, out, cap);
	}
	if (n <= 0 || (size_t)n > cap)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	src->q->sent += (uint64_t)n;
	return n;
}

static void
source_free(void *arg)
{
	struct source *src = arg;

	if (src->read_free != NULL)
		src->read_free(src->arg);
	free(src->bytes);
	free(src);
}

/* Cut ${src} to the range that was asked for. */
static void
range_cut(struct serving_request *q, struct net_reply *out, struct source *src, char *header, size_t cap)
{
	uint64_t all = src->length, to = q->r.range_to;

	header[0] = '\0';
	if (strcmp(q->method, "GET") != 0 || out->status != 200 || q->r.range_from > q->r.range_to)
		return;
	if (q->r.range_from >= all) {
		out->status = 416;
		src->length = 0;
		(void)snprintf(header, cap, "bytes */%llu", (unsigned long long)all);
		return;
	}
	if (to >= all)
		to = all - 1;
	out->status = 206;
	src->from = q->r.range_from;
	src->length = to - src->from + 1;
	(void)snprintf(header, cap, "bytes %llu-%llu/%llu", (unsigned long long)src->from, (unsigned long long)to,
	    (unsigned long long)all);
}

/* "Name: value\n" … */
static void
headers_add(struct MHD_Response *m, char *lines)
{
	char *line, *end, *value;

	for (line = lines; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		if (*end == '\n')
			*end++ = '\0';
		if ((value = strstr(line, ": ")) == NULL)
			continue;
		*value = '\0';
		(void)MHD_add_response_header(m, line, value + 2);
	}
}

/* The bytes of ${out} go over to ${src}. */
static void
source_fill(struct serving_request *q, struct net_reply *out, struct source *src)
{
	size_t len;

	src->q = q;
	if (out->read != NULL) {
		src->read = out->read;
		src->read_free = out->read_free;
		src->arg = out->read_arg;
		src->length = out->length;
		out->read_free = NULL;
	} else {
		src->bytes = buf_take(&out->body, &len);
		src->length = src->bytes == NULL ? 0 : len;
	}
}

int
reply_send(struct serving_request *q, struct MHD_Connection *connection, struct net_reply *out)
{
	struct source *src = calloc(1, sizeof(*src));
	struct MHD_Response *m;
	int rc;
	char range[96];

	if (src == NULL || out->body.failed) {
		free(src);
		reply_drop(out);
		return MHD_NO;
	}
	source_fill(q, out, src);
	range_cut(q, out, src, range, sizeof(range));
	q->status = out->status;
	if (src->length > 0) {
		m = MHD_create_response_from_callback(src->length, SERVING_BLOCK, source_read, src, source_free);
	} else {
		m = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
		source_free(src);
		src = NULL;
	}
	if (m == NULL) {
		if (src != NULL)
			source_free(src);
		return MHD_NO;
	}
	if (range[0] != '\0')
		(void)MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_RANGE, range);
	(void)MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, out->type == NULL ?
	    "application/octet-stream" : out->type);
	if (q->mark[0] != '\0')
		(void)MHD_add_response_header(m, NET_MARK, q->mark);
	(void)MHD_add_response_header(m, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	headers_add(m, out->headers);
	serving_wait(q->conn, q->conn->s->idle_seconds);
	rc = (int)MHD_queue_response(connection, out->status, m);
	MHD_destroy_response(m);
	reply_drop(out);
	return rc;
}
