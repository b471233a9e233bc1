#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mhd_inside.h"

const char *
MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind, const char *key)
{
	const struct inside *c = (const struct inside *)(const void *)connection;

	(void)kind;
	for (unsigned i = 0; i < c->nheaders; i++)
		if (strcasecmp(c->header[i].name, key) == 0)
			return c->header[i].value;
	return NULL;
}

const union MHD_ConnectionInfo *
MHD_get_connection_info(struct MHD_Connection *connection, enum MHD_ConnectionInfoType what, ...)
{
	(void)connection;
	(void)what;
	return NULL;
}

static struct MHD_Response *
response(void)
{
	struct MHD_Response *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->users = 1;
	return m;
}

struct MHD_Response *
MHD_create_response_from_callback(uint64_t size, size_t block, MHD_ContentReaderCallback read, void *arg,
    MHD_ContentReaderFreeCallback read_free)
{
	struct MHD_Response *m = response();

	(void)block;
	m->read = read;
	m->read_free = read_free;
	m->arg = arg;
	m->length = size;
	return m;
}

struct MHD_Response *
MHD_create_response_from_buffer(size_t size, void *bytes, enum MHD_ResponseMemoryMode mode)
{
	(void)bytes;
	(void)mode;
	fuzz_true(size == 0, "a body that is there comes by a callback");
	return response();
}

enum MHD_Result
MHD_add_response_header(struct MHD_Response *m, const char *header, const char *content)
{
	fuzz_true(strpbrk(header, "\r\n") == NULL && strpbrk(content, "\r\n") == NULL, "a header is one line");
	if (strcasecmp(header, MHD_HTTP_HEADER_CONTENT_TYPE) == 0)
		(void)snprintf(m->type, sizeof(m->type), "%s", content);
	if (strcasecmp(header, MHD_HTTP_HEADER_CONTENT_RANGE) == 0)
		(void)snprintf(m->range, sizeof(m->range), "%s", content);
	if (strcasecmp(header, "X-Request-ID") == 0)
		(void)snprintf(m->mark, sizeof(m->mark), "%s", content);
	return MHD_YES;
}

enum MHD_Result
MHD_queue_response(struct MHD_Connection *connection, unsigned status, struct MHD_Response *m)
{
	struct inside *c = (struct inside *)(void *)connection;

	fuzz_true(c->answer == NULL, "a request has one answer");
	c->answer = m;
	c->status = status;
	m->users++;
	return MHD_YES;
}

void
MHD_destroy_response(struct MHD_Response *m)
{
	if (--m->users > 0)
		return;
	if (m->read_free != NULL)
		m->read_free(m->arg);
	free(m);
}

int
inside_body(struct inside *c, struct buf *body)
{
	struct MHD_Response *m = c->answer;
	static char piece[64 << 10];
	ssize_t n;

	for (uint64_t at = 0; at < m->length; at += (uint64_t)n) {
		n = m->read(m->arg, at, piece, sizeof(piece));
		if (n <= 0)
			return -1;
		fuzz_true((uint64_t)n <= m->length - at, "no more comes than was said");
		buf_add(body, piece, (size_t)n);
	}
	return 0;
}

void
inside_end(struct inside *c)
{
	if (c->answer != NULL)
		MHD_destroy_response(c->answer);
	c->answer = NULL;
}
