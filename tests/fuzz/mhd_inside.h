#ifndef SAMARA_TESTS_FUZZ_MHD_INSIDE_H
#define SAMARA_TESTS_FUZZ_MHD_INSIDE_H

/*
 * What common/net asks of libmicrohttpd while it reads a request and answers it, without a socket: these
 * functions stand before the library's.  A request's headers are given, and an answer is taken apart.
 */

#include <microhttpd.h>

#include "common/base/buf.h"

#define INSIDE_HEADERS	24

struct MHD_Response {
	MHD_ContentReaderCallback read;		/* NULL: it has no body */
	MHD_ContentReaderFreeCallback read_free;
	void *arg;
	uint64_t length;
	char type[80], range[96], mark[80];
	unsigned users;
};

/* Any connection is this. */
struct inside {
	struct {
		const char *name, *value;
	} header[INSIDE_HEADERS];
	unsigned nheaders;
	unsigned status;			/* of the answer that was queued; 0: none */
	struct MHD_Response *answer;
};

/* All bytes of the answer's body; -1: they broke off.  Then let go of the answer. */
int inside_body(struct inside *c, struct buf *body);
void inside_end(struct inside *c);

#endif
